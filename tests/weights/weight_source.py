"""A narrow detector, and ResNets of random weights under the names of several packages."""

import mxnet as mx
import numpy as np

from gluon_liver.config.load import build_config
from gluon_liver.nn.backbones.blocks import CHANNELS
from gluon_liver.nn.ct_detector import CTDetector
from gluon_liver.nn.rcnn import initialize
from gluon_liver.structures.channels import scaled

STAGES_50, STAGES_152 = (3, 4, 6, 3), (3, 8, 36, 3)


def make(*, width=0.125, slices=1, **network):
    network.update(width=width, batch_norm="frozen", rpn={"channels": 16})
    config = build_config({"row": None, "network": network})
    detector = CTDetector(config.network, classes="abc", slices=slices, size=64)
    initialize(detector, mx.cpu())
    return detector


def source(*, stages=STAGES_50, width=0.125, conv1=(3, 7, 7), depths=(), seed=0):
    """A ResNet with torchvision's names; conv1 is (channels, kernel), `depths` the taps of 1x1 and 3x3 over depth."""
    rng = np.random.default_rng(seed)
    weights = {}

    def convolution(name, *shape):
        weights[name + ".weight"] = rng.normal(size=shape).astype(np.float32)

    def norm(name, channels):
        for value in ("weight", "bias", "running_mean", "running_var"):
            weights[f"{name}.{value}"] = rng.uniform(0.5, 1.5, channels).astype(np.float32)
        weights[name + ".num_batches_tracked"] = np.array(3.0)

    entering = scaled(64, width)
    convolution("conv1", entering, *conv1)
    norm("bn1", entering)
    in_1x1, in_3x3 = ((depth,) for depth in depths) if depths else ((), ())
    for number, count in enumerate(stages):
        channels = scaled(CHANNELS[number], width)
        inner = channels // 4
        for unit in range(count):
            name = f"layer{number + 1}.{unit}"
            convolution(name + ".conv1", inner, entering, *in_1x1, 1, 1)
            convolution(name + ".conv2", inner, inner, *in_3x3, 3, 3)
            convolution(name + ".conv3", channels, inner, *in_1x1, 1, 1)
            for layer, size in (("bn1", inner), ("bn2", inner), ("bn3", channels)):
                norm(f"{name}.{layer}", size)
            if unit == 0:
                convolution(name + ".downsample.0", channels, entering, *in_1x1, 1, 1)
                norm(name + ".downsample.1", channels)
            entering = channels
    convolution("fc", 10, entering)
    return weights


def values(detector):
    return {name: parameter.data().asnumpy() for name, parameter in detector.collect_learned().items()}


def gluoncv_names(name):
    name = name.replace("layer", "layers")
    if ".bn" in "." + name or "downsample.1" in name:
        name = name.replace(".weight", ".gamma").replace(".bias", ".beta")
    return name


def sequential_names(name):
    """A Sequential of the children: conv1, bn1, relu, maxpool, layer1 to layer4, avgpool, fc."""
    for number, child in enumerate(("conv1", "bn1", "-", "-", "layer1", "layer2", "layer3", "layer4", "-", "fc")):
        if name.startswith(child):
            return str(number) + name[len(child) :]
    raise AssertionError(name)


def gluoncv_detector_names(name):
    name = "features." + sequential_names(gluoncv_names(name).replace("layers", "layer"))
    return name.replace("features.7.", "top_features.0.")
