"""Seeded three-phase CT phantoms of the upper abdomen with cysts, hemangiomas and HCCs.

The CT paper's data are not public. These phantoms carry the information it uses: a lesion is a body that neighbouring
slices show and a vessel cut across is not, and the change between non-contrast, arterial and delayed phase tells the
classes apart. Anatomy is analytic, CT numbers follow published ranges (see :mod:`.attenuation`), noise has the spectrum
of filtered back projection. **Results on them are phantom results**: they show that the software works and what an
ablation does under known conditions; they say nothing about accuracy in patients.

The class of a lesion is independent of its size, its position and of everything else that a study shows, unless
``diameter_mm_by_class`` gives each class sizes of its own.
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple

import numpy as np

from gluon_liver.phantoms.shapes import Plane
from gluon_liver.structures.arrays import Array
from gluon_liver.structures.geometry import Geometry, Triple, triple

from .anatomy import Abdomen
from .attenuation import PHASES, random_attenuation
from .config import CLASSES, CTPhantomConfig
from .lesions import Lesion, Site, random_lesion, random_sites, random_size
from .noise import correlated_noise
from .rendering import LesionMask, Scene
from .steep import SteepVessel, random_steep_vessels
from .vessels import random_vessels

AIR_HU, HIGHEST_HU = -1024, 3071
_PATIENT, _STUDY, _VISITS, _STEEP = 1, 2, 3, 4


@dataclass(frozen=True)
class PhantomBox:
    """A lesion on one slice. box: x1, y1, x2, y2, the last two exclusive. pixels: at least half lesion."""

    phase: str
    slice: int
    lesion: int
    box: Tuple[int, int, int, int]
    pixels: int


@dataclass(frozen=True)
class PhantomStudy:
    """One study in memory.

    patient counts from 0, visit is 0 or 1.
    hu: int16 (z, y, x) by phase, z rising towards the head. geometry: of all phases. masks: one a lesion.
    lesions: in the patient frame, whose origin lies at ``world_offset_mm`` in DICOM coordinates. steep_vessels: those
    with sections of lesions, in the same frame.
    shifts_mm: (x, y, z) displacement of the organs by phase, zero in the arterial one.
    padded: pixels (y, x) outside the reconstruction circle. uid_root: what every UID is derived from.
    """

    seed: int
    index: int
    patient: int
    visit: int
    hu: Dict[str, Array]
    geometry: Geometry
    lesions: Tuple[Lesion, ...]
    steep_vessels: Tuple[SteepVessel, ...]
    boxes: Tuple[PhantomBox, ...]
    masks: Dict[str, List[LesionMask]]
    shifts_mm: Dict[str, Triple]
    world_offset_mm: Triple
    slice_thickness_mm: float
    noise_sd_hu: float
    padded: Array
    uid_root: str

    def uid(self, *names: object) -> str:
        """A DICOM UID under the root 2.25 (PS3.5 B.2), told by options, seed, study and names."""
        return "2.25." + str(uuid.uuid5(uuid.NAMESPACE_OID, "/".join([self.uid_root, *map(str, names)])).int)

    @property
    def study_uid(self) -> str:
        return self.uid("study")


def patient_of(config: CTPhantomConfig, seed: int, index: int) -> Tuple[int, int]:
    """(patient, visit) of study ``index``; the second study of a patient follows the first."""
    patient = visit = 0
    for _ in range(index):
        rng = np.random.default_rng(np.random.SeedSequence([seed, _VISITS, patient]))
        again = visit == 0 and rng.random() < config.two_study_fraction
        patient, visit = (patient, 1) if again else (patient + 1, 0)
    return patient, visit


def boxes_of_mask(mask: LesionMask, min_pixels: int) -> List[Tuple[int, Tuple[int, int, int, int], int]]:
    """(slice, (x1, y1, x2, y2), pixels) of the slices of which it covers ``min_pixels`` voxels by half or more."""
    boxes = []
    for row, covered in enumerate(mask.coverage >= 0.5):
        y, x = np.nonzero(covered)
        if len(y) >= min_pixels:
            z0, y0, x0 = mask.start
            box = (x0 + int(x.min()), y0 + int(y.min()), x0 + int(x.max()) + 1, y0 + int(y.max()) + 1)
            boxes.append((z0 + row, box, len(y)))
    return boxes


@dataclass(frozen=True)
class _Patient:
    """What the studies of a patient share.

    lesions: where and how large, then class and whether ambiguous. only: the class that all of them are of. reach_mm:
    lesions lie within this distance of ``centre_z_mm``.
    """

    abdomen: Abdomen
    spacing_mm: float
    slices: int
    thickness_mm: float
    pixel_mm: float
    centre_z_mm: float
    reach_mm: float
    steep: int
    only: Optional[str]
    lesions: List[Tuple[Site, Tuple[str, bool]]]
    lesion_seed: int


def _random_patient(config: CTPhantomConfig, seed: int, patient: int) -> _Patient:
    rng = np.random.default_rng(np.random.SeedSequence([seed, _PATIENT, patient]))
    abdomen = Abdomen(rng)
    spacing = float(rng.choice(config.spacing_mm))
    slices = int(rng.integers(config.slices[0], config.slices[1] + 1))
    thickness = round(spacing * float(rng.choice((1.0, 1.0, 1.25))), 3)
    pixel = round(2.0 * abdomen.half_width * rng.uniform(1.05, 1.14) / config.matrix, 6)
    centre_z = -10.0 + rng.uniform(-6.0, 6.0)
    reach = 0.5 * spacing * slices - spacing - config.breathing_mm
    count = int(rng.integers(config.lesions[0], config.lesions[1] + 1))
    if rng.random() < config.background_fraction:
        count = 0
    draws = [(bool(rng.random() < config.ambiguous_fraction), random_size(rng)) for _ in range(count)]
    if config.diameter_mm_by_class is None:
        # drawn before the class
        diameters = [config.diameter(CLASSES[0], *draw) for draw in draws]
        sites = random_sites(rng, abdomen, diameters, (centre_z - reach, centre_z + reach))
        labels, only = _random_classes(rng, config, count)
    else:
        labels, only = _random_classes(rng, config, count)
        diameters = [config.diameter(label, *draw) for label, draw in zip(labels, draws)]
        sites = random_sites(rng, abdomen, diameters, (centre_z - reach, centre_z + reach))
    kinds = [(label, early and label != "cyst") for label, (early, _) in zip(labels, draws)]
    placed = [(site, kind) for site, kind in zip(sites, kinds) if site is not None]
    steep = int(rng.integers(config.steep_vessels[0], config.steep_vessels[1] + 1))
    lesion_seed = int(rng.integers(2**31))
    height = centre_z, reach
    return _Patient(abdomen, spacing, slices, thickness, pixel, *height, steep, only, placed, lesion_seed)


def _random_classes(rng: np.random.Generator, config: CTPhantomConfig, count: int) -> Tuple[List[str], Optional[str]]:
    """Classes of a patient's lesions, and the one that they all share if they must."""
    weights = np.asarray(config.class_weights, np.float64)
    labels = [CLASSES[int(k)] for k in rng.choice(3, size=count, p=weights / weights.sum())]
    if rng.random() < config.one_class_fraction:
        return labels[:1] * count, labels[0] if labels else None
    return labels, None


