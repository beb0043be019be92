"""What the network sees of a study: the keys ``data`` of a configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

from gluon_liver.files.typed import Limit, above, at_least, limited, meant, multiple_of, one_of, within

from .windows import A_WINDOW, Window

ODD = Limit(lambda count: count > 0 and count % 2 == 1, "odd, so that one slice is the centre")


@dataclass(frozen=True)
class AugmentConfig:
    """Training-time changes of a study's image (CT paper, "many data-augmentation methods, e.g. scaling")."""

    flip: bool = meant(False, "mirror left-right with probability 0.5")
    scale: float = limited(
        0.0, within(0, 1), "sizes change by a factor of up to 1 + scale, or down to its inverse, alike along x and y"
    )
    rotate: float = limited(0.0, within(0, 45, "degrees"), "rotation by up to so many degrees, either way")
    shift: float = limited(0.0, within(0, 0.5), "share of the image's side, either way along x and y")
    noise: float = limited(0.0, at_least(0, "HU"), "SD in HU, added after the window; of US and MRI in grey values")
    erase: float = limited(0.0, within(0, 1), "probability that noise covers a rectangle of the image")
    erase_frames: str = limited(
        "all",
        one_of("all", "current"),
        "of which frames: all alike, or the current one alone, so that the frame before still shows what it hides",
    )
    window: float = limited(
        0.0,
        within(0, 1),
        "the window's width changes by a factor of up to 1 + window or down to its inverse, its level by up to "
        "window / 2 of the width; what the configured window cut off does not come back",
    )
    phase_shift: float = limited(
        0.0,
        within(0, 0.5),
        "share of the image's side by which each phase but the reference moves, either way along x and y: breathing",
    )


@dataclass(frozen=True)
class DataConfig:
    """What the network sees of a study."""

    window: Window = limited(
        "paper",
        A_WINDOW,
        "HU that become black to white. paper: width 80, level 150 as the paper prints it, so 110 to 190 HU, in which "
        "liver without contrast (about 55 HU) is black; liver: the two numbers swapped, 5 to 155 HU; or [width, level] "
        "of your own",
    )
    size: int = limited(800, multiple_of(16) & within(64, 4096), "side of the square network input in pixels")
    slices: int = limited(1, ODD, "depth around the annotated slice: 1 (R-50, R-101) or 9 (2.5D)")
    slice_step_mm: Optional[float] = limited(
        None,
        above(0, "mm"),
        "neighbours lie so many mm apart, linear in HU between stored slices; null: they are the stored slices next "
        "to it",
    )
    storage: str = limited(
        "jpeg", one_of("jpeg", "raw"), "slices go through 8-bit JPEG, as the paper did it, or do not (raw)"
    )
    background_ratio: float = limited(
        1.0, within(0, 1000), "background images an epoch per image with boxes; all of them if there are fewer"
    )
    slices_per_lesion: Optional[int] = limited(
        None,
        at_least(1),
        "slices with a box that a pass over the data takes of each lesion, evenly spaced, others in each pass; null "
        "for all",
    )
    class_balance: float = limited(
        0.0,
        within(0, 1),
        "images with a class are repeated (images of the commonest class / images of this one) ** class_balance "
        "times: 0 as they are, 1 all classes as often as the commonest, 0.5 between; an image with several classes "
        "goes by the rarest",
    )
    shuffled_labels: bool = meant(False, "control experiment: boxes are dealt to other training images at random")
    repeat_reference: bool = meant(
        False,
        "control experiment: the reference phase's picture in place of every other phase that is present, in training "
        "and inference; what a relation then gains does not come from the other phases",
    )
    repeat_centre: bool = meant(
        False,
        "control experiment: the annotated slice in place of its neighbours, in training and inference; what a stack "
        "then gains does not come from other slices",
    )
    previous_frame: str = limited(
        "before",
        one_of("before", "current"),
        "what us-flow sees besides a frame: the frame before, or as a control experiment the current frame once more",
    )
    augment: AugmentConfig = field(default_factory=AugmentConfig)
