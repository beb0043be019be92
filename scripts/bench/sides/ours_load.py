"""Three-phase images of nine slices, 800x800, loaded as a training step waits for them, augmented as the rows are."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from .ours import PACKAGES, mx
from .report import print_record

CONFIG = "r101-multimodal"
PHANTOMS = "--studies 2 --matrix 512 --lesions 2 3 --background-fraction 0 --seed 1".split()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="where phantoms and prepared data are")
    parser.add_argument("--prepare", action="store_true", help="make them and measure nothing")
    parser.add_argument("--batches", type=int, default=6)
    args = parser.parse_args()
    if args.prepare:
        prepare(args.data)
    else:
        measure(args.data / "prepared", args.batches)
    return 0


def prepare(folder: Path) -> None:
    """Phantoms as DICOM, imported; nothing where that is done."""
    if (folder / "prepared" / "dataset.json").exists():
        return
    program = [sys.executable, "-m", "gluon_liver"]
    source = folder / "phantoms"
    if not (source / "labels.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([*program, "phantom", "ct", "--out", str(source), *PHANTOMS], check=True)
    options = ["--labels", str(source / "labels.json"), "--salt", "benchmark", "--split-fractions", "1", "0", "0"]
    subprocess.run(
        [*program, "import", "ct", str(source / "dicom"), "--out", str(folder / "prepared"), *options], check=True
    )


def measure(folder: Path, count: int) -> None:
    """Batches of two images, one after the other; the first two of them are not counted."""
    from gluon_liver.config.load import load_config
    from gluon_liver.data.open import open_dataset
    from gluon_liver.nn.build import make_detector
    from gluon_liver.training.inputs import TrainingInputs

    config = load_config(CONFIG)
    inputs = TrainingInputs(config, open_dataset(folder))
    detector = make_detector(config, classes=("cyst", "hemangioma", "HCC"), phases=3, context=mx.cpu())
    options = {"anchors": detector.anchors(), "random_numbers": detector.draw_numbers}
    batches = [batch for epoch in range(10) for batch in inputs.batches(epoch=epoch)][: count + 2]
    seconds, begin = [], time.perf_counter()
    for _ in inputs.stream(batches, epoch=0, **options):
        seconds.append(time.perf_counter() - begin)
        begin = time.perf_counter()
    print_record(seconds[2:], packages=PACKAGES, work=config.train.batch_size)


if __name__ == "__main__":
    sys.exit(main())
