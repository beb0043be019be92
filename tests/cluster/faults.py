"""Faults of a launched job: end or stop one process, and measure until every process of the job is gone.

    python tests/cluster/faults.py                      all faults, with the default limit of silence
    python tests/cluster/faults.py kill-worker ...      some of them

The workers are small programs that push and pull through a dist_sync KVStore (fake_worker.py).
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORKER = str(Path(__file__).with_name("fake_worker.py"))

# name -> (whose process: the worker of rank 1, a server, the scheduler, the launcher; or its supervisor), signal
FAULTS = {
    "kill-worker": ("worker", signal.SIGKILL),
    "stop-worker": ("worker", signal.SIGSTOP),
    "kill-server": ("server", signal.SIGKILL),
    "stop-server": ("server", signal.SIGSTOP),
    "kill-scheduler": ("scheduler", signal.SIGKILL),
    "kill-launcher": ("launcher", signal.SIGKILL),
    "stop-launcher": ("launcher", signal.SIGSTOP),
    "kill-supervisor": ("worker's supervisor", signal.SIGKILL),
    "stop-supervisor": ("worker's supervisor", signal.SIGSTOP),
}


class Job:
    """A launched job of three workers and one server: a context in which all workers push and pull."""

    def __init__(self, folder, *options, steps=10**9, workers=3, environment=None):
        self.folder, self.workers = Path(folder), workers
        launch = f"-m gluon_liver launch --workers {workers} --servers 1".split()
        command = [sys.executable, *launch, *options, "--", WORKER, str(folder), str(steps)]
        settings = dict(os.environ, PYTHONPATH=str(ROOT), **(environment or {}))
        self.output = open(str(self.folder / "output"), "w+")
        streams = dict(stdout=self.output, stderr=self.output)
        self.launcher = subprocess.Popen(command, cwd=str(ROOT), **streams, start_new_session=True, env=settings)

    def __enter__(self):
        try:
            self._wait_for_ranks()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait_for_ranks(self, seconds=120):
        paths = [self.folder / f"rank-{rank}" for rank in range(self.workers)]
        end = time.monotonic() + seconds
        while not all(path.exists() for path in paths):
            if time.monotonic() > end or self.launcher.poll() is not None:
                raise AssertionError("the job did not come so far:\n" + self.text())
            time.sleep(0.05)
        time.sleep(0.5)

    def text(self):
        return (self.folder / "output").read_text()

    def processes(self):
        """pid -> (parent, environment's DMLC_ROLE, command line) of the launcher and all below it."""
        table = {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                command = (path / "cmdline").read_bytes().split(b"\0")
                entries = (path / "environ").read_bytes().split(b"\0")
            except (OSError, ValueError):
                continue
            role = next((entry[10:].decode() for entry in entries if entry.startswith(b"DMLC_ROLE=")), "")
            table[int(path.name)] = (parent, role, command)
        ours, grew = {self.launcher.pid}, True
        while grew:
            more = {pid for pid, entry in table.items() if entry[0] in ours} - ours
            ours, grew = ours | more, bool(more)
        return {pid: table[pid] for pid in ours if pid in table}

    def victim(self, whose):
        if whose == "launcher":
            return self.launcher.pid
        role = whose.split("'")[0]
        if role == "worker":
            worker = int((self.folder / "rank-1").read_text())
            return worker if whose == role else self.processes()[worker][0]
        return next(
            pid
            for pid, (_, whose_role, command) in self.processes().items()
            if whose_role == role and b"-c" in command and b"gluon_liver.cluster.supervisor" not in b" ".join(command)
        )

    def __exit__(self, *error):
        """Leave nothing behind, whatever happened."""
        for pid in self.processes():
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.launcher.wait()
        self.output.close()


def alive(pid):
    """Whether a process runs or is stopped; a zombie does neither."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def strike(job, name, *, limit=60):
    """Do the fault; returns seconds until all processes are gone, and their number (a stopped launcher left out)."""
    whose, number = FAULTS[name]
    pids, victim = list(job.processes()), job.victim(whose)
    if name == "stop-launcher":
        pids.remove(victim)
    os.kill(victim, number)
    begun = time.monotonic()
    while any(alive(pid) for pid in pids):
        job.launcher.poll()
        if time.monotonic() - begun > limit:
            left = {pid: job.processes().get(pid) for pid in pids if alive(pid)}
            raise AssertionError(f"still there after {limit} s: {left}\n{job.text()}")
        time.sleep(0.05)
    return time.monotonic() - begun, len(pids)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="FAULT", help=f"of {', '.join(FAULTS)}")
    for name in parser.parse_args().names or FAULTS:
        with tempfile.TemporaryDirectory() as folder, Job(folder) as job:
            seconds, count = strike(job, name)
            if name == "stop-launcher":
                os.kill(job.launcher.pid, signal.SIGCONT)
            code = job.launcher.wait(30)
            message = next(line for line in job.text().splitlines() if " gone" in line or " killed" in line)
        print(f"{name:15} {count} processes gone after {seconds:5.1f} s, exit code {code}\n    {message}", flush=True)


if __name__ == "__main__":
    main()
