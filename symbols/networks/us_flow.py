"""The proposed model of the ultrasound paper (Fig. 1): the previous frame's features and the flow from it to the
current frame are aggregated with the current frame's features."""

from __future__ import division

import re

import mxnet as mx

from symbols.parts.aggregation import aggregation, flow_constants, flow_in_cells
from symbols.parts.layers import part_of
from symbols.parts.liteflownet import liteflownet, liteflownet_constants
from symbols.parts.resnet import CHANNELS, resnet_2d, scaled

from .detector import Features
from .us_faster_rcnn import USFasterRCNN

# what stays as in the release even where the flow is trained
KEPT = r"\.upsample_(flow|cost)\.weight$|\.sum_[xy]\.|\.distance\.\d\.bias$"


class USFlow(USFasterRCNN):
    frames = 2

    def constants(self, config):
        size, known = config["data"]["size"], super(USFlow, self).constants(config)
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
        # LiteFlowNet takes blue, green, red
        images = [mx.sym.reverse(single(data, number), axis=1) for number in (0, 1)]
        width, shrink = config["flow"]["width"], config["flow"]["shrink"]
        flow = liteflownet(images[0], images[1], size, width, shrink, last_level(config))
        if not config["flow"]["train"]:
            flow = mx.sym.BlockGrad(flow)
        cells = flow_in_cells(flow, size, network["stride"])
        channels, frozen = scaled(CHANNELS[2], network["width"]), network["batch_norm"] == "frozen"
        return Features([aggregation(current_map, previous_map, cells, channels, frozen)], flow=flow)


def last_level(config):
    """The finest level of LiteFlowNet; configurations of before the knob took all."""
    return config["flow"].get("last_level", 2)


def single(frames, number):
    """(B, 2, C, h, w) -> one frame's (B, C, h, w)."""
    return mx.sym.reshape(part_of(frames, 1, number), shape=(0, -3, 0, 0))
