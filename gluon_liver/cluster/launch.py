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
from typing import Dict, Iterator, List, Optional, Sequence, Set

from gluon_liver import RUNTIME
from gluon_liver.errors import ConfigError, InputError

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
    start: float = 120.0,
) -> int:
    """Run ``command`` as ``workers`` workers with ``servers`` servers and a scheduler; returns the exit code.

    Parameters
    ----------
    hosts: file with a line ``HOST`` or ``HOST:SSH_PORT`` for each machine; None for processes on this machine alone.
    host_ip: this machine's address as the others see it, where the tracker would guess another.
    attend: ``HOST:PORT`` to run the monitor alone at, for processes that something else starts (a compose file).
    silence: seconds without a sign of life after which a process is taken for gone.
    start: seconds within which all processes must have started.

    Raises :class:`ConfigError` for numbers that cannot work, :class:`InputError` for the hosts file or the command.
    """
    if workers < 1 or servers < 1:
        raise ConfigError(f"--workers {workers} --servers {servers}: each must be 1 or more")
    if not 1 <= silence <= 25:
        raise ConfigError(f"--silence {silence:g}: it must be 1 to 25 s, so that a lost job ends within 30")
    count = workers + servers
    names = None if hosts is None else read_hosts(hosts)
    return asyncio.run(
        _Launch(command, workers, servers, names).run(
            hosts,
            host_ip,
            attend,
            processes=count if names is None else -(-count // len(names)),
            silence=silence,
            start=start,
        )
    )


class _Launch:
    def __init__(self, command: Sequence[str], workers: int, servers: int, hosts: Optional[List[str]]):
        self._command, self._workers, self._servers, self._hosts = list(command), workers, servers, hosts
        self._signals = 0

    async def run(
        self,
        hosts: Optional[Path],
        host_ip: Optional[str],
        attend: Optional[str],
        *,
        processes: int,
        silence: float,
        start: float,
    ) -> int:
        token = secrets.token_hex(16)
        if attend is not None:
            _, _, token = watch_address(os.environ.get(WATCH, ""))
        self._monitor = Monitor(
            workers=self._workers, servers=self._servers, token=token, versions=versions(), silence=silence, start=start
        )
        self._loop = asyncio.get_running_loop()
        self._handle_signals()
        if attend is not None:
            host, port, _ = watch_address(f"{attend}:{token}", name="--attend HOST:PORT with the TOKEN")
            await self._monitor.serve(host, port)
            return await self._monitor.finished()
        tracker_ip = _tracker_ip(host_ip) if self._hosts is not None else "127.0.0.1"
        port = await self._monitor.serve(tracker_ip)
        with contextlib.ExitStack() as stack:
            stack.callback(_kill_descendants)
            secret = token if hosts is None else stack.enter_context(_token_file(token))
            watch = {WATCH: f"{tracker_ip}:{port}:{secret}", PROCESSES: str(processes)}
            stack.enter_context(_environment(watch, local=hosts is None))
            stack.enter_context(_worked_around(tracker_ip))
            self._hear_of_failures()
            line = supervisor_line(self._command, watch, remote=hosts is not None)
            threading.Thread(target=self._track, args=(line, hosts, tracker_ip), daemon=True).start()
            return await self._monitor.finished()

    def _track(self, line: str, hosts: Optional[Path], tracker_ip: str) -> None:
        """Let the tracker start everything; it returns when the scheduler has ended."""
        from dmlc_tracker import local, opts, ssh

        cluster = "local" if hosts is None else "ssh"
        options = ["--cluster", cluster, "--host-ip", tracker_ip]
        options += ["--num-workers", str(self._workers), "--num-servers", str(self._servers)]
        options += [] if hosts is None else ["--host-file", str(hosts)]
        # get_opts would take options of the command for its own, so the command is set afterwards
        arguments = opts.get_opts(options + ["command"])
        arguments.command = [line]
        (local if hosts is None else ssh).submit(arguments)

    def _handle_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                self._loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: int) -> None:
        self._signals += 1
        name = signal.Signals(number).name
        if self._signals == 1:
            _say(f"{name}: the workers are asked to stop in order; a second one ends everything at once")
            self._monitor.forward(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)
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
                self._loop.call_soon_threadsafe(lambda: self._loop.call_later(1.0, self._monitor.abort, how))

        threading.excepthook = failed


def read_hosts(path: Path) -> List[str]:
    """The machines of a hosts file. The tracker pastes its lines into shell commands, so they are checked here."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    for line in lines:
        if not HOST_LINE.fullmatch(line):
            raise InputError(
                f"{path}: {line!r} is no HOST or HOST:PORT (no user names, no comments, no IPv6; those belong into "
                "~/.ssh/config)"
            )
    if not lines:
        raise InputError(f"{path} names no machine")
    return [line.split()[0] for line in lines]


def supervisor_line(command: Sequence[str], watch: Dict[str, str], *, remote: bool) -> str:
    """The shell command that the tracker runs in every role, here with bash, or between single quotes through ssh.

    Raises :class:`InputError` for words that cannot pass.
    """
    words = [sys.executable, "-m", "gluon_liver.cluster.supervisor", "--"] + list(command)
    if remote:
        passed = dict(watch, **{name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ})
        words = ["env"] + [f"{name}={value}" for name, value in passed.items()] + words
        cwd = str(Path.cwd())
        if SPECIAL.search(cwd):
            raise InputError(
                f"the tracker cannot change to {cwd!r} on other machines: use a folder without blanks and "
                "special characters"
            )
    for word in words:
        if "\n" in word or (remote and "'" in word):
            raise InputError(f"{word!r} holds a line break or a single quote, which the tracker cannot pass on")
    return " ".join(SPECIAL.sub(r"\\\1", word) or '""' for word in words)


def _tracker_ip(host_ip: Optional[str]) -> str:
    from dmlc_tracker import tracker

    return host_ip or tracker.get_host_ip("auto")


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
        _say("the environment variable PORT is dropped: MXNet's parameter server would listen there and abort")
    os.environ.pop("DMLC_NUM_ATTEMPT", None)  # the tracker counts with it and fails on a string
    for setting in RUNTIME.settings:
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
    tracker.get_host_ip = lambda hostIP=None: tracker_ip
    tracker.PSTracker = functools.partial(
        tracker.PSTracker, port=first + secrets.randbelow(last - first), port_end=last + 100
    )
    try:
        yield
    finally:
        tracker.get_host_ip, tracker.PSTracker = before


def _kill_descendants() -> None:
    """Kill what is left below this process (a stopped supervisor, an ssh that hangs)."""
    left: List[int] = _children(os.getpid())
    seen: Set[int] = set()
    while left:
        pid = left.pop()
        if pid not in seen:
            seen.add(pid)
            left += _children(pid)
    for pid in seen:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> List[int]:
    """The processes whose parent is ``pid``, by /proc."""
    children = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended in the meantime
            state, parent = path.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                children.append(int(path.parent.name))
    return children


def _say(text: str) -> None:
    print(f"gluon_liver launch: {text}", file=sys.stderr, flush=True)
