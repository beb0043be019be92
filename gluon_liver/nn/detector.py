"""Faster R-CNN of the CT paper on GluonCV's parts.

Without fusion, proposals and ROIAlign read Block3's map and Block4 is the ROI head; with fusion they read the pyramid
that is fused from the maps of all four blocks, and the head is two dense layers.

:class:`Detector` holds the parts and their parameters; :mod:`gluon_liver.nn.graphs` has the two graphs over them.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np
from mxnet.gluon import Constant, Parameter, nn

from ..config import Config, NetworkConfig
from .fusion import RegionFusion
from .proposals import anchors_of, make_rpn
from .relation import PhaseRelation
from .resnet3d import CHANNELS, ResNet3D, make_block, scaled
from .rois import pyramid_align, roi_align, roi_rows
from .texture import TextureHead

DENSE_UNITS = 1024  # of each dense layer of the fusion head, as in Lin et al. 2017


class Features(NamedTuple):
    """What the backbone says of a batch of images.

    Attributes
    ----------
    image: (B, 1, H, W), the slice that boxes refer to.
    maps: (B, C, H / stride, W / stride) for each level of :meth:`NetworkConfig.levels`.
    shallow: (B, 16, H / 4, W / 4), Block1's map as the texture stage reads it, or None.
    """

    image: Any
    maps: List[Any]
    shallow: Optional[Any]


class HeadOutput(NamedTuple):
    """``abstract`` features (B * R, F), and stage one's score (B * R, 1), above 0 for abnormal, or None."""

    abstract: Any
    abnormal: Optional[Any]


