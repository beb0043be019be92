"""Time and memory of `detect` against the length of a study, on noise and with a small network of nine slices.

    python scripts/measure_study.py [--slices 50 150 500 1500] [--repeats 2] [-- --dense --every-slice]

What stands after `--` goes to `detect`. Prints for each length the seconds and the peak of the process, the best of
the repeats, and between neighbouring lengths what a slice more costs: flat is where that does not rise.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

SETTINGS = ["data.size=128", "train.epochs=1", "train.batch_size=2", "train.warmup_steps=0"]


def write_data(folder: Path, lengths: Sequence[int], side: int) -> List[str]:
    """Prepared data of one study of noise for each length, the first of which is for training; gives their cases."""
    from gluon_liver.data.coco import save_labels
    from gluon_liver.data.ct_labels import CLASSES, CTLabel
    from gluon_liver.data.splits import Splits, save_splits
    from gluon_liver.data.study import Study, fingerprint

    rng, labels, studies = np.random.default_rng(0), [], []
    corners, kinds = np.array([[20, 20, 50, 50]], np.float32), np.zeros(1, np.int32)
    for number, count in enumerate(lengths):
        case, patient = f"case-{number:010x}", f"patient-{number:010x}"
        few = rng.normal(60, 30, (16, side, side)).astype(np.int16)
        hu = np.resize(few, (count, side, side))
        study = Study.from_arrays(hu, spacing=(1, 1, 1), phases=["arterial"])
        vars(study).update(case=case, patient=patient)
        study.save(folder / "studies" / case)
        labels += [CTLabel(2 * number + at + 1, case, at, side, side, corners, kinds, "arterial") for at in (0, 1)]
        studies.append(dict(case=case, patient=patient, slices=count, fingerprint=fingerprint(hu)))
    patients = [one["patient"] for one in studies]
    save_labels(labels, CLASSES, folder / "labels.json")
    save_splits(Splits((patients[0],), (), tuple(patients[1:]), 0), folder / "splits.json")
    record: Dict[str, object] = dict(format=1, kind="ct", phases=["arterial"], reference_phase="arterial")
    record.update(classes=CLASSES, phantom=True, studies=studies)
    (folder / "dataset.json").write_text(json.dumps(record))
    return [one["case"] for one in studies]


def measure(command: Sequence[str]) -> Tuple[float, float]:
    """Seconds and peak in MB of a command. Raises :class:`subprocess.CalledProcessError` where it fails."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1
        if process.returncode:
            errors.seek(0)
            sys.stderr.write(errors.read().decode(errors="replace")[-2000:])
            raise subprocess.CalledProcessError(process.returncode, list(command))
    return time.perf_counter() - begun, usage.ru_maxrss * 1024 / 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, nargs="+", default=[50, 150, 500, 1500])
    parser.add_argument("--side", type=int, default=128, help="of the stored slices, pixels (default 128)")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("detect", nargs="*", help="what goes to detect, after --")
    args = parser.parse_args()
    program = [sys.executable, "-m", "gluon_liver"]
    with tempfile.TemporaryDirectory() as name:
        folder, run = Path(name) / "data", Path(name) / "run"
        cases = write_data(folder, [4, *args.slices], args.side)
        train = [sys.executable, "train.py", "--config", "demo-r50-2.5d", "--data", str(folder), "--out", str(run)]
        measure([*train, *(part for setting in SETTINGS for part in ("--set", setting))])
        points = []
        for count, case in zip(args.slices, cases[1:]):
            tries = []
            for number in range(args.repeats):
                out = Path(name) / f"out-{count}-{number}"
                detect = ["detect", str(folder / "studies" / case), "--run", str(run), "--out", str(out)]
                tries.append(measure([*program, *detect, *args.detect]))
            seconds, peak = (min(values) for values in zip(*tries))
            points.append((count, seconds, peak))
            print(f"{count:>6} slices  {seconds:>8.2f} s  {peak:>8.1f} MB", flush=True)
    for (count, seconds, peak), (more, longer, higher) in zip(points, points[1:]):
        each = more - count
        slope = f"{1000 * (longer - seconds) / each:.2f} ms, {1000 * (higher - peak) / each:.1f} kB"
        print(f"{count:>6} to {more}: {slope} a slice")
    return 0


if __name__ == "__main__":
    sys.exit(main())
