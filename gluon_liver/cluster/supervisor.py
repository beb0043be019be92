"""The supervisor of one process of a distributed job: starts it, watches it, and ends it when the job is lost.

    python -m gluon_liver.cluster.supervisor -- train.py --config r50 ...

runs on every host, once a process, started by the dmlc tracker for workers, servers and scheduler alike (``DMLC_ROLE``
says which). A worker's process is the given command; the others are a Python that imports MXNet, which then serves. The
supervisor stays outside of MXNet, so that it can end a process that hangs in MXNet's code or at its exit, or that is
stopped; and the kernel ends the process should the supervisor itself be killed.

``GLUON_LIVER_WATCH`` tells where the monitor is: ``HOST:PORT:TOKEN``, or the path of a file that holds the token in the
token's place. Standard library only.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from gluon_liver.errors import InputError
from gluon_liver.system.runtime import installed_version, prepare_start, usable_cores

from .heartbeat import FD, LOST, say
from .monitor import BEATS, write

WATCH = "GLUON_LIVER_WATCH"
PROCESSES = "GLUON_LIVER_PROCESSES"  # of the job on this host, to share its cores
SERVE = "from gluon_liver.cluster import heartbeat; heartbeat.start(); import mxnet"
CONNECT_SECONDS = 10.0
START_SECONDS = 30.0  # within which the monitor must listen
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def versions() -> Dict[str, Optional[str]]:
    """What has to be the same on all hosts of a job."""
    packages = {name: installed_version(name) for name in ("mxnet", "mxnet-cu112", "numpy", "gluon_liver")}
    return {"python": ".".join(str(part) for part in sys.version_info[:2]), **packages}


def role_command(role: str, command: Sequence[str]) -> List[str]:
    """The words to run in a role; a worker's command may be a Python script of the project (``train.py ...``)."""
    if role != "worker":
        return [sys.executable, "-c", SERVE]
    return ([sys.executable] if command[0].endswith(".py") else []) + list(command)


