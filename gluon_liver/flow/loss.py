"""The loss that LiteFlowNet is trained with: end-point errors at every level, after M, S and R."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Sequence

import mxnet as mx
import numpy as np

from .liteflownet import LEVELS, LOSS_WEIGHTS
from .modules import FLOW_SCALE

STAGES = 3  # flows of each level: after matching, sub-pixel refinement and regularisation
SMOOTH = 1e-3  # of a length, in flow / FLOW_SCALE (0.02 pixels): a root has no slope at 0


class Target(NamedTuple):
    """One level's truth: flow float32 (B, 2, h, w) in pixels of the input; share float32 (B, 1, h, w), 0 to 1, of the
    cell's pixels that are valid. The flow is their mean, 0 where there is none."""

    flow: np.ndarray
    share: np.ndarray


def level_targets(flow: np.ndarray, valid: np.ndarray) -> List[Target]:
    """Flow (B, 2, H, W) and valid, bool (B, H, W), H and W multiples of 32 -> the truth of levels 6 to 2."""
    known = valid[:, None].astype(np.float32)
    targets = []
    for level in LEVELS:
        side = 2 ** (level - 1)
        share = _block_means(known, side)
        targets.append(Target(_block_means(flow * known, side) / np.maximum(share, np.float32(1e-6)), share))
    return targets


def flow_losses(flows: Sequence[mx.nd.NDArray], targets: Sequence[Target]) -> Dict[int, mx.nd.NDArray]:
    """The 15 flows of ``FlowPyramid`` and their truth -> the losses by level, scalars; 0 at the truth.

    As in the release, a level's loss is ``LOSS_WEIGHTS`` times the lengths of the differences, divided by
    ``FLOW_SCALE``, summed over the level's cells and averaged over the batch. Differences to it: cells count by their
    share of valid pixels, and lengths are rounded off below 0.02 pixels.
    """
    losses = {}
    for place, (level, target) in enumerate(zip(LEVELS, targets)):
        context = flows[0].context
        truth, share = (mx.nd.array(array, ctx=context) for array in target)
        lengths = [
            (((flow - truth) / FLOW_SCALE).square().sum(axis=1, keepdims=True) + SMOOTH**2).sqrt() - SMOOTH
            for flow in flows[STAGES * place : STAGES * (place + 1)]
        ]
        total = (mx.nd.add_n(*lengths) * share).sum()
        losses[level] = total * (LOSS_WEIGHTS[level] / share.shape[0])
    return losses


def _block_means(array: np.ndarray, side: int) -> np.ndarray:
    """(B, C, H, W) -> (B, C, H / side, W / side)."""
    batch, channels, rows, columns = array.shape
    blocks = array.reshape(batch, channels, rows // side, side, columns // side, side)
    return blocks.mean(axis=(3, 5), dtype=np.float32)
