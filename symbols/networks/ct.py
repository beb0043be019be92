"""What the six networks of the CT paper share: input, phases and slices, texture stage."""

from __future__ import division

import mxnet as mx

from ..parts.fusion import cells
from ..parts.initialization import centre_tap
from ..parts.relation import phase_relation
from ..parts.resnet import CHANNELS, STEM_CHANNELS, collapsed, resnet_3d, scaled, slice_fusion, slices_left
from ..parts.rois import ROI_MODES
from ..parts.texture import HIDDEN, texture_score
from .detector import Detector

CONV1 = "backbone.stem.conv1.weight"


class CTDetector(Detector):
    """Stacks (B, phase, 1, slice, H, W), the reference phase first; several phases come with ``present`` (B, P)."""

    row = None  # (depth of the network, more than one slice, region fusion, phases related), as in Table 4; None: any

    def fits(self, config):
        """Whether a configuration is this network's."""
        return all(wanted in (None, value) for wanted, value in zip(self.row, knobs(config)))

    def require(self, config):
        if not self.fits(config):
            raise ValueError(
                "{} is of (depth, several slices, fusion, multi_modal) = {}, the configuration has {}".format(
                    type(self).__name__, self.row, knobs(config)
                )
            )

    def init_weights(self, config, arg_params, aux_params, seed=0):
        if slice_fusion(config["network"]) == "channels" and CONV1 not in arg_params:
            shape = scaled(STEM_CHANNELS, config["network"]["width"]), 1, config["data"]["slices"], 7, 7
            arg_params[CONV1] = mx.nd.array(centre_tap(CONV1, shape, seed))
        super(CTDetector, self).init_weights(config, arg_params, aux_params, seed)

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


def relation_of(network):
    """What several phases are related by, off for one; configurations of earlier versions say network.multi_modal."""
    return network.get("relation", "full" if network.get("multi_modal") else "off")


def relates(network):
    """Whether several phases are related."""
    return relation_of(network) != "off"


def ct_blocks(config):
    """Maps of Block1 and Block2 of the reference phase (B, C, h, w), and of Block3 of all phases (B, P, C, h, w).

    All phases go through one backbone; depth collapses after each block.
    """
    phases, slices, network = count_phases(config), config["data"]["slices"], config["network"]
    data = mx.sym.reshape(mx.sym.Variable("data"), shape=(-3, 0, 0, 0, 0))  # (B * P, 1, D, H, W)
    block1, block2, block3 = resnet_3d(data, slices, network)
    shallow, deep = slices_left(slices, network)
    block1, block2 = (
        collapsed(mx.sym.reshape(block, shape=(-4, -1, phases * left, 0, 0, 0)), left, network)  # the reference phase's
        for block, left in ((block1, shallow), (block2, deep))
    )
    block3 = collapsed(mx.sym.reshape(block3, shape=(-4, -1, deep, 0, 0, 0)), deep, network)
    return block1, block2, mx.sym.reshape(block3, shape=(-4, -1, phases, 0, 0, 0))


def single_phase(block3):
    """(B, 1, C, h, w) -> (B, C, h, w)."""
    return mx.sym.reshape(block3, shape=(0, -3, 0, 0))


def related(block3, config, batch_size):
    """(B, P, C, h, w) -> the reference phase's map with what the others say of it, (B, C, h, w)."""
    network = config["network"]
    side, channels = cells(config["data"]["size"], network["stride"]), scaled(CHANNELS[2], network["width"])
    present = mx.sym.Variable("present")
    kind, reach = relation_of(network), network["relation_reach"]
    return phase_relation(block3, present, count_phases(config), channels, batch_size, side, kind, reach)


def fusion_channels(network):
    """Channels of each block's lateral."""
    return scaled(network["fusion_channels"] // 4, network["width"])
