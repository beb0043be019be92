"""Configurations: a typed schema, one YAML file per experiment, ``BASE:`` inheritance.

A YAML file states what differs from its base; :class:`Config` states every key, its type, its default, its limit and
what it means, and ``rules`` what several keys must be together. A key that the schema does not have is refused at every
depth, so a misspelt knob never passes as its default.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Dict, List, Optional, Tuple

from gluon_liver.files import typed
from gluon_liver.files.typed import (
    Rules,
    above,
    at_least,
    at_most,
    below,
    each,
    limited,
    meant,
    one_of,
    within,
)

from .inputs import DataConfig
from .network import NetworkConfig

MODELS: Dict[str, str] = {"ct-faster-rcnn": "ct", "us-faster-rcnn": "us", "us-flow": "us"}  # model -> task
# rows of Table 4: depth of the network, slices of its input, region fusion, phases related
ROWS: Dict[str, Tuple[int, int, bool, bool]] = {
    "R-50": (50, 1, False, False),
    "R-101": (101, 1, False, False),
    "R-50-2.5D": (50, 9, False, False),
    "R-101 region fusion": (101, 9, True, False),
    "R-50 multi-modal": (50, 9, False, True),
    "R-101 multi-modal": (101, 9, True, True),
}
# task or model -> what only its networks have, and the value that it has with another task or model
ALONE: Dict[str, Dict[str, Any]] = {"ct": {"row": None, "data.slices": 1, "network.depth": 50}}
ALONE["ct"].update(
    {
        "data.slice_step_mm": None,
        "data.slices_per_lesion": None,
        "data.repeat_reference": False,
        "data.repeat_centre": False,
        "network.stem": "7x7x7",
        "network.slice_fusion": "pools",
        "network.fusion": False,
        "network.fusion_blocks": "all",
        "network.relation": "off",
        "network.texture_head": False,
        "data.augment.window": 0.0,
        "data.augment.phase_shift": 0.0,
    }
)
ALONE["us"] = {"data.augment.erase_frames": "all"}
ALONE["us-flow"] = {
    "data.previous_frame": "before",
    "network.aggregation": "channels",
    "flow.estimate": "liteflownet",
}
# control experiments: a key, its value in an experiment that is none, and what another value does
CONTROLS: Dict[str, Tuple[Any, str]] = {
    "data.shuffled_labels": (False, "trained on boxes dealt to other images at random"),
    "data.repeat_reference": (False, "every other phase is the reference phase's picture again"),
    "data.repeat_centre": (False, "every slice of a stack is the annotated one"),
    "network.fusion_blocks": ("all", "the pyramid is of Block3's map alone"),
    "data.previous_frame": ("before", "the current frame is its own previous one"),
    "flow.estimate": ("liteflownet", "no motion is estimated, the flow is zero"),
}
DEVICES = r"cpu(:[1-9]\d?)?|gpu:\d+(,\d+)*"
KVSTORES = ("local", "device", "nccl", "dist_sync", "dist_device_sync", "dist_async")
MOST_POSITIONS = 10000  # a relation holds the square of them in floats for each phase and image: 0.4 GB


@dataclass(frozen=True)
class FlowConfig:
    """Optical flow of the ultrasound detector ``us-flow``."""

    estimate: str = limited(
        "liteflownet",
        one_of("liteflownet", "zero"),
        "what estimates the flow; zero, a control experiment: no motion is estimated, LiteFlowNet is neither made nor "
        "run",
    )
    width: float = limited(1.0, above(0) & at_most(1), "share of LiteFlowNet's channels; released weights fit 1")
    train: bool = meant(False, "learn it with the detector instead of keeping it as it was trained")
    shrink: int = limited(1, at_least(1), "frames are averaged over shrink x shrink pixels before the flow net")
    last_level: int = limited(
        2,
        one_of(2, 3, 4, 5, 6),
        "of LiteFlowNet's levels the finest that is estimated; its cells are shrink * 2**(last_level - 1) pixels",
    )


@dataclass(frozen=True)
class TrainConfig:
    """The recipe. The paper gives none; the defaults follow GluonCV's Faster R-CNN script (docs/fidelity.md)."""

    optimizer: str = limited("sgd", one_of("sgd", "adam"), "sgd with momentum, or adam")
    learning_rate: float = limited(0.001, above(0), "rate per image in the batch: a step's is batch_size times it")
    momentum: float = limited(0.9, at_least(0) & below(1), "of sgd; adam has its own")
    weight_decay: float = limited(1e-4, at_least(0), "L2 penalty on the weights")
    batch_size: int = limited(2, at_least(1), "images a step, of all devices and workers together")
    epochs: int = limited(20, at_least(1), "how many are trained")
    images_per_epoch: Optional[int] = limited(
        None,
        at_least(1),
        "an epoch is this many images and the next one goes on where it ended; null for one pass over the data",
    )
    schedule: str = limited(
        "steps",
        one_of("steps", "cosine"),
        "steps: times decay_factor at each of decay_epochs; cosine: half a cosine down to 0 at the last epoch's end, "
        "which reads neither",
    )
    decay_epochs: Tuple[float, ...] = limited(
        (14.0, 18.0), each(above(0)), "epochs after which the rate falls, with schedule steps"
    )
    decay_factor: float = limited(0.1, above(0) & at_most(1), "what the rate is multiplied with at each of them")
    warmup_steps: int = limited(100, at_least(0), "steps in which the rate rises linearly from a share of itself")
    warmup_from: float = limited(0.1, above(0) & at_most(1), "the share of the rate that warming up begins with")
    clip_norm: Optional[float] = limited(
        None, above(0), "longer gradients, by their norm over all parameters, are shortened to it; null: none are"
    )
    validate: Optional[bool] = meant(
        False,
        "score the network on the val split, for the log and the report: true, false, or null for where there is one",
    )
    validate_every: Optional[int] = limited(
        None,
        at_least(1),
        "epochs between two scorings, and one after the last; null for one at every checkpoint of an epoch's end",
    )
    best_epoch: bool = meant(
        False,
        "do so and choose: keep the epoch that is best by COCO mAP, which evaluate then reads; on the test split where "
        "the data have no val split",
    )
    validation_images: Optional[int] = limited(
        None, at_least(1), "so many images at most are scored in validation, evenly spaced; null for all"
    )
    mirror: bool = meant(
        False, "compute bottlenecks again in the backward pass instead of keeping them: less memory, more time"
    )
    loader_workers: Optional[int] = limited(
        None, within(1, 64), "threads that load images; null for as many as MXNet computes with, 8 at most"
    )
    seed: int = limited(0, at_least(0) & below(2**31), "of everything random: equal seeds, equal runs on a CPU")
    log_every: int = limited(10, at_least(1), "steps between two lines of log.jsonl")
    checkpoint_every: int = limited(1, at_least(1), "epochs between two checkpoints")
    checkpoint_steps: Optional[int] = limited(
        None, at_least(1), "a checkpoint also after every so many steps; null for none within epochs"
    )
    keep_checkpoints: int = limited(3, at_least(1), "checkpoints that are kept: the newest ones, and the best")


