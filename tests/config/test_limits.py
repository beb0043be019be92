"""Every limit of the schema at its edge, and the rules that combine keys."""

import dataclasses
import typing

import pytest

from gluon_liver.config.load import build_config
from gluon_liver.config.schema import Config
from gluon_liver.errors import ConfigError
from gluon_liver.files.typed import limits

NEARLY = 1 - 1e-9
COUNT = ([1], [0, -1])
SHARE = ([1e-9, NEARLY], [0.0, 1.0])
WIDTH = ([1e-9, 1.0], [0.0, 1.001])
FROM_0_BELOW_1 = ([0.0, NEARLY], [-1e-9, 1.0])
EDGES = {  # key -> values just inside, values just outside
    "model": (["ct-faster-rcnn", "us-faster-rcnn", "us-flow"], ["ct", "yolo", ""]),
    "data.window": (["paper", "liver", (1e-9, 0.0), (4095.0, 1023.5)], ["bone", (0.0, 40.0), (-1.0, 40.0)]),
    "data.size": ([64, 80, 4096], [48, 63, 100, 500, 4112]),
    "data.slices": ([1, 3, 9], [-1, 0, 2, 4]),
    "data.slice_step_mm": ([1e-9, 2.0], [0.0, -2.0]),
    "data.storage": (["jpeg", "raw"], ["png"]),
    "data.background_ratio": ([0.0, 1000.0], [-1e-9, 1000.1, 1e308]),
    "data.slices_per_lesion": COUNT,
    "data.class_balance": ([0.0, 1.0], [-1e-9, 1.001]),
    "data.previous_frame": (["before", "current"], ["none"]),
    "data.augment.scale": ([0.0, 1.0], [-1e-9, 1.001]),
    "data.augment.rotate": ([0.0, 45.0], [-1e-9, 45.1]),
    "data.augment.shift": ([0.0, 0.5], [-1e-9, 0.501]),
    "data.augment.noise": ([0.0], [-1e-9]),
    "data.augment.erase": ([0.0, 1.0], [-1e-9, 1.001]),
    "data.augment.erase_frames": (["all", "current"], ["last", ""]),
    "data.augment.window": ([0.0, 1.0], [-1e-9, 1.001]),
    "data.augment.phase_shift": ([0.0, 0.5], [-1e-9, 0.501]),
    "network.depth": ([50, 101], [34, 152]),
    "network.width": WIDTH,
    "network.stride": ([8, 16], [0, 4, 32]),
    "network.fusion_channels": ([4, 256], [0, -4, 6]),
    "network.stem": (["7x7x7", "1x7x7"], ["3x7x7", ""]),
    "network.slice_fusion": (["pools", "centre", "channels"], ["mean"]),
    "network.relation": (["off", "full", "position", "same_cell"], ["content", ""]),
    "network.fusion_blocks": (["all"], ["block2", ""]),
    "network.relation_reach": ([0.25], [0.249]),
    "network.aggregation": (["channels", "warp"], ["sum"]),
    "network.roi_mode": (["align", "pool"], ["crop"]),
    "network.batch_norm": (["live", "frozen", "group"], ["sync"]),
    "network.frozen_stages": ([0, 4], [-1, 5]),
    "network.rpn.channels": COUNT,
    "network.rpn.anchor_sizes": ([(1e-9,)], [(), (16.0, 0.0)]),
    "network.rpn.anchor_ratios": ([(1e-9,)], [(), (0.0,), (1.0, 0.0)]),
    "network.rpn.min_size": COUNT,
    "network.rpn.nms_threshold": SHARE,
    "network.rpn.train_pre_nms": COUNT,
    "network.rpn.train_post_nms": COUNT,
    "network.rpn.test_pre_nms": COUNT,
    "network.rpn.test_post_nms": COUNT,
    "network.rpn.samples": COUNT,
    "network.rpn.positive_ratio": SHARE,
    "network.rpn.positive_iou": SHARE,
    "network.rpn.negative_iou": SHARE,
    "network.head.roi_size": COUNT,
    "network.head.positive_ratio": SHARE,
    "network.head.positive_iou": SHARE,
    "network.head.max_boxes": COUNT,
    "network.head.dropout": FROM_0_BELOW_1,
    "network.head.nms_threshold": SHARE,
    "network.head.score_threshold": FROM_0_BELOW_1,
    "network.head.max_detections": COUNT,
    "flow.estimate": (["liteflownet", "zero"], ["exact"]),
    "flow.width": WIDTH,
    "flow.shrink": COUNT,
    "flow.last_level": ([2, 6], [1, 7]),
    "train.optimizer": (["sgd", "adam"], ["lion"]),
    "train.learning_rate": ([1e-9], [0.0]),
    "train.momentum": FROM_0_BELOW_1,
    "train.weight_decay": ([0.0], [-1e-9, -1.0]),
    "train.batch_size": COUNT,
    "train.epochs": COUNT,
    "train.images_per_epoch": COUNT,
    "train.schedule": (["steps", "cosine"], ["linear"]),
    "train.decay_epochs": ([(), (1e-9,)], [(1.0, 0.0)]),
    "train.decay_factor": WIDTH,
    "train.warmup_steps": ([0], [-1]),
    "train.warmup_from": WIDTH,
    "train.validation_images": COUNT,
    "train.validate_every": COUNT,
    "train.clip_norm": ([1e-9], [0.0, -1.0]),
    "train.seed": ([0, 2**31 - 1], [-1, 2**31]),
    "train.loader_workers": ([1, 64], [0, 65]),
    "train.log_every": COUNT,
    "train.checkpoint_every": COUNT,
    "train.checkpoint_steps": COUNT,
    "train.keep_checkpoints": COUNT,
    "parallel.devices": (["cpu", "cpu:2", "gpu:0", "gpu:0,1"], ["cpu:0", "gpu", "gpu:0,", "cuda:0"]),
    "parallel.kvstore": (["local", "device", "nccl", "dist_sync", "dist_device_sync", "dist_async"], ["dist"]),
    "parallel.accumulate": COUNT,
    "parallel.compression": ([1e-9], [0.0]),
}


