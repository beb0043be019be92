"""Faster R-CNN of the CT paper on GluonCV's parts: proposals and ROIAlign on Block3's map, Block4 as the ROI head.

:class:`Detector` holds the parts and their parameters. :class:`TrainingNet` and :class:`DetectionNet` are two explicit
graphs over the same parts, because GluonCV's proposal network traces another graph in training than in inference.
"""

from __future__ import annotations

from typing import Any, Dict, Sequence, Tuple

import mxnet as mx
import numpy as np
from gluoncv.model_zoo.rcnn.faster_rcnn.rcnn_target import RCNNTargetGenerator, RCNNTargetSampler
from gluoncv.model_zoo.rcnn.rpn import RPN, RPNAnchorGenerator, RPNProposal
from mxnet import autograd
from mxnet.gluon import Constant, Parameter, nn

from ..config import Config, NetworkConfig
from .relation import PhaseRelation
from .resnet3d import CHANNELS, ResNet3D, make_block, scaled

SIZE_LIMIT = float(np.log(1000.0 / 16.0))  # largest log change of a size: keeps exp() of an untrained prediction finite
BOX_STDS = (0.1, 0.1, 0.2, 0.2)  # GluonCV's normalisation of the head's box targets


class CellAnchors(RPNAnchorGenerator):
    """GluonCV's anchor generator with exact sizes and this backbone's cell centres.

    All strided layers pad by half their kernel, so cell k of the map is centred on pixel stride * k: the edge
    coordinate stride * k + 0.5, not the middle of a stride-sized tile.
    """

    def _generate_anchors(self, stride, base_size, ratios, scales, alloc_size):
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

    def hybrid_forward(self, F, anchor, score, bbox_pred, img):
        return super().hybrid_forward(F, anchor, without_nan(F, score, -1.0), without_nan(F, bbox_pred, 0.0), img)


