"""What detectors of both papers share: proposals from maps, ROI features, predictors (Ren et al. 2015).

Proposal network and target encoder are GluonCV's. A detector says how its maps come about; the two graphs
over its parts are in :mod:`gluon_liver.nn.nets`.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Union

import mxnet as mx
import numpy as np
from mxnet.gluon import Constant, Parameter, nn

from gluon_liver.config.network import NetworkConfig

from .layers.normalised import mean_in_inference, mean_in_training
from .random_numbers import RandomNumbers, apply_dropout, draw_numbers
from .regions.roi_align import ROI_MODES, roi_rows
from .regions.rpn import make_rpn

ROIS_AT_ONCE = 100  # of an image, that go through Block4 together in inference
Contexts = Union[mx.Context, Sequence[mx.Context]]


class Features(NamedTuple):
    """What the backbone says of a batch of images."""

    image: Any  # (B, any, H, W), the image that boxes refer to; its size alone is read
    maps: List[Any]  # (B, C, H / stride, W / stride) for each level of NetworkConfig.levels
    shallow: Optional[Any] = None  # (B, 16, H / 4, W / 4), Block1's map as the texture stage reads it


class HeadOutput(NamedTuple):
    """What the head says of R ROIs of each image."""

    abstract: Any  # features (B * R, F)
    abnormal: Optional[Any] = None  # stage one's score (B * R, 1), above 0 for abnormal


class RegionDetector(nn.HybridBlock):
    """Proposals, ROI head and predictors over maps that a subclass makes in ``features``.

    config: the ``network`` section of a configuration.
    classes: names of the foreground classes.
    size: side of the square input in pixels.
    """

    phases = 1  # of the input; more than one come with an array that says which are present

    def __init__(self, config: NetworkConfig, *, classes: Sequence[str], size: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.config, self.classes, self.size = config, tuple(classes), size
        self.strides = tuple(stride for stride, _ in config.levels())
        self.on_cpu = False  # whether all devices are CPUs
        self._dropout_units = 0  # of all layers of the head that are followed by dropout

    def add_regions(self, *, map_channels: int, head_channels: int) -> None:
        """Make the parts that read maps of ``map_channels`` and predict from ``head_channels`` features."""
        classes, self._head_channels = len(self.classes), head_channels
        self.add_dropout(head_channels)
        with self.name_scope():
            self.rpn = make_rpn(
                self.config.rpn,
                levels=self.config.levels(),
                size=self.size,
                in_channels=map_channels,
                post_nms=[self.proposals(training=training) for training in (True, False)],
            )
            self.class_predictor = nn.Dense(
                classes + 1, in_units=head_channels, weight_initializer=mx.init.Normal(0.01), prefix="class_predictor_"
            )
            self.box_predictor = nn.Dense(
                classes * 4, in_units=head_channels, weight_initializer=mx.init.Normal(0.001), prefix="box_predictor_"
            )

    def features(self, F: Any, x: Any, present: Any = None) -> Features:
        """The network's input -> the maps that proposals and ROIs read."""
        raise NotImplementedError

    def rebuilt(self, config: NetworkConfig) -> RegionDetector:
        """A detector that differs in ``config`` alone, without numbers."""
        raise NotImplementedError

    def add_dropout(self, units: int) -> None:
        """Count a layer of ``units`` that :meth:`dropout_mask` is asked for in training."""
        self._dropout_units += units if self.config.head.dropout > 0 else 0

    @property
    def roi_key_count(self) -> int:
        """Keys of the ROI sampler: of every anchor, then of every true box."""
        return self.config.anchors(self.size) + self.config.head.max_boxes

    @property
    def random_number_count(self) -> int:
        """Random numbers of an image in training: keys of the ROI sampler, then what dropout takes."""
        return self.roi_key_count + self.config.head.samples * self._dropout_units

    def draw_numbers(self, rng: np.random.Generator) -> np.ndarray:
        """The random numbers of an image in training, (:attr:`random_number_count`,) float32."""
        return draw_numbers(rng, keys=self.roi_key_count, uniform=self.config.head.samples * self._dropout_units)

    def dropout_mask(self, numbers: Optional[RandomNumbers], units: int) -> Any:
        """What ``units`` features of each sampled ROI are multiplied with in training, else None."""
        head = self.config.head
        if numbers is None or head.dropout == 0:
            return None
        return numbers.dropout_mask(head.dropout, rows=head.samples, units=units)

    @property
    def roi_size(self) -> int:
        """Cells of a pooled ROI."""
        return self.config.head.roi_size

    @property
    def roi_mode(self) -> str:
        """How ROIs are read, a key of ``ROI_MODES``."""
        return "matrices" if self.on_cpu and self.config.roi_mode == "align" else self.config.roi_mode

    def head(self, F: Any, features: Features, rois: Any, numbers: Optional[RandomNumbers] = None) -> HeadOutput:
        """ROIs (B, R, 4) in pixels of the input -> what the predictors read of them; ``numbers`` in training.

        R is ``head.samples`` in training, else :meth:`proposals`.
        """
        describe = self.describe(F, features.maps, numbers)
        count = self.proposals(training=False)
        if numbers is not None or count <= ROIS_AT_ONCE:
            abstract = describe(rois)
        else:  # maps of a thousand ROIs take gigabytes
            chunks = []
            for begin in range(0, count, ROIS_AT_ONCE):
                end = min(begin + ROIS_AT_ONCE, count)
                chunk = describe(F.slice_axis(rois, axis=1, begin=begin, end=end))
                chunks.append(F.reshape(chunk, (-4, -1, end - begin, 0)))
            abstract = F.reshape(F.concat(*chunks, dim=1), (-3, 0))
        abstract = apply_dropout(abstract, self.dropout_mask(numbers, self._head_channels))
        return HeadOutput(abstract, self.abnormal(F, features, rois, numbers))

    def abnormal(self, F: Any, features: Features, rois: Any, numbers: Optional[RandomNumbers] = None) -> Any:
        """What a texture stage says of ROIs (B, R, 4): (B * R, 1), above 0 for abnormal; None without one."""
        return None

    def describe(self, F: Any, maps: Sequence[Any], numbers: Optional[RandomNumbers] = None) -> Callable[[Any], Any]:
        """From ROIs (B, n, 4) on maps to features (B * n, F): Block4, mean over the ROI. Any n, in parts or at once."""
        training, block4 = numbers is not None, self.block4
        mean = mean_in_training if training else mean_in_inference
        feature_map, (first, *others) = maps[0], block4
        pool: Any = ROI_MODES[self.roi_mode]
        options: Dict[str, Any] = {"stride": self.strides[0], "size": self.roi_size}
        usual, begun = self.config.head.samples if training else self.proposals(training=False), None
        if self.config.roi_mode != "pool" and self._map_is_smaller(usual):
            # pooled in float32, in which ROIs are read
            begun = [block4.leave(F, one) for one in first.before_relu(F, block4.enter(F, feature_map))]

        def of_rois(rois: Any) -> Any:
            rows = roi_rows(F, rois)
            if begun is None:
                x = first(block4.enter(F, pool(F, feature_map, *rows, **options)))
            else:
                inner, skip = begun
                pooled = pool(F, inner, *rows, **options), pool(F, skip, *rows, step=2, **options)
                x = first.after_pooling(F, *(block4.enter(F, one) for one in pooled))
            for block in others:
                x = block(x)
            return mean(F, block4.leave(F, x))

        return of_rois

    def _map_is_smaller(self, rois: int) -> bool:
        """Whether the 1x1 convolutions that begin Block4 have less to do on the map than on ROIs of an image.

        Pooling is linear and they see every cell by itself, so they may come before it (without their ReLU). On ROIs
        one of them reads all cells and the skip's, of four times the channels, a quarter; on the map both read all.
        """
        cells = (-(-self.size // self.strides[0])) ** 2
        return 5 * cells < 2 * rois * self.roi_size**2

    def proposals(self, *, training: bool) -> int:
        """Proposals an image that the graphs carry on, never more than there are anchors."""
        return self.config.proposals(self.size, training=training)

    def anchors(self) -> np.ndarray:
        """(A, 4) corners of all anchors in pixels of the input, in the order of the proposal scores."""
        generators = self.rpn.anchor_generator
        constants = [one.anchors for one in (generators if len(self.strides) > 1 else [generators])]
        return np.concatenate([one.data(one.list_ctx()[0]).asnumpy().reshape(-1, 4) for one in constants])

    def collect_learned(self) -> Dict[str, Parameter]:
        """Parameters and running statistics by structural name, without constants of the config (anchors)."""
        named = self._collect_params_with_prefix()
        return {name: parameter for name, parameter in named.items() if not isinstance(parameter, Constant)}


def initialize(detector: RegionDetector, context: Contexts, *, weights: Optional[mx.init.Initializer] = None) -> None:
    """Allocate all parameters. ``weights``: of those that do not name their own; by default He initialisation (He et
    al. 2015), from MXNet's seeded generator."""
    devices = [context] if isinstance(context, mx.Context) else context
    detector.on_cpu = all(device.device_type.startswith("cpu") for device in devices)
    weights = weights or mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2)
    detector.initialize(weights, ctx=context)
