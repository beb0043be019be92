"""How far apart MXNet and onnxruntime are on the graphs of export --onnx, as docs/onnx.md prints it.

    python -m scripts.measure_onnx                                  every network and reading, random numbers
    python -m scripts.measure_onnx demo-r101-fusion us-flow,data.size=256
    python -m scripts.measure_onnx RUN ...                          trained weights on images of the run's test split

Prints a Markdown table, a row a network: the largest difference of features, as a share of the largest feature, of
scores, and of corners in pixels; detections without a counterpart of the same class within a pixel; nodes and size of
the graph, and how long it takes to write. Random numbers are those of every parameter, so that nothing is an identity.
--time adds seconds an image of both, the fastest of so many.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, Tuple

import gluon_liver  # noqa: F401  (first: it sets what MXNet reads when it is imported)

# isort: split
import mxnet as mx
import numpy as np

from gluon_liver.config.load import load_config
from gluon_liver.data.open import TASKS, make_loader, open_dataset
from gluon_liver.nn.build import make_detector
from gluon_liver.nn.folding import folded
from gluon_liver.nn.nets import DetectionNet
from gluon_liver.onnx.graphs import detector_graph, features_graph, input_shape
from gluon_liver.onnx.session import Session
from gluon_liver.runs.checkpoint import load_checkpoint
from gluon_liver.runs.checkpoint_folder import chosen_checkpoint
from gluon_liver.runs.run import Run

MULTI = "demo-r50-multimodal,row=null"
NETWORKS = (
    "demo-ct",
    "demo-r101",
    "demo-r50-2.5d",
    "demo-r50-2.5d-centre",
    "demo-r50-2.5d-channels",
    "demo-r50-2.5d-1x7x7",
    "demo-r101-2.5d",
    "demo-r101-fusion",
    "demo-r101-fusion-centre",
    "demo-r101-fusion-channels",
    "demo-r101-fusion,row=null,network.fusion_blocks=block3",
    "demo-r50-multimodal",
    "demo-r101-multimodal",
    f"{MULTI},network.relation=position",
    f"{MULTI},network.relation=same_cell",
    f"{MULTI},network.relation_reach=null",
    "demo-ct,network.roi_mode=pool",
    "demo-ct,network.batch_norm=group",
    "demo-us-faster-rcnn",
    "demo-us-flow",
    "demo-us-flow,network.aggregation=warp",
    "demo-us-flow,flow.estimate=zero",
)
IMAGES = 4
LIKE = 1.0  # pixels within which a box has to have its counterpart
PREDICTIONS = ("rpn.", "class_predictor", "box_predictor", "texture.score")


class Difference(NamedTuple):
    """Between detections of both; ``lost`` of ``count`` have no counterpart."""

    score: float
    box: float
    lost: int
    count: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS, metavar="NAME[,KEY=VALUE]|RUN")
    parser.add_argument("--images", type=int, default=IMAGES, metavar="N", help=f"of each network (default: {IMAGES})")
    parser.add_argument("--time", type=int, metavar="N", help="time so many single images of both")
    args = parser.parse_args()
    columns = ["network", "weights", "images", "features", "scores", "corners, px", "lost", "nodes", "MB", "written, s"]
    columns += ["MXNet, s", "onnxruntime, s"] if args.time else []
    print("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns))
    for name in args.networks:
        cells = row_of(name, images=args.images, times=args.time)
        print("| " + " | ".join(cells) + " |", flush=True)
    return 0


def row_of(name: str, *, images: int, times: int) -> List[str]:
    """The cells of one network."""
    detector, feeds, weights = of_run(Path(name), images) if Path(name).is_dir() else of_config(name, images)
    began = time.monotonic()
    model = detector_graph(detector)
    seconds = time.monotonic() - began
    traced = folded(detector, context=mx.cpu())
    net = DetectionNet(traced)
    net.hybridize(static_alloc=True, static_shape=True)
    features, session = Session(features_graph(detector).SerializeToString()), Session(model.SerializeToString())
    shares, differences = [], []
    for image in each(feeds):
        arrays = [mx.nd.array(array) for array in image.values()]
        maps = traced.features(mx.nd, *arrays)
        expected = [*maps.maps, *([] if maps.shallow is None else [maps.shallow])]
        for found, one in zip(features.run(image).values(), expected):
            shares.append(float(np.abs(found - one.asnumpy()).max() / np.abs(one.asnumpy()).max()))
        differences.append(compared(net(*arrays)[0].asnumpy()[0], session.run(image)))
    count = sum(one.count for one in differences)
    cells = [name if not Path(name).is_dir() else Path(name).name, weights, str(len(differences)), f"{max(shares):.0e}"]
    cells += [f"{max(one.score for one in differences):.0e}", f"{max(one.box for one in differences):.0e}"]
    cells += [f"{sum(one.lost for one in differences)} of {count}", str(len(model.graph.node))]
    cells += [f"{model.ByteSize() / 1e6:.1f}", f"{seconds:.1f}"]
    if times:
        image = next(each(feeds))
        arrays = [mx.nd.array(array) for array in image.values()]
        cells += [f"{fastest(lambda: net(*arrays)[0].asnumpy(), times):.3f}"]
        cells += [f"{fastest(lambda: session.run(image), times):.3f}"]
    return cells


def of_config(name: str, images: int) -> Tuple[Any, Dict[str, np.ndarray], str]:
    """A network with random numbers, and random images of which the first phases are there."""
    named, *changes = name.split(",")
    config = load_config(named, overrides=changes)
    phases = 3 if config.network.multi_modal else 1
    detector = make_detector(config, classes=("cyst", "hemangioma", "hcc"), phases=phases, context=mx.cpu())
    randomise(detector)
    rng = np.random.default_rng(0)
    shape = (images, *input_shape(detector))
    image = rng.uniform(0, 1, shape) if config.task == "us" else rng.normal(size=shape)
    feeds = {"image": image.astype(np.float32)}
    if phases > 1:
        feeds["present"] = np.array([[1, 1, number % 2] for number in range(images)], np.float32)
    return detector, feeds, "random"


def of_run(folder: Path, images: int) -> Tuple[Any, Dict[str, np.ndarray], str]:
    """A trained network, and labelled images of its test split, evenly spaced."""
    run = Run.open(folder)
    dataset = open_dataset(run.data_folder)
    detector = make_detector(run.config, classes=dataset.classes, phases=run.input_phases, context=mx.cpu())
    load_checkpoint(chosen_checkpoint(run), detector)
    labels = dataset.labels_of("test")
    if not labels:
        sys.exit(f"{folder}: no image of its test split is labelled")
    labels = [labels[place] for place in np.linspace(0, len(labels) - 1, min(images, len(labels))).astype(int)]
    load = make_loader(run.config, dataset, cases=sorted({label.case for label in labels}))
    samples = [load(label) for label in labels]
    image = TASKS[run.config.task].dataset.network_input(np.stack([sample.image for sample in samples]))
    feeds = {"image": image}
    if run.input_phases > 1:
        feeds["present"] = np.stack([sample.present for sample in samples]).astype(np.float32)
    return detector, feeds, f"trained, {run.progress()[0]} steps"


def randomise(detector: Any) -> None:
    """Set every parameter to random numbers under which maps stay of a size and scores differ."""
    rng = np.random.default_rng(0)
    for name, parameter in detector.collect_learned().items():
        shape = parameter.shape
        if name.endswith("gamma"):
            value = rng.uniform(0.2, 0.4, shape)  # maps stay of a size along the residual blocks
        elif name.endswith("running_var"):
            value = rng.uniform(0.5, 1.5, shape)
        elif name.startswith(PREDICTIONS) and name.endswith("weight"):
            value = rng.normal(size=shape) * 0.3 / np.prod(shape[1:]) ** 0.5
        elif name.endswith("weight") and not name.endswith("upsample_flow.weight"):
            value = rng.normal(size=shape) * (2 / np.prod(shape[1:])) ** 0.5
        else:
            value = rng.normal(size=shape) * 0.1
        parameter.set_data(mx.nd.array(value))


def each(feeds: Dict[str, np.ndarray]) -> Iterator[Dict[str, np.ndarray]]:
    """One image after the other."""
    for number in range(len(feeds["image"])):
        yield {name: array[number : number + 1] for name, array in feeds.items()}


def compared(rows: np.ndarray, found: Dict[str, np.ndarray]) -> Difference:
    """Rows (K, 6) of MXNet and what onnxruntime gives: scores in their order, boxes with the nearest of their class."""
    score = float(np.abs(found["scores"][0] - rows[:, 1]).max())
    nearest: List[float] = []
    for row in rows[rows[:, 0] >= 0]:
        same: Sequence[Any] = found["boxes"][0][found["classes"][0] == row[0]]
        nearest.append(min((float(np.abs(box - row[2:]).max()) for box in same), default=np.inf))
    near = [one for one in nearest if one <= LIKE]
    return Difference(score, max(near, default=0.0), len(nearest) - len(near), len(nearest))


def fastest(work: Any, times: int) -> float:
    """Seconds, after one run that is not counted."""
    work()
    seconds = []
    for _ in range(times):
        began = time.monotonic()
        work()
        seconds.append(time.monotonic() - began)
    return min(seconds)


if __name__ == "__main__":
    sys.exit(main())
