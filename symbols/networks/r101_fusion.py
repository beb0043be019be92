"""R-101 region fusion: stacks of slices; proposals and ROIs read the pyramid that is fused from the maps of all four
blocks, and the head is two dense layers."""

from __future__ import division

from ..parts.fusion import fusion_constants, region_fusion
from ..parts.rcnn import DENSE_UNITS, dense_head
from ..parts.resnet import scaled, stage
from ..parts.rpn import levels_of
from ..parts.texture import texture_map
from .ct import CTDetector, ct_blocks, fusion_channels, single_phase
from .detector import Features


class R101Fusion(CTDetector):
    row = (101, None, True, False)

    def constants(self, config):
        network, size = config["network"], config["data"]["size"]
        known = super(R101Fusion, self).constants(config)
        known.update(fusion_constants(size, [stride for stride, _ in levels_of(network)], network))
        return known

    def roi_size(self, config):
        return max(1, config["network"]["head"]["roi_size"] // 2)  # what Block4 would leave of it

    def features(self, config, batch_size):
        block1, block2, block3 = ct_blocks(config)
        return self.fused(config, block1, block2, single_phase(block3))

    def fused(self, config, block1, block2, block3):
        """Maps of the reference phase (B, C, h, w) -> the pyramid."""
        network, size = config["network"], config["data"]["size"]
        strides = [stride for stride, _ in levels_of(network)]
        blocks = [block3] * 4
        if network.get("fusion_blocks", "all") == "all":
            blocks = [block1, block2, block3, stage(block3, "block4", 4, network)]
        maps = region_fusion(blocks, fusion_channels(network), size, strides, network)
        return Features(maps, texture_map(block1, network))

    def abstract(self, config, pooled, numbers=None):
        return dense_head(pooled, config["network"], numbers)

    def head_units(self, config):
        return scaled(DENSE_UNITS, config["network"]["width"])

    def dropout_units(self, config):
        return super(R101Fusion, self).dropout_units(config) + self.head_units(config)  # between the dense layers
