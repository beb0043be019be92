"""From shapes to HU: one phase of a study, plane by plane, with partial volume."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Sequence, Tuple, Union

import numpy as np

from gluon_liver.phantoms.shapes import Ellipsoid, Plane, paint
from gluon_liver.structures.arrays import Array

from .anatomy import SPINE_Y, Abdomen
from .lesions import Lesion
from .steep import SteepVessel
from .vessels import Vessels

Hu = Union[float, Array]

LIVER_GRAIN_HU = 2.5
WALL_GAP_MM = 1.5


@dataclass
class LesionMask:
    """Share of each voxel that a lesion covers: float32 (slices, rows, columns), from voxel ``start`` (z, y, x) on."""

    start: Tuple[int, int, int]
    coverage: Array


@dataclass
class Scene:
    """What a patient's study shows before the scanner adds noise; lengths in mm, frame of ``phantoms.shapes``.

    z_mm: slice centres, rising. A slice is the mean of ``subslices`` thin planes spread evenly over its thickness.
    """

    plane: Plane
    abdomen: Abdomen
    vessels: Vessels
    lesions: Sequence[Lesion]
    z_mm: Array
    thickness_mm: float
    subslices: int
    steep: Sequence[SteepVessel] = ()
    _wall: Tuple[Array, ...] = field(init=False, repr=False)
    _beside_spine: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._wall = self.abdomen.wall_distances(self.plane)
        block = Ellipsoid((0.0, SPINE_Y + 22.0, 0.0), (46.0, 42.0, 1.0))
        self._beside_spine = 1.0 - self.plane.coverage(block.distance(self.plane.x, self.plane.y, 0.0))

    def render(self, tissue: Dict[str, float], phase: str, shift_mm: Array) -> Tuple[Array, List[LesionMask]]:
        """Noise-free HU, float32 (slices, rows, columns), and one mask per lesion.

        tissue: HU by tissue in this phase. shift_mm: (x, y, z) displacement of the organs by breathing.
        """
        bases = [self._base(tissue, vertebra) for vertebra in (False, True)]
        offsets = ((np.arange(self.subslices) + 0.5) / self.subslices - 0.5) * self.thickness_mm
        image = np.zeros((len(self.z_mm), self.plane.matrix, self.plane.matrix), np.float32)
        masks = [self._empty_mask(lesion, shift_mm) for lesion in self.lesions]
        for index, centre in enumerate(self.z_mm):
            for offset in offsets:
                z = float(centre + offset)
                thin = bases[int(self.abdomen.vertebra(z))].copy()
                self._organs(thin, tissue, z, shift_mm)
                inside = self._liver(thin, tissue, z, shift_mm)
                for vessel, shape in self.abdomen.great_vessels(z):
                    self._paint(thin, shape, z, np.zeros(3), tissue[vessel])
                for tube in self.steep:
                    self._steep(thin, inside, tube, phase, float(centre), float(offset), shift_mm)
                for lesion, mask in zip(self.lesions, masks):
                    self._lesion(thin, lesion, mask, phase, index, z, shift_mm)
                image[index] += thin
            image[index] /= np.float32(self.subslices)
        for mask in masks:
            mask.coverage /= np.float32(self.subslices)
        return image, masks

    def _base(self, tissue: Dict[str, float], vertebra: bool) -> Array:
        """Air, skin fat, muscle wall, fat of the cavity and the spine: what many planes have in common."""
        plane, scale = self.plane, self.abdomen.scale
        everything = (slice(None), slice(None))
        image = np.full((plane.matrix, plane.matrix), -1000.0, np.float32)
        for distance, hu in zip(self._wall, (tissue["fat"], tissue["muscle"], tissue["fat"])):
            paint(image, everything, plane.coverage(distance), np.float32(hu))
        body = tissue["spongy_bone"] if vertebra else tissue["disc"]
        rim = 0.5 * (tissue["dense_bone"] + tissue["spongy_bone"]) if vertebra else tissue["disc"]
        muscle, bone = tissue["muscle"], tissue["dense_bone"]
        # centre, semi-axes, angle, HU: back muscles, psoas, crura, then the vertebra
        shapes = [
            ((-32.0, 84.0), (25.0, 18.0), 0.25, muscle),
            ((32.0, 84.0), (25.0, 18.0), -0.25, muscle),
            ((-33.0, 50.0), (12.0, 15.0), 0.0, muscle),
            ((33.0, 50.0), (12.0, 15.0), 0.0, muscle),
            ((-11.0, 22.0), (4.5, 9.0), -0.3, muscle),
            ((12.0, 24.0), (15.0, 13.5), 0.0, muscle),
            ((0.0, 84.0), (17.0, 10.0), 0.0, 0.6 * bone),
            ((0.0, 96.0), (3.5, 13.0), 0.0, 0.7 * bone),
            ((0.0, SPINE_Y), (23.0, 17.0), 0.0, rim),
            ((0.0, SPINE_Y), (21.0, 15.0), 0.0, body),
            ((0.0, SPINE_Y + 24.0), (11.0, 8.5), 0.0, tissue["cord"]),
        ]
        for (x, y), (a, b), angle, hu in shapes:
            ellipse = Ellipsoid((scale * x, scale * y, 0.0), (scale * a, scale * b, 1.0), angle)
            self._paint(image, ellipse, 0.0, np.zeros(3), hu)
        return image

    def _paint(
        self, image: Array, shape: Ellipsoid, z: float, shift: Array, hu: Hu, inset: float = 0.0, walled: bool = False
    ) -> None:
        """hu: a number, or one for each row of the plane, (rows, 1)."""
        window = shape.window(self.plane, z - shift[2], shift)
        if window is None:
            return
        x, y = self.plane.axes(window, shift)
        distance = shape.distance(x, y, z - shift[2])
        if walled:
            distance = np.maximum(distance, self._wall[2][window] + np.float32(WALL_GAP_MM))
        values = hu[window[0]] if isinstance(hu, np.ndarray) else np.float32(hu)
        paint(image, window, self.plane.coverage(distance + np.float32(inset)), values)

    def _organs(self, image: Array, tissue: Dict[str, float], z: float, shift: Array) -> None:
        abdomen, plane = self.abdomen, self.plane
        if z - shift[2] > abdomen.dome.centre[2]:
            x, y = plane.axes((slice(None), slice(None)), shift)
            outside = 1.0 - plane.coverage(abdomen.dome.distance(x, y, z - shift[2]))
            lung = outside * plane.coverage(self._wall[2]) * self._beside_spine
            paint(image, (slice(None), slice(None)), lung, np.float32(tissue["lung"]))
        for rib in abdomen.ribs(z):
            self._paint(image, rib, z, np.zeros(3), tissue["dense_bone"])
            self._paint(image, rib, z, np.zeros(3), tissue["spongy_bone"], inset=2.0)
        for kidney in abdomen.kidneys:
            self._paint(image, kidney, z, 0.6 * shift, tissue["renal_cortex"], walled=True)
            self._paint(image, kidney, z, 0.6 * shift, tissue["renal_medulla"], inset=8.0)
            self._paint(image, kidney, z, 0.6 * shift, tissue["fat"], inset=20.0)
        self._paint(image, abdomen.pancreas, z, 0.6 * shift, tissue["gut_wall"] + 3.0)
        self._paint(image, abdomen.spleen, z, shift, tissue["spleen"], walled=True)
        self._paint(image, abdomen.spleen_bed, z, shift, tissue["fat"], inset=4.0)
        self._hollow(image, abdomen.colon, tissue, z, shift, abdomen.colon.centre[1] + 8.0, 3.0)
        self._hollow(image, abdomen.stomach, tissue, z, shift, abdomen.stomach_level, 4.5)
        if abdomen.gallbladder is not None:
            self._paint(image, abdomen.gallbladder, z, shift, tissue["gut_wall"], walled=True)
            self._paint(image, abdomen.gallbladder, z, shift, tissue["bile"], inset=1.5)

    def _hollow(
        self,
        image: Array,
        shape: Ellipsoid,
        tissue: Dict[str, float],
        z: float,
        shift: Array,
        level_y: float,
        wall_mm: float,
    ) -> None:
        """Stomach or bowel: a wall, fluid at the back and gas in front of ``level_y``."""
        gas = self.plane.coverage(self.plane.y - np.float32(shift[1]) - np.float32(level_y))
        content = np.float32(tissue["gut_content"]) + gas * np.float32(tissue["gas"] - tissue["gut_content"])
        self._paint(image, shape, z, shift, tissue["gut_wall"], walled=True)
        self._paint(image, shape, z, shift, content, wall_mm, walled=True)

    def _liver(self, image: Array, tissue: Dict[str, float], z: float, shift: Array) -> Array:
        """Returns the share of each pixel that the organ covers."""
        liver, plane, z_organ = self.abdomen.liver, self.plane, z - float(shift[2])
        window, inside = liver.window(plane, z_organ, shift), np.zeros(image.shape, np.float32)
        if window is None:
            return inside
        x, y = plane.axes(window, shift)
        distance = liver.distance(x, y, z_organ, liver.surface.on_plane(x, y, z_organ))
        cover = plane.coverage(np.maximum(distance, self._wall[2][window] + np.float32(WALL_GAP_MM)))
        grain = np.float32(LIVER_GRAIN_HU) * liver.grain.on_plane(x, y, z_organ)
        paint(image, window, cover, np.float32(tissue["liver"]) + grain)
        inside[window] = cover
        for kind in ("hepatic", "portal", "artery", "trunk"):
            hu = np.float32(tissue["portal" if kind == "trunk" else kind])
            tubes = self.vessels[kind]
            for index in tubes.cut_by(z_organ):
                spot = plane.window(tubes.lows[index] + shift, tubes.highs[index] + shift)
                if spot is not None:
                    share = plane.coverage(tubes.distance(index, *plane.axes(spot, shift), z_organ))
                    paint(image, spot, share if kind == "trunk" else share * inside[spot], hu)
        return inside

    def _steep(
        self,
        image: Array,
        inside: Array,
        tube: SteepVessel,
        phase: str,
        centre_z: float,
        offset: float,
        shift: Array,
    ) -> None:
        """A tube in the thin plane at ``centre_z + offset``; it steps sideways from slice to slice, not within one."""
        centre = tube.at(centre_z - float(shift[2])) + shift[:2]
        reach = tube.section.reach_mm[:2]
        window = self.plane.window(centre - reach, centre + reach)
        if window is None:
            return
        x, y = self.plane.axes(window, centre)
        cover, hu = tube.section.values(phase, x, y, tube.height_mm + offset, self.plane.edge_mm)
        paint(image, window, cover * inside[window], hu)

    def _empty_mask(self, lesion: Lesion, shift: Array) -> LesionMask:
        reach = lesion.reach_mm[2] + 0.5 * self.thickness_mm + self.plane.edge_mm
        centre = lesion.centre_mm[2] + shift[2]
        touched = [k for k, z in enumerate(self.z_mm) if abs(z - centre) <= reach]
        rows, columns = lesion.window(self.plane, centre, shift) or (slice(0, 0), slice(0, 0))
        first = touched[0] if touched else 0
        shape = (len(touched), rows.stop - rows.start, columns.stop - columns.start)
        return LesionMask((first, rows.start, columns.start), np.zeros(shape, np.float32))

    def _lesion(
        self, image: Array, lesion: Lesion, mask: LesionMask, phase: str, index: int, z: float, shift: Array
    ) -> None:
        row = index - mask.start[0]
        window = lesion.window(self.plane, z, shift)
        if window is None or not 0 <= row < len(mask.coverage):
            return
        x, y = self.plane.axes(window, np.asarray(lesion.centre_mm)[:2] + shift[:2])
        cover, hu = lesion.values(phase, x, y, float(z - lesion.centre_mm[2] - shift[2]), self.plane.edge_mm)
        paint(image, window, cover, hu)
        mask.coverage[row] += cover
