"""Region proposals on GluonCV's RPN: exact anchors at this backbone's cell centres, over one map or a pyramid."""

from __future__ import annotations

from typing import Any, List, Sequence, Tuple

import numpy as np
from gluoncv.model_zoo.rcnn.rpn import RPN, RPNAnchorGenerator, RPNProposal
from mxnet import autograd
from mxnet.gluon import nn

from gluon_liver.config.network import RPNConfig

NO_RANK = -1e30  # of what is no proposal
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


class AnchorRPN(RPN):
    """GluonCV's proposal network, which also says of each proposal what anchor it was made of.

    (B, P, 1) scores, -1 for proposals that were suppressed, and (B, P, 4) corners; in training also raw scores
    (B, A, 1) and offsets (B, A, 4) of all anchors, and for each proposal the index (B, P, 1) of its anchor.
    """

    def hybrid_forward(self, F: Any, image: Any, *maps: Any) -> List[Any]:
        training = autograd.is_training()
        most, kept = (getattr(self, ("_train" if training else "_test") + end) for end in ("_pre_nms", "_post_nms"))
        levels = zip(*(self._level(F, image, *level) for level in self._levels(maps)))
        rows, scores, offsets = (parts[0] if len(parts) == 1 else F.concat(*parts, dim=1) for parts in levels)
        with autograd.pause():
            options = dict(overlap_thresh=self._nms_thresh, topk=most, coord_start=1, score_index=0, id_index=-1)
            options["force_suppress"] = True
            if training:
                rows = self._ranked(F, rows, F.stop_gradient(scores))
                options["valid_thresh"] = NO_RANK / 2
            found = F.slice_axis(F.contrib.box_nms(rows, **options), axis=1, begin=0, end=kept)
            columns = [(5, 6), (1, 5), (6, 7)] if training else [(0, 1), (1, 5)]
            found = [F.slice_axis(found, axis=2, begin=begin, end=end) for begin, end in columns]
        return [*found[:2], scores, offsets, found[2]] if training else found

    def _ranked(self, F: Any, rows: Any, scores: Any) -> Any:
        """Rows (B, A, 5) of score and corners, and raw scores -> rank, corners, score, index of the anchor (B, A, 7).

        A rank is the raw score: scores of a net that has learned little are close to 0.5, where their last bits hold
        too little to tell them apart.
        """
        likely, corners = (F.slice_axis(rows, axis=2, begin=begin, end=end) for begin, end in ((0, 1), (1, 5)))
        rank = F.where(likely > 0, scores, F.ones_like(scores) * NO_RANK)
        index = F.reshape(F.contrib.arange_like(scores, axis=1), (1, -1, 1))
        return F.concat(rank, corners, likely, F.broadcast_like(index, scores), dim=2)

    def _levels(self, maps: Sequence[Any]) -> List[Tuple[Any, Any]]:
        """Anchor generator and map of each level."""
        generators = self.anchor_generator if self._multi_level else [self.anchor_generator]
        return list(zip(generators, maps))

    def _level(self, F: Any, image: Any, generator: Any, level: Any) -> Tuple[Any, Any, Any]:
        """Rows of score and corners (B, A, 5) of one map, and raw scores and offsets."""
        if self._multi_level:
            likely, offset, raw_scores, raw_offsets = self.rpn_head(level)
        else:
            x = self.conv1(level)
            raw_scores, raw_offsets = (
                F.reshape(F.transpose(layer(x), axes=(0, 2, 3, 1)), (0, -1, width))
                for layer, width in ((self.score, 1), (self.loc, 4))
            )
            likely, offset = F.sigmoid(F.stop_gradient(raw_scores)), F.stop_gradient(raw_offsets)
        return self.region_proposer(generator(level), likely, offset, image), raw_scores, raw_offsets


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
) -> AnchorRPN:
    """GluonCV's proposal network over maps of ``in_channels`` with every shape known before the first batch.

    levels: (stride, anchor sizes in pixels) of each map, finest first; every map has as many sizes.
    size: side of the square network input in pixels.
    post_nms: proposals an image in training and in inference.
    """
    strides = tuple(stride for stride, _ in levels)
    cells = [-(-size // stride) for stride in strides]
    scales = [tuple(side / stride for side in sides) for stride, sides in levels]
    pyramid = len(levels) > 1
    rpn = AnchorRPN(
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
