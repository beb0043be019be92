"""Detection with the two stages of the head one after the other: Block4 sees what the texture stage lets through.

The probability of a class is P(abnormal) times what stage two says of it, so a proposal whose P(abnormal) is at or
below ``network.head.score_threshold`` cannot be detected, whatever stage two would say; nor can one that only fills the
fixed count of proposals. Leaving both out changes no detection. How many are left depends on the image.
"""

from __future__ import annotations

import weakref
from typing import Any, List, Optional, Sequence

import mxnet as mx
import numpy as np
from mxnet.gluon import nn

from gluon_liver.errors import RunError

from .ct_detector import CTDetector
from .nets import decode_regions
from .rcnn import ROIS_AT_ONCE, Features, HeadOutput, RegionDetector

ROIS_STEP = 8  # proposals that are left go on in multiples of it: each count is a shape to prepare convolutions for


class FeatureNet(nn.HybridBlock):
    """A batch, as :class:`gluon_liver.nn.nets.DetectionNet` takes it -> its features as a list, the texture's last."""

    def __init__(self, detector: CTDetector, **kwargs: Any):
        super().__init__(**kwargs)
        self._features, config = detector.features, detector.config
        with self.name_scope():
            # these parts alone: once hybridized, a net warns of every parameter that it has and does not use
            self.backbone = detector.backbone
            if detector.phases > 1:
                self.relation = detector.relation
            if config.fusion:
                self.fusion, self.block4 = detector.fusion, detector.block4
            if config.texture_head:
                self.reduce = detector.texture.reduce

    def hybrid_forward(self, F: Any, x: Any, present: Any = None) -> List[Any]:
        features = self._features(F, x, present)
        return [*features.maps, *([] if features.shallow is None else [features.shallow])]


class ProposalNet(nn.HybridBlock):
    """Proposals of B images and what the texture stage says of them, of an image and its features as a list."""

    def __init__(self, detector: RegionDetector, **kwargs: Any):
        super().__init__(**kwargs)
        self._whole = weakref.ref(detector)  # no child: a net warns of parameters that it has and does not use
        with self.name_scope():
            self.rpn = detector.rpn
            if detector.config.texture_head:
                self.texture_dense, self.texture_score = detector.texture.dense, detector.texture.score

    def hybrid_forward(self, F: Any, image: Any, *features: Any) -> List[Any]:
        """Scores (B, R, 1), corners (B, R, 4), with a texture stage what it says (B, R, 1), and a check value (B,)."""
        detector: Any = self._whole()
        levels = len(detector.strides)
        read = Features(image, list(features[:levels]), features[levels] if len(features) > levels else None)
        scores, rois = detector.rpn(image, *read.maps)
        check = F.add_n(*(F.mean(one, axis=(1, 2, 3)) for one in features))  # a ReLU behind them would hide NaN
        if not detector.config.texture_head:
            return [scores, rois, check]
        count = detector.proposals(training=False)
        abnormal = F.reshape(detector.abnormal(F, read, rois), (-4, -1, count, 0))
        return [scores, rois, abnormal, check + F.sum(abnormal, axis=(1, 2))]


class StageTwoNet(nn.HybridBlock):
    """What Block4, or the dense layers of the fusion head, say of some of the proposals of one image."""

    def __init__(self, detector: RegionDetector, **kwargs: Any):
        super().__init__(**kwargs)
        self._whole = weakref.ref(detector)
        with self.name_scope():
            self.abstract = detector.dense if detector.config.fusion else detector.block4

    def hybrid_forward(self, F: Any, rois: Any, *maps: Any) -> Any:
        """Corners (1, K, 4) and maps -> features (K, F)."""
        detector: Any = self._whole()
        return detector.describe(F, maps)(rois)


class BoxNet(nn.HybridBlock):
    """Detections among some of the proposals of one image, from what stage two says of them."""

    def __init__(self, detector: RegionDetector, **kwargs: Any):
        super().__init__(**kwargs)
        self._whole = weakref.ref(detector)
        with self.name_scope():
            self.class_predictor, self.box_predictor = detector.class_predictor, detector.box_predictor

    def hybrid_forward(self, F: Any, abstract: Any, rois: Any, scores: Any, abnormal: Any = None) -> List[Any]:
        """Features (K, F), corners (1, K, 4), scores (1, K, 1), and what a texture stage says (1, K, 1).

        Gives rows (1, K * classes, 6) and ``check`` as :class:`gluon_liver.nn.nets.DetectionOutputs` has them.
        """
        detector: Any = self._whole()
        head = HeadOutput(abstract, None if abnormal is None else F.reshape(abnormal, (-1, 1)))
        return decode_regions(F, detector, rois, scores, head, shape=(1, -1))


class Cascade:
    """Detections of images from their features, stage two on what is left of the proposals."""

    def __init__(self, detector: RegionDetector):
        self._detector, self.config = detector, detector.config
        self._proposals, self._stage_two, self._boxes = ProposalNet(detector), StageTwoNet(detector), BoxNet(detector)
        for net in (self._proposals, self._stage_two, self._boxes):
            net.hybridize()
        self.seen = self.left = 0  # proposals, and those that stage two read

    def detect(self, image: mx.nd.NDArray, features: Sequence[mx.nd.NDArray]) -> List[np.ndarray]:
        """For each of B images rows (K, 6) of class, score, x1, y1, x2, y2, as :class:`DetectionOutputs` has them.

        image: (B, any, H, W), of which the size alone is read. Raises :class:`RunError` where there are no numbers.
        """
        outputs = self._proposals(image, *features)
        *numbers, check = (output.asnumpy() for output in outputs)
        check_numbers(check)
        maps, rows = features[: len(self._detector.strides)], []
        for number, left in enumerate(self._left(*numbers)):
            self.seen, self.left = self.seen + numbers[0].shape[1], self.left + len(left)
            if not len(left):
                rows.append(np.zeros((0, 6), np.float32))
                continue
            likely, corners, *others = (mx.nd.array(part[number][None, left], ctx=image.context) for part in numbers)
            one = [level[number : number + 1] for level in maps]
            # maps of a thousand ROIs take gigabytes
            parts = [corners[:, first : first + ROIS_AT_ONCE] for first in range(0, len(left), ROIS_AT_ONCE)]
            abstract = mx.nd.concat(*(self._stage_two(part, *one) for part in parts), dim=0)
            found, check = (output.asnumpy() for output in self._boxes(abstract, corners, likely, *others))
            check_numbers(check)
            rows.append(found[0][: self.config.head.max_detections])
        return rows

    def _left(self, scores: np.ndarray, _: np.ndarray, abnormal: Optional[np.ndarray] = None) -> List[np.ndarray]:
        """For each image the proposals that go on, in their order, a multiple of ROIS_STEP or all."""
        going = scores[:, :, 0] >= 0
        if abnormal is not None:
            # a little below the threshold, so that rounding decides nothing here
            least = self.config.head.score_threshold * 0.999
            going &= 1 / (1 + np.exp(-abnormal[:, :, 0].astype(np.float64))) > least
        left = []
        for one in going:
            count = min(len(one), -(-int(one.sum()) // ROIS_STEP) * ROIS_STEP)
            left.append(np.sort(np.argsort(~one, kind="stable")[:count]))
        return left


def check_numbers(check: np.ndarray) -> None:
    """Raise :class:`RunError` for check values of a network that computes no numbers."""
    if not np.isfinite(check).all():
        raise RunError("the network's scores are not finite: its training diverged, so it cannot detect anything")