def _limits(cls, prefix=""):
    edges = {prefix + name: limit for name, limit in limits(cls).items()}
    for name, kind in typing.get_type_hints(cls).items():
        if dataclasses.is_dataclass(kind):
            edges.update(_limits(kind, f"{prefix}{name}."))
    return edges


LIMITS = _limits(Config)


def _tree(values):
    tree = {}
    for key, value in values.items():
        *parents, leaf = key.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[leaf] = value
    return tree


def test_every_limit_is_in_the_table():
    assert set(EDGES) == set(LIMITS)


@pytest.mark.parametrize("key", EDGES)
def test_values_at_the_edge_of_a_limit(key):
    inside, outside = EDGES[key]
    assert all(LIMITS[key].holds(value) for value in inside)
    for value in outside:
        with pytest.raises(ConfigError) as caught:
            build_config(_tree({key: value}))
        assert str(caught.value).startswith(f"{key} is {value!r}: it must be {LIMITS[key].wanted}")


US = {"model": "us-faster-rcnn", "row": None}
FLOW_US = {"model": "us-flow", "row": None}
FLOW_KNOBS = {"network.aggregation": "warp", "data.previous_frame": "current", "flow.estimate": "zero"}
LIVE, FROZEN = ({"train.batch_size": 1, "network.batch_norm": kind} for kind in ("live", "frozen"))
SAMPLES, SIZES = "network.head.samples", "network.rpn.anchor_sizes"
KNOBS = ("fusion", "texture_head")
FUSION = {"row": None, "network.fusion": True, "network.rpn.anchor_sizes": [16, 32, 64, 128]}
SHIFT = "data.augment.phase_shift"
PHASES = {"row": "R-50 multi-modal", "data.slices": 9, "network.relation": "full", SHIFT: 0.05}


