"""Which networks can be read along a study, so that neighbouring windows share what they have in common."""

from __future__ import annotations

from gluon_liver.errors import RunError

from .schema import Config

WINDOW = 9  # slices of the networks that have this form


def check_dense(config: Config) -> None:
    """Raise :class:`RunError` for a network that cannot be read along a study."""
    slices = config.data.slices
    if slices != WINDOW:
        why = "slices one by one and shares nothing" if slices == 1 else f"{slices}: leave it out"
        raise RunError(f"dense reading is for networks of {WINDOW} slices; this one reads {why}")
    if config.data.repeat_centre:
        raise RunError("dense reading is for neighbouring slices; this network reads one of them again and again")
    if config.data.slice_step_mm is not None:
        step = f"{config.data.slice_step_mm:g} mm apart (data.slice_step_mm)"
        raise RunError(
            f"dense reading is for neighbouring stored slices; this network reads slices {step}: leave it out"
        )
    fusion = config.network.slice_fusion
    if fusion != "pools":
        why = "is written for network.slice_fusion pools alone"
        raise RunError(f"dense reading {why}; this network has {fusion}: leave it out, its windows share less")
