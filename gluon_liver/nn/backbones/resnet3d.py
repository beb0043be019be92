"""The 3D-stem residual network of the CT paper, in its two printed depths (Tables 2 and 3).

Only conv1 and the two pools reach across slices; the 3x3 of every block is in-plane (1x3x3) and blocks stride in-plane
only. Slices are therefore folded into the batch from the first layer on and all layers are 2D, which gives the numbers
of the Conv3D form (its blocks in a half to four fifths of the time on CPU) and avoids Conv3D before BatchNorm, whose
backward MXNet 1.9 cannot compute on CPU for many channel counts (apache/mxnet#20858).
"""

from __future__ import annotations

from typing import Any, Dict

from mxnet.gluon import nn

from gluon_liver.nn.layers.indexing import entry
from gluon_liver.structures.channels import scaled

from .blocks import CHANNELS, freeze, make_block, stage_norms
from .stem import CENTRE, POOLS, DepthPool, Stem


class ResNet3D(nn.HybridBlock):
    """conv1 to Block3 of Tables 2 and 3: the feature extractor before region proposals.

    Block4 is the ROI head (see :mod:`gluon_liver.nn.ct_detector`), made with :func:`make_block`.

    depth: 50 (Table 2) or 101 (Table 3).
    width: channels as a fraction of the paper's.
    slices: depth of the input. The parameters depend on it with fusion channels alone.
    fusion, stem: network.slice_fusion and network.stem, see :mod:`gluon_liver.nn.backbones.stem`.
    stride: of Block3's map, 16 as in the table, or 8 where Block3 does not stride (small inputs).
    norm: network.batch_norm, or folded, see :mod:`gluon_liver.nn.layers.normalised`.
    frozen_stages: network.frozen_stages, how many of stem, Block1, Block2 and Block3 stay as they are given.
    """

    def __init__(
        self,
        *,
        depth: int = 50,
        width: float = 1.0,
        slices: int = 1,
        stride: int = 16,
        norm: str = "live",
        fusion: str = POOLS,
        stem: str = "7x7x7",
        frozen_stages: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self._fusion = fusion
        options: Dict[str, Any] = {"depth": depth, "width": width}
        norms = stage_norms(norm, frozen_stages)
        with self.name_scope():
            self.stem = Stem(slices=slices, width=width, norm=norms[0], fusion=fusion, stem=stem, prefix="stem_")
            self.block1 = make_block(1, norm=norms[1], **options)
            shallow = self.stem.pool1.slices_out
            self.pool2 = DepthPool(shallow, channels=scaled(CHANNELS[0], width), fusion=fusion, prefix="pool2_")
            self.block2 = make_block(2, norm=norms[2], **options)
            self.block3 = make_block(3, stride=stride // 8, norm=norms[3], **options)
        freeze(self, frozen_stages)
        # positions over depth of Block1, Block2 and Block3, of 9 slices 3, 2 and 2, with centre 3, 1 and 1
        self.slices_out = (shallow, self.pool2.slices_out, self.pool2.slices_out)

    def collapse(self, F: Any, stacks: Any, slices: int) -> Any:
        """Maps (N, any * slices, C, h, w) of a block -> (N, C, h, w), one map of the first ``slices`` positions.

        Their mean; with fusion centre the middle one, the annotated slice's.
        """
        if self._fusion == CENTRE:
            return entry(F, stacks, slices // 2, axis=1)
        return F.mean(F.slice_axis(stacks, axis=1, begin=0, end=slices), axis=1)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """(N, 1, D, H, W) -> Block1, Block2, Block3 at strides 4, 8, 16, slices folded into the batch.

        Shapes: (N * d1, 256, H / 4, W / 4), (N * d2, 512, H / 8, W / 8), (N * d3, 1024, H / 16, W / 16) at width 1 and
        stride 16, d1 to d3 being :attr:`slices_out`.
        """
        block1 = self.block1(self.stem(x))
        block2 = self.block2(self.pool2(block1))
        block3 = self.block3(block2)
        return block1, block2, block3