@pytest.mark.parametrize(
    "fits, change, message",
    [
        ({"row": None, "data.slices": 9}, {"row": "R-101"}, "row is 'R-101': it must be null, or the row that"),
        ({}, {"data.slices": 9}, "row is 'R-50': it must be null, or the row that the network is"),
        (US, {"row": "R-50"}, "row is 'R-50': it must be None with model us-faster-rcnn"),
        (US, {"data.slices": 9}, "data.slices is 9: it must be 1 with"),
        (US, {"network.depth": 101}, "network.depth is 101: it must be 50 with"),
        *[(US, {f"network.{key}": True}, f"network.{key} is True: it must be False with") for key in KNOBS],
        (US, {"data.augment.window": 0.1}, "data.augment.window is 0.1: it must be 0.0 with model us-faster-rcnn"),
        (US, {"data.augment.phase_shift": 0.1}, "data.augment.phase_shift is 0.1: it must be 0.0 with model us"),
        ({}, {"data.augment.erase_frames": "current"}, "erase_frames is 'current': it must be 'all' with model ct"),
        (
            PHASES,
            {"row": "R-50-2.5D", "network.relation": "off", SHIFT: 0.1},
            "it must be 0 unless the network relates",
        ),
        *[({**FLOW_US, key: value}, US, f"{key} is '{value}': it must be") for key, value in FLOW_KNOBS.items()],
        *[({**FLOW_US, key: value}, {"model": "ct-faster-rcnn"}, "of us-flow") for key, value in FLOW_KNOBS.items()],
        ({**FLOW_US, "flow.estimate": "zero"}, {"flow.train": True}, "flow.train is True: it must be false with flow."),
        (FROZEN, LIVE, "train.batch_size is 1: it must be 2 or more with network.batch_norm live"),
        ({"flow.shrink": 2}, {"flow.shrink": 3}, "flow.shrink is 3: it must be a divisor of data.size (800)"),
        ({"network.rpn.min_size": 400}, {"network.rpn.min_size": 401}, "network.rpn.min_size is 401: it must be"),
        ({"network.rpn.negative_iou": 0.7}, {"network.rpn.negative_iou": 0.71}, "network.rpn.negative_iou is 0.71"),
        ({SAMPLES: 3}, {SAMPLES: 1}, "network.head.samples is 1: it must be enough for"),
        ({SAMPLES: 1032}, {SAMPLES: 1033}, "samples is 1033: it must be at most the proposals (1000) and"),
        ({}, {"network.rpn.train_post_nms": 10}, "network.head.samples is 128"),
        (FUSION, {SIZES: [16, 32, 64]}, "as many sizes as the pyramid has levels (4)"),
        ({SIZES: [400]}, {SIZES: [401]}, "network.rpn.anchor_sizes is (401.0,)"),
        (US, {"network.stem": "1x7x7"}, "network.stem is '1x7x7': it must be '7x7x7' with model us-faster-rcnn"),
        (US, {"network.slice_fusion": "centre"}, "network.slice_fusion is 'centre': it must be 'pools' with model"),
        (
            {"row": None, "data.slices": 9, "network.slice_fusion": "channels"},
            {"network.stem": "1x7x7"},
            "network.stem is '1x7x7': it must be 7x7x7, its default, with network.slice_fusion channels",
        ),
        (
            {"row": None, "data.slices": 5, "network.stem": "1x7x7"},
            {"data.slices": 7},
            "data.slices is 7: it must be such that conv1 reads the annotated slice and others",
        ),
        (
            {"row": None, "data.slices": 7, "network.stem": "1x7x7", "network.slice_fusion": "centre"},
            {"data.slices": 3},
            "data.slices is 3: it must be such that conv1 reads the annotated slice and others",
        ),
        ({"row": "R-50"}, {"network.stem": "1x7x7"}, "row is 'R-50': it must be null, or the row that the network is"),
        ({"row": "R-50"}, {"network.slice_fusion": "centre"}, "row is 'R-50': it must be null, or the row that"),
        (US, {"network.relation": "full"}, "network.relation is 'full': it must be 'off' with model us-faster-rcnn"),
        (US, {"data.repeat_reference": True}, "data.repeat_reference is True: it must be False with"),
        ({**PHASES, "data.size": 1600}, {"data.size": 1616}, "data.size is 1616: it must be small enough for 10000"),
        (
            {"row": None, "network.relation": "same_cell", "data.size": 1616},
            {"network.relation": "position"},
            "data.size is 1616: it must be small enough for 10000 positions of a map with network.relation position",
        ),
        (
            {"row": None, "network.relation": "full", "network.relation_reach": None},
            {"network.relation": "position"},
            "network.relation_reach is None: it must be a number of cells with network.relation position",
        ),
        (PHASES, {"network.relation": "position"}, "row is 'R-50 multi-modal': it must be null, or the row that"),
        (PHASES, {"data.repeat_reference": True}, "row is 'R-50 multi-modal': it must be null, or the row that"),
        (
            {"row": None, "network.relation": "full", "data.repeat_reference": True},
            {"network.relation": "off"},
            "data.repeat_reference is True: it must be false with network.relation off: no other phase is read",
        ),
        (US, {"data.repeat_centre": True}, "data.repeat_centre is True: it must be False with"),
        (
            {"row": None, "data.slices": 9, "data.repeat_centre": True},
            {"data.slices": 1},
            "data.repeat_centre is True: it must be false with data.slices 1: there is no other slice",
        ),
        ({"data.slices": 9, "row": "R-50-2.5D"}, {"data.repeat_centre": True}, "row is 'R-50-2.5D': it must be null"),
        (FUSION, {"network.fusion": False, "network.fusion_blocks": "block3"}, "must be all with network.fusion false"),
        (US, {"network.fusion_blocks": "block3"}, "network.fusion_blocks is 'block3': it must be all"),
        ({}, {"netwrok": {}}, "unknown key 'netwrok'"),
        ({}, {"network.rpn.chanels": 3}, "unknown key 'network.rpn.chanels'"),
        ({}, {"train.epochs": "ten"}, "train.epochs: expected int, found 'ten'"),
        ({}, {"train.epochs": True}, "train.epochs: expected int, found True"),
        ({}, {"data": 3}, "data: expected keys, found 3"),
        ({}, {SIZES: 16}, "network.rpn.anchor_sizes: expected a list"),
        ({}, {SIZES: [16, float("nan")]}, "network.rpn.anchor_sizes: expected float"),
        ({}, {"train.learning_rate": float("inf")}, "train.learning_rate: expected float, found inf"),
    ],
)
def test_rules_that_combine_keys_and_wrong_types(fits, change, message):
    build_config(_tree(fits))
    with pytest.raises(ConfigError) as caught:
        build_config(_tree({**fits, **change}))
    assert message in str(caught.value)
