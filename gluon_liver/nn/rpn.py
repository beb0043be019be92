"""Region proposals on GluonCV's RPN: exact anchors at this backbone's cell centres, over one map or a pyramid."""

from __future__ import annotations

from typing import Any, Sequence, Tuple

import numpy as np
from gluoncv.model_zoo.rcnn.rpn import RPN, RPNAnchorGenerator, RPNProposal
from mxnet.gluon import nn

from gluon_liver.config.network import RPNConfig

SIZE_LIMIT = float(np.log(1000.0 / 16.0))  # largest log change of a size: keeps exp() of an untrained prediction finite


class CellAnchors(RPNAnchorGenerator):
    """GluonCV's anchor generator with exact sizes and this backbone's cell centres.

    All strided layers pad by half their kernel, so cell k of the map is centred on pixel stride * k: the edge
    coordinate stride * k + 0.5, not the middle of a stride-sized tile.
    """

    def _generate_anchors(self, stride: Any, base_size: Any, ratios: Any, scales: Any, alloc_size: Any) -> np.ndarray:
        """(1, 1, rows, columns, A * 4) corners; scales rise fastest, height / width is the ratio."""
        shape = np.array([[base_size * s / np.sqrt(r), base_size * s * np.sqrt(r)] for r in ratios for s in scales])
        base = np.concatenate([-shape / 2, shape / 2], axis=1) + 0.5
        y, x = np.meshgrid(*(np.arange(cells) * stride for cells in alloc_size), indexing="ij")
        offsets = np.stack([x, y, x, y], axis=-1)[:, :, None]
        return (offsets + base).reshape((1, 1) + tuple(alloc_size) + (-1,)).astype(np.float32)


class NumberProposal(RPNProposal):
    """GluonCV's proposals with NaN taken out first.

    MXNet's sort and ROIAlign end the process on NaN; a network that diverged must reach its loss instead, where
    training stops with a message.
    """

    def hybrid_forward(self, F: Any, anchor: Any, score: Any, bbox_pred: Any, img: Any) -> Any:
        return super().hybrid_forward(F, anchor, without_nan(F, score, -1.0), without_nan(F, bbox_pred, 0.0), img)


def without_nan(F: Any, x: Any, value: float) -> Any:
    """x with ``value`` in place of NaN."""
    return F.where(x == x, x, F.ones_like(x) * value)


def make_rpn(
    config: RPNConfig,
    *,
    levels: Sequence[Tuple[int, Tuple[float, ...]]],
    size: int,
    in_channels: int,
    post_nms: Sequence[int],
) -> RPN:
    """GluonCV's proposal network over maps of ``in_channels`` with every shape known before the first batch.

    levels: (stride, anchor sizes in pixels) of each map, finest first; every map has as many sizes.
    size: side of the square network input in pixels.
    post_nms: proposals an image in training and in inference.
    """
    strides = tuple(stride for stride, _ in levels)
    cells = [-(-size // stride) for stride in strides]
    scales = [tuple(side / stride for side in sides) for stride, sides in levels]
    pyramid = len(levels) > 1
    rpn = RPN(
        channels=config.channels,
        strides=strides if pyramid else strides[0],
        base_size=strides[0],
        scales=scales if pyramid else scales[0],
        ratios=config.anchor_ratios,
        alloc_size=(cells[0], cells[0]),
        clip=SIZE_LIMIT,
        nms_thresh=config.nms_threshold,
        train_pre_nms=config.train_pre_nms,
        train_post_nms=post_nms[0],
        test_pre_nms=config.test_pre_nms,
        test_post_nms=post_nms[1],
        min_size=config.min_size,
        multi_level=pyramid,
        prefix="rpn_",
    )
    with rpn.name_scope():
        anchors = [
            CellAnchors(stride, stride, config.anchor_ratios, scale, (count, count), prefix=f"anchors{stride}_")
            for stride, scale, count in zip(strides, scales, cells)
        ]
        rpn.anchor_generator = nn.HybridSequential(prefix="anchors_") if pyramid else anchors[0]
        if pyramid:
            rpn.anchor_generator.add(*anchors)
        least = config.min_size + 1  # GluonCV counts a width as x2 - x1 + 1
        rpn.region_proposer = NumberProposal(SIZE_LIMIT, least, stds=(1.0, 1.0, 1.0, 1.0))
    _set_channels(rpn.rpn_head if pyramid else rpn, in_channels, config.channels)
    return rpn


def _set_channels(head: nn.HybridBlock, in_channels: int, channels: int) -> None:
    """Say how many channels the convolutions take, which GluonCV leaves open until the first batch."""
    for layer, count in ((head.conv1[0], in_channels), (head.score, channels), (head.loc, channels)):
        layer.weight.shape = (layer.weight.shape[0], count) + layer.weight.shape[2:]
