"""What a program without gluon_liver must know to feed the graphs of a run: the config.json of an export."""

from __future__ import annotations

from typing import Any, Dict, Mapping

from gluon_liver.config.schema import Config
from gluon_liver.config.windows import window_values
from gluon_liver.data.ct_dataset import network_phases
from gluon_liver.data.images import GREY_MEAN, GREY_STD
from gluon_liver.data.us_dataset import reads_pairs
from gluon_liver.data.us_pairs import STEP
from gluon_liver.data.windowed_images import JPEG_QUALITY
from gluon_liver.structures.modality import CT


def settings(config: Config, environment: Mapping[str, Any]) -> Dict[str, Any]:
    """Of a run's configuration and environment.json; nothing in it is a preset or a default to be looked up."""
    head = config.network.head
    plain: Dict[str, Any] = {
        "task": config.task,
        "model": config.model,
        "row": config.row,
        "classes": list(environment["classes"]),
        "input": _study_input(config, environment) if config.task == "ct" else _frame_input(config, environment),
        "output": {
            "max_detections": min(head.max_detections, _candidates(config, len(environment["classes"]))),
            "score_threshold": head.score_threshold,
            "nms_threshold": head.nms_threshold,
        },
        "notes": config.controls,
        "configuration": config.to_dict(),
    }
    return plain


def _candidates(config: Config, classes: int) -> int:
    return config.network.proposals(config.data.size, training=False) * classes


def _study_input(config: Config, environment: Mapping[str, Any]) -> Dict[str, Any]:
    data = config.data
    width, level = window_values(data.window)
    return {
        "size": data.size,
        "phases": network_phases(config, environment),
        "reference_phase": environment["reference_phase"],
        "modality": environment.get("modality", CT),
        "window": {"width": width, "level": level},
        "storage": data.storage,
        "jpeg_quality": JPEG_QUALITY if data.storage == "jpeg" else None,
        "slices": data.slices,
        "slice_step_mm": data.slice_step_mm,
        "repeat_reference": data.repeat_reference,
        "repeat_centre": data.repeat_centre,
        "mean": GREY_MEAN,
        "std": GREY_STD,
    }


def _frame_input(config: Config, environment: Mapping[str, Any]) -> Dict[str, Any]:
    return {
        "size": config.data.size,
        "frames": 2 if config.model == "us-flow" else 1,
        "previous_frame": config.data.previous_frame if config.model == "us-flow" else None,
        "step": environment.get("step", STEP) if reads_pairs(config) else None,
        "frames_per_second": list(environment.get("frames_per_second", [])),
    }
