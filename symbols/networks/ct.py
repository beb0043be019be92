"""What the six networks of the CT paper share: input, phases and slices, texture stage."""

from __future__ import division

import mxnet as mx

from symbols.parts.fusion import cells
from symbols.parts.relation import phase_relation
from symbols.parts.resnet import CHANNELS, half, resnet_3d, scaled
from symbols.parts.rois import ROI_MODES
from symbols.parts.texture import HIDDEN, texture_score

from .detector import Detector


class CTDetector(Detector):
    """Stacks (B, phase, 1, slice, H, W), the reference phase first; several phases come with ``present`` (B, P)."""

    row = None  # (depth of the network, more than one slice, region fusion, phases related), as in Table 4; None: any

    def fits(self, config):
        """Whether a configuration is this network's."""
        return all(wanted in (None, value) for wanted, value in zip(self.row, knobs(config)))

    def require(self, config):
        for key, written in (("stem", "7x7x7"), ("slice_fusion", "pools")):  # absent from earlier versions
            if config["network"].get(key, written) != written:
                raise ValueError("network.{} must be {}: other ones are not in symbols/".format(key, written))
        if config["network"].get("fusion_blocks", "all") != "all":
            raise ValueError("network.fusion_blocks must be all: the control of Block3 alone is not in symbols/")
        if not self.fits(config):
            raise ValueError(
                "{} is of (depth, several slices, fusion, multi_modal) = {}, the configuration has {}".format(
                    type(self).__name__, self.row, knobs(config)
                )
            )

    def inputs(self, config, batch_size):
        phases, size = count_phases(config), config["data"]["size"]
        shapes = {"data": (batch_size, phases, 1, config["data"]["slices"], size, size)}
        if phases > 1:
            shapes["present"] = (batch_size, phases)
        return shapes

    def dropout_units(self, config):
        return super(CTDetector, self).dropout_units(config) + HIDDEN * config["network"]["texture_head"]

    def abnormal(self, config, shallow, rois, count, batch_size, numbers=None):
        if shallow is None:
            return None
        head, read = config["network"]["head"], ROI_MODES[config["network"]["roi_mode"]]
        pooled = read(shallow, rois, count, batch_size, 4, head["roi_size"], config["data"]["size"])
        return texture_score(pooled, head["roi_size"], numbers)


def knobs(config):
    """What tells the six networks apart."""
    network = config["network"]
    return network["depth"], config["data"]["slices"] > 1, network["fusion"], relates(network)


def count_phases(config):
    """Phases of the input."""
    return len(config["phases"]) if relates(config["network"]) else 1


def relates(network):
    """Whether several phases are related; configurations of earlier versions say so by network.multi_modal.

    ValueError for relations that are not written here.
    """
    relation = network.get("relation", "full" if network.get("multi_modal") else "off")
    if relation not in ("off", "full"):
        raise ValueError("network.relation is {!r}: symbols/ has full and off".format(relation))
    return relation != "off"


def ct_blocks(config):
    """Maps of Block1 and Block2 of the reference phase (B, C, h, w), and of Block3 of all phases (B, P, C, h, w).

    All phases go through one backbone; depth collapses by the mean over the slices that are left.
    """
    phases, slices = count_phases(config), config["data"]["slices"]
    data = mx.sym.reshape(mx.sym.Variable("data"), shape=(-3, 0, 0, 0, 0))  # (B * P, 1, D, H, W)
    block1, block2, block3 = resnet_3d(data, slices, config["network"])
    shallow_slices, deep_slices = half(half(slices)), half(half(half(slices)))
    block1, block2 = reference(block1, phases, shallow_slices), reference(block2, phases, deep_slices)
    block3 = mx.sym.mean(mx.sym.reshape(block3, shape=(-4, -1, deep_slices, 0, 0, 0)), axis=1)
    return block1, block2, mx.sym.reshape(block3, shape=(-4, -1, phases, 0, 0, 0))


def reference(block, phases, slices):
    """(B * P * slices, C, h, w) -> the reference phase's mean over slices, (B, C, h, w)."""
    stacks = mx.sym.reshape(block, shape=(-4, -1, phases * slices, 0, 0, 0))
    return mx.sym.mean(mx.sym.slice_axis(stacks, axis=1, begin=0, end=slices), axis=1)


def single_phase(block3):
    """(B, 1, C, h, w) -> (B, C, h, w)."""
    return mx.sym.reshape(block3, shape=(0, -3, 0, 0))


def related(block3, config, batch_size):
    """(B, P, C, h, w) -> the reference phase's map with what the others say of it, (B, C, h, w)."""
    network = config["network"]
    side, channels = cells(config["data"]["size"], network["stride"]), scaled(CHANNELS[2], network["width"])
    present = mx.sym.Variable("present")
    return phase_relation(block3, present, count_phases(config), channels, batch_size, side, network["relation_reach"])


def fusion_channels(network):
    """Channels of each block's lateral."""
    return scaled(network["fusion_channels"] // 4, network["width"])
