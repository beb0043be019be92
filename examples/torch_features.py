"""Features of a gluon_liver detector in PyTorch: conv1 to Block3, and Block4 on what is pooled of a ROI.

Reads what `gluon-liver export RUN --safetensors --out FILE.safetensors` wrote; needs torch and safetensors.

    net = Features("detector.safetensors").eval()
    block1, block2, block3 = net(x)  # CT: (N, 1, slices, H, W); ultrasound: (N, 3, H, W), RGB from 0 to 1
    roi = net.layer4(block3[:, :, 2:16, 3:17])  # Block4 on 14x14 cells, as ROIAlign pools them

CT values are (grey / 255 - 0.449) / 0.226, grey by the window in net.config["data"]. The phases of a study go through
one by one: they share the backbone.
Research use: not a medical device, not for diagnosis.
"""

import json
from typing import Callable, Tuple

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor, nn

BLOCKS = {50: (3, 4, 6, 3), 101: (6, 8, 12, 6)}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's red, green and blue


def norm(kind: str, channels: int) -> nn.Module:
    """network.batch_norm: groups as large as divide the channels, of two at least, or BatchNorm."""
    if kind != "group":
        return nn.BatchNorm2d(channels)
    groups = max(count for count in range(1, min(32, channels // 2) + 1) if channels % count == 0)
    return nn.GroupNorm(groups, channels)


class Bottleneck(nn.Module):
    """torchvision's, whose 3x3 strides (ResNet v1b)."""

    def __init__(self, in_channels: int, channels: int, stride: int, kind: str):
        super().__init__()
        inner = channels // 4
        self.conv1, self.bn1 = nn.Conv2d(in_channels, inner, 1, bias=False), norm(kind, inner)
        self.conv2, self.bn2 = nn.Conv2d(inner, inner, 3, stride, 1, bias=False), norm(kind, inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, channels, 1, bias=False), norm(kind, channels)
        self.downsample = None
        if stride != 1 or in_channels != channels:
            skip = nn.Conv2d(in_channels, channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(skip, norm(kind, channels))

    def forward(self, x: Tensor) -> Tensor:
        skip = x if self.downsample is None else self.downsample(x)
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()
        return (self.bn3(self.conv3(y)) + skip).relu()


class Transition(nn.Module):
    """What ends each block of depth 101 (Table 3 of the CT paper)."""

    def __init__(self, channels: int, kind: str):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(channels, channels, 1, bias=False), norm(kind, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x)).relu()


class Features(nn.Module):
    """The residual network of a detector, with the weights of an exported file.

    config, classes: of the run. others: the file's other tensors by name, those of proposals, predictors and so on.
    """

    def __init__(self, path: str):
        super().__init__()
        with safe_open(path, framework="pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}
            metadata = file.metadata() or {}
        if "gluon_liver" not in metadata:
            raise ValueError(f"{path} is no export of gluon_liver")
        self.config, self.classes = json.loads(metadata["config"]), json.loads(metadata["classes"])
        network = self.config["network"]
        kind, self.fusion = network["batch_norm"], network["slice_fusion"]
        channels, _, self.taps = weights["conv1.weight"].shape[:3]
        self.volumes = weights["conv1.weight"].ndim == 5
        depth = network["depth"] if self.volumes else 50
        if self.volumes:
            self.conv1 = nn.Conv3d(1, channels, (self.taps, 7, 7), 2, (0, 3, 3), bias=False)
        else:
            self.conv1 = nn.Conv2d(3, channels, 7, 2, 3, bias=False)
        self.bn1 = norm(kind, channels)
        for number, stride in enumerate((1, 2, network["stride"] // 8, 2), start=1):
            last = weights.get(f"layer{number}.0.conv3.weight")
            if last is None:  # a fusion of Block3 alone has no Block4
                break
            stage, inputs, channels = nn.Sequential(), channels, len(last)
            for place in range(BLOCKS[depth][number - 1]):
                stage.append(Bottleneck(channels if place else inputs, channels, 1 if place else stride, kind))
            if depth == 101:
                stage.append(Transition(channels, kind))
            self.add_module(f"layer{number}", stage)
        own = self.state_dict()
        found = self.load_state_dict({name: weights[name] for name in weights if name in own}, strict=False)
        missing = [name for name in found.missing_keys if not name.endswith("num_batches_tracked")]
        if missing:
            raise ValueError(f"{path} lacks {missing[0]}")
        self.others = {name: tensor for name, tensor in weights.items() if name not in own}

    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        """Maps of Block1, Block2 and Block3 at strides 4, 8 and 16; of a stack of slices one map each."""
        if not self.volumes:
            mean, std = (torch.tensor(values, device=x.device).view(1, 3, 1, 1) for values in (MEAN, STD))
            x = F.max_pool2d(self.bn1(self.conv1((x - mean) / std)).relu(), 3, 2, 1)
            block1 = self.layer1(x)
            block2 = self.layer2(block1)
            return block1, block2, self.layer3(block2)
        x = self.in_planes(lambda planes: self.bn1(planes).relu(), self.conv1(self.windows(x)))
        block1 = self.in_planes(self.layer1, self.pool(x, in_plane=True))
        block2 = self.in_planes(self.layer2, self.pool(block1))
        block3 = self.in_planes(self.layer3, block2)
        return self.collapse(block1), self.collapse(block2), self.collapse(block3)

    def first(self, slices: int) -> int:
        """The first of the slices, every second one, that a layer over depth is centred on."""
        return slices // 2 % 2 if self.fusion == "centre" else 0

    def windows(self, x: Tensor) -> Tensor:
        """(N, 1, D, H, W) with its end slices repeated, so that conv1 is centred where it is to be."""
        if self.fusion == "channels":
            return x
        reach, first = self.taps // 2, self.first(x.shape[2])
        x = x[:, :, max(0, first - reach) :]
        return F.pad(x, (0, 0, 0, 0, max(0, reach - first), reach), mode="replicate")

    def pool(self, x: Tensor, in_plane: bool = False) -> Tensor:
        """Maxima over three slices, every second one, and over 3x3 pixels at stride 2 where asked for."""
        over, side = x.shape[2] > 1, 3 if in_plane else 1
        stride, pad = side // 2 + 1, side // 2
        kernel, depth_pad = (3 if over else 1, side, side), 1 - self.first(x.shape[2]) if over else 0
        return F.max_pool3d(x, kernel, (2 if over else 1, stride, stride), (depth_pad, pad, pad))

    @staticmethod
    def in_planes(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """A 2D layer on every slice of (N, C, D, h, w)."""
        y = layer(x.transpose(1, 2).flatten(0, 1))
        return y.unflatten(0, (len(x), x.shape[2])).transpose(1, 2)

    def collapse(self, x: Tensor) -> Tensor:
        """(N, C, D, h, w) -> (N, C, h, w): the mean over slices, with network.slice_fusion centre the middle one."""
        return x[:, :, x.shape[2] // 2] if self.fusion == "centre" else x.mean(2)
