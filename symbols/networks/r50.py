"""R-50: one slice, ResNet-50. Proposals and ROIs read Block3's map, Block4 is the head."""

from __future__ import division

from ..parts.rcnn import block4_head
from ..parts.texture import texture_map
from .ct import CTDetector, ct_blocks, single_phase
from .detector import Features


class R50(CTDetector):
    row = (50, False, False, False)

    def features(self, config, batch_size):
        block1, _, block3 = ct_blocks(config)
        return Features([single_phase(block3)], texture_map(block1, config["network"]))

    def abstract(self, config, pooled, numbers=None):
        return block4_head(pooled, config["network"])
