"""How fast images are loaded for training, with one thread and with several, and what of an image takes how long.

    python scripts/measure_loading.py --data DATA --config r50-multimodal --workers 1 2

Prints images a second, in turns, medians of all turns; milliseconds of an image by step; and bytes and slices a second
of the stored images. Nothing is trained.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

import cv2
import mxnet as mx
import numpy as np

from gluon_liver.config.load import load_config
from gluon_liver.config.schema import Config
from gluon_liver.data import augment as steps
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.ct_loader import CTLoader, ct_sample
from gluon_liver.data.images import grey_per_hu, normalise
from gluon_liver.data.open import open_dataset
from gluon_liver.data.samples import Sample
from gluon_liver.data.windowed_images import prepare_images
from gluon_liver.nn.build import make_detector
from gluon_liver.nn.regions.rpn_targets import assign_anchors
from gluon_liver.training.inputs import TrainingInputs

PATIENTS, PHASES, SLICES = 621, 3, 594  # of the CT paper, at 1 mm: what 290 GB of raw 512x512 images are
REPEATS = 7


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="prepared data, of CT for the second and third table")
    parser.add_argument("--config", default="r50-multimodal")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batches", type=int, default=6, help="that are timed in a turn")
    parser.add_argument("--turns", type=int, default=3)
    args = parser.parse_args()
    config, dataset = load_config(args.config), open_dataset(args.data)
    inputs = TrainingInputs(config, dataset)
    detector = make_detector(config, classes=dataset.classes, phases=dataset.input_phases(config), context=mx.cpu())
    options = {"epoch": 0, "anchors": detector.anchors(), "random_numbers": detector.draw_numbers}
    rates: Dict[int, List[float]] = {}
    for _ in range(args.turns):
        for workers in args.workers:
            rates.setdefault(workers, []).append(rate(inputs, workers, args.batches, options))
    for workers, values in rates.items():
        spread = f"{min(values):.2f} to {max(values):.2f}"
        print(f"{workers} thread(s): {statistics.median(values):.2f} images/s ({spread})")
    if isinstance(dataset, CTDataset):
        print_steps(config, dataset, inputs, detector.anchors())
        print_stored(config, dataset, inputs)
    return 0


def rate(inputs: TrainingInputs, workers: int, count: int, options: Dict[str, Any]) -> float:
    """Images a second from when the first batch was there; nothing is done with them."""
    inputs.workers = workers
    batches = inputs.batches(epoch=0)
    batches = [batches[place % len(batches)] for place in range(count + 1)]
    begin, images = 0.0, -len(batches[0])
    for batch in inputs.stream(batches, **options):
        begin = begin or time.perf_counter()
        images += len(batch)
    return images / (time.perf_counter() - begin)


def print_steps(config: Config, dataset: CTDataset, inputs: TrainingInputs, anchors: np.ndarray) -> None:
    """Milliseconds of one image by step, each alone on one core."""
    cv2.setNumThreads(1)
    label = next((one for one in inputs.labels if len(one.boxes)), inputs.labels[0])
    loader, rng = CTLoader(dataset, config, cases=[label.case]), np.random.default_rng(0)
    case, size = loader.open(label.case), config.data.size
    sample = ct_sample(case, label.slice, config, label=label)
    into, noise = np.empty(sample.image.shape, np.float32), config.data.augment.noise * grey_per_hu(config.data.window)
    planes = sample.image.shape[0] * sample.image.shape[2]
    first = max(0, label.slice - planes // 2)
    places = [(case.study.reference_index, min(first + one, case.images.shape[1] - 1)) for one in range(planes)]
    work: Sequence[Tuple[str, Callable[[], Any]]] = [
        (f"read {planes} slices", lambda: [case.images[place] for place in places]),
        ("read, stack and resize", lambda: ct_sample(case, label.slice, config, label=label)),
        ("flip", lambda: steps.flip(sample)),
        ("scale, rotate, shift", lambda: steps.transform(sample, scale=1.1, angle=3.0, shift=(9.0, -7.0))),
        ("erase", lambda: steps.erase(sample, rng=rng)),
        ("noise", lambda: steps.add_noise(sample, sd=noise or 1.0, rng=rng)),
        ("normalise", lambda: normalise(sample.image, out=into)),
        ("proposal targets", lambda: targets(anchors, sample, config, size, rng)),
    ]
    print("\nmilliseconds an image")
    for name, function in work:
        print(f"{name:<24} {1000 * seconds(function):8.2f}")


def targets(anchors: np.ndarray, sample: Sample, config: Config, size: int, rng: np.random.Generator) -> Any:
    return assign_anchors(anchors, sample.boxes, config.network.rpn, size=(size, size), rng=rng)


def print_stored(config: Config, dataset: CTDataset, inputs: TrainingInputs) -> None:
    """Size and speed of the stored images of the first labelled case."""
    case, data = inputs.labels[0].case, config.data
    folder = prepare_images(dataset, window=data.window, storage=data.storage, cases=[case])
    images = CTLoader(dataset, config, cases=[case]).open(case).images
    phases, slices, height, width = images.shape
    each = Path(folder, f"{case}.slices").stat().st_size / (phases * slices)
    middle = [(phase, place) for phase in range(phases) for place in range(slices // 4, 3 * slices // 4)]
    speed = len(middle) / seconds(lambda: [images[place] for place in middle], repeats=3)
    whole = each * PATIENTS * PHASES * SLICES / 1e9 * (512 * 512) / (height * width)
    print(
        f"\nstored images: {each / 1024:.1f} KiB a slice of {height}x{width}, {speed:.0f} slices/s read by one thread"
    )
    print(f"{PATIENTS} patients in {PHASES} phases of {SLICES} such slices of 512x512: {whole:.0f} GB")


def seconds(function: Callable[[], Any], *, repeats: int = REPEATS) -> float:
    """The median of several calls after one that is not counted."""
    function()
    values = []
    for _ in range(repeats):
        begin = time.perf_counter()
        function()
        values.append(time.perf_counter() - begin)
    return statistics.median(values)


if __name__ == "__main__":
    sys.exit(main())