def child_environment(environ: Mapping[str, str], *, address: str) -> Tuple[Dict[str, str], List[str]]:
    """The environment of the supervised process, and notes about what was dropped of it.

    ``address`` is this host's as the monitor's host sees it. ps-lite listens at ``DMLC_NODE_HOST`` and, in the
    scheduler, at ``DMLC_PS_ROOT_URI``, and ZeroMQ takes numbers alone there; the tracker's ssh launcher sets names.
    """
    changed, notes = dict(environ), []
    changed.pop(WATCH, None)  # the token stays here
    if changed.pop("PORT", None) is not None:
        notes.append("the environment variable PORT is dropped: MXNet's parameter server would listen there and abort")
    if changed.get("DMLC_INTERFACE"):  # the user's choice, which ps-lite reads when no address is given
        changed.pop("DMLC_NODE_HOST", None)
    else:
        changed["DMLC_NODE_HOST"] = address
    if "DMLC_PS_ROOT_URI" in changed:
        changed["DMLC_PS_ROOT_URI"] = socket.gethostbyname(changed["DMLC_PS_ROOT_URI"])
    processes = int(changed.pop(PROCESSES, "1"))
    if any(setting.name == "OMP_NUM_THREADS" and setting.set_by != "user" for setting in prepare_start()):
        changed["OMP_NUM_THREADS"] = str(max(1, usable_cores()[0] // processes))
    changed["PYTHONUNBUFFERED"] = "1"  # a process that is killed must not take its last lines with it
    return changed, notes


class Supervisor:
    """Supervises one process. :meth:`run` returns the exit code."""

    def __init__(self, role: str, command: Sequence[str], *, host: str):
        self._role, self._command, self._host = role, command, host
        self._checkpoint: Optional[str] = None
        self._silence = 15.0
        self._child: subprocess.Popen[bytes]
        self._ended = False  # reported to the monitor, which then closes the connection

    async def run(self, address: str, port: int, token: str) -> int:
        """Connect, start the process, and wait for the first thing that ends it."""
        reader, self._writer = await _connected(address, port)
        self._send({"token": token, "role": self._role, "pid": os.getpid(), "host": self._host, "versions": versions()})
        welcome = await asyncio.wait_for(reader.readline(), CONNECT_SECONDS)
        if not welcome:
            reason = "closed the connection: it does not know this job's token"
            raise InputError(f"the monitor at {address}:{port} {reason}")
        self._take(json.loads(welcome.decode()))
        ours, theirs = socket.socketpair()
        with ours, theirs, contextlib.closing(self._writer):
            self._child = self._start(theirs)
            try:
                for number in (signal.SIGTERM, signal.SIGINT):
                    asyncio.get_running_loop().add_signal_handler(number, self._stop_all, number)
                child_reader, _ = await asyncio.open_connection(sock=ours)
                # A future and not the first task that ends: before Python 3.12 wait_for may lose a cancellation, so
                # that tasks which wait for it would stay for ever.
                self._outcome = asyncio.get_running_loop().create_future()
                tasks = (self._follow_monitor(reader), self._follow_child(child_reader), self._beat(), self._wait())
                for task in tasks:
                    asyncio.ensure_future(task).add_done_callback(self._task_ended)
                return await self._outcome
            finally:
                self._kill()

    def _start(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        address = self._writer.get_extra_info("sockname")[0]
        environment, notes = child_environment(os.environ, address=address)
        for note in notes:
            self._say(note)
        environment[FD] = f"{theirs.fileno()}:{self._silence / BEATS}"
        # Lets the kernel kill the process when the supervisor ends. Looked up here: between fork and exec as little as
        # possible should happen.
        die_with_parent = functools.partial(ctypes.CDLL(None).prctl, PR_SET_PDEATHSIG, signal.SIGKILL)
        try:
            child = subprocess.Popen(
                role_command(self._role, self._command),
                env=environment,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        except OSError as error:
            self._send({"end": 127})
            raise InputError(f"cannot run {self._command[0]!r}: {error.strerror}") from error
        theirs.close()
        self._send({"pid": child.pid})
        return child

    def _task_ended(self, task: asyncio.Future[Optional[int]]) -> None:
        if self._outcome.done() or task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._outcome.set_exception(error)
        elif task.result() is not None:
            self._outcome.set_result(task.result())

    async def _follow_monitor(self, reader: asyncio.StreamReader) -> Optional[int]:
        """Obey the monitor until it ends the job or is gone itself."""
        how = "connection lost"
        while True:
            try:
                line = await asyncio.wait_for(reader.readline(), self._silence)
            except asyncio.TimeoutError:
                how, line = f"no sign of life for {self._silence:g} s", b""
            except OSError as error:
                how, line = f"connection lost: {error}", b""
            if self._ended:  # reported, and for this supervisor there is nothing left to hear
                return None
            if not line:
                text = f"the launcher is gone ({how}), so this process ends."
                if self._checkpoint is not None:
                    resume = "the same command with --resume auto goes on from it"
                    text += f" Last good checkpoint: {self._checkpoint}; {resume}."
                self._say(text)
                return LOST
            message = json.loads(line.decode())
            self._take(message)
            if "signal" in message and self._role == "worker":
                self._child.send_signal(int(message["signal"]))
            if "abort" in message:
                self._say(message["abort"])
                return LOST
            if "stop" in message:
                self._send({"end": 0})
                await self._writer.drain()
                return 0

    async def _follow_child(self, reader: asyncio.StreamReader) -> None:
        """Pass on what the process tells, and report when it falls silent before it said that it is done."""
        limit, over = None, False  # no limit until the first beat: not every command sends any
        while True:
            try:
                line = await asyncio.wait_for(reader.readline(), limit)
            except asyncio.TimeoutError:
                self._send({"gone": f"is gone (no sign of life for {self._silence:g} s: stopped or frozen)"})
                limit = None
                continue
            if not line:  # it has ended, or closed the link
                return
            message = json.loads(line.decode())
            over = over or "done" in message
            limit = None if over else self._silence
            told = {key: message[key] for key in ("rank", "checkpoint") if key in message}
            if told:
                self._send(told)
            if "leaving" in message:
                self._send({"end": message["leaving"]})

    async def _beat(self) -> None:
        while not self._outcome.done():
            self._send({"beat": True})
            await asyncio.sleep(self._silence / BEATS)

    async def _wait(self) -> int:
        while self._child.poll() is None:
            await asyncio.sleep(0.1)
        code, self._ended = self._child.returncode, True
        self._send({"end": code})
        with contextlib.suppress(OSError):  # the monitor may be gone already: then there is nobody to tell
            await self._writer.drain()
        return code if code >= 0 else 128 - code

    def _take(self, message: Mapping[str, Any]) -> None:
        self._silence = float(message.get("silence", self._silence))
        self._checkpoint = message.get("checkpoint", self._checkpoint)

    def _stop_all(self, number: int) -> None:
        """A signal to one supervisor (a scheduler of the cluster, ``docker stop``) is for all workers of the job."""
        self._send({"stop": number})

    def _kill(self) -> None:
        """Kill the process and what it started, also when it is stopped or hangs."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):  # in the kernel's hands: it cannot be waited for
            self._child.wait(5)

    def _send(self, message: Mapping[str, Any]) -> None:
        write(self._writer, message)

    def _say(self, text: str) -> None:
        say(f"{self._role} {os.getpid()}", text)


async def _connected(address: str, port: int) -> Tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the monitor, which may start a little later than this supervisor."""
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            return await asyncio.wait_for(asyncio.open_connection(address, port), CONNECT_SECONDS)
        except (ConnectionRefusedError, socket.gaierror) as error:
            if time.monotonic() > end:
                after = f"after {START_SECONDS:g} s ({error})"
                raise InputError(f"no monitor at {address}:{port} {after}: is the launcher running?") from error
            await asyncio.sleep(0.2)


def watch_address(setting: str, *, name: str = WATCH) -> Tuple[str, int, str]:
    """Host, port and token of ``HOST:PORT:TOKEN``; a token that starts with ``/`` is a file that holds it.

    ``name`` is where the setting came from, for the message of an :class:`InputError`.
    """
    try:
        host, port, token = setting.split(":", 2)
        number = int(port)
    except ValueError:
        raise InputError(f"{name}: it must be HOST:PORT:TOKEN") from None
    if token.startswith("/"):
        token = Path(token).read_text(encoding="ascii").strip()
    if len(token) < 16:
        raise InputError(f"{WATCH}: the token has {len(token)} characters; 16 are the least")
    return host, number, token


def main(words: Sequence[str]) -> int:
    """Supervise one process; the command line of this module."""
    if words[:1] == ["--"]:
        words = words[1:]
    role = os.environ.get("DMLC_ROLE")
    if role not in ("worker", "server", "scheduler") or WATCH not in os.environ or not words:
        needed = f"DMLC_ROLE and {WATCH}"
        print(f"error: this is started by `python -m gluon_liver launch`, with {needed} set", file=sys.stderr)
        return 2
    if os.getpid() != os.getsid(0):
        os.setpgid(0, 0)  # Ctrl-C in the terminal is for the launcher, which hands it on to the workers alone
    host = os.environ.get("DMLC_NODE_HOST") or socket.gethostname()
    try:
        return asyncio.run(Supervisor(role, words, host=host).run(*watch_address(os.environ[WATCH])))
    except (InputError, OSError, asyncio.TimeoutError) as error:
        reason = str(error) or "the monitor does not answer"
        say(f"{role} {os.getpid()}", f"error: {reason}")
        return 2 if isinstance(error, InputError) else LOST


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
