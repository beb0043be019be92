"""Cysts, hemangiomas and HCCs: where they lie, how large they are, and their CT numbers in each phase.

Nothing but the CT numbers (and the roughness of the outline) depends on the class: sizes and positions come from
distributions that all classes share, unless each class has sizes of its own (``diameter_mm_by_class``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from gluon_liver.phantoms.shapes import Offset, Plane, Texture, Window, unit
from gluon_liver.structures.arrays import Array
from gluon_liver.structures.geometry import Triple, triple

from . import attenuation as hu
from .anatomy import Abdomen

ROUGHNESS = {"cyst": 0.02, "hemangioma": 0.08, "hcc": 0.06}
LIVER_MARGIN_MM = 2.0
LESION_GAP_MM = 4.0
SMALLEST_MM = 8.0
CAPSULE_MM = 1.8
NECROSIS_FROM_MM = 35.0
UNFILLED_FROM_MM = 25.0


@dataclass(frozen=True)
class Lesion:
    """One lesion of one study.

    label: class name. centre_mm: (x, y, z) in the patient frame (x left, y back, z head), arterial phase.
    diameter_mm: of the sphere of equal volume, before roughness. half_mm: semi-axes (x, y, z).
    ambiguous: shows the even, early enhancement that hemangioma and HCC share.
    hu: CT numbers by phase and part ("body", where it applies "nodule", "capsule", "necrosis", "unfilled").
    """

    label: str
    centre_mm: Triple
    diameter_mm: float
    half_mm: Triple
    ambiguous: bool
    roughness: float
    hu: Dict[str, Dict[str, float]]
    outline: Texture = field(repr=False, compare=False)
    inner: Texture = field(repr=False, compare=False)
    nodules: Array = field(repr=False, compare=False)  # (n, 4): x, y, z from the centre and radius, mm
    unfilled: float = 0.0  # share of the radius that contrast medium has not reached in the delayed phase
    mosaic_hu: float = 0.0
    necrosis: Optional[Tuple[float, float, float, float]] = None  # x, y, z from the centre and radius, mm

    @property
    def reach_mm(self) -> Array:
        """Largest distance of the surface from the centre along x, y, z."""
        return np.asarray(self.half_mm) * (1.0 + 2.0 * self.roughness)

    def window(self, plane: Plane, z: float, shift: Array) -> Optional[Window]:
        centre, reach = np.asarray(self.centre_mm) + shift, self.reach_mm
        if abs(z - centre[2]) > reach[2] + plane.edge_mm:
            return None
        return plane.window(centre - reach, centre + reach)

    def depth(self, x: Array, y: Array, z: float) -> Tuple[Array, Array]:
        """Relative radius (1 at the surface) and signed distance in mm at offsets from the centre."""
        a, b, c = (np.float32(value) for value in self.half_mm)
        radius = np.sqrt((x / a) ** 2 + (y / b) ** 2 + np.float32((z / c) ** 2))
        if self.roughness > 0.0:
            bumps = np.clip(self.outline.on_plane(x, y, z), -2.0, 2.0)
            radius = radius / (np.float32(1.0) + np.float32(self.roughness) * bumps)
        return radius, (radius - np.float32(1.0)) * np.float32(0.5 * self.diameter_mm)

    def values(self, phase: str, x: Array, y: Array, z: float, edge_mm: float) -> Tuple[Array, Array]:
        """Coverage (0 to 1) and HU at offsets (mm) from the centre in one plane."""
        radius, distance = self.depth(x, y, z)
        cover = unit(np.float32(0.5) - distance / np.float32(edge_mm))
        parts = self.hu[phase]
        image = np.full(radius.shape, parts["body"], np.float32)
        if self.mosaic_hu > 0.0 and phase != "non_contrast":
            strength = self.mosaic_hu if phase == "arterial" else 0.4 * self.mosaic_hu
            image += np.float32(strength) * np.clip(self.inner.on_plane(x, y, z), -1.5, 1.5)
        if "necrosis" in parts and self.necrosis is not None:
            far = _far(x, y, z, self.necrosis) - np.float32(0.3 * self.necrosis[3]) * self.inner.on_plane(x, y, z)
            image += unit(0.5 - far / 3.0) * (parts["necrosis"] - image)
        if "nodule" in parts:
            uneven = np.float32(0.02 * self.diameter_mm) * self.inner.on_plane(x, y, z)
            far = np.min([_far(x, y, z, nodule) for nodule in self.nodules], axis=0) - uneven
            image += unit(0.5 - far / 2.0) * (parts["nodule"] - image)
        if "unfilled" in parts and self.unfilled > 0.0:
            front = radius + 0.12 * self.inner.on_plane(x, y, z) - np.float32(self.unfilled)
            image += unit(0.5 - front * (0.5 * self.diameter_mm / 4.0)) * (parts["unfilled"] - image)
        if "capsule" in parts:
            image += unit(0.5 + (distance + CAPSULE_MM) / 1.2) * (parts["capsule"] - image)
        return cover, image


def _far(x: Array, y: Array, z: float, ball: Offset) -> Array:
    """Signed distance (mm) of a plane's points to a ball (x, y, z, radius)."""
    cx, cy, cz, radius = (np.float32(value) for value in ball)
    return np.sqrt((x - cx) ** 2 + (y - cy) ** 2 + (np.float32(z) - cz) ** 2) - radius


