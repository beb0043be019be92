"""R-50 multi-modal: as R-50-2.5D, of several phases, which are related to the reference phase at Block3's map."""

from __future__ import division

from ..parts.rcnn import block4_head
from ..parts.texture import texture_map
from .ct import CTDetector, ct_blocks, related
from .detector import Features


class R50MultiModal(CTDetector):
    row = (50, None, False, True)

    def features(self, config, batch_size):
        block1, _, block3 = ct_blocks(config)
        return Features([related(block3, config, batch_size)], texture_map(block1, config["network"]))

    def abstract(self, config, pooled, numbers=None):
        return block4_head(pooled, config["network"])
