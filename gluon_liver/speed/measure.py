"""One measurement, in a process of its own: how many threads and which engine MXNet has is settled at its import.

    python -m gluon_liver.speed.measure '{"what": "step", "configs": ["demo-ct"], "overrides": [], "seconds": 5}'

prints one line of JSON: the figures, or ``{"error": ...}``.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import resource
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np

from gluon_liver.config.load import load_config
from gluon_liver.config.parallel_limits import check_parallel
from gluon_liver.config.schema import Config
from gluon_liver.data.augment import augment
from gluon_liver.data.open import TASKS, open_dataset
from gluon_liver.data.samples import Sample
from gluon_liver.data.windowed_images import use_cache
from gluon_liver.errors import InputError
from gluon_liver.nn.build import make_detector
from gluon_liver.nn.nets import TrainingNet
from gluon_liver.nn.rcnn import RegionDetector
from gluon_liver.runs.devices import parse_devices
from gluon_liver.training.batches import Batch, make_batch
from gluon_liver.training.inputs import TrainingInputs
from gluon_liver.training.mirror import INPUTS, training_symbol
from gluon_liver.training.trainer import DetectorTrainer

from .arithmetic import Arithmetic, arithmetic

LEAST, MOST = 3, 200  # steps that are timed, whatever the seconds are
PHASES = 3  # of random data for a network that relates phases
CLASSES = ("a", "b", "c")
MATRIX, ARRAY = 2048, 2**25  # of the products and sums that a machine's peak is taken from


def measure_step(config: Config, *, seconds: float) -> Dict[str, Any]:
    """Training steps on random images, what they compute, and what products and sums reach on the same device.

    Batches come to the devices as in training, so that on GPUs their copies run beside the steps.
    """
    contexts = parse_devices(config.parallel.devices)
    check_parallel(config)
    phases = _random_phases(config)
    trainer = DetectorTrainer(config, classes=CLASSES, phases=phases, contexts=contexts)
    batches = trainer.ahead(itertools.repeat(_batch(config, trainer.detector, random_samples(config))))

    def step() -> None:
        trainer.step(next(batches), learning_rate=1e-6)

    first = _timed(step)
    step()
    times = _times(step, seconds)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    counted = step_arithmetic(config, trainer.detector)
    return {
        "images": config.train.batch_size,
        "seconds": times,
        "first": first,
        "memory": memory,
        "multiplications": counted.step * config.train.batch_size,
        "map_bytes": counted.map_bytes * config.train.batch_size,
        "product_rate": product_rate(contexts[0]),
        "sum_rate": sum_rate(contexts[0]),
    }


def measure_operators(config: Config, *, seconds: float) -> Dict[str, float]:
    """Operator -> its share of the time that all take, forward and backward together, by MXNet's profiler.

    Needs ``MXNET_EXEC_BULK_EXEC_TRAIN=0``, for operators that run in one go are one to the profiler.
    """
    phases = _random_phases(config)
    contexts = parse_devices(config.parallel.devices)
    trainer = DetectorTrainer(config, classes=CLASSES, phases=phases, contexts=contexts)
    batch = _batch(config, trainer.detector, random_samples(config))
    trainer.step(batch, learning_rate=1e-6)
    with tempfile.TemporaryDirectory() as folder:  # dumps() returns the table, but the profiler wants a file
        mx.profiler.set_config(
            profile_imperative=True, profile_symbolic=True, aggregate_stats=True, filename=f"{folder}/profile.json"
        )
        mx.profiler.set_state("run")
        _times(lambda: trainer.step(batch, learning_rate=1e-6), seconds)
        mx.nd.waitall()
        mx.profiler.set_state("stop")
        found = json.loads(mx.profiler.dumps(format="json"))["Time"]["operator"]
    totals: Counter = Counter()
    for name, row in found.items():
        totals[name.replace("_backward_", "").replace("_contrib_", "")] += row["Total"]
    return {name: total / sum(totals.values()) for name, total in totals.most_common()}


def measure_training(config: Config, *, data: str, seconds: float) -> Dict[str, Any]:
    """Training steps on prepared data: how long each took, and how long it waited for its batch."""
    contexts = parse_devices(config.parallel.devices)
    dataset = open_dataset(Path(data))
    inputs = TrainingInputs(config, dataset)
    phases = dataset.input_phases(config)
    trainer = DetectorTrainer(config, classes=dataset.classes, phases=phases, contexts=contexts)
    batches = trainer.ahead(_stream(inputs, trainer.detector))
    waits: List[float] = []

    def step() -> None:
        start = time.monotonic()
        batch = next(batches)
        waits.append(time.monotonic() - start)
        trainer.step(batch, learning_rate=1e-6)

    step()
    step()
    waits.clear()
    times = _times(step, seconds)
    return {"images": config.train.batch_size, "seconds": times, "waits": waits}


def measure_loading(config: Config, *, data: Optional[str], seconds: float) -> Dict[str, Any]:
    """Images a second that loading gives when nothing is trained: of prepared data, read as training reads them (what
    is windowed once is kept in their cache), or of random images, which are only augmented and given their targets.
    """
    if data is None:
        detector = make_detector(config, classes=CLASSES, phases=_random_phases(config), context=mx.cpu())
        samples, rng = random_samples(config), np.random.default_rng(0)

        def load() -> Batch:
            changed = [augment(sample, config.data.augment, grey_per_noise=1.0, rng=rng) for sample in samples]
            return _batch(config, detector, changed)

        return {"images": config.train.batch_size, "seconds": _times(load, seconds)}
    start = time.monotonic()
    dataset = open_dataset(Path(data))
    inputs = TrainingInputs(config, dataset)
    opened = time.monotonic() - start
    phases = dataset.input_phases(config)
    detector = make_detector(config, classes=dataset.classes, phases=phases, context=mx.cpu())
    batches = _stream(inputs, detector)
    first = _timed(lambda: next(batches))
    times = _times(lambda: next(batches), seconds)
    return {"images": config.train.batch_size, "seconds": times, "first": first, "opened": opened}


def random_samples(config: Config, *, phases: Optional[int] = None) -> List[Sample]:
    """Random images with one box each, as many as a step takes. phases: of CT, 3 where a network relates them."""
    phases = _random_phases(config) if phases is None else phases
    size, rng = config.data.size, np.random.default_rng(0)
    shape: Tuple[int, ...]
    if config.task == "ct":
        shape = (phases, 1, config.data.slices, size, size)
    else:
        shape = (2 if config.model == "us-flow" else 1, 3, size, size)
    box, label = np.array([[0.3, 0.35, 0.42, 0.5]], np.float32) * size, np.array([1], np.int32)
    present = np.ones(phases, bool)
    return [
        Sample(rng.integers(0, 256, shape, np.uint8), box, label, 1.0, present) for _ in range(config.train.batch_size)
    ]


def _batch(config: Config, detector: RegionDetector, samples: Sequence[Sample]) -> Batch:
    rng = np.random.default_rng(0)
    return make_batch(
        samples,
        anchors=detector.anchors(),
        network=config.network,
        rngs=[rng] * len(samples),
        random_numbers=np.stack([detector.draw_numbers(rng) for _ in samples]),
        to_input=TASKS[config.task].dataset.network_input,
    )


def step_arithmetic(config: Config, detector: RegionDetector) -> Arithmetic:
    """Of one image of a training step; a mirrored step runs forward twice."""
    batch = _batch(config, detector, random_samples(config, phases=detector.phases))
    arrays = [batch.images, batch.gt_boxes, batch.gt_labels, batch.random_numbers, batch.present]
    shapes = {name: (1, *array.shape[1:]) for name, array in zip(INPUTS, arrays)}
    if detector.phases == 1:
        del shapes[INPUTS[-1]]
    learned = [one.name for one in detector.collect_learned().values() if one.grad_req != "null"]
    symbol = training_symbol(TrainingNet(detector, batch_size=1), list(shapes))
    counted = arithmetic(symbol, shapes, learned=learned)
    return dataclasses.replace(counted, step=counted.step + config.train.mirror * counted.forward)


def product_rate(context: mx.Context, *, size: int = MATRIX) -> float:
    """Multiplications a second, each with an addition, of a product of two square matrices of float32."""
    left, right = (mx.nd.random.uniform(shape=(size, size), ctx=context) for _ in range(2))

    def product() -> None:
        mx.nd.FullyConnected(left, right, no_bias=True, num_hidden=size).wait_to_read()

    product()
    return size**3 / min(_times(product, 0.5))


def sum_rate(context: mx.Context, *, size: int = ARRAY) -> float:
    """Bytes a second that the sum of two large arrays of float32 reads and writes."""
    left, right, out = (mx.nd.zeros(size, ctx=context) for _ in range(3))

    def total() -> None:
        mx.nd.elemwise_add(left, right, out=out).wait_to_read()

    total()
    return 12 * size / min(_times(total, 0.3))


def _random_phases(config: Config) -> int:
    return PHASES if config.network.multi_modal else 1


def _stream(inputs: TrainingInputs, detector: RegionDetector) -> Iterator[Batch]:
    """The batches of one epoch after the other."""
    for epoch in itertools.count():
        yield from inputs.stream(
            inputs.batches(epoch=epoch), epoch=epoch, anchors=detector.anchors(), random_numbers=detector.draw_numbers
        )


def _timed(work: Callable[[], Any]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


def _times(work: Callable[[], Any], seconds: float) -> List[float]:
    """Seconds of each call, for about ``seconds`` in all."""
    end = time.monotonic() + seconds
    times: List[float] = []
    while len(times) < LEAST or (time.monotonic() + statistics.median(times) / 2 < end and len(times) < MOST):
        times.append(_timed(work))
    return times


MEASURES: Dict[str, Callable[..., Dict[str, Any]]] = {
    "step": measure_step,
    "operators": measure_operators,
    "training": measure_training,
    "loading": measure_loading,
}


def main() -> int:
    """Print what the request on the command line asks for."""
    request = json.loads(sys.argv[1])
    measure, configs, overrides = (request.pop(name) for name in ("what", "configs", "overrides"))
    cache = request.pop("cache", None)
    try:
        use_cache(None if cache is None else Path(cache))
        figures = MEASURES[measure](load_config(*configs, overrides=overrides), **request)
    except InputError as error:
        figures = {"error": str(error)}
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
