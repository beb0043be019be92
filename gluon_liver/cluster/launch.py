"""A distributed job on the dmlc tracker that MXNet's wheel ships (``dmlc_tracker``), under supervisors.

The tracker starts scheduler, servers and workers, on this machine or by ssh on others; here are its faults worked
around, the monitor run (:mod:`.monitor`), signals handed on, and leftovers removed. Each process runs under a
supervisor (:mod:`.supervisor`). MXNet is not imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence

from gluon_liver.errors import ConfigError, InputError
from gluon_liver.files.json_records import read_text
from gluon_liver.system.runtime import prepare_start

from .heartbeat import say
from .monitor import Monitor
from .supervisor import PROCESSES, WATCH, versions, watch_address

HOST_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(:\d{1,5})?(\s+slots=\d+)?")
# what a shell reads as anything but itself, outside of quotes
SPECIAL = re.compile(r"""([\s!"#$&'()*;<>?\[\\\]^`{|}~])""")
SCHEDULER_PORTS = (20000, 32000)


def launch(
    command: Sequence[str],
    *,
    workers: int,
    servers: int,
    hosts: Optional[Path] = None,
    host_ip: Optional[str] = None,
    attend: Optional[str] = None,
    silence: float = 15.0,
) -> int:
    """Run ``command`` as ``workers`` workers with ``servers`` servers and a scheduler; returns the exit code.

    Parameters
    ----------
    hosts: file with a line ``HOST`` or ``HOST:SSH_PORT`` for each machine; None for processes on this machine alone.
    host_ip: this machine's address as the others see it, where the tracker would guess another.
    attend: ``HOST:PORT`` to run the monitor alone at, for processes that something else starts (a compose file).
    silence: seconds without a sign of life after which a process is taken for gone.

    Raises :class:`ConfigError` for numbers that cannot work, :class:`InputError` for the hosts file or the command.
    """
    if workers < 1 or servers < 1:
        raise ConfigError(f"--workers {workers} --servers {servers}: each must be 1 or more")
    if not 1 <= silence <= 25:
        raise ConfigError(f"--silence {silence:g}: it must be 1 to 25 s, so that a lost job ends within 30")
    machines = 1 if hosts is None else len(read_hosts(hosts))
    monitor = functools.partial(Monitor, workers, servers, silence=silence, versions=versions())
    job = _Launch(command, hosts, monitor)
    if attend is not None:
        return asyncio.run(job.attend(attend))
    processes = -(-(workers + servers) // machines)
    return asyncio.run(job.run(host_ip, processes=processes, workers=workers, servers=servers))


class _Launch:
    def __init__(self, command: Sequence[str], hosts: Optional[Path], monitor: Callable[..., Monitor]):
        self._command, self._hosts, self._make_monitor = command, hosts, monitor
        self._signals = 0

    async def attend(self, address: str) -> int:
        """Run the monitor alone, for a job whose token the environment holds."""
        _, _, token = watch_address(os.environ.get(WATCH, ""))
        self._watch(token)
        host, port, _ = watch_address(f"{address}:{token}", name="--attend HOST:PORT with the TOKEN")
        await self._monitor.serve(host, port)
        return await self._monitor.finished()

    async def run(self, host_ip: Optional[str], *, processes: int, workers: int, servers: int) -> int:
        """Start ``processes`` of a machine's workers and servers, all in all of the given numbers, and watch them."""
        from dmlc_tracker import tracker

        token, local = secrets.token_hex(16), self._hosts is None
        self._watch(token)
        tracker_ip = "127.0.0.1" if local else host_ip or tracker.get_host_ip("auto")
        port = await self._monitor.serve(tracker_ip)
        with contextlib.ExitStack() as stack:
            stack.callback(_kill_descendants)
            secret = token if local else stack.enter_context(_token_file(token))
            watch = {WATCH: f"{tracker_ip}:{port}:{secret}", PROCESSES: str(processes)}
            stack.enter_context(_environment(watch, local=local))
            stack.enter_context(_worked_around(tracker_ip))
            self._hear_of_failures()
            line = supervisor_line(self._command, watch, remote=not local)
            options = ["--host-ip", tracker_ip, "--num-workers", str(workers), "--num-servers", str(servers)]
            threading.Thread(target=self._track, args=(line, options), daemon=True).start()
            return await self._monitor.finished()

    def _track(self, line: str, options: List[str]) -> None:
        """Let the tracker start everything; it returns when the scheduler has ended."""
        from dmlc_tracker import local, opts, ssh

        cluster = ["local"] if self._hosts is None else ["ssh", "--host-file", str(self._hosts)]
        # get_opts would take options of the command for its own, so the command is set afterwards
        arguments = opts.get_opts([*options, "--cluster", *cluster, "command"])
        arguments.command = [line]
        (local if self._hosts is None else ssh).submit(arguments)

    def _watch(self, token: str) -> None:
        self._monitor, self._loop = self._make_monitor(token=token), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                self._loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: int) -> None:
        self._signals += 1
        name = signal.Signals(number).name
        if self._signals == 1:
            say("launch", f"{name}: the workers are asked to stop in order; a second one ends everything at once")
            self._monitor.interrupt(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)
        else:
            self._monitor.abort(f"a second signal ({name}) came", code=128 + number)

    def _hear_of_failures(self) -> None:
        """Hear of commands that the tracker's threads could not run, without the environment that they would print.

        Stays in place, for these threads outlive the job.
        """
        before = threading.excepthook

        def failed(info: threading.ExceptHookArgs) -> None:
            code = re.match(r"Get nonzero return code=(-?\d+) ", str(info.exc_value))
            if isinstance(info.exc_value, subprocess.CalledProcessError):
                how = f"ended with code {info.exc_value.returncode}"
            elif code:
                how = f"ended with code {code.group(1)}"
            else:
                before(info)
                how = f"failed ({info.exc_type.__name__})"
            how = f"a command that the dmlc tracker started {how} and did not say why"
            with contextlib.suppress(RuntimeError):  # the loop is closed: the job is over
                # a process that came so far tells the monitor itself, and the first reason is the one that counts
                self._loop.call_soon_threadsafe(lambda: self._loop.call_later(1.0, self._monitor.command_failed, how))

        threading.excepthook = failed


def read_hosts(path: Path) -> List[str]:
    """The machines of a hosts file. The tracker pastes its lines into shell commands, so they are checked here."""
    lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    for line in lines:
        if not HOST_LINE.fullmatch(line):
            other = "no user names, no comments, no IPv6; those belong into ~/.ssh/config"
            raise InputError(f"{path}: {line!r} is no HOST or HOST:PORT ({other})")
    if not lines:
        raise InputError(f"{path} names no machine")
    return [line.split()[0] for line in lines]


def supervisor_line(command: Sequence[str], watch: Dict[str, str], *, remote: bool) -> str:
    """The shell command that the tracker runs in every role, here with bash, or between single quotes through ssh.

    Raises :class:`InputError` for words that cannot pass.
    """
    words = [sys.executable, "-m", "gluon_liver.cluster.supervisor", "--"] + list(command)
    if remote:
        passed = {**watch, **{name: value for name, value in os.environ.items() if name == "PYTHONPATH"}}
        words = ["env", *(f"{name}={value}" for name, value in passed.items()), *words]
        cwd, wanted = str(Path.cwd()), "use a folder without blanks and special characters"
        if SPECIAL.search(cwd):
            raise InputError(f"the tracker cannot change to {cwd!r} on other machines: {wanted}")
    for word in words:
        if "\n" in word or (remote and "'" in word):
            raise InputError(f"{word!r} holds a line break or a single quote, which the tracker cannot pass on")
    return " ".join(SPECIAL.sub(r"\\\1", word) or '""' for word in words)


@contextlib.contextmanager
def _token_file(token: str) -> Iterator[str]:
    """The token in a file of the (shared) working folder: ssh has only command lines, which everybody can read."""
    path = Path.cwd() / f".gluon-liver-watch-{secrets.token_hex(4)}"
    descriptor = os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(token)
    try:
        yield str(path)
    finally:
        path.unlink()


@contextlib.contextmanager
def _environment(watch: Dict[str, str], *, local: bool) -> Iterator[None]:
    """os.environ as the tracker's processes should get it, and as it was afterwards."""
    before = dict(os.environ)
    if os.environ.pop("PORT", None) is not None:
        say("launch", "the environment variable PORT is dropped: MXNet's parameter server would listen there and abort")
    os.environ.pop("DMLC_NUM_ATTEMPT", None)  # the tracker counts with it and fails on a string
    for setting in prepare_start():
        if setting.set_by != "user":
            os.environ.pop(setting.name, None)  # right for this process and machine; each supervisor finds its own
    if local:
        os.environ.update(watch)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _worked_around(tracker_ip: str) -> Iterator[None]:
    """The faults of dmlc_tracker.

    It calls ``Thread.isAlive``, which left Python in 3.9. Its local launcher ignores ``--host-ip`` and takes an address
    that other machines reach. And it starts every scheduler at port 9091, which it lets go of again before the
    scheduler takes it: two jobs that start together would share one scheduler.
    """
    from dmlc_tracker import tracker

    if not hasattr(threading.Thread, "isAlive"):
        threading.Thread.isAlive = threading.Thread.is_alive  # type: ignore[attr-defined,method-assign,unused-ignore]
    before = tracker.get_host_ip, tracker.PSTracker
    first, last = SCHEDULER_PORTS
    port = first + secrets.randbelow(last - first)
    tracker.get_host_ip = lambda hostIP=None: tracker_ip
    tracker.PSTracker = functools.partial(tracker.PSTracker, port=port, port_end=last + 100)
    try:
        yield
    finally:
        tracker.get_host_ip, tracker.PSTracker = before


def _kill_descendants() -> None:
    """Kill what is left below this process (a stopped supervisor, an ssh that hangs)."""
    for pid in list(_descendants(os.getpid())):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _descendants(pid: int) -> Iterator[int]:
    """The processes below ``pid``, by /proc."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended in the meantime
            state, parent = path.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                yield int(path.parent.name)
                yield from _descendants(int(path.parent.name))
