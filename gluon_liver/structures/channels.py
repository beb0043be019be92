"""Channels of a network that is narrower than the paper's."""

from __future__ import annotations


def scaled(channels: int, width: float) -> int:
    """Channels at a fraction of the paper's width, a multiple of 8 so that oneDNN can block them."""
    return max(8, int(round(channels * width / 8.0)) * 8)
