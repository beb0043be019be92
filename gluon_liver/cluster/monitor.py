"""The launcher's monitor of a distributed job: knows every process, and ends all of them when one is gone.

Every process of the job has a supervisor (:mod:`.supervisor`) that connects here by TCP and speaks JSON, one object a
line. Its first line holds the job's token; a connection without it is closed. The supervisor says ``beat`` each second,
``pid`` (of its process), ``rank`` and ``checkpoint`` (of a worker), ``stop`` (a signal for all workers), ``gone`` (its
process is silent) and ``end`` (exit code); the monitor says ``beat``, ``checkpoint``, ``signal`` (for a worker's
process), ``abort`` (with the message to print) and ``stop``.

Standard library only.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import signal
from dataclasses import dataclass
from typing import Any, Awaitable, Dict, List, Mapping, Optional

from gluon_liver.system.interrupts import INTERRUPTED

from .heartbeat import AGAIN, LOST, say

HELLO_SECONDS = 10.0  # for the first line of a connection
BEATS = 15  # beats within the limit of silence


@dataclass(eq=False)
class Member:
    """One process of the job, as its supervisor describes it."""

    role: str
    pid: int
    host: str
    writer: asyncio.StreamWriter
    rank: Optional[int] = None
    code: Optional[int] = None  # exit code, negative for a signal, once it has ended

    def __str__(self) -> str:
        known = f"{self.role} of rank {self.rank}" if self.rank is not None else self.role
        unknown = "rank not known yet, " if self.role == "worker" and self.rank is None else ""
        return f"{known} ({unknown}pid {self.pid} on {self.host})"


class Monitor:
    """Watches ``workers`` workers, ``servers`` servers and one scheduler; :meth:`finished` tells how the job ended.

    Parameters
    ----------
    token: what a supervisor must show.
    versions: package -> version that all hosts must have.
    silence: seconds without a sign of life after which a process is taken for gone.
    start: seconds within which all processes must have come.
    """

    def __init__(
        self,
        workers: int,
        servers: int,
        *,
        token: str,
        versions: Mapping[str, Optional[str]],
        silence: float = 15.0,
        start: float = 120.0,
    ):
        self._expected = {"worker": workers, "server": servers, "scheduler": 1}
        self._token, self._versions, self._silence, self._start = token, dict(versions), silence, start
        self.members: List[Member] = []
        self.reason: Optional[str] = None  # why the job was ended, None while it was not
        self.code = 0  # what the launcher ends with
        self.checkpoint: Optional[str] = None
        self._open: Dict[Member, asyncio.StreamWriter] = {}
        self._workers_over: Optional[float] = None
        self._stopped: Optional[float] = None  # when a worker ended with AGAIN
        self._changed = asyncio.Event()

    async def serve(self, host: str, port: int = 0) -> int:
        """Listen on ``host``; returns the port."""
        self._server = await asyncio.start_server(self._connected, host, port, limit=1 << 16)
        return self._server.sockets[0].getsockname()[1]

    async def finished(self, *, grace: float = 5.0) -> int:
        """Wait until every process has ended, or was told to ``grace`` seconds ago; returns the exit code.

        0 when every worker ended with 0; a worker's own exit code when it failed; 75 when a process was lost, or when
        the workers stopped in order before their end, as the one that leads them says with that code.
        """
        clock = asyncio.get_running_loop().time
        started, aborted = clock(), None
        while not self._over():
            now = clock()
            if self.reason is not None:
                aborted = now if aborted is None else aborted
                if now - aborted > grace:
                    break
            elif self._left_alone(now):
                self.abort("a worker stopped before its end and the others did not follow")
            elif now - started > self._start and self._missing():
                self.abort(f"{self._missing()} did not start within {self._start:.0f} s")
            else:
                self._end_idle_servers(now)
            self._send({"beat": True})
            self._changed.clear()
            await _within(self._changed.wait(), min(1.0, self._silence / BEATS))
        self._server.close()
        for writer in self._open.values():
            writer.close()
        return self.code

    def abort(self, reason: str, *, code: int = LOST) -> None:
        """End all processes of the job. The first reason is the one that is told."""
        if self.reason is not None:
            return
        known = "No checkpoint of this job is known"
        if self.checkpoint is not None:
            known = f"Last good checkpoint: {self.checkpoint}"
            known += "; the same command with --resume auto goes on from it" if code == LOST else ""
        self.reason = f"{reason}; all processes of the job end. {known}."
        self.code = code
        say("launch", self.reason)
        self._send({"abort": self.reason})
        self._changed.set()

    def command_failed(self, how: str) -> None:
        """A command of the tracker ended with another code than 0: it may be a worker that stopped in order."""
        if self._stopped is None:
            self.abort(how)

    def interrupt(self, number: int) -> None:
        """Ask all workers to stop in order by a signal, or end the job where some have not come and would not hear it.

        Nothing is lost then, for a training begins when all are there.
        """
        if self._missing():
            code = INTERRUPTED if number == signal.SIGINT else LOST
            self.abort(f"{signal.Signals(number).name} came before all processes had started", code=code)
        for member in self._open:
            if member.role == "worker":
                write(member.writer, {"signal": number})

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        member = None
        try:
            member = await self._welcome(reader, writer)
            while member is not None:
                line = await asyncio.wait_for(reader.readline(), self._silence)
                if not line.endswith(b"\n"):
                    self._gone(member, "is gone (connection lost: it was killed, or its machine or the network failed)")
                    break
                if self._heard(member, json.loads(line.decode())):
                    break
        except asyncio.TimeoutError:
            self._gone(member, f"is gone (no sign of life for {self._silence:g} s)")
        except (OSError, ValueError) as error:  # a reset connection, or what is no JSON
            self._gone(member, f"is gone (connection lost: {error})")
        finally:
            if member is not None:
                self._open.pop(member, None)
            self._changed.set()
            writer.close()

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Optional[Member]:
        """The member that a new connection is, or None for a stranger."""
        line = await _within(reader.readline(), HELLO_SECONDS)
        try:
            hello = json.loads((line or b"").decode())
            if not hmac.compare_digest(str(hello["token"]).encode(), self._token.encode()):
                return None
            member = Member(str(hello["role"]), int(hello["pid"]), str(hello["host"]), writer)
        except (ValueError, KeyError, TypeError):
            return None
        self.members.append(member)
        self._open[member] = writer
        write(writer, {"silence": self._silence, "checkpoint": self.checkpoint})
        versions: Mapping[str, Any] = hello.get("versions", {})
        other = [name for name, version in versions.items() if version != self._versions.get(name)]
        if self.reason is not None:
            write(writer, {"abort": self.reason})
        elif other:
            listed = ", ".join(f"{name} {versions[name]} instead of {self._versions.get(name)}" for name in other)
            self.abort(f"{member} has other versions than the launcher: {listed}")
        return member

    def _heard(self, member: Member, message: Mapping[str, Any]) -> bool:
        """Take in one message; True when it was the member's last."""
        if "pid" in message:  # the supervisor's own until its process runs
            member.pid = int(message["pid"])
        if "rank" in message:
            member.rank = int(message["rank"])
        if "checkpoint" in message:
            self.checkpoint = str(message["checkpoint"])
            self._send({"checkpoint": self.checkpoint})
        if "stop" in message:
            self.interrupt(int(message["stop"]))
        if "gone" in message:
            self._gone(member, str(message["gone"]))
        if "end" not in message:
            return False
        member.code = int(message["end"])
        if member.role == "worker" and member.code == AGAIN:
            self.code = AGAIN
            self._stopped = asyncio.get_running_loop().time()
        elif member.code != 0:
            own = member.code if member.role == "worker" and member.code > 0 else LOST
            self._gone(member, ending(member.code), code=own)
        return True

    def _gone(self, member: Optional[Member], how: str, *, code: int = LOST) -> None:
        if member is not None:
            self.abort(f"{member} {how}", code=code)

    def _over(self) -> bool:
        return not self._open and (self.reason is not None or not self._missing())

    def _left_alone(self, now: float) -> bool:
        """Whether workers go on for long after one has stopped."""
        working = any(member.role == "worker" for member in self._open)
        return working and self._stopped is not None and now - self._stopped > self._silence

    def _missing(self) -> str:
        """Which of the expected processes have not come, in words; empty when all have."""
        come = {role: sum(member.role == role for member in self.members) for role in self._expected}
        return ", ".join(
            f"{count - come[role]} of {count} {role}(s)" for role, count in self._expected.items() if come[role] < count
        )

    def _end_idle_servers(self, now: float) -> None:
        """Stop scheduler and servers that outlive all workers: these never opened or never closed a dist KVStore."""
        over = sum(member.role == "worker" and member.code in (0, AGAIN) for member in self.members)
        if over < self._expected["worker"]:
            return
        self._workers_over = now if self._workers_over is None else self._workers_over
        if now - self._workers_over > self._silence and self._open:
            why = "every worker has ended and no KVStore over servers was closed"
            say("launch", f"{why} (did they use --kvstore dist_...?): scheduler and servers are stopped")
            self._send({"stop": True})
            self._workers_over = float("inf")

    def _send(self, message: Mapping[str, Any]) -> None:
        for writer in self._open.values():
            write(writer, message)


def ending(code: int) -> str:
    """An exit code as subprocess has it, in words."""
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def write(writer: asyncio.StreamWriter, message: Mapping[str, Any]) -> None:
    if not writer.is_closing():
        writer.write(json.dumps(message).encode() + b"\n")


async def _within(awaitable: Awaitable[Any], seconds: float) -> Any:
    """The result, or None when it does not come in time."""
    try:
        return await asyncio.wait_for(awaitable, seconds)
    except asyncio.TimeoutError:
        return None