Site = Tuple[Array, float]


def random_size(rng: np.random.Generator) -> float:
    """Where a lesion lies between the smallest (0) and the largest (1): many are small and few large."""
    return float(rng.beta(1.3, 1.9))


def random_sites(
    rng: np.random.Generator, abdomen: Abdomen, diameters: List[float], z_limits: Tuple[float, float]
) -> List[Optional[Site]]:
    """Centres (mm) and diameters of spheres inside the liver that neither touch nor leave ``z_limits``.

    One entry a diameter. The largest are placed first. One that fits nowhere in 60 tries shrinks by a fifth
    until it does; below 8 mm it is left out (None).
    """
    liver = abdomen.liver
    sites: List[Optional[Site]] = [None] * len(diameters)
    steps = np.arange(48) + 0.5
    height, turn = 1.0 - 2.0 * steps / 48.0, np.pi * (1.0 + 5.0**0.5) * steps
    flat = np.sqrt(1.0 - height**2)
    sphere = np.stack([flat * np.cos(turn), flat * np.sin(turn), height], axis=1)
    for index in np.argsort(diameters, kind="stable")[::-1]:
        diameter, taken = diameters[index], [site for site in sites if site is not None]
        while sites[index] is None and diameter >= SMALLEST_MM:
            reach = 0.6 * diameter
            low, high = liver.lows.copy(), liver.highs.copy()
            low[2], high[2] = max(low[2], z_limits[0]) + reach, min(high[2], z_limits[1]) - reach
            for centre in rng.uniform(low, high, (60, 3)) if low[2] < high[2] else ():
                shell = centre + (reach + LIVER_MARGIN_MM) * sphere
                apart = all(np.linalg.norm(centre - c) > 0.6 * (diameter + d) + LESION_GAP_MM for c, d in taken)
                cava = np.linalg.norm(centre[:2] - abdomen.cava_centre) > reach + 14.0
                whole = np.linalg.norm(liver.fissure_points - centre, axis=1).min() > reach + 5.0
                if apart and cava and whole and liver.distance_at(shell).max() < 0.0:
                    sites[index] = (centre, float(diameter))
                    break
            else:
                diameter *= 0.8
    return sites


