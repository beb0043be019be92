"""What the values of a configuration must be, and together: checked once, before anything is built or written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Tuple

from gluon_liver.errors import ConfigError

from .windows import WINDOWS

if TYPE_CHECKING:
    from .schema import Config, RPNConfig

MODELS = ("ct-faster-rcnn", "us-faster-rcnn", "us-flow")
DEVICES = r"cpu(:[1-9]\d?)?|gpu:\d+(,\d+)*"
KVSTORES = ("local", "device", "nccl", "dist_sync", "dist_device_sync", "dist_async")
MOST_POSITIONS = 10000  # a relation holds the square of them in floats for each phase and image: 0.4 GB
# rows of Table 4: depth of the network, slices of its input, region fusion, phases related
ROWS = {
    "R-50": (50, 1, False, False),
    "R-101": (101, 1, False, False),
    "R-50-2.5D": (50, 9, False, False),
    "R-101 region fusion": (101, 9, True, False),
    "R-50 multi-modal": (50, 9, False, True),
    "R-101 multi-modal": (101, 9, True, True),
}


def check(config: Config) -> None:
    """Raise :class:`ConfigError` that names the first key whose value cannot work, the value and what it must be."""
    data, network, train = config.data, config.network, config.train
    head, rpn = network.head, network.rpn
    counts = {
        "network.rpn": (rpn, "channels train_pre_nms train_post_nms test_pre_nms test_post_nms samples"),
        "network.head": (head, "roi_size max_boxes max_detections"),
        "train": (train, "batch_size epochs log_every checkpoint_every keep_checkpoints"),
        "parallel": (config.parallel, "accumulate"),
    }
    for section, (values, names) in counts.items():
        for name in names.split():
            value = getattr(values, name)
            _require(f"{section}.{name}", value, value >= 1, "1 or more")
    shares = {
        "network.rpn": (rpn, "nms_threshold positive_ratio positive_iou negative_iou"),
        "network.head": (head, "nms_threshold positive_ratio positive_iou"),
    }
    for section, (values, names) in shares.items():
        for name in names.split():
            value = getattr(values, name)
            _require(f"{section}.{name}", value, 0 < value < 1, "between 0 and 1")
    rules = [
        ("model", config.model, config.model in MODELS, f"one of {', '.join(MODELS)}"),
        ("data.slices", data.slices, data.slices > 0 and data.slices % 2 == 1, "odd, so that one slice is the centre"),
        ("data.size", data.size, 64 <= data.size <= 4096 and data.size % 16 == 0, "a multiple of 16, 64 to 4096"),
        ("data.storage", data.storage, data.storage in ("jpeg", "raw"), "jpeg or raw"),
        ("data.background_ratio", data.background_ratio, 0 <= data.background_ratio <= 1000, "0 to 1000"),
        ("data.window", data.window, data.window in WINDOWS, f"one of {', '.join(sorted(WINDOWS))}"),
        ("data.augment.scale", data.augment.scale, 0 <= data.augment.scale <= 1, "0 to 1"),
        ("data.augment.rotate", data.augment.rotate, 0 <= data.augment.rotate <= 45, "0 to 45 degrees"),
        ("data.augment.shift", data.augment.shift, 0 <= data.augment.shift <= 0.5, "0 to 0.5"),
        ("data.augment.noise", data.augment.noise, data.augment.noise >= 0, "0 HU or more"),
        ("data.augment.erase", data.augment.erase, 0 <= data.augment.erase <= 1, "0 to 1"),
        ("network.depth", network.depth, network.depth in (50, 101), "50 (Table 2) or 101 (Table 3)"),
        ("network.width", network.width, 0 < network.width <= 1, "above 0 and at most 1"),
        ("network.stride", network.stride, network.stride in (8, 16), "16 (the paper's) or 8"),
        (
            "network.fusion_channels",
            network.fusion_channels,
            network.fusion_channels > 0 and network.fusion_channels % 4 == 0,
            "a multiple of 4, a quarter for each block",
        ),
        (
            "network.relation_reach",
            network.relation_reach,
            network.relation_reach is None or network.relation_reach >= 0.25,
            "null or 0.25 cells or more",
        ),
        ("network.roi_mode", network.roi_mode, network.roi_mode in ("align", "pool"), "align or pool"),
        ("network.batch_norm", network.batch_norm, network.batch_norm in ("live", "frozen"), "live or frozen"),
        (
            "train.batch_size",
            train.batch_size,
            train.batch_size > 1 or network.batch_norm == "frozen",
            "2 or more with network.batch_norm live: statistics of one image are not those of inference",
        ),
        ("network.rpn.anchor_sizes", rpn.anchor_sizes, min(rpn.anchor_sizes or (0,)) > 0, "sizes above 0 pixels"),
        ("network.rpn.anchor_ratios", rpn.anchor_ratios, min(rpn.anchor_ratios or (0,)) > 0, "ratios above 0"),
        ("network.rpn.min_size", rpn.min_size, 1 <= rpn.min_size <= data.size / 2, "1 to half of data.size"),
        (
            "network.rpn.negative_iou",
            rpn.negative_iou,
            rpn.negative_iou <= rpn.positive_iou,
            "at most network.rpn.positive_iou",
        ),
        (
            "network.head.samples",
            head.samples,
            1 <= round(head.samples * head.positive_ratio) < head.samples,
            "enough for a positive and a negative ROI at network.head.positive_ratio",
        ),
        ("network.head.dropout", head.dropout, 0 <= head.dropout < 1, "from 0 to below 1"),
        ("network.head.score_threshold", head.score_threshold, 0 <= head.score_threshold < 1, "from 0 to below 1"),
        (
            "train.checkpoint_steps",
            train.checkpoint_steps,
            train.checkpoint_steps is None or train.checkpoint_steps >= 1,
            "1 or more, or null",
        ),
        (
            "parallel.devices",
            config.parallel.devices,
            re.fullmatch(DEVICES, config.parallel.devices) is not None,
            "cpu, cpu:N or gpu:0,1,...",
        ),
        (
            "parallel.kvstore",
            config.parallel.kvstore,
            config.parallel.kvstore in KVSTORES,
            f"one of {', '.join(KVSTORES)}",
        ),
        (
            "parallel.compression",
            config.parallel.compression,
            config.parallel.compression is None or config.parallel.compression > 0,
            "above 0, or null",
        ),
        ("flow.width", config.flow.width, 0 < config.flow.width <= 1, "above 0 and at most 1"),
        (
            "flow.shrink",
            config.flow.shrink,
            config.flow.shrink >= 1 and data.size % config.flow.shrink == 0,
            f"1 or more, and divide data.size ({data.size})",
        ),
        ("train.optimizer", train.optimizer, train.optimizer in ("sgd", "adam"), "sgd or adam"),
        ("train.learning_rate", train.learning_rate, train.learning_rate > 0, "above 0"),
        ("train.momentum", train.momentum, 0 <= train.momentum < 1, "from 0 to below 1"),
        ("train.weight_decay", train.weight_decay, train.weight_decay >= 0, "0 or more"),
        ("train.decay_factor", train.decay_factor, 0 < train.decay_factor <= 1, "above 0 and at most 1"),
        ("train.decay_epochs", train.decay_epochs, min(train.decay_epochs or (1,)) > 0, "epochs above 0"),
        ("train.warmup_steps", train.warmup_steps, train.warmup_steps >= 0, "0 or more"),
        ("train.clip_norm", train.clip_norm, train.clip_norm is None or train.clip_norm > 0, "null or above 0"),
        ("train.seed", train.seed, 0 <= train.seed < 2**31, "0 or more and below 2^31"),
        (
            "row",
            config.row,
            config.row is None or ROWS.get(config.row) == _knobs(config),
            f"null, or the row that the network is; the rows are (depth, slices, fusion, multi_modal): {ROWS}",
        ),
    ]
    for key, value, good, wanted in rules:
        _require(key, value, good, wanted)
    if not config.is_ct:
        ct_alone = {
            "row": (config.row, None),
            "data.slices": (data.slices, 1),
            "network.depth": (network.depth, 50),
            "network.fusion": (network.fusion, False),
            "network.multi_modal": (network.multi_modal, False),
            "network.texture_head": (network.texture_head, False),
        }
        for key, (value, wanted) in ct_alone.items():
            _require(key, value, value == wanted, f"{wanted!r} with model {config.model}: it is of CT")
    # these compute with values that the rules above have let through
    proposals = network.proposals(data.size, training=True)
    together = [
        (
            "data.size",
            data.size,
            not network.multi_modal or (data.size // network.stride) ** 2 <= MOST_POSITIONS,
            f"small enough for {MOST_POSITIONS} positions of a map when network.multi_modal relates them",
        ),
        (
            "network.rpn.anchor_sizes",
            rpn.anchor_sizes,
            min(len(sizes) for _, sizes in network.levels()) > 0,
            f"at least as many sizes as the pyramid of network.fusion has levels ({len(network.levels())})",
        ),
        (
            "network.rpn.anchor_sizes",
            rpn.anchor_sizes,
            _smallest_anchor(rpn) <= data.size / 2,
            f"such that an anchor fits half of data.size ({data.size})",
        ),
        (
            "network.head.samples",
            head.samples,
            head.samples <= proposals + head.max_boxes,
            f"at most the proposals ({proposals}) and network.head.max_boxes together",
        ),
    ]
    for key, value, good, wanted in together:
        _require(key, value, good, wanted)


def _knobs(config: Config) -> Tuple[int, int, bool, bool]:
    return config.network.depth, config.data.slices, config.network.fusion, config.network.multi_modal


def _require(key: str, value: Any, good: bool, wanted: str) -> None:
    if not good:
        raise ConfigError(f"{key} is {value!r}: it must be {wanted}")


def _smallest_anchor(rpn: RPNConfig) -> float:
    """The longer side of the smallest anchor, in pixels."""
    return min(rpn.anchor_sizes) * min(max(ratio, 1 / ratio) for ratio in rpn.anchor_ratios) ** 0.5
