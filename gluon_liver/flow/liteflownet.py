"""LiteFlowNet: optical flow between two images, written anew after its paper (Hui, Tang, Loy, CVPR 2018).

Sizes are not read off the paper: channels, kernels, scales and names of weights are facts of the authors' release
(github.com/twhui/LiteFlowNet) and of a common PyTorch port (github.com/sniklaus/pytorch-liteflownet), whose code was
not taken. The network has 5,377,701 trained parameters ("5.37 M" on the release's page) and 2,156 fixed ones; the
mean colours come on top.

Conventions: images are (B, 3, H, W), blue, green, red, from 0 to 1; the network subtracts the means. A flow is
(B, 2, H, W) in pixels, channel 0 to the right and channel 1 downwards, and says where what the first image shows at
a pixel lies in the second: first[y, x] = second[y + dy, x + dx].
"""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

import numpy as np
from mxnet.gluon import nn

from gluon_liver.structures.channels import scaled

from .modules import FEATURES, FLOW_SCALE, MATCHED_CHANNELS, Features, Matching, Regularization, SubPixel, chain
from .operators import enlarge, pad_to_multiple, shrink
from .options import MULTIPLE

LEVELS = (6, 5, 4, 3, 2)  # coarse to fine; the paper's flow ends at level 2, half the input's size
# of blue, green and red over the release's training images; the first and the second images have their own
FIRST_MEAN = (0.411618, 0.434631, 0.454253)
SECOND_MEAN = (0.410782, 0.433645, 0.452793)
# weight of each level's losses in the release, for flows divided by FLOW_SCALE
LOSS_WEIGHTS = {6: 0.32, 5: 0.08, 4: 0.02, 3: 0.01, 2: 0.005}


class Level(nn.HybridBlock):
    """NetE at one level: matching, sub-pixel refinement and regularisation after each other."""

    def __init__(self, level: int, *, width: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        features = channels = scaled(FEATURES[level][-1], width)
        with self.name_scope():
            self.widen = None
            if level == 2:
                channels = scaled(MATCHED_CHANNELS, width)
                self.widen = chain([channels], 1, in_channels=features)
            self.matching = Matching(level, width=width)
            self.subpixel = SubPixel(level, in_channels=channels, width=width)
            self.regularization = Regularization(level, in_channels=features, width=width)

    def hybrid_forward(
        self, F: Any, first_image: Any, second_image: Any, first: Any, second: Any, flow: Optional[Any] = None
    ) -> Tuple[Any, Any, Any]:
        """Images (B, 3, H, W) and features (B, C, H, W) of the level and the flow of the one above -> three flows."""
        wide_first, wide_second = (first, second) if self.widen is None else (self.widen(first), self.widen(second))
        above = () if flow is None else (flow,)
        matched = self.matching(wide_first, wide_second, *above)
        refined = self.subpixel(wide_first, wide_second, matched)
        return matched, refined, self.regularization(first_image, second_image, first, refined)


class FlowPyramid(nn.HybridBlock):
    """The flows of all levels, as the multi-scale loss of training needs them.

    Parameters
    ----------
    width: fraction of the channels; 1 is the paper's network, and the only one that released weights fit.
    last_level: the finest level that is estimated, 2 to 6. Finer ones are not made; none depends on them.
    """

    def __init__(self, *, width: float = 1.0, last_level: int = LEVELS[-1], **kwargs: Any):
        super().__init__(**kwargs)
        self._levels = [level for level in LEVELS if level >= last_level]
        with self.name_scope():
            self.first_mean = mean_of(self, "first_mean", FIRST_MEAN)
            self.second_mean = mean_of(self, "second_mean", SECOND_MEAN)
            self.features = Features(width=width)
            for level in self._levels:
                setattr(self, f"level{level}", Level(level, width=width))

    def hybrid_forward(self, F: Any, first: Any, second: Any, first_mean: Any, second_mean: Any) -> List[Any]:
        """Images (B, 3, H, W) from 0 to 1, H and W multiples of 32 -> flows in pixels of the input, 15 of all levels.

        Level 6 first; of each level l the flow after matching, after refinement and after regularisation, each
        (B, 2, H / 2^(l - 1), W / 2^(l - 1)). In training compare them with the true flow averaged to that size;
        the release's loss takes the length of the difference, both divided by 20, times ``LOSS_WEIGHTS``.
        """
        # both images in one run: small maps take as long to call for as to compute
        pair = F.concat(F.broadcast_sub(first, first_mean), F.broadcast_sub(second, second_mean), dim=0)
        maps, images = self.features(pair), [pair]
        for _ in range(5):
            images.append(shrink(F, images[-1], 2))
        flows: List[Any] = []
        for level in self._levels:
            estimate = getattr(self, f"level{level}")
            parts = [*halves(F, images[level - 1]), *halves(F, maps[level - 1])]
            flows += estimate(*parts, *flows[-1:])  # none above level 6
        return [flow * FLOW_SCALE for flow in flows]


class LiteFlowNet(nn.HybridBlock):
    """Optical flow at the size of the images, which may be any: edges are repeated up to multiples of 32.

    The release and the port stretch the images to multiples of 32 instead; at multiples of 32 all are the same.
    width, last_level: see :class:`FlowPyramid`; the flow of the last level is enlarged.
    """

    def __init__(self, *, width: float = 1.0, last_level: int = LEVELS[-1], **kwargs: Any):
        super().__init__(**kwargs)
        self._cell = 2 ** (last_level - 1)
        with self.name_scope():
            self.pyramid = FlowPyramid(width=width, last_level=last_level)

    def hybrid_forward(self, F: Any, first: Any, second: Any) -> Any:
        """Two images (B, 3, H, W), blue, green, red, from 0 to 1 -> flow (B, 2, H, W) in pixels."""
        flow = self.pyramid(*(pad_to_multiple(F, image, MULTIPLE) for image in (first, second)))[-1]
        return F.slice_like(enlarge(F, flow, self._cell), first, axes=(2, 3))


def halves(F: Any, pair: Any) -> Any:
    """What the first and what the second images have, of both in one batch (2 B, C, H, W)."""
    return F.split(pair, num_outputs=2, axis=0)


def mean_of(block: nn.HybridBlock, name: str, colours: Tuple[float, float, float]) -> Any:
    """A constant (1, 3, 1, 1) of the block."""
    return block.params.get_constant(name, np.array(colours, np.float32).reshape(1, 3, 1, 1))
