"""What changes from frame to frame beside the probe's pose: tumors that cannot be seen, contact, lost beams.

Every frame draws from streams of its own, so that no frame depends on how many there are.
"""

from __future__ import annotations

from typing import FrozenSet, List, NamedTuple

import numpy as np

from gluon_liver.structures.arrays import Array

from .config import USPhantomConfig
from .scatter import BEAMS

# purposes of random numbers, beside those of :mod:`.sweep`
_HIDDEN, _CONTACT, _SHADOW = 20, 21, 22
LOST_DB = 40.0  # black, but for the scanner's noise
LOST_BEAMS = (0.06, 0.16)  # half the width of a band of lost beams, as share of all
FLANK_BEAMS = 4.0


class FrameEffects(NamedTuple):
    """hidden: tumors that cannot be seen. contact_db: what the beams lose, float (BEAMS,). lost: bool (BEAMS,)."""

    hidden: FrozenSet[int] = frozenset()
    contact_db: Array = np.zeros(BEAMS)
    lost: Array = np.zeros(BEAMS, bool)


def random_effects(config: USPhantomConfig, seed: int, index: int, frames: int, tumors: int) -> List[FrameEffects]:
    """Of each frame of a scene with so many tumors."""
    hidden = _hidden(config.hidden_fraction, seed, index, frames, tumors)
    effects = []
    for frame in range(frames):
        contact = config.frame_contact_db * smooth_curve(stream(seed, index, _CONTACT, frame))
        rng, lost = stream(seed, index, _SHADOW, frame), np.zeros(BEAMS)
        if rng.random() < config.frame_shadow_fraction:
            middle, half = rng.uniform(0.0, BEAMS), rng.uniform(*LOST_BEAMS) * BEAMS
            lost = np.clip((half - np.abs(np.arange(BEAMS) - middle)) / FLANK_BEAMS + 0.5, 0.0, 1.0)
        effects.append(FrameEffects(hidden[frame], contact + LOST_DB * lost, lost >= 0.5))
    return effects


def smooth_curve(rng: np.random.Generator) -> Array:
    """A smooth curve over the beams with SD 1 before it is limited to 0 and above."""
    place = np.linspace(0.0, np.pi, BEAMS)[None] * np.arange(1, 7)[:, None]
    curve = (rng.standard_normal((6, 1)) * np.cos(place)).sum(axis=0) / np.sqrt(3.0)
    return np.maximum(curve, 0.0)


def stream(seed: int, index: int, *purpose: int) -> np.random.Generator:
    """Random numbers of one scene for one purpose."""
    return np.random.default_rng(np.random.SeedSequence([seed, 2, index, *purpose]))


def _hidden(share: float, seed: int, index: int, frames: int, tumors: int) -> List[FrozenSet[int]]:
    """Of each frame the tumors that cannot be seen in it; each was seen in the frame before."""
    hidden: List[FrozenSet[int]] = [frozenset()] * min(frames, 1)
    for frame in range(1, frames):
        # a tumor that was hidden before cannot be drawn; the others make up for it
        chance = share if frame == 1 else share / (1.0 - share)
        drawn = np.flatnonzero(stream(seed, index, _HIDDEN, frame).random(tumors) < chance)
        hidden.append(frozenset(drawn.tolist()) - hidden[-1])
    return hidden
