"""R-101 multi-modal: as R-101 region fusion, of several phases, which are related to the reference phase at Block3's
map; Block4 and the pyramid see the related map."""

from __future__ import division

from .ct import ct_blocks, related
from .r101_fusion import R101Fusion


class R101MultiModal(R101Fusion):
    row = (101, None, True, True)

    def features(self, config, batch_size):
        block1, block2, block3 = ct_blocks(config)
        return self.fused(config, block1, block2, related(block3, config, batch_size))