def random_lesion(
    rng: np.random.Generator, site: Site, label: str, ambiguous: bool, tissue: hu.Attenuation, irregularity: float
) -> Lesion:
    """A lesion of class ``label`` at ``site``.

    tissue: the study's CT numbers, of which those of liver and blood count.
    irregularity: scales roughness and ellipticity (0: a sphere).
    """
    centre, diameter = site
    roughness = irregularity * (0.05 if ambiguous else ROUGHNESS[label])
    stretch = np.exp(irregularity * rng.uniform(-0.08, 0.08, 3))
    half = 0.5 * diameter * stretch / stretch.prod() ** (1.0 / 3.0)
    outline, inner = Texture(rng, 0.75 * diameter), Texture(rng, max(6.0, 0.35 * diameter))
    nodules, offset = _nodules(rng, diameter), rng.standard_normal(3)
    unfilled, dead = rng.uniform(0.25, 0.5), rng.uniform(0.08, 0.2)
    values = _attenuation(rng, label, ambiguous, tissue)
    inside: Dict[str, Any] = {}
    if label == "hemangioma" and diameter > UNFILLED_FROM_MM and not ambiguous:
        inside["unfilled"] = unfilled
    if label == "hcc" and not ambiguous:
        inside["mosaic_hu"] = min(14.0, 4.0 + 0.4 * max(0.0, diameter - 20.0))
        if diameter > NECROSIS_FROM_MM:
            inside["necrosis"] = (*(0.14 * diameter * offset / np.linalg.norm(offset)), dead * diameter)
    sizes = triple(centre), diameter, triple(half)
    return Lesion(label, *sizes, ambiguous, roughness, values, outline, inner, nodules, **inside)


def _nodules(rng: np.random.Generator, diameter: float) -> Array:
    """Globules on the rim, apart from one another (discontinuous), at least 2.4 mm in radius."""
    radius, count = 0.5 * diameter, int(rng.integers(7, 12))
    globules: List[Array] = []
    for direction in rng.standard_normal((60, 3)):
        direction /= np.linalg.norm(direction)
        size = max(2.4, radius * rng.uniform(0.22, 0.42))
        centre = direction * max(0.0, radius - 0.5 * size)
        if all(np.linalg.norm(centre - other[:3]) > size + other[3] + 0.05 * radius for other in globules):
            globules.append(np.append(centre, size))
        if len(globules) == count:
            break
    return np.array(globules)


def _attenuation(
    rng: np.random.Generator, label: str, ambiguous: bool, tissue: hu.Attenuation
) -> Dict[str, Dict[str, float]]:
    """CT numbers by phase and part, from the ranges of :mod:`.attenuation`."""
    one = {name: rng.uniform(*limits) for name, limits in hu.LESIONS.items()}
    encapsulated = rng.random() < 0.8
    plain, arterial, delayed = (tissue[phase] for phase in hu.PHASES)
    if label == "cyst":
        return {phase: {"body": one["cyst"]} for phase in hu.PHASES}
    early = {"body": arterial["liver"] + one["ambiguous_arterial_above_liver"]}
    before = {"body": plain["liver"] - one["ambiguous_below_liver"]}
    if label == "hemangioma":
        late = {"body": one["hemangioma_pool_of_aorta"] * delayed["aorta"]}
        if not ambiguous:
            before = {"body": plain["aorta"]}
            nodule = one["hemangioma_nodule_of_aorta"] * arterial["aorta"]
            early = {"body": arterial["hepatic"] - 4.0, "nodule": nodule}
            late["unfilled"] = plain["aorta"] + 16.0
        return {"non_contrast": before, "arterial": early, "delayed": late}
    late = {"body": delayed["liver"] / one["hcc_liver_to_lesion"]}
    if encapsulated:
        late["capsule"] = delayed["liver"] + one["capsule_above_liver"]
    if not ambiguous:
        before = {"body": plain["liver"] - one["hcc_below_liver"], "necrosis": 28.0}
        early = {"body": arterial["liver"] + one["hcc_arterial_above_liver"], "necrosis": 32.0}
        late["necrosis"] = 34.0
    return {"non_contrast": before, "arterial": early, "delayed": late}