@dataclass(frozen=True)
class ParallelConfig:
    """What the images of a step are parted among: devices of a process, processes, one after the other."""

    devices: str = limited(
        "cpu",
        typed.matching(DEVICES, "cpu, cpu:N or gpu:0,1,..."),
        "devices of a process; cpu:N makes N contexts on the CPU",
    )
    kvstore: str = limited(
        "device", one_of(*KVSTORES), "where gradients are added up; dist_* among the processes of a job (launch)"
    )
    accumulate: int = limited(1, at_least(1), "parts of a step that a device computes one after the other")
    compression: Optional[float] = limited(
        None, above(0), "threshold of 2-bit gradients between devices; null sends float32"
    )
    amp: bool = meant(False, "mixed precision, on GPUs alone")

    @property
    def device_count(self) -> int:
        """Devices of a process, whether they are there or not."""
        kind, _, numbers = self.devices.partition(":")
        return len(numbers.split(",")) if kind == "gpu" else int(numbers or 1)


@dataclass(frozen=True)
class Config:
    """One experiment."""

    model: str = limited("ct-faster-rcnn", one_of(*MODELS), "which of the papers' detectors")
    row: Optional[str] = meant("R-50", "the row of the CT paper's Table 4 that it stands beside; null for none")
    data: DataConfig = field(default_factory=DataConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    flow: FlowConfig = field(default_factory=FlowConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)

    def rules(self) -> Rules:
        data, network, rpn = self.data, self.network, self.network.rpn
        knobs = (network.depth, data.slices, network.fusion, network.multi_modal)
        control = data.repeat_reference or data.repeat_centre or network.fusion_blocks != "all"
        printed = (network.stem, network.slice_fusion) == ("7x7x7", "pools") and network.relation in ("off", "full")
        printed = printed and not control
        row_wanted = (
            f"null, or the row that the network is; the rows are (depth, slices, fusion, relation full): {ROWS}"
        )
        yield "row", self.row is None or (printed and ROWS.get(self.row) == knobs), row_wanted
        for owner in {*ALONE} - {self.task, self.model}:
            whose = owner if owner in MODELS else owner.upper()
            for key, value in ALONE[owner].items():
                yield key, attrgetter(key)(self) == value, f"{value!r} with model {self.model}: it is of {whose}"
        estimated = self.flow.estimate != "zero" or not self.flow.train
        yield "flow.train", estimated, "false with flow.estimate zero: there is no flow to learn"
        # of 3 slices a conv1 of one slice would read the first and the last, or with centre the annotated one alone
        centred = network.stem == "7x7x7" or data.slices % 4 == 1
        centred = centred or (network.slice_fusion == "centre" and data.slices > 3)
        read = "such that conv1 reads the annotated slice and others; with network.stem 1x7x7 it reads every second one"
        yield "data.slices", centred, f"{read}: 1, 5, 9 or 13, with network.slice_fusion centre also 7 or 11"
        others = "false with network.relation off: no other phase is read"
        yield "data.repeat_reference", network.multi_modal or not data.repeat_reference, others
        alone = "false with data.slices 1: there is no other slice"
        yield "data.repeat_centre", data.slices > 1 or not data.repeat_centre, alone
        joined = data.slices_per_lesion is None or not data.shuffled_labels
        yield (
            "data.slices_per_lesion",
            joined,
            "null with data.shuffled_labels: boxes dealt at random join to no lesions",
        )
        live_wanted = "2 or more with network.batch_norm live: statistics of one image are not those of inference"
        yield "train.batch_size", self.train.batch_size > 1 or network.batch_norm != "live", live_wanted
        size = f"data.size ({data.size})"
        yield "flow.shrink", data.size % self.flow.shrink == 0, f"a divisor of {size}"
        yield "network.rpn.min_size", rpn.min_size <= data.size / 2, f"at most half of {size}"
        yield (
            "network.rpn.anchor_sizes",
            rpn.smallest_anchor <= data.size / 2,
            f"such that an anchor fits half of {size}",
        )
        shifts = data.augment.phase_shift == 0 or network.multi_modal
        yield "data.augment.phase_shift", shifts, "0 unless the network relates phases: it reads the reference alone"
        positions = (data.size // network.stride) ** 2 if network.relation in ("full", "position") else 0
        small = f"small enough for {MOST_POSITIONS} positions of a map with network.relation {network.relation}"
        yield "data.size", positions <= MOST_POSITIONS, small
        most = network.proposals(data.size, training=True)
        enough = network.head.samples <= most + network.head.max_boxes
        yield "network.head.samples", enough, f"at most the proposals ({most}) and network.head.max_boxes together"

    @property
    def task(self) -> str:
        """``ct`` or ``us``: what the model reads."""
        return MODELS[self.model]

    @property
    def controls(self) -> List[str]:
        """What a reader must know of control experiments, whose figures are no results of a network."""
        odd = [(key, text) for key, (usual, text) in CONTROLS.items() if attrgetter(key)(self) != usual]
        return [f"control experiment: {text} ({key})" for key, text in odd]

    @property
    def images_a_device(self) -> int:
        """The most images that a device of one process computes at once."""
        return -(-self.train.batch_size // (self.parallel.device_count * self.parallel.accumulate))

    def to_dict(self) -> Dict[str, Any]:
        """Plain mappings and lists, as written to a run's ``config.yaml``."""
        plain: Dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))  # tuples become lists
        return plain
