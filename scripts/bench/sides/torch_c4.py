"""Faster R-CNN on Block3's map in PyTorch, with torchvision's own parts: RPN, ROIAlign, samplers, losses, NMS.

One slice of three colours is torchvision's ResNet-50 as it comes. Nine slices are the 3D-stem network of the CT paper
with its slices folded into the batch, the same sums as :mod:`gluon_liver.nn.backbones.resnet3d` in PyTorch's operators.
"""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import torch
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.models.resnet import resnet50
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign, roi_align

ANCHOR_SIZES, RATIOS, STRIDE, CLASSES = (16, 32, 64, 128, 256), (0.5, 1.0, 2.0), 16, 3
GREY_MEAN, GREY_STD = 0.449, 0.226
NORMS = {"frozen": FrozenBatchNorm2d, "eval": nn.BatchNorm2d}


class Colours(nn.Module):
    """torchvision's ResNet-50 from conv1 to layer3."""

    out_channels = 1024

    def __init__(self, resnet: Any):
        super().__init__()
        self.body = nn.Sequential(
            resnet.conv1, resnet.bn1, resnet.relu, resnet.maxpool, resnet.layer1, resnet.layer2, resnet.layer3
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)


class Slices(nn.Module):
    """(N, D, H, W) -> (N, 1024, H / 16, W / 16): conv1 and both pools reach across slices, the blocks do not."""

    out_channels = 1024

    def __init__(self, resnet: Any):
        super().__init__()
        self.conv1 = nn.Conv2d(7, 64, 7, 2, 3, bias=False)  # a slice window is its channels
        self.bn1, self.relu, self.maxpool = resnet.bn1, resnet.relu, resnet.maxpool
        self.layer1, self.layer2, self.layer3 = resnet.layer1, resnet.layer2, resnet.layer3

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        images, slices = x.shape[:2]
        ends = [x[:, :1]] * 3, [x[:, -1:]] * 3
        x = torch.cat([*ends[0], x, *ends[1]], dim=1)
        windows = [x[:, first : first + 7] for first in range(0, slices, 2)]
        x = torch.stack(windows, dim=1).flatten(0, 1)  # (N * D / 2, 7, H, W)
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer1(depth_pool(x, images))
        x = self.layer3(self.layer2(depth_pool(x, images)))
        return x.unflatten(0, (images, -1)).mean(dim=1)


def depth_pool(x: torch.Tensor, images: int) -> torch.Tensor:
    """Max over three slices, every second one, of a folded map (images * D, C, H, W)."""
    x = x.unflatten(0, (images, -1))
    depth, pooled = x.shape[1], []
    for centre in range(0, depth, 2):
        window = [x[:, at] for at in range(max(0, centre - 1), min(depth, centre + 2))]
        largest = window[0]
        for other in window[1:]:
            largest = torch.maximum(largest, other)
        pooled.append(largest)
    return torch.stack(pooled, dim=1).flatten(0, 1)


class RPNHead(nn.Module):
    """As torchvision's, with 512 channels between, as the papers have."""

    def __init__(self, in_channels: int, anchors: int, channels: int = 512):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.cls_logits, self.bbox_pred = nn.Conv2d(channels, anchors, 1), nn.Conv2d(channels, 4 * anchors, 1)
        for layer in (self.conv, self.cls_logits, self.bbox_pred):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, maps: List[torch.Tensor]) -> Tuple[List[torch.Tensor], List[torch.Tensor]]:
        hidden = [torch.relu(self.conv(one)) for one in maps]
        return [self.cls_logits(one) for one in hidden], [self.bbox_pred(one) for one in hidden]


class CellAlign(MultiScaleRoIAlign):
    """ROIAlign 14x14 where cell k of the map is centred on pixel STRIDE * k + 0.5, as this project has it."""

    def __init__(self) -> None:
        super().__init__(["0"], 14, 2)

    def forward(self, maps: Dict[str, torch.Tensor], boxes: List[torch.Tensor], shapes: Any) -> torch.Tensor:
        shifted = [one + (STRIDE - 1) / 2 for one in boxes]
        return roi_align(maps["0"], shifted, 14, 1.0 / STRIDE, sampling_ratio=2, aligned=True)


class Block4(nn.Module):
    """layer4 and the mean over an ROI."""

    def __init__(self, layer4: nn.Module):
        super().__init__()
        self.layer4 = layer4

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        return self.layer4(pooled).mean(dim=(2, 3))


def detector(*, slices: int, norm: str, proposals: int = 100, size: int = 800) -> FasterRCNN:
    """The network. ``slices`` 1 means three colours, else that many grey slices."""
    torch.manual_seed(0)
    resnet = resnet50(weights=None, norm_layer=NORMS[norm])
    mean, std = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]) if slices == 1 else ([GREY_MEAN], [GREY_STD])
    channels = max(slices, len(mean))
    net = FasterRCNN(
        Colours(resnet) if slices == 1 else Slices(resnet),
        min_size=size,
        max_size=size,
        image_mean=mean * (channels // len(mean)),
        image_std=std * (channels // len(std)),
        rpn_anchor_generator=AnchorGenerator((ANCHOR_SIZES,), (RATIOS,)),
        rpn_head=RPNHead(1024, len(ANCHOR_SIZES) * len(RATIOS)),
        rpn_pre_nms_top_n_train=6000,
        rpn_post_nms_top_n_train=1000,
        rpn_pre_nms_top_n_test=3000 if proposals <= 300 else 6000,
        rpn_post_nms_top_n_test=proposals,
        rpn_nms_thresh=0.7,
        rpn_batch_size_per_image=256,
        box_roi_pool=MultiScaleRoIAlign(["0"], 14, 2) if slices == 1 else CellAlign(),
        box_head=Block4(resnet.layer4),
        box_predictor=FastRCNNPredictor(2048, CLASSES + 1),
        box_score_thresh=0.01,
        box_nms_thresh=0.3,
        box_detections_per_img=100,
        box_batch_size_per_image=128,
        box_positive_fraction=0.25,
    )
    for name, values in [*net.named_parameters(), *net.named_buffers()]:
        if name.endswith("bn3.weight"):
            nn.init.zeros_(values)  # blocks start as their skips, as they do here: random weights stay finite
    return net
