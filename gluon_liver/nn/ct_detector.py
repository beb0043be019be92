"""The detector of the CT paper.

Without fusion, proposals and ROIAlign read Block3's map and Block4 is the ROI head; with fusion they read the pyramid
that is fused from the maps of all four blocks, and the head is two dense layers.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Sequence, Tuple

from mxnet.gluon import nn

from gluon_liver.config.network import NetworkConfig
from gluon_liver.structures.channels import scaled

from .backbones.blocks import CHANNELS, make_block
from .backbones.resnet3d import ResNet3D
from .fusion import RegionFusion
from .random_numbers import RandomNumbers, apply_dropout
from .rcnn import Features, RegionDetector
from .regions.roi_align import ROI_MODES, pyramid_align, roi_rows
from .relation import PhaseRelation
from .texture import TextureHead

DENSE_UNITS = 1024  # of each dense layer of the fusion head, as in Lin et al. 2017


class CTDetector(RegionDetector):
    """Backbone, relation and fusion; texture stage of the head.

    config, classes, size: see :class:`RegionDetector`.
    slices: odd depth of the input stack.
    phases: contrast phases of the input; more than one are related to the first, the reference (network.relation).
    """

    def __init__(
        self, config: NetworkConfig, *, classes: Sequence[str], slices: int, size: int, phases: int = 1, **kwargs: Any
    ):
        super().__init__(config, classes=classes, size=size, **kwargs)
        self.phases, self.slices = phases, slices
        options: Dict[str, Any] = {"depth": config.depth, "width": config.width, "norm": config.batch_norm}
        channels = [scaled(count, config.width) for count in CHANNELS]
        with self.name_scope():
            self.backbone = ResNet3D(
                slices=slices,
                stride=config.stride,
                fusion=config.slice_fusion,
                stem=config.stem,
                frozen_stages=config.frozen_stages,
                prefix="backbone_",
                **options,
            )
            if phases > 1:
                kind, reach = config.relation, config.relation_reach
                self.relation = PhaseRelation(channels[2], phases=phases, kind=kind, reach=reach, prefix="relation_")
            self.block4 = make_block(4, **options) if config.fusion_blocks == "all" else None
            map_channels, head_channels = channels[2], channels[3]
            if config.fusion:
                lateral = scaled(config.fusion_channels // 4, config.width)
                map_channels, head_channels = 4 * lateral, scaled(DENSE_UNITS, config.width)
                every = self.block4 is not None
                self.fusion = RegionFusion(
                    in_channels=channels if every else [channels[2]] * 4,
                    strides=[4, 8, config.stride, 2 * config.stride] if every else [config.stride] * 4,
                    channels=lateral,
                    levels=self.strides,
                    size=size,
                    prefix="fusion_",
                )
                self.dense = DenseHead(map_channels * self.roi_size**2, head_channels)
                self.add_dropout(head_channels)
            if config.texture_head:
                self.texture = TextureHead(in_channels=channels[0], prefix="texture_")
                self.add_dropout(self.texture.hidden)
        self.add_regions(map_channels=map_channels, head_channels=head_channels)

    def rebuilt(self, config: NetworkConfig) -> CTDetector:
        """A detector that differs in ``config`` alone, without numbers."""
        return CTDetector(config, classes=self.classes, slices=self.slices, size=self.size, phases=self.phases)

    @property
    def roi_size(self) -> int:
        """Cells of a pooled ROI: what Block4 halves, or with fusion that half."""
        return max(1, self.config.head.roi_size // 2) if self.config.fusion else self.config.head.roi_size

    def features(self, F: Any, x: Any, present: Any = None) -> Features:
        """(B, P, 1, D, H, W) -> the maps that proposals and ROIs read.

        With several phases ``present`` (B, P) is 1 or 0, and the others are related to the reference phase at Block3's
        map; Block4 sees the related map.
        """
        image = F.slice_axis(F.slice_axis(x, axis=3, begin=0, end=1), axis=1, begin=0, end=1)
        image = F.reshape(image, (-3, 1, -3, -2))
        block1, block2, block3 = self.blocks(F, x)
        slices1, slices2, _ = self.backbone.slices_out
        shallow = None
        if self.config.texture_head:
            # a 1x1 convolution and a mean over slices change places, and few channels are turned round for the mean
            shallow = self._reference(F, self.texture.reduce(block1), slices1)
        if self.config.fusion:
            block1, block2 = self._reference(F, block1, slices1), self._reference(F, block2, slices2)
        return self.relate(F, image, block1, block2, block3, shallow, present)

    def relate(
        self, F: Any, image: Any, block1: Any, block2: Any, block3: Any, shallow: Any, present: Any = None
    ) -> Features:
        """Maps of Block1, Block2 and the texture stage of the reference phase (B, C, h, w), of Block3 of all phases
        (B * P, C, h, w)."""
        if self.phases > 1:
            block3 = self.relation(self.by_phase(F, block3), present)
        maps = [block3]
        if self.config.fusion:
            blocks = [block3] * 4 if self.block4 is None else [block1, block2, block3, self.block4(block3)]
            maps = self.fusion(*blocks)
        return Features(image, maps, shallow)

    def blocks(self, F: Any, x: Any) -> Tuple[Any, Any, Any]:
        """(B, P, 1, D, H, W) -> maps of Block1 and Block2 (B * P * slices, C, h, w) and of Block3 (B * P, C, h, w).

        All phases go through Block1 to Block3 of one backbone; the reference phase comes first. Depth collapses after
        each block, see :meth:`ResNet3D.collapse`.
        """
        block1, block2, block3 = self.backbone(F.reshape(x, (-3, 0, 0, 0, 0)))
        slices = self.backbone.slices_out[2]
        if slices > 1:
            block3 = self.backbone.collapse(F, F.reshape(block3, (-4, -1, slices, 0, 0, 0)), slices)
        return block1, block2, block3

    def by_phase(self, F: Any, block3: Any) -> Any:
        """(B * P, C, h, w) -> (B, P, C, h, w)."""
        return F.reshape(block3, (-4, -1, self.phases, 0, 0, 0))

    def _reference(self, F: Any, block: Any, slices: int) -> Any:
        """(B * P * slices, C, h, w) -> the reference phase's map, depth collapsed, (B, C, h, w)."""
        if self.phases * slices == 1:
            return block
        stacks = F.reshape(block, (-4, -1, self.phases * slices, 0, 0, 0))
        return self.backbone.collapse(F, stacks, slices)

    def describe(self, F: Any, maps: Sequence[Any], numbers: Optional[RandomNumbers] = None) -> Callable[[Any], Any]:
        """From ROIs (B, n, 4) on maps to features, by Block4 or two dense layers with dropout between them."""
        if not self.config.fusion:
            return super().describe(F, maps, numbers)
        options: Dict[str, Any] = {"strides": self.strides, "size": self.roi_size, "mode": self.roi_mode}
        mask = self.dropout_mask(numbers, self.dense.units)
        return lambda rois: self.dense(pyramid_align(F, maps, *roi_rows(F, rois), **options), mask)

    def abnormal(self, F: Any, features: Features, rois: Any, numbers: Optional[RandomNumbers] = None) -> Any:
        """What the texture stage says of ROIs (B, R, 4): (B * R, 1), above 0 for abnormal; None without one."""
        if features.shallow is None:
            return None
        size, pool = self.config.head.roi_size, ROI_MODES[self.roi_mode]
        pooled = pool(F, features.shallow, *roi_rows(F, rois), stride=4, size=size)
        return self.texture(pooled, self.dropout_mask(numbers, self.texture.hidden))


class DenseHead(nn.HybridBlock):
    """Two dense layers with dropout between them, on pooled ROIs of the fused map."""

    def __init__(self, in_units: int, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        with self.name_scope():
            self.first = nn.Dense(units, in_units=in_units, activation="relu")
            self.second = nn.Dense(units, in_units=units, activation="relu")

    def hybrid_forward(self, F: Any, pooled: Any, dropout_mask: Any = None) -> Any:
        """(N, C, h, w), and in training the dropout mask (N, units) of the first layer -> (N, units)."""
        return self.second(apply_dropout(self.first(pooled), dropout_mask))
