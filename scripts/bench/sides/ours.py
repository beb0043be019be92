"""What the sides of this project share: MXNet as the commands set it up, networks, made-up images."""

from __future__ import annotations

import argparse
from typing import Any, Sequence

import numpy as np

from gluon_liver.config.load import load_config
from gluon_liver.config.schema import Config
from gluon_liver.system.runtime import prefer_synchronous_engine

prefer_synchronous_engine()  # as the commands do on a CPU, before MXNet is imported

import mxnet as mx  # noqa: E402

from gluon_liver.config.network import NetworkConfig  # noqa: E402
from gluon_liver.data.samples import Sample  # noqa: E402
from gluon_liver.nn.build import make_detector  # noqa: E402
from gluon_liver.nn.rcnn import RegionDetector  # noqa: E402

PACKAGES = ("mxnet", "gluoncv", "numpy")
CLASSES = ("cyst", "hemangioma", "HCC")
# The plain Faster R-CNN of both papers' baselines, without what a peer does not have.
PLAIN = ["network.texture_head=false", "network.head.dropout=0", "network.batch_norm=frozen", "train.batch_size=1"]
BOXES = np.array([[100, 120, 180, 210], [400, 300, 470, 380], [560, 600, 690, 700]], np.float32)  # of 800 pixels


def options(description: str) -> argparse.ArgumentParser:
    """Options that all sides here take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config", required=True)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--as-configured", action="store_true", help="with the texture stage and dropout")
    parser.add_argument("--phases", type=int, default=1)
    parser.add_argument("--warm-up", type=int, default=1)
    parser.add_argument("--calls", type=int, default=3)
    return parser


def read_config(args: argparse.Namespace) -> Config:
    """The configuration with its overrides, on one image a step and frozen BatchNorm."""
    plain = PLAIN[2:] if args.as_configured else PLAIN
    return load_config(args.config, overrides=[*plain, *args.set])


def random_detector(config: Config, *, phases: int = 1) -> RegionDetector:
    """A detector whose every parameter does something: last scales of blocks start at 0, statistics at 0 and 1."""
    mx.random.seed(0)
    detector = make_detector(config, classes=CLASSES, phases=phases, context=mx.cpu())
    rng = np.random.default_rng(0)
    for name, parameter in detector.collect_learned().items():
        low, high = {"gamma": (0.2, 0.5), "running_var": (0.5, 1.5), "running_mean": (-0.2, 0.2)}.get(
            name.rpartition(".")[2], (0.0, 0.0)
        )
        if high:
            parameter.set_data(mx.nd.array(rng.uniform(low, high, parameter.shape)))
    return detector


def random_images(config: Config, *, count: int = 1, phases: int = 1) -> np.ndarray:
    """uint8 (count, phases, 1, slices, size, size), smooth enough to be no noise alone."""
    rng, data = np.random.default_rng(1), config.data
    coarse = rng.integers(0, 256, (count, phases, 1, data.slices, data.size // 8, data.size // 8), np.uint8)
    return coarse.repeat(8, axis=-1).repeat(8, axis=-2)


def random_sample(config: Config, *, phases: int = 1) -> Sample:
    """An image with three boxes, one of each class."""
    boxes = BOXES * np.float32(config.data.size / 800)
    labels, present = np.arange(3, dtype=np.int32), np.ones(phases, bool)
    return Sample(random_images(config, phases=phases)[0], boxes, labels, 1.0, present)


def random_batch(config: Config, detector: RegionDetector, anchors: np.ndarray, samples: Sequence[Sample]) -> Any:
    """The batch that a training step takes of ``samples``."""
    from gluon_liver.training.batches import make_batch

    network: NetworkConfig = config.network
    rngs = [np.random.default_rng(index) for index in range(len(samples))]
    numbers = np.stack([detector.draw_numbers(rng) for rng in rngs])
    return make_batch(samples, anchors=anchors, network=network, rngs=rngs, random_numbers=numbers)