def make_ct_study(config: CTPhantomConfig, *, seed: int, index: int) -> PhantomStudy:
    """Study ``index`` (from 0) of the set of ``config`` and ``seed``, whichever others are made."""
    number, visit = patient_of(config, seed, index)
    patient = _random_patient(config, seed, number)
    rng = np.random.default_rng(np.random.SeedSequence([seed, _STUDY, index]))
    tissue = random_attenuation(rng)
    # per-patient stream, so that the second visit shows the same vessels and the same lesions
    own = np.random.default_rng(np.random.SeedSequence([seed, _PATIENT, number, patient.lesion_seed]))
    alike = config.steep_vessel_mm is not None
    vessels = random_vessels(own, patient.abdomen, 0 if alike else patient.steep)
    lesions = []
    for (centre, diameter), (label, ambiguous) in patient.lesions:
        shrink = rng.uniform(0.85, 1.0) if visit else 1.0
        lesions.append(random_lesion(own, (centre, diameter * shrink), label, ambiguous, tissue, config.irregularity))
    steep: List[SteepVessel] = []
    if alike:
        # a stream of its own: noise is the same with and without these vessels, and where their number is
        # not drawn (LO is HI) lesions are too
        apart = np.random.default_rng(np.random.SeedSequence([seed, _STEEP, number]))
        height = patient.centre_z_mm, patient.reach_mm
        sites = [site for site, _ in patient.lesions]
        steep = random_steep_vessels(apart, patient.abdomen, config, tissue, patient.steep, patient.only, sites, height)
    plane = Plane(config.matrix, patient.pixel_mm)
    z_mm = patient.centre_z_mm + (np.arange(patient.slices) - 0.5 * (patient.slices - 1)) * patient.spacing_mm
    scene = Scene(plane, patient.abdomen, vessels, lesions, z_mm, patient.thickness_mm, config.subslices, steep)
    shifts = _breathing(rng, config.breathing_mm)
    noise_sd = float(rng.uniform(*config.noise_sd_hu))
    if config.noise_at_mm is not None:
        noise_sd *= math.sqrt(config.noise_at_mm / patient.thickness_mm)
    padded = _corners(config.matrix) & (rng.random() < config.padding_fraction)
    world = triple(round(float(v), 2) for v in (*rng.uniform(-12.0, 12.0, 2), rng.uniform(-400.0, -100.0)))
    volumes, masks, boxes = {}, {}, []
    for phase in PHASES:
        image, masks[phase] = scene.render(tissue[phase], phase, np.asarray(shifts[phase]))
        image += correlated_noise(rng, image.shape, (patient.pixel_mm, patient.pixel_mm), noise_sd)
        volumes[phase] = np.clip(np.rint(image), AIR_HU, HIGHEST_HU).astype(np.int16)
        volumes[phase][:, padded] = AIR_HU
        for lesion, mask in enumerate(masks[phase]):
            parts = boxes_of_mask(mask, config.min_box_pixels)
            boxes += [PhantomBox(phase, z, lesion, box, pixels) for z, box, pixels in parts]
    digest = hashlib.sha256(json.dumps(config.record()).encode()).hexdigest()
    return PhantomStudy(
        seed=seed,
        index=index,
        patient=number,
        visit=visit,
        hu=volumes,
        geometry=_geometry(patient, config.matrix, world),
        lesions=tuple(lesions),
        steep_vessels=tuple(steep),
        boxes=tuple(boxes),
        masks=masks,
        shifts_mm=shifts,
        world_offset_mm=world,
        slice_thickness_mm=patient.thickness_mm,
        noise_sd_hu=noise_sd,
        padded=padded,
        uid_root=f"gluon_liver CT phantom/{digest}/{seed}/{index}",
    )


def _breathing(rng: np.random.Generator, largest_mm: float) -> Dict[str, Triple]:
    limits = largest_mm * np.array([0.3, 0.4, 1.0])
    moves = {phase: triple(rng.uniform(-limits, limits)) for phase in PHASES}
    return {**moves, "arterial": (0.0, 0.0, 0.0)}


def _corners(matrix: int) -> Array:
    """Pixels outside the circle that touches the image's edges."""
    axis = (np.arange(matrix) - (matrix - 1) / 2.0) / (matrix / 2.0)
    return axis[None, :] ** 2 + axis[:, None] ** 2 > 1.0


def _geometry(patient: _Patient, matrix: int, world: Triple) -> Geometry:
    """The grid in DICOM coordinates, rounded to what the DICOM files hold."""
    edge = -0.5 * (matrix - 1) * patient.pixel_mm
    first = patient.centre_z_mm - 0.5 * (patient.slices - 1) * patient.spacing_mm + world[2]
    return Geometry(
        origin=(round(world[0] + edge, 4), round(world[1] + edge, 4), round(first, 4)),
        spacing=(patient.spacing_mm, patient.pixel_mm, patient.pixel_mm),
        direction=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        size=(patient.slices, matrix, matrix),
    )
