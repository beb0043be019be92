"""The trials of :mod:`tests.faults`: real processes, real signals, real files."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Optional

from tests.conftest import TINY, write_dataset

ROOT = Path(__file__).resolve().parents[2]
STEPS = 30
POINTS = ("checkpoint.begun", "checkpoint.parameters", "checkpoint.manifest", "checkpoint.renamed", "checkpoint.pruned")


class Bench:
    """A tiny data set, a configuration, and the run that nothing broke.

    Attributes
    ----------
    passed, failed: trials by name.
    """

    def __init__(self, folder: Path, *, seed: int = 0):
        self.folder, self._random = folder, random.Random(seed)
        self.passed: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._landed: Counter[str] = Counter()  # what was going on when kills fell
        self._data = write_dataset(folder / "data")
        tree = json.loads(json.dumps(TINY))
        tree["data"]["augment"] = {"flip": True, "noise": 5.0}
        tree["train"].update(epochs=STEPS // 5, checkpoint_steps=2, keep_checkpoints=2)
        self._config = folder / "tiny.yaml"
        self._config.write_text(json.dumps(tree))  # JSON is YAML
        started = time.monotonic()
        code = self.train("reference").wait()
        if code:
            raise RuntimeError(f"the run that nothing broke ended with {code}")
        self._seconds = time.monotonic() - started
        self._expected = self.parameters("reference")

    def train(
        self, name: str, *options: str, out: Optional[Path] = None, before: Any = None, **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start ``train.py --resume auto`` on the run ``name``."""
        out = out or self.folder / name
        paths = [f"--config={self._config}", f"--data={self._data}", f"--out={out}"]
        command = [sys.executable, "train.py", *paths, "--resume", "auto", *options]
        settings = dict(os.environ, OMP_NUM_THREADS="1", PYTHONPATH=str(ROOT), **environment)
        with open(str(self.folder / (name + ".err")), "wb") as errors:
            streams = dict(stderr=errors, stdout=subprocess.DEVNULL)
            return subprocess.Popen(command, cwd=str(ROOT), env=settings, **streams, preexec_fn=before)

    def errors(self, name: str) -> str:
        """What the last process of ``name`` said on stderr."""
        return (self.folder / (name + ".err")).read_text(errors="replace")

    def parameters(self, name: str, *, out: Optional[Path] = None) -> bytes:
        """The file of parameters after the last step."""
        return ((out or self.folder / name) / "checkpoints" / f"step-{STEPS:08d}" / "net.params").read_bytes()

    def kills(self, count: int) -> None:
        """SIGKILL at random moments after the start of training, each run as often as it takes to come to its end."""
        done = 0
        while done < count:
            name = f"kill-{done}"
            while done < count:
                process = self.train(name)
                if not self._wait_for_log(name, process):
                    break
                try:
                    process.wait(self._random.uniform(0.0, 0.5 * self._seconds))
                    break  # it came to its end first
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                    done += 1
                    self._note_kill(name)
            self._finish(name, "SIGKILL at a random moment")

    def fault_points(self, names: Any = POINTS) -> None:
        """SIGKILL between the parts of a checkpoint's writing and removal, at the third passage."""
        for point in names:
            code = self.train(point, GLUON_LIVER_FAULT=point + ":3").wait()
            if code != -signal.SIGKILL:
                self._count("SIGKILL at " + point, False, f"ended with {code}")
            else:
                self._finish(point, "SIGKILL at " + point)

    def damaged_files(self) -> None:
        """The newest checkpoint of half a run loses the end of a file, or a bit of it is turned."""
        self.train("half", "--steps", "16").wait()
        newest = "step-00000016"
        for kind in ("truncated", "bit turned"):
            for file in sorted(path.name for path in (self.folder / "half" / "checkpoints" / newest).iterdir()):
                name = f"damage-{kind[:3]}-{file}"
                shutil.copytree(str(self.folder / "half"), str(self.folder / name))
                path = self.folder / name / "checkpoints" / newest / file
                content = bytearray(path.read_bytes())
                place = self._random.randrange(len(content))
                content[place] ^= 1 << self._random.randrange(8)
                path.write_bytes(bytes(content[:place]) if kind == "truncated" else bytes(content))
                self._finish(name, f"{file} {kind}", says="passed over: " + newest)

    def full_disk(self) -> None:
        """No file may grow beyond half of a checkpoint's largest; then a file system that is too small."""
        largest = len(self._expected)

        def limit() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest // 2, largest // 2))

        process = self.train("limit", before=limit)
        code = process.wait()
        clear = code == 2 and "is the disk full?" in self.errors("limit")
        self._count("full disk says so", clear, self.errors("limit")[-300:])
        self._finish("limit", "full disk, then room")
        mount = self.folder / "small"
        mount.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={5 * largest // 2048}k", "tmpfs", str(mount)]
        if subprocess.call(command, stderr=subprocess.DEVNULL):
            print("full file system: left out, mounting one takes root", flush=True)
            return
        try:
            code = self.train("tmpfs", out=mount / "run").wait()
            clear = code == 2 and "is the disk full?" in self.errors("tmpfs")
            self._count("full file system says so", clear, self.errors("tmpfs")[-300:])
            subprocess.check_call(["mount", "-o", f"remount,size={100 * largest // 1024}k", str(mount)])
            self._finish("tmpfs", "full file system, then room", out=mount / "run")
        finally:
            subprocess.check_call(["umount", str(mount)])

    def two_at_once(self) -> None:
        """The second of two processes on one folder is refused and changes nothing."""
        first = self.train("two")
        self._wait_for_log("two", first)
        first.send_signal(signal.SIGSTOP)  # or it might end before the second begins
        code = self.train("other", out=self.folder / "two").wait()
        good, said = f"is in use by process {first.pid}", self.errors("other")
        self._count("the second run on a folder is refused", code == 2 and good in said, f"{code} {said[-300:]}")
        first.send_signal(signal.SIGCONT)
        first.wait()
        self._finish("two", "the first of two on a folder")

    def asked_to_stop(self) -> None:
        """SIGTERM and SIGINT end a run with code 75 and a checkpoint."""
        for number in (signal.SIGTERM, signal.SIGINT):
            name = f"stop-{number.name}"
            process = self.train(name)
            self._wait_for_log(name, process)
            time.sleep(self._random.uniform(0.1, 0.3) * self._seconds)
            process.send_signal(number)
            code = process.wait()
            self._count(number.name + " ends with code 75", code == 75, str(code))
            self._finish(name, number.name)

    def summary(self) -> str:
        """Counts of all trials."""
        counts = self.passed + self.failed
        lines = [f"{self.passed[name]:>4} of {count:<4} {name}" for name, count in counts.items()]
        landed = ", ".join(f"{count} {name}" for name, count in sorted(self._landed.items()))
        return "\n".join(lines + ["kills fell: " + landed] if landed else lines)

    def _wait_for_log(self, name: str, process: subprocess.Popen[bytes]) -> bool:
        """Whether this start of the run wrote to its log before it ended."""
        log = self.folder / name / "log.jsonl"
        before = log.stat().st_size if log.exists() else 0
        while process.poll() is None:
            if log.exists() and log.stat().st_size > before:
                return True
            time.sleep(0.01)
        return False

    def _note_kill(self, name: str) -> None:
        endings = {path.suffix for path in (self.folder / name / "checkpoints").glob("*")}
        where = "while a checkpoint was written or removed" if endings & {".partial", ".removed"} else "elsewhere"
        self._landed[where] += 1

    def _finish(self, name: str, trial: str, *, says: str = "", out: Optional[Path] = None) -> None:
        """Go on to the end; the trial passes if it ends where the reference did, having said what it must."""
        code = self.train(name, out=out).wait()
        reason = f"ended with {code}: {self.errors(name)[-300:]}"
        good = code == 0 and self.parameters(name, out=out) == self._expected
        if good and says not in self.errors(name):
            good, reason = False, f"it did not say {says!r}"
        self._count(trial, good, reason)
        leftovers = [path for path in ((out or self.folder / name) / "checkpoints").glob("*") if path.suffix]
        if leftovers:
            self._count("nothing half-written is left", False, str(leftovers))

    def _count(self, trial: str, good: bool, reason: str) -> None:
        (self.passed if good else self.failed)[trial] += 1
        print(f"{trial}: {'as it should be' if good else 'FAILED, ' + reason}", flush=True)
