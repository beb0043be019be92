"""The 3D-stem residual network of the CT paper, in its two printed depths (Tables 2 and 3).

Only conv1 and the two pools reach across slices; the 3x3 of every block is in-plane (1x3x3) and blocks stride in-plane
only. Slices are therefore folded into the batch from the first layer on and all layers are 2D, which gives the numbers
of the Conv3D form (its blocks in a half to four fifths of the time on CPU) and avoids Conv3D before BatchNorm, whose
backward MXNet 1.9 cannot compute on CPU for many channel counts (apache/mxnet#20858).
"""

from __future__ import annotations

from typing import Any, Dict

from mxnet.gluon import nn

from gluon_liver.structures.channels import scaled

from .blocks import CHANNELS, make_block
from .stem import DepthPool, Stem, half, stem_depth


class ResNet3D(nn.HybridBlock):
    """conv1 to Block3 of Tables 2 and 3: the feature extractor before region proposals.

    Block4 is the ROI head (see :mod:`gluon_liver.nn.ct_detector`), made with :func:`make_block`.

    depth: 50 (Table 2) or 101 (Table 3).
    width: channels as a fraction of the paper's.
    slices: depth of the input. The parameters do not depend on it.
    stride: of Block3's map, 16 as in the table, or 8 where Block3 does not stride (small inputs).
    norm: network.batch_norm, or folded, see :mod:`gluon_liver.nn.layers.normalised`.
    """

    def __init__(
        self,
        *,
        depth: int = 50,
        width: float = 1.0,
        slices: int = 1,
        stride: int = 16,
        norm: str = "live",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        options: Dict[str, Any] = {"depth": depth, "width": width, "norm": norm}
        with self.name_scope():
            self.stem = Stem(slices=slices, width=width, norm=norm, prefix="stem_")
            self.block1 = make_block(1, **options)
            self.pool2 = DepthPool(half(half(slices)), channels=scaled(CHANNELS[0], width), prefix="pool2_")
            self.block2 = make_block(2, **options)
            self.block3 = make_block(3, stride=stride // 8, **options)
        self.slices_out = (half(half(slices)), stem_depth(slices), stem_depth(slices))

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """(N, 1, D, H, W) -> Block1, Block2, Block3 at strides 4, 8, 16, slices folded into the batch.

        Shapes: (N * D / 4, 256, H / 4, W / 4), (N * D / 8, 512, H / 8, W / 8), (N * D / 8, 1024, H / 16, W / 16) at
        width 1 and stride 16, D / 4 and D / 8 rounded up at each halving.
        """
        block1 = self.block1(self.stem(x))
        block2 = self.block2(self.pool2(block1))
        block3 = self.block3(block2)
        return block1, block2, block3
