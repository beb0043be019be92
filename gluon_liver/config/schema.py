"""Configurations: a typed schema, one YAML file per experiment, ``BASE:`` inheritance.

A YAML file states what differs from its base; :class:`Config` states every key, its type and its default. A key that
the schema does not have is refused at every depth, so a misspelt knob never passes as its default.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Dict, Optional, Tuple


@dataclass(frozen=True)
class AugmentConfig:
    """Training-time changes of a study's image (CT paper, "many data-augmentation methods, e.g. scaling")."""

    flip: bool = False  # mirror left-right with probability 0.5
    scale: float = 0.0  # sizes change by a factor of up to 1 + scale, or down to its inverse
    rotate: float = 0.0  # degrees, either way
    shift: float = 0.0  # share of the image's side, either way along x and y
    noise: float = 0.0  # SD in HU, added after the window; of ultrasound in grey values
    erase: float = 0.0  # probability that a rectangle of the image is covered with noise (random erasing)


@dataclass(frozen=True)
class DataConfig:
    """What the network sees of a study."""

    window: str = "paper"  # a preset of data.image.WINDOWS; the paper prints width 80, level 150
    size: int = 800  # side of the square network input in pixels
    slices: int = 1  # depth around the annotated slice: 1 or 9 (2.5D)
    storage: str = "jpeg"  # "jpeg" passes slices through 8-bit JPEG as the paper did, "raw" does not
    background_ratio: float = 1.0  # background images an epoch per image with boxes; all of them if fewer
    shuffled_labels: bool = False  # control experiment: boxes dealt to other training images at random
    augment: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass(frozen=True)
class RPNConfig:
    """Region proposals; counts are per image, sizes in pixels of the network input."""

    channels: int = 512
    anchor_sizes: Tuple[float, ...] = (16.0, 32.0, 64.0, 128.0, 256.0)
    anchor_ratios: Tuple[float, ...] = (0.5, 1.0, 2.0)
    min_size: int = 4
    nms_threshold: float = 0.7
    train_pre_nms: int = 6000
    train_post_nms: int = 1000
    test_pre_nms: int = 3000
    test_post_nms: int = 100
    samples: int = 256
    positive_ratio: float = 0.5
    positive_iou: float = 0.7
    negative_iou: float = 0.3


@dataclass(frozen=True)
class HeadConfig:
    """The ROI head: Block4, or two dense layers with fusion, then one layer for classes and one for boxes."""

    roi_size: int = 14  # cells of a pooled ROI, which Block4 halves; with fusion it is pooled to that half
    samples: int = 128
    positive_ratio: float = 0.25
    positive_iou: float = 0.5
    max_boxes: int = 32  # ground-truth boxes an image at most
    dropout: float = 0.5
    nms_threshold: float = 0.3
    score_threshold: float = 0.01
    max_detections: int = 100


@dataclass(frozen=True)
class NetworkConfig:
    """The four knobs of Table 4's rows live here and in ``data.slices``."""

    depth: int = 50  # Table 2 (50) or Table 3 (101)
    width: float = 1.0  # channels as a fraction of the paper's; below 1 for CPU-sized demos
    stride: int = 16  # of Block3's map, which proposals and ROIs read; 16 as in Tables 2 and 3, or 8
    fusion: bool = False  # a pyramid fused from all four blocks feeds proposals and ROIs (Fig. 3)
    multi_modal: bool = False  # relate the data's other phases to the reference phase (Equation 1)
    texture_head: bool = False  # stage one of the head: normal or abnormal by texture
    fusion_channels: int = 256  # of the fused map at width 1, a quarter from each block
    relation_reach: Optional[float] = 1.0  # cells that a relation looks around, as an SD; null: by content alone
    roi_mode: str = "align"  # ROIAlign, or "pool" for the ROIPooling of MXNet 1.0, which symbols/ compute
    batch_norm: str = "live"  # "live" from scratch; "frozen" (running statistics only) with pretrained weights
    rpn: RPNConfig = field(default_factory=RPNConfig)
    head: HeadConfig = field(default_factory=HeadConfig)

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
        anchors = sum((-(-size // stride)) ** 2 * len(sizes) for stride, sizes in self.levels())
        most = self.rpn.train_post_nms if training else self.rpn.test_post_nms
        return min(most, anchors * len(self.rpn.anchor_ratios))


@dataclass(frozen=True)
class FlowConfig:
    """Optical flow of the ultrasound detector ``us-flow``."""

    width: float = 1.0  # channels of LiteFlowNet as a fraction of the paper's; released weights fit 1
    train: bool = False  # learn it with the detector instead of keeping it as it was trained
    shrink: int = 1  # frames are averaged over shrink x shrink pixels before their flow is estimated


@dataclass(frozen=True)
class TrainConfig:
    """The recipe. The paper gives none; the defaults follow GluonCV's Faster R-CNN script (docs/fidelity.md)."""

    optimizer: str = "sgd"  # "sgd" or "adam"
    learning_rate: float = 0.001  # per image in the batch
    momentum: float = 0.9
    weight_decay: float = 1e-4
    batch_size: int = 2  # images a step, of all devices and workers together
    epochs: int = 20
    decay_epochs: Tuple[float, ...] = (14.0, 18.0)
    decay_factor: float = 0.1
    warmup_steps: int = 100  # linear from a tenth of the rate
    clip_norm: Optional[float] = None  # global gradient norm
    best_epoch: bool = False  # score the epochs by COCO mAP on the val split (test without one) and keep the best
    mirror: bool = False  # compute bottlenecks again in backward instead of keeping them: less memory, more time
    seed: int = 0
    log_every: int = 10  # steps
    checkpoint_every: int = 1  # epochs
    checkpoint_steps: Optional[int] = None  # also after every so many steps
    keep_checkpoints: int = 3  # the newest ones, and the best


@dataclass(frozen=True)
class ParallelConfig:
    """What the images of a step are parted among: devices of a process, processes, one after the other."""

    devices: str = "cpu"  # "cpu", "cpu:N" for N contexts, "gpu:0,1,2,3"
    kvstore: str = "device"  # or "local", "nccl", "dist_sync", "dist_device_sync", "dist_async"
    accumulate: int = 1  # parts of a step that a device computes one after the other
    compression: Optional[float] = None  # threshold of 2-bit gradients between devices; null sends float32
    amp: bool = False  # mixed precision, on GPUs

    @property
    def device_count(self) -> int:
        """Devices of a process, whether they are there or not."""
        kind, _, numbers = self.devices.partition(":")
        return len(numbers.split(",")) if kind == "gpu" else int(numbers or 1)


@dataclass(frozen=True)
class Config:
    """One experiment."""

    model: str = "ct-faster-rcnn"  # or "us-faster-rcnn", "us-flow"
    row: Optional[str] = "R-50"  # the row of Table 4 that this experiment stands beside; null for none
    data: DataConfig = field(default_factory=DataConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    flow: FlowConfig = field(default_factory=FlowConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)

    @property
    def is_ct(self) -> bool:
        """Whether the model reads CT, not ultrasound."""
        return self.model == "ct-faster-rcnn"

    @property
    def images_a_device(self) -> int:
        """The most images that a device of one process computes at once."""
        return -(-self.train.batch_size // (self.parallel.device_count * self.parallel.accumulate))

    def to_dict(self) -> Dict[str, Any]:
        """Plain mappings and lists, as written to a run's ``config.yaml``."""
        return _plain(dataclasses.asdict(self))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
