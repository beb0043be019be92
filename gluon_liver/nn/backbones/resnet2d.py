"""ResNet-50 v1b in two dimensions, the feature extractor of the ultrasound paper ("resnet50"), conv1 to Block3.

The blocks are those of :mod:`gluon_liver.nn.backbones.blocks`; Block4 is the ROI head.
"""

from __future__ import annotations

from typing import Any

from mxnet.gluon import nn

from gluon_liver.nn.layers.normalised import FOLDED, batch_norm, conv_norm, relu
from gluon_liver.structures.channels import scaled

from .blocks import STEM_CHANNELS, freeze, make_block, stage_norms

COLOURS = 3
# of red, green and blue from 0 to 1 over ImageNet, which pretrained weights expect to be taken off and divided by
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Stem2D(nn.HybridBlock):
    """conv1 and its max pooling."""

    def __init__(self, *, width: float = 1.0, norm: str = "live", **kwargs: Any):
        super().__init__(**kwargs)
        channels = scaled(STEM_CHANNELS, width)
        with self.name_scope():
            self.conv1 = nn.Conv2D(channels, 7, 2, 3, use_bias=norm == FOLDED, in_channels=COLOURS, prefix="conv1_")
            self.bn1 = batch_norm(norm, in_channels=channels)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """(N, 3, H, W) -> (N, channels, H / 4, W / 4)."""
        x = conv_norm(F, x, self.conv1, self.bn1)
        return relu(F, F.Pooling(x, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max"))


class ResNet2D(nn.HybridBlock):
    """Normalised colour images to the map of Block3.

    width, stride, norm, frozen_stages: as of :class:`gluon_liver.nn.backbones.resnet3d.ResNet3D`.
    """

    def __init__(
        self, *, width: float = 1.0, stride: int = 16, norm: str = "live", frozen_stages: int = 0, **kwargs: Any
    ):
        super().__init__(**kwargs)
        norms = stage_norms(norm, frozen_stages)
        with self.name_scope():
            self.stem = Stem2D(width=width, norm=norms[0], prefix="stem_")
            self.block1 = make_block(1, width=width, norm=norms[1])
            self.block2 = make_block(2, width=width, norm=norms[2])
            self.block3 = make_block(3, width=width, norm=norms[3], stride=stride // 8)
        freeze(self, frozen_stages)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """(N, 3, H, W), normalised -> (N, 1024 * width, H / stride, W / stride)."""
        return self.block3(self.block2(self.block1(self.stem(x))))