class Detector(nn.HybridBlock):
    """Backbone, proposal network, ROI head and predictors. Call the two nets below, not this block.

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
        frozen = config.batch_norm == "frozen"
        rpn = config.rpn
        cells = size // config.stride
        scales = tuple(side / config.stride for side in rpn.anchor_sizes)
        with self.name_scope():
            self.backbone = ResNet3D(
                depth=config.depth, width=config.width, slices=slices, stride=config.stride,
                frozen_bn=frozen, prefix="backbone_",
            )
            if phases > 1:
                self.relation = PhaseRelation(scaled(CHANNELS[2], config.width), phases=phases, prefix="relation_")
            self.rpn = RPN(
                channels=rpn.channels,
                strides=config.stride,
                base_size=config.stride,
                scales=scales,
                ratios=rpn.anchor_ratios,
                alloc_size=(cells, cells),
                clip=SIZE_LIMIT,
                nms_thresh=rpn.nms_threshold,
                train_pre_nms=rpn.train_pre_nms,
                train_post_nms=self.proposals(training=True),
                test_pre_nms=rpn.test_pre_nms,
                test_post_nms=self.proposals(training=False),
                min_size=rpn.min_size,
                prefix="rpn_",
            )
            self.rpn.anchor_generator = CellAnchors(
                config.stride, config.stride, rpn.anchor_ratios, scales, (cells, cells), prefix="anchors_"
            )
            # GluonCV counts a width as x2 - x1 + 1
            self.rpn.region_proposer = NumberProposal(SIZE_LIMIT, rpn.min_size + 1, stds=(1.0, 1.0, 1.0, 1.0))
            self.head = make_block(4, depth=config.depth, width=config.width, frozen_bn=frozen)
            self.dropout = nn.Dropout(config.head.dropout)
            features = scaled(CHANNELS[3], config.width)
            self.class_predictor = nn.Dense(
                len(classes) + 1, in_units=features, weight_initializer=mx.init.Normal(0.01), prefix="class_predictor_"
            )
            self.box_predictor = nn.Dense(
                len(classes) * 4, in_units=features, weight_initializer=mx.init.Normal(0.001), prefix="box_predictor_"
            )
        # GluonCV leaves its input channels open; naming them makes every shape known before the first batch
        for layer, channels in (
            (self.rpn.conv1[0], scaled(CHANNELS[2], config.width)),
            (self.rpn.score, rpn.channels),
            (self.rpn.loc, rpn.channels),
        ):
            layer.weight.shape = (layer.weight.shape[0], channels) + layer.weight.shape[2:]

    def proposals(self, *, training: bool) -> int:
        """Proposals an image that the graphs carry on, never more than there are anchors."""
        return self.config.rpn.proposals(self.size // self.config.stride, training=training)

    def anchors(self) -> np.ndarray:
        """(A, 4) corners of all anchors in pixels of the input, in the order of the proposal scores."""
        constant = self.rpn.anchor_generator.anchors
        return constant.data(constant.list_ctx()[0]).asnumpy().reshape(-1, 4)

    def collect_learned(self) -> Dict[str, Parameter]:
        """Parameters and running statistics by structural name, without the anchors (constants of the config)."""
        named = self._collect_params_with_prefix()
        return {name: parameter for name, parameter in named.items() if not isinstance(parameter, Constant)}

    def feature_map(self, F: Any, x: Any, present: Any = None) -> Tuple[Any, Any]:
        """(B, P, 1, D, H, W) -> the image (B, 1, H, W) that boxes refer to and its map (B, C, H / stride, W / stride).

        All phases go through one backbone; the reference phase comes first. Depth collapses by the mean over the
        slices that pool2 leaves (one for a single slice). With several phases ``present`` (B, P) is 1 or 0, and the
        others are related to the reference phase.
        """
        image = F.slice_axis(F.slice_axis(x, axis=3, begin=0, end=1), axis=1, begin=0, end=1)
        image = F.reshape(image, (-3, 1, -3, -2))
        _, _, block3 = self.backbone(F.reshape(x, (-3, 0, 0, 0, 0)))
        slices = self.backbone.slices_out
        if slices > 1:
            block3 = F.mean(F.reshape(block3, (-4, -1, slices, 0, 0, 0)), axis=1)
        if self.phases > 1:
            block3 = self.relation(F.reshape(block3, (-4, -1, self.phases, 0, 0, 0)), present)
        return image, block3

    def roi_pool(self, F: Any, feature_map: Any, rois: Any) -> Any:
        """(B, C, h, w) and (B, R, 4) in pixels of the input -> (B * R, C, roi_size, roi_size) by ROIAlign."""
        batch = F.reshape(F.contrib.arange_like(rois, axis=0), (-1, 1, 1))
        batch = F.broadcast_like(batch, F.slice_axis(rois, axis=2, begin=0, end=1))
        # Proposals that were suppressed or clipped away have no area, on which aligned ROIAlign ends the process:
        # every ROI is read at least one pixel wide. Their scores are -1, so they are never sampled nor detected.
        x1, y1, x2, y2 = F.split(rois, num_outputs=4, axis=2)
        rois = F.concat(x1, y1, F.maximum(x2, x1 + 1), F.maximum(y2, y1 + 1), dim=2)
        # aligned ROIAlign takes cell k to be centred on stride * (k + 0.5); here it is on stride * k + 0.5
        rows = F.reshape(F.concat(batch, rois + (self.config.stride - 1) / 2.0, dim=2), (-3, 0))  # (B * R, 5)
        size = (self.config.head.roi_size,) * 2
        return F.contrib.ROIAlign(
            feature_map, F.stop_gradient(rows), size, 1.0 / self.config.stride, sample_ratio=2, aligned=True
        )

    def roi_features(self, F: Any, feature_map: Any, rois: Any) -> Any:
        """(B, C, h, w) and (B, R, 4) -> (B * R, 2048 * width): ROIAlign, Block4, mean over the ROI."""
        return F.mean(self.head(self.roi_pool(F, feature_map, rois)), axis=(2, 3))


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


class TrainingNet(nn.HybridBlock):
    """What the losses need, for a fixed number of images a device.

    Call it inside ``autograd.record()`` with the image (B, P, 1, D, H, W), ground-truth boxes (B, M, 4) in pixels of
    the input and labels (B, M), both padded with -1, and, for several phases, which of them are present (B, P).

    Returns rpn_scores (B, A, 1) before the sigmoid, rpn_boxes (B, A, 4), class_scores (B, R, C + 1) before the softmax,
    box_deltas (B, R_pos, C, 4), class_targets (B, R) with 0 background and -1 ignored, box_targets and box_masks
    like box_deltas.
    """

    def __init__(self, detector: Detector, *, batch_size: int, **kwargs):
        super().__init__(**kwargs)
        head = detector.config.head
        self._batch_size = batch_size
        self._classes = len(detector.classes)
        with self.name_scope():
            self.detector = detector
            self.sampler = RCNNTargetSampler(
                num_image=batch_size,
                num_proposal=detector.proposals(training=True),
                num_sample=head.samples,
                pos_iou_thresh=head.positive_iou,
                pos_ratio=head.positive_ratio,
                max_num_gt=head.max_boxes,
            )
            # as many as the sampler rounds to: every ROI that can be positive gets its box target
            positives = int(round(head.samples * head.positive_ratio))
            self.targets = RCNNTargetGenerator(self._classes, positives, batch_size, stds=BOX_STDS)

    def forward(self, *args):
        if not autograd.is_training():
            raise RuntimeError("TrainingNet outside autograd.record(): use DetectionNet for inference")
        return super().forward(*args)

    def hybrid_forward(self, F, x, gt_boxes, gt_labels, present=None):
        parts = self.detector
        image, feature_map = parts.feature_map(F, x, present)
        scores, proposals, rpn_scores, rpn_boxes, _ = parts.rpn(image, feature_map)
        rois, samples, matches = self.sampler(proposals, scores, gt_boxes)
        features = parts.dropout(parts.roi_features(F, feature_map, rois))
        class_scores = F.reshape(parts.class_predictor(features), (-4, self._batch_size, -1, 0))
        class_targets, box_targets, box_masks, positives = self.targets(rois, samples, matches, gt_labels, gt_boxes)
        # boxes are predicted for the ROIs that can be positive only: features (B * R, F) -> (B * R_pos, F)
        features = F.reshape(features, (-4, self._batch_size, -1, 0))
        chosen = [
            F.take(
                F.squeeze(F.slice_axis(features, axis=0, begin=image_index, end=image_index + 1), axis=0),
                F.squeeze(F.slice_axis(positives, axis=0, begin=image_index, end=image_index + 1), axis=0),
            )
            for image_index in range(self._batch_size)
        ]
        box_deltas = F.reshape(parts.box_predictor(F.concat(*chosen, dim=0)), (-4, self._batch_size, -1, 0))
        box_deltas = F.reshape(box_deltas, (0, 0, self._classes, 4))
        return rpn_scores, rpn_boxes, class_scores, box_deltas, class_targets, box_targets, box_masks


class DetectionNet(nn.HybridBlock):
    """Boxes of a batch of any size: (B, P, 1, D, H, W) -> rows (B, K, 6) and a check value (B,).

    For several phases it also takes which of them are present, (B, P).

    A row is (class, score, x1, y1, x2, y2): boxes in pixels of the input, unclipped, sorted by score; class -1 marks
    rows that non-maximum suppression emptied. The check value is not finite where the network's scores are not; the
    rows are then worth nothing.
    """

    def __init__(self, detector: Detector, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.detector = detector

    def forward(self, *args):
        if autograd.is_training():
            raise RuntimeError("DetectionNet in training mode: use TrainingNet inside autograd.record()")
        return super().forward(*args)

    def hybrid_forward(self, F, x, present=None):
        parts = self.detector
        head = parts.config.head
        classes = len(parts.classes)
        image, feature_map = parts.feature_map(F, x, present)
        rpn_scores, rois = parts.rpn(image, feature_map)
        count = parts.proposals(training=False)
        features = parts.roi_features(F, feature_map, rois)
        raw = F.reshape(parts.class_predictor(features), (-4, -1, count, 0))
        check = F.sum(raw, axis=(1, 2))
        scores = F.softmax(raw, axis=-1)
        scores = F.slice_axis(scores, axis=2, begin=1, end=None)  # (B, R, C), background dropped
        deltas = F.reshape(parts.box_predictor(features), (-4, -1, count, 0))
        boxes = decode_boxes(F, rois, F.reshape(deltas, (0, 0, classes, 4)))
        ids = F.broadcast_like(F.reshape(F.arange(classes), (1, 1, classes)), scores)
        # suppressed proposals fill the fixed count with score -1: nothing may be detected in them
        scores = F.broadcast_mul(without_nan(F, scores, 0.0), rpn_scores >= 0)
        rows = F.concat(F.expand_dims(ids, 3), F.expand_dims(scores, 3), boxes, dim=3)  # (B, R, C, 6)
        rows = F.contrib.box_nms(
            F.reshape(rows, (0, -3, 0)),
            overlap_thresh=head.nms_threshold,
            valid_thresh=head.score_threshold,
            id_index=0,
            score_index=1,
            coord_start=2,
        )
        return F.slice_axis(rows, axis=1, begin=0, end=min(head.max_detections, count * classes)), check


def without_nan(F: Any, x: Any, value: float) -> Any:
    """x with ``value`` in place of NaN."""
    return F.where(x == x, x, F.ones_like(x) * value)


def decode_boxes(F: Any, rois: Any, deltas: Any, *, stds: Tuple[float, float, float, float] = BOX_STDS) -> Any:
    """Boxes from ROIs (B, R, 4) and the head's normalised deltas (B, R, C, 4) -> (B, R, C, 4)."""
    x1, y1, x2, y2 = (F.expand_dims(edge, 2) for edge in F.split(rois, num_outputs=4, axis=2))  # (B, R, 1, 1)
    dx, dy, dw, dh = F.split(deltas, num_outputs=4, axis=3)  # (B, R, C, 1)
    width, height = x2 - x1, y2 - y1
    x = F.broadcast_add(F.broadcast_mul(dx * stds[0], width), (x1 + x2) / 2)
    y = F.broadcast_add(F.broadcast_mul(dy * stds[1], height), (y1 + y2) / 2)
    half_width = F.broadcast_mul(F.exp(F.clip(dw * stds[2], -SIZE_LIMIT, SIZE_LIMIT)), width / 2)
    half_height = F.broadcast_mul(F.exp(F.clip(dh * stds[3], -SIZE_LIMIT, SIZE_LIMIT)), height / 2)
    return F.concat(x - half_width, y - half_height, x + half_width, y + half_height, dim=3)