class Detector(nn.HybridBlock):
    """Backbone, relation, fusion, proposal network, ROI head and predictors. Call the two nets of ``graphs``.

    Parameters
    ----------
    config: the ``network`` section of a configuration.
    classes: names of the foreground classes.
    slices: odd depth of the input stack.
    phases: contrast phases of the input; more than one are related to the first, the reference (Equation 1).
    size: side of the square input in pixels.
    """

    def __init__(
        self,
        config: NetworkConfig,
        *,
        classes: Sequence[str],
        slices: int,
        size: int,
        phases: int = 1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.config = config
        self.classes = tuple(classes)
        self.size = size
        self.phases = phases
        self.strides = tuple(stride for stride, _ in config.levels())
        options = {"depth": config.depth, "width": config.width, "frozen_bn": config.batch_norm == "frozen"}
        channels = [scaled(count, config.width) for count in CHANNELS]
        with self.name_scope():
            self.backbone = ResNet3D(slices=slices, stride=config.stride, prefix="backbone_", **options)
            if phases > 1:
                self.relation = PhaseRelation(
                    channels[2], phases=phases, reach=config.relation_reach, prefix="relation_"
                )
            self.block4 = make_block(4, **options)
            map_channels, head_channels = channels[2], channels[3]
            if config.fusion:
                lateral = scaled(config.fusion_channels // 4, config.width)
                map_channels, head_channels = 4 * lateral, scaled(DENSE_UNITS, config.width)
                self.fusion = RegionFusion(
                    in_channels=channels, strides=(4, 8, config.stride, 2 * config.stride), channels=lateral,
                    levels=self.strides, size=size, prefix="fusion_",
                )
                self.dense = DenseHead(map_channels * self.roi_size**2, head_channels, dropout=config.head.dropout)
            self.rpn = make_rpn(
                config.rpn, levels=config.levels(), size=size, in_channels=map_channels,
                train_proposals=self.proposals(training=True), test_proposals=self.proposals(training=False),
            )
            if config.texture_head:
                self.texture = TextureHead(in_channels=channels[0], dropout=config.head.dropout, prefix="texture_")
            self.dropout = nn.Dropout(config.head.dropout)
            self.class_predictor = nn.Dense(
                len(classes) + 1, in_units=head_channels, weight_initializer=mx.init.Normal(0.01),
                prefix="class_predictor_",
            )
            self.box_predictor = nn.Dense(
                len(classes) * 4, in_units=head_channels, weight_initializer=mx.init.Normal(0.001),
                prefix="box_predictor_",
            )

    @property
    def roi_size(self) -> int:
        """Cells of a pooled ROI: what Block4 halves, or with fusion that half."""
        return max(1, self.config.head.roi_size // 2) if self.config.fusion else self.config.head.roi_size

    def proposals(self, *, training: bool) -> int:
        """Proposals an image that the graphs carry on, never more than there are anchors."""
        return self.config.proposals(self.size, training=training)

    def anchors(self) -> np.ndarray:
        """(A, 4) corners of all anchors in pixels of the input, in the order of the proposal scores."""
        return anchors_of(self.rpn)

    def collect_learned(self) -> Dict[str, Parameter]:
        """Parameters and running statistics by structural name, without constants of the config (anchors)."""
        named = self._collect_params_with_prefix()
        return {name: parameter for name, parameter in named.items() if not isinstance(parameter, Constant)}

    def features(self, F: Any, x: Any, present: Any = None) -> Features:
        """(B, P, 1, D, H, W) -> the maps that proposals and ROIs read.

        With several phases ``present`` (B, P) is 1 or 0, and the others are related to the reference phase at Block3's
        map; Block4 sees the related map.
        """
        image = F.slice_axis(F.slice_axis(x, axis=3, begin=0, end=1), axis=1, begin=0, end=1)
        image = F.reshape(image, (-3, 1, -3, -2))
        block1, block2, block3 = self.blocks(F, x)
        slices1, slices2, _ = self.backbone.slices_out
        if self.phases > 1:
            block3 = self.relation(self.by_phase(F, block3), present)
        maps, shallow = [block3], None
        if self.config.fusion or self.config.texture_head:
            block1 = self._reference(F, block1, slices1)
        if self.config.fusion:
            maps = self.fusion(block1, self._reference(F, block2, slices2), block3, self.block4(block3))
        if self.config.texture_head:
            shallow = self.texture.reduce(block1)
        return Features(image, maps, shallow)

    def blocks(self, F: Any, x: Any) -> Tuple[Any, Any, Any]:
        """(B, P, 1, D, H, W) -> maps of Block1 and Block2 (B * P * slices, C, h, w) and of Block3 (B * P, C, h, w).

        All phases go through Block1 to Block3 of one backbone; the reference phase comes first. Depth collapses by
        the mean over the slices that pool2 leaves, of each block's map.
        """
        block1, block2, block3 = self.backbone(F.reshape(x, (-3, 0, 0, 0, 0)))
        slices = self.backbone.slices_out[2]
        if slices > 1:
            block3 = F.mean(F.reshape(block3, (-4, -1, slices, 0, 0, 0)), axis=1)
        return block1, block2, block3

    def by_phase(self, F: Any, block3: Any) -> Any:
        """(B * P, C, h, w) -> (B, P, C, h, w)."""
        return F.reshape(block3, (-4, -1, self.phases, 0, 0, 0))

    def _reference(self, F: Any, block: Any, slices: int) -> Any:
        """(B * P * slices, C, h, w) -> the reference phase's mean over slices, (B, C, h, w)."""
        if self.phases * slices == 1:
            return block
        stacks = F.reshape(block, (-4, -1, self.phases * slices, 0, 0, 0))
        return F.mean(F.slice_axis(stacks, axis=1, begin=0, end=slices), axis=1)

    def head(self, F: Any, features: Features, rois: Any) -> HeadOutput:
        """ROIs (B, R, 4) in pixels of the input -> what the predictors read of them."""
        images, rois = roi_rows(F, rois)
        pooled = pyramid_align(F, features.maps, images, rois, strides=self.strides, size=self.roi_size)
        abstract = self.dense(pooled) if self.config.fusion else F.mean(self.block4(pooled), axis=(2, 3))
        if not self.config.texture_head:
            return HeadOutput(abstract, None)
        size = self.config.head.roi_size
        return HeadOutput(abstract, self.texture(roi_align(F, features.shallow, images, rois, stride=4, size=size)))


class DenseHead(nn.HybridBlock):
    """Two dense layers with dropout between them, on pooled ROIs of the fused map."""

    def __init__(self, in_units: int, units: int, *, dropout: float, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.first = nn.Dense(units, in_units=in_units, activation="relu")
            self.dropout = nn.Dropout(dropout)
            self.second = nn.Dense(units, in_units=units, activation="relu")

    def hybrid_forward(self, F, pooled):
        """(N, C, h, w) -> (N, units)."""
        return self.second(self.dropout(self.first(pooled)))


def initialize(detector: Detector, context: mx.Context) -> None:
    """He initialisation (He et al. 2015) of all weights that do not name their own, from MXNet's seeded generator."""
    detector.initialize(mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2), ctx=context)


def make_detector(config: Config, *, classes: Sequence[str], phases: int, context: mx.Context) -> Detector:
    """The initialised detector of a configuration."""
    detector = Detector(
        config.network, classes=classes, slices=config.data.slices, size=config.data.size, phases=phases
    )
    initialize(detector, context)
    return detector
