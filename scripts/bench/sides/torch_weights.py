"""Weights and outputs of a network here, as ``ours_export`` writes them, beside the network of :mod:`.torch_c4`."""

from __future__ import annotations

import re
from typing import Any, Dict, Mapping

import numpy as np
import torch

BATCH_NORM = {"gamma": "weight", "beta": "bias", "running_mean": "running_mean", "running_var": "running_var"}
PREDICTORS = {
    "rpn.conv1.0": "rpn.head.conv",
    "rpn.score": "rpn.head.cls_logits",
    "rpn.loc": "rpn.head.bbox_pred",
    "class_predictor": "roi_heads.box_predictor.cls_score",
}


def torch_name(name: str) -> str:
    """The name in ``torch_c4`` of one of our parameters: backbone.block1.0.skip_bn.gamma, rpn.conv1.0.weight, ..."""
    layer, _, kind = name.rpartition(".")
    if layer in PREDICTORS:
        return f"{PREDICTORS[layer]}.{kind}"
    layer = re.sub(r"^backbone\.(stem\.)?", "backbone.", layer)
    layer = re.sub(r"(^|\.)block(\d)", lambda found: f"{found[1]}layer{found[2]}", layer)
    layer = layer.replace("layer4", "roi_heads.box_head.layer4", 1).replace("skip_conv", "downsample.0")
    return f"{layer.replace('skip_bn', 'downsample.1')}.{BATCH_NORM.get(kind, kind)}"


def load_ours(net: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Copy the parameters of ``arrays``; every one of the network is set but the box predictor's background."""
    there = dict([*net.named_parameters(), *net.named_buffers()])
    given = {name[len("weights/") :]: array for name, array in arrays.items() if name.startswith("weights/")}
    boxes = {kind: given.pop(f"box_predictor.{kind}") for kind in ("weight", "bias")}
    wanted = {name for name in there if not name.endswith("num_batches_tracked") and "bbox_pred" not in name}
    wanted |= {f"rpn.head.bbox_pred.{kind}" for kind in boxes}
    names = {torch_name(name): array for name, array in given.items()}
    if names.keys() != wanted:
        raise KeyError(f"parameters of one side alone: {sorted(names.keys() ^ wanted)}")
    with torch.no_grad():
        for name, array in names.items():
            values = array[:, 0] if array.ndim == 5 else array  # conv1 of one channel: its slices are channels
            there[name].copy_(torch.from_numpy(np.ascontiguousarray(values)))
        for kind, array in boxes.items():  # torchvision has boxes of the background too
            there[f"roi_heads.box_predictor.bbox_pred.{kind}"][4:].copy_(torch.from_numpy(array))


def differences(net: Any, arrays: Mapping[str, np.ndarray]) -> Dict[str, float]:
    """The largest difference of each output from ours, relative to the largest value of ours."""
    image, rois = torch.from_numpy(arrays["image"]), torch.from_numpy(arrays["rois"])
    block3 = net.backbone(image)
    (scores,), (offsets,) = net.rpn.head([block3])
    abstract = net.roi_heads.box_head(net.roi_heads.box_roi_pool({"0": block3}, [rois], [(800, 800)]))
    classes, boxes = net.roi_heads.box_predictor(abstract)
    found = {
        "map": block3,
        "proposal scores": scores,
        "proposal offsets": offsets,
        "class scores": classes,
        "box offsets": boxes[:, 4:],
    }
    return {
        name: float(np.abs(values.numpy() - arrays[name]).max() / np.abs(arrays[name]).max())
        for name, values in found.items()
    }
