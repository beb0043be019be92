"""Seeded ultrasound phantoms: a convex probe sweeps through a liver with vessels and tumors.

The ultrasound paper's video is not public. These scenes carry what its network is meant to use: speckle that moves
with the tissue, so that flow can be seen; tumors that keep their shape from frame to frame and vessels that change
theirs; shadows that look like vessels. **Results on them are phantom results**: they show that the software works,
and say nothing about accuracy in patients.

How a tumor looks (dark, bright, with a halo) is independent of its size and place and of everything else.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, replace
from typing import Dict, FrozenSet, List, Optional, Sequence, Tuple, Union

import numpy as np
from scipy import ndimage

from gluon_liver.phantoms.shapes import Chain, Tubes
from gluon_liver.structures.arrays import Array

from .config import USPhantomConfig
from .frames import FrameEffects, random_effects, smooth_curve, stream
from .liver import LOSS, SURFACE_MM, TUMOR_LOOK, WALL_MM, WALLS, Liver, random_liver, scatterer_echo
from .probe import Fan, Pose, TissueMotion, random_sweep, tissue_motion
from .scatter import Scanner, Scatterers

CLASSES = ("tumor", "vessel")
FAR_MM = np.float32(1e3)
DEEP_SHADOW = 0.1  # share of the amplitude (-20 dB): nobody could draw a box there
# purposes of random numbers
_SWEEP, _SCATTER, _NOISE, _PROBE, _FRESH = 10, 11, 12, 13, 14


@dataclass(frozen=True)
class PhantomBox:
    """A cross-section in one frame: class name, (x1, y1, x2, y2) pixels with the last two exclusive, its pixels.

    hidden: it cannot be seen in this frame.
    """

    frame: int
    label: str
    box: Tuple[int, int, int, int]
    pixels: int
    hidden: bool = False


@dataclass(frozen=True)
class Section:
    """What the plane of a pose cuts, on the frame's pixels: float32 (size, size) each.

    tumors: one map each, of mm below the shape's surface, 0 outside of the shape, of the organ and of the fan.
    :func:`render` also sets to 0 what lies in a deep shadow. vessels: such a map of all lumens outside of tumors.
    loss: 1/mm. hidden: tumors that the picture does not show; vessels and loss are as if they were not there.
    lost: bool, pixels of beams without contact.
    """

    tumors: Tuple[Array, ...]
    vessels: Array
    loss: Array
    hidden: FrozenSet[int] = frozenset()
    lost: Optional[Array] = None


@dataclass(frozen=True)
class PhantomScene:
    """One sweep in memory.

    frames: uint8 (k, size, size), black outside the fan. motions: k - 1, from each frame to the next.
    uid_root: what every UID is derived from.
    """

    config: USPhantomConfig
    seed: int
    index: int
    patient: int
    fan: Fan
    liver: Liver
    poses: Tuple[Pose, ...]
    frames: Array
    boxes: Tuple[PhantomBox, ...]
    motions: Tuple[TissueMotion, ...]
    uid_root: str

    @property
    def name(self) -> str:
        return f"scene-{self.index:04d}"

    @property
    def patient_id(self) -> str:
        return f"PHANTOM-{self.seed}-{self.patient:04d}"

    def uid(self, *names: object) -> str:
        """A DICOM UID under the root 2.25 (PS3.5 B.2), told by options, seed, scene and names."""
        return "2.25." + str(uuid.uuid5(uuid.NAMESPACE_OID, "/".join([self.uid_root, *map(str, names)])).int)


def make_us_scene(config: USPhantomConfig, *, seed: int, index: int, frames: int) -> PhantomScene:
    """Scene ``index``, from (config, seed, index) alone, ``frames`` long.

    Frames before the last do not depend on ``frames`` but for their speckle, which fills the box around the whole
    sweep. Scenes of one patient (index // scenes_per_patient) sweep through the same liver.
    """
    patient = index // config.scenes_per_patient
    liver = random_liver(seed, patient, config)
    rng = stream(seed, index, _PROBE)
    radius, half_angle, depth = (
        rng.uniform(*limits) for limits in (config.radius_mm, config.half_angle_deg, config.depth_mm)
    )
    fan = Fan(radius, np.deg2rad(half_angle), depth, config.size)
    gain, contact = rng.uniform(*config.gain_db), config.contact_db * smooth_curve(rng)
    poses = random_sweep(stream(seed, index, _SWEEP), config, frames, *_aim(rng, liver))
    effects = random_effects(config, seed, index, frames, len(liver.tumors))
    pictures, sections = render(
        liver, fan, poses, config, gain_db=gain, contact_db=contact, effects=effects, seed=seed, index=index
    )
    boxes = [box for k, section in enumerate(sections) for box in boxes_of(section, k, config)]
    motions = tuple(tissue_motion(fan, before, after) for before, after in zip(poses, poses[1:]))
    root = json.dumps(["gluon_liver us phantom", config.record(), seed, index, frames])
    return PhantomScene(config, seed, index, patient, fan, liver, tuple(poses), pictures, tuple(boxes), motions, root)


def render(
    liver: Liver,
    fan: Fan,
    poses: Sequence[Pose],
    config: USPhantomConfig,
    *,
    gain_db: float = 0.0,
    contact_db: Union[float, Array] = 0.0,
    effects: Optional[Sequence[FrameEffects]] = None,
    seed: int = 0,
    index: int = 0,
) -> Tuple[Array, List[Section]]:
    """Pictures uint8 (k, size, size) and sections of a liver at the given poses.

    effects: of each frame (default: none). A picture with hidden tumors is that of the liver without them.
    """
    new = config.decorrelation
    tissue = Scatterers.fill(stream(seed, index, _SCATTER), fan, poses, config, 1.0 - new)
    scanner = Scanner(fan, config, gain_db, contact_db)
    noise = stream(seed, index, _NOISE)
    echoing: Dict[FrozenSet[int], Scatterers] = {}
    pictures, sections = [], []
    for frame, (pose, (hidden, lost_db, lost)) in enumerate(zip(poses, effects or [FrameEffects()] * len(poses))):
        shown = replace(liver, tumors=tuple(one for k, one in enumerate(liver.tumors) if k not in hidden))
        if hidden not in echoing:
            echoing[hidden] = tissue.echoing(scatterer_echo(shown, tissue.points))
        scatterers = echoing[hidden]
        if new > 0.0:
            fresh = Scatterers.fill(stream(seed, index, _FRESH, frame), fan, poses, config, new)
            scatterers = scatterers.joined(fresh.echoing(scatterer_echo(shown, fresh.points)))
        section = cut(shown, fan, pose)
        pictures.append(scanner.picture(scatterers, pose, section.loss, noise, lost_db))
        seen = scanner.left_over(section.loss) > DEEP_SHADOW
        depths = cut(liver, fan, pose).tumors if hidden else section.tumors
        tumors = tuple(depth * seen for depth in depths)
        sections.append(Section(tumors, section.vessels * seen, section.loss, hidden, scanner.on_pixels(lost)))
    return np.stack(pictures), sections


def cut(liver: Liver, fan: Fan, pose: Pose) -> Section:
    """The liver in the plane of a pose: a pixel belongs to a shape if its centre does."""
    x, y = fan.grid()
    inside = fan.contains(x, y)
    loss = np.zeros((fan.size, fan.size), np.float32)
    points = tuple(axis.astype(np.float32) for axis in pose.to_liver(x, y))
    distance = {kind: tube_distance(getattr(liver, kind), fan, pose, WALL_MM) for kind in WALLS}
    for kind, field in distance.items():
        loss[field < WALL_MM] = WALLS[kind][1]
    vessels = np.maximum(-np.minimum(distance["portal"], distance["hepatic"]), 0)
    loss[vessels > 0] = LOSS["lumen"]
    surface = liver.surface_distance(*points)
    loss[surface > 0] = LOSS["behind"]
    loss[np.abs(surface) < 0.5 * SURFACE_MM] = LOSS["surface"]
    vessels *= inside & (surface < 0)
    tumors = []
    for tumor in liver.tumors:
        depth = np.maximum(-tumor.distance(*points), 0).astype(np.float32)
        loss[depth > 0] = TUMOR_LOOK[tumor.kind][2]
        tumors.append(depth * inside)
        vessels[depth > 0] = 0
    loss[tube_distance(liver.ribs, fan, pose, 0.0) < 0] = LOSS["rib"]
    return Section(tuple(tumors), vessels, loss)


def tube_distance(chains: Sequence[Chain], fan: Fan, pose: Pose, grow: float) -> Array:
    """Signed mm to the nearest tube on the frame's pixels, float32 (size, size); far where none is within ``grow``."""
    field = np.full((fan.size, fan.size), FAR_MM, np.float32)
    if not chains:
        return field
    tubes = Tubes([(np.stack(pose.to_probe(*points.T), axis=1), radii) for points, radii in chains])
    x, y = fan.grid()
    for index in np.flatnonzero((tubes.lows[:, 2] <= grow) & (tubes.highs[:, 2] >= -grow)):
        low = np.floor(fan.to_pixels(*(tubes.lows[index, :2] - grow))).astype(int)
        high = np.ceil(fan.to_pixels(*(tubes.highs[index, :2] + grow))).astype(int)
        columns, rows = (slice(max(a, 0), max(min(b, fan.size), 0)) for a, b in zip(low, high))
        part = field[rows, columns]
        if part.size:
            np.minimum(part, tubes.distance(index, x[:, columns], y[rows], 0.0), out=part)
    return field


def boxes_of(section: Section, frame: int, config: USPhantomConfig) -> List[PhantomBox]:
    """One box a tumor, and one for each connected piece of lumen, but for what is too small or only grazed."""
    shapes = [("tumor", depth) for depth in section.tumors]
    pieces, count = ndimage.label(section.vessels > 0, structure=np.ones((3, 3)))
    shapes += [("vessel", section.vessels * (pieces == piece)) for piece in range(1, count + 1)]
    boxes = []
    for number, (label, depth) in enumerate(shapes):  # tumors come first
        pixels = int((depth > 0).sum())
        hidden = number in section.hidden
        if section.lost is not None:
            hidden |= 2 * int((section.lost & (depth > 0)).sum()) > pixels
        if pixels >= config.min_box_pixels and depth.max() >= config.min_box_depth_mm:
            rows, columns = (np.flatnonzero((depth > 0).any(axis=axis)) for axis in (1, 0))
            box = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
            boxes.append(PhantomBox(frame, label, box, pixels, hidden))
    return boxes


def _aim(rng: np.random.Generator, liver: Liver) -> Tuple[Array, Array]:
    """Middle of a sweep, and the turns there: the plane passes through a tumor where there is one."""
    turns = np.deg2rad(rng.uniform((-12.0, -20.0, -8.0), (12.0, 20.0, 8.0)))
    middle = np.array([rng.uniform(-10.0, 10.0), rng.uniform(-1.0, 1.0), rng.uniform(-8.0, 8.0)])
    if liver.tumors:
        tumor = liver.tumors[int(rng.integers(len(liver.tumors)))]
        target = tumor.centre + rng.uniform(-0.4, 0.4, 3) * tumor.half.min()
        normal = Pose.of(middle, turns).axes[2]
        # along z alone, so that the face stays on the skin
        middle[2] += float((target - middle) @ normal / normal[2])
    return middle, turns
