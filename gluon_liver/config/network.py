"""Configuration of the detectors' network: Table 4's knobs, region proposals, ROI head."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Tuple

from gluon_liver.files.typed import (
    Rules,
    above,
    at_least,
    at_most,
    below,
    between,
    each,
    limited,
    meant,
    multiple_of,
    one_of,
    within,
)

RELATIONS = ("off", "full", "position", "same_cell")
STEMS, SLICE_FUSIONS = ("7x7x7", "1x7x7"), ("pools", "centre", "channels")


@dataclass(frozen=True)
class RPNConfig:
    """Region proposals; counts are per image, sizes in pixels of the network input."""

    channels: int = limited(512, at_least(1), "of the 3x3 convolution before objectness and boxes")
    anchor_sizes: Tuple[float, ...] = limited(
        (16.0, 32.0, 64.0, 128.0, 256.0),
        each(above(0, "pixels"), least=1),
        "square roots of the anchors' areas; with network.fusion each level of the pyramid takes some of them",
    )
    anchor_ratios: Tuple[float, ...] = limited((0.5, 1.0, 2.0), each(above(0), least=1), "height / width of anchors")
    min_size: int = limited(4, at_least(1), "proposals with a shorter side, in pixels, are dropped")
    nms_threshold: float = limited(0.7, between(0, 1), "of two proposals with a higher IoU the likelier one stays")
    train_pre_nms: int = limited(6000, at_least(1), "likeliest proposals that go into suppression in training")
    train_post_nms: int = limited(1000, at_least(1), "proposals that come out of it in training, at most")
    test_pre_nms: int = limited(3000, at_least(1), "likeliest proposals that go into suppression in inference")
    test_post_nms: int = limited(100, at_least(1), "proposals that come out of it in inference, and are classified")
    samples: int = limited(256, at_least(1), "anchors of an image that the loss is taken of")
    positive_ratio: float = limited(0.5, between(0, 1), "share of positive ones among them, at most")
    positive_iou: float = limited(0.7, between(0, 1), "an anchor with this IoU or more with a true box is positive")
    negative_iou: float = limited(0.3, between(0, 1), "an anchor with less IoU with every true box is negative")

    def rules(self) -> Rules:
        yield "negative_iou", self.negative_iou <= self.positive_iou, "at most network.rpn.positive_iou"

    @property
    def smallest_anchor(self) -> float:
        """The longer side of the smallest anchor, in pixels."""
        stretch: float = min(max(ratio, 1 / ratio) for ratio in self.anchor_ratios) ** 0.5
        return min(self.anchor_sizes) * stretch


@dataclass(frozen=True)
class HeadConfig:
    """The ROI head: Block4, or two dense layers with fusion, then one layer for classes and one for boxes."""

    roi_size: int = limited(
        14, at_least(1), "cells of a pooled ROI along a side, which Block4 halves; fusion pools to that half"
    )
    samples: int = meant(128, "ROIs of an image that the loss is taken of")
    positive_ratio: float = limited(0.25, between(0, 1), "share of positive ROIs among them, at most")
    positive_iou: float = limited(0.5, between(0, 1), "a ROI with this IoU or more with a true box is positive")
    max_boxes: int = limited(32, at_least(1), "true boxes an image, at most")
    dropout: float = limited(0.5, at_least(0) & below(1), "share of the features that is dropped in training")
    nms_threshold: float = limited(
        0.3, between(0, 1), "of two boxes of a class with a higher IoU the likelier one stays"
    )
    score_threshold: float = limited(0.01, at_least(0) & below(1), "boxes with a lower score are never given")
    max_detections: int = limited(100, at_least(1), "boxes an image, at most")

    def rules(self) -> Rules:
        enough = 1 <= round(self.samples * self.positive_ratio) < self.samples
        yield "samples", enough, "enough for a positive and a negative ROI at network.head.positive_ratio"


@dataclass(frozen=True)
class NetworkConfig:
    """The four knobs of Table 4's rows live here and in ``data.slices``."""

    depth: int = limited(50, one_of(50, 101), "layers of the ResNet: Table 2 (50) or Table 3 (101)")
    width: float = limited(
        1.0, above(0) & at_most(1), "share of the paper's channels; below 1 for demos of a size for CPUs"
    )
    stride: int = limited(
        16, one_of(8, 16), "pixels between cells of Block3's map, which proposals and ROIs read; Tables 2, 3: 16"
    )
    stem: str = limited(
        "7x7x7",
        one_of(*STEMS),
        "conv1 over depth: 7x7x7, or 1x7x7 as where Table 2 comes from (Wang et al. 2018), so that pools alone reach "
        "across slices; every second slice is then read",
    )
    slice_fusion: str = limited(
        "pools",
        one_of(*SLICE_FUSIONS),
        "how slices become one map: pools as printed; centre, whose strides keep the annotated slice's place; "
        "channels, all slices into conv1 as channels, no depth behind it: its kernel is as deep as data.slices, and "
        "the net starts as that of one slice",
    )
    fusion: bool = meant(False, "a pyramid fused from all four blocks feeds proposals and ROIs (Fig. 3)")
    fusion_blocks: str = limited(
        "all",
        one_of("all", "block3"),
        "control experiment: block3, the pyramid is of Block3's map alone, with as many laterals; what it gains over "
        "no pyramid does not come from shallow or deeper maps",
    )
    relation: str = limited(
        "off",
        one_of(*RELATIONS),
        "what the data's other phases say of the reference phase: full, Equation 1 by content and distance; position, "
        "by distance alone; same_cell, a 1x1 convolution of the same cell; off, they are not read",
    )
    texture_head: bool = meant(False, "stage one of the head: normal or abnormal by texture")
    fusion_channels: int = limited(256, multiple_of(4), "of the fused map at width 1, a quarter from each block")
    relation_reach: Optional[float] = limited(
        1.0,
        at_least(0.25, "cells"),
        "cells that a relation looks around, as an SD; null: by content alone (full); same_cell does not read it",
    )
    aggregation: str = limited(
        "channels",
        one_of("channels", "warp"),
        "what the previous ultrasound frame's map is when both are aggregated: channels, as it is, the flow beside it "
        "as two channels (as printed); warp, moved along the flow first",
    )
    roi_mode: str = limited(
        "align", one_of("align", "pool"), "ROIAlign, or the ROIPooling of MXNet 1.0, as in symbols/"
    )
    batch_norm: str = limited(
        "live",
        one_of("live", "frozen", "group"),
        "live: from scratch; frozen: running statistics alone, with pretrained weights; group: GroupNorm, the same in "
        "training and inference and with any number of images, for nets from scratch",
    )
    frozen_stages: int = limited(
        0,
        within(0, 4),
        "of stem, Block1, Block2 and Block3 so many keep weights and running statistics as they are given (pretrained)",
    )
    rpn: RPNConfig = field(default_factory=RPNConfig)
    head: HeadConfig = field(default_factory=HeadConfig)

    def rules(self) -> Rules:
        reached = self.relation != "position" or self.relation_reach is not None
        wanted = "a number of cells with network.relation position, which has nothing else to go by"
        yield "relation_reach", reached, wanted
        yield "fusion_blocks", self.fusion or self.fusion_blocks == "all", "all with network.fusion false"
        own = self.slice_fusion != "channels" or self.stem == "7x7x7"
        yield "stem", own, "7x7x7, its default, with network.slice_fusion channels: conv1 is as deep as data.slices"
        levels = self.levels()
        enough = min(len(sizes) for _, sizes in levels) > 0
        yield "rpn.anchor_sizes", enough, f"at least as many sizes as the pyramid has levels ({len(levels)})"

    @property
    def multi_modal(self) -> bool:
        """Whether several phases are read."""
        return self.relation != "off"

    def levels(self) -> Tuple[Tuple[int, Tuple[float, ...]], ...]:
        """(stride, anchor sizes) of each map that proposals are read from, finest first.

        Without fusion the map of Block3 has all sizes. With fusion strides run from 4 to that of Block4, and each
        level has a window of the sizes, one further than the level before: as many on each level, all of them used.
        """
        sizes = tuple(sorted(self.rpn.anchor_sizes))
        if not self.fusion:
            return ((self.stride, sizes),)
        strides = [stride for stride in (4, 8, 16, 32) if stride <= 2 * self.stride]
        each = len(sizes) - len(strides) + 1
        return tuple((stride, sizes[first : first + each]) for first, stride in enumerate(strides))

    def proposals(self, size: int, *, training: bool) -> int:
        """Proposals of an image of side ``size`` that the graphs carry on, never more than there are anchors."""
        most = self.rpn.train_post_nms if training else self.rpn.test_post_nms
        return min(most, self.anchors(size))

    def anchors(self, size: int) -> int:
        """Anchors of an image of side ``size``."""
        cells = sum((-(-size // stride)) ** 2 * len(sizes) for stride, sizes in self.levels())
        return cells * len(self.rpn.anchor_ratios)
