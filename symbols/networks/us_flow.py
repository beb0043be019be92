"""The proposed model of the ultrasound paper (Fig. 1): the previous frame's features and the flow from it to the
current frame are aggregated with the current frame's features."""

from __future__ import division

import re

import mxnet as mx

from ..parts.aggregation import aggregation, flow_constants, flow_in_cells, follow, no_flow
from ..parts.fusion import cells
from ..parts.layers import part_of
from ..parts.liteflownet import liteflownet, liteflownet_constants
from ..parts.resnet import CHANNELS, resnet_2d, scaled
from .detector import Features
from .us_faster_rcnn import USFasterRCNN

# what stays as in the release even where the flow is trained
KEPT = r"\.upsample_(flow|cost)\.weight$|\.sum_[xy]\.|\.distance\.\d\.bias$"


class USFlow(USFasterRCNN):
    frames = 2

    def constants(self, config):
        size, known = config["data"]["size"], super(USFlow, self).constants(config)
        if not estimated(config):
            return known
        known.update(flow_constants(size, config["network"]["stride"]))
        known.update(liteflownet_constants(size, config["flow"]["shrink"], last_level(config)))
        return known

    def fixed_names(self, config):
        fixed = KEPT if config["flow"]["train"] else r"^flow\."
        names = self.get_symbol_test(config).list_arguments()
        return sorted(set(super(USFlow, self).fixed_names(config)).union(n for n in names if re.search(fixed, n)))

    def features(self, config, batch_size):
        network, size = config["network"], config["data"]["size"]
        data = mx.sym.Variable("data")
        frames = resnet_2d(mx.sym.reshape(data, shape=(-3, 0, 0, 0)), network)  # (B * 2, C, h, w)
        frames = mx.sym.reshape(frames, shape=(-4, -1, 2, 0, 0, 0))
        previous_map, current_map = (single(frames, number) for number in (0, 1))
        flow, motion = None, no_flow(current_map)
        if estimated(config):
            flow = self.flow(config, data)
            motion = flow_in_cells(flow, size, network["stride"])
            if network.get("aggregation", "channels") == "warp":
                previous_map = follow(previous_map, motion, cells(size, network["stride"]))
        channels, frozen = scaled(CHANNELS[2], network["width"]), network["batch_norm"] == "frozen"
        return Features([aggregation(current_map, previous_map, motion, channels, frozen)], flow=flow)

    def flow(self, config, data):
        """Frames (B, 2, 3, H, W) -> flow (B, 2, H, W) in pixels, previous to current."""
        # LiteFlowNet takes blue, green, red
        images = [mx.sym.reverse(single(data, number), axis=1) for number in (0, 1)]
        width, shrink = config["flow"]["width"], config["flow"]["shrink"]
        flow = liteflownet(images[0], images[1], config["data"]["size"], width, shrink, last_level(config))
        return flow if config["flow"]["train"] else mx.sym.BlockGrad(flow)


def estimated(config):
    """Whether LiteFlowNet estimates the flow, as in configurations of before the knob, or there is none."""
    return config["flow"].get("estimate", "liteflownet") != "zero"


def last_level(config):
    """The finest level of LiteFlowNet; configurations of before the knob took all."""
    return config["flow"].get("last_level", 2)


def single(frames, number):
    """(B, 2, C, h, w) -> one frame's (B, C, h, w)."""
    return mx.sym.reshape(part_of(frames, 1, number), shape=(0, -3, 0, 0))
