"""Where aorta and liver probably lie on a few axial pictures, and their HU: a hint for a reader, never a measurement.

Nothing is learned. The spine is the anchor: the aorta is the round, even disc before and to the left of it that
runs on from picture to picture, the liver the largest even region on the patient's right that has no likeness on the
left.
"""

from __future__ import annotations

from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np
from scipy import ndimage

from gluon_liver.structures.arrays import Array, BoolArray

BODY_HU, BONE_HU, TISSUE_HU, CLIPPED_HU = -300, 160, (-20, 250), (-100, 800)
SMOOTH_MM, MAX_SPINE_SHIFT_MM = 1.5, 25.0
MAX_PIXEL_MM = 3.0
AORTA_RADII_MM = (7.0, 9.0, 11.0, 13.5)
RING_MM = (3.0, 7.0)  # beyond the radius of a disc
DARKER_SECTORS = 5  # of eight around a disc
SHELL_HU = 20
SPREAD_MM = 6.0  # how far the aorta's place may differ between pictures that count together
FOLLOW_MM = 10.0  # how far from the common place the best disc of one picture may be
PRICE_PER_MM = 0.08  # of the way between levels, in units of the score
MAX_PEAKS, MAX_SCORE = 6, 6.0
AORTA_BOX_MM = (-18.0, 45.0, -75.0, 12.0)  # to the left and to the back of the spine's middle
USUAL_LEFT_MM, VERTEBRA_MM = (12.0, 20.0), (15.0, 12.0)  # mean and spread; half a width, and how far to the front
MIN_AORTA_SCORE, MIN_CLEAR_SCORE, MAX_DISAGREEMENT = 1.5, 3.0, 0.25
MAX_AORTA_SD, AORTA_HU = 45.0, (15, 800)
LIVER_HU, LIVER_BAND_HU = (15, 220), 25
MAX_UNENHANCED_HU, MIN_ARTERIAL_HU, ARTERIAL_RATIO = 70, 170, 2.0
LIVER_OPENING_MM, MIN_LIVER_MM2, MAX_MIRRORED = 10.0, 3500.0, 0.6


Place = Tuple[float, float]  # (x, y) in pixels
Disc = Tuple[float, float, float]  # (x, y, radius) in pixels
_Step = Tuple[float, Place, int]  # sum of scores up to a place of a level, and its number on the level before


class Organs(NamedTuple):
    """Median HU on one picture; None where the organ was not found.

    aorta_at: (x, y, radius) in pixels; aorta_score: how clearly it stands out there.
    liver_mask: (rows, columns), of which the area in mm2 counts on the right.
    """

    aorta: Optional[float]
    liver: Optional[float]
    soft_tissue: Optional[float]
    aorta_at: Optional[Disc] = None
    aorta_score: float = 0.0
    liver_area: float = 0.0
    liver_mask: Optional[BoolArray] = None


class _Discs(NamedTuple):
    """(rows, columns) scores of the best disc around every pixel, its radius in pixels, and how likely the place is."""

    score: Array
    radius: Array
    weight: Array


def find_organs(pictures: Sequence[Array], levels: Sequence[float], pixel_mm: float) -> List[Organs]:
    """The organs on each of several axial pictures of one patient on one grid, also of several series.

    pictures: HU (rows, columns), columns to the patient's left, rows to the back. levels: z in mm of each. The aorta is
    told from all of them together: one bright phase shows where it is in the others, and it runs on between levels.
    """
    result = [Organs(None, None, _soft_tissue(one)) for one in pictures]
    if pixel_mm > MAX_PIXEL_MM:
        return result
    smooth = [cv2.GaussianBlur(one.astype(np.float32), (0, 0), SMOOTH_MM / pixel_mm) for one in pictures]
    bodies = [ndimage.binary_fill_holes(_largest(one > BODY_HU)) for one in smooth]
    spines = [_spine(one, body, pixel_mm) for one, body in zip(smooth, bodies)]
    seen = [spine for spine in spines if spine is not None]
    usual = np.median(seen, axis=0) if seen else np.zeros(2)
    discs: Dict[int, _Discs] = {}
    for number, spine in enumerate(spines if 2 * len(seen) >= len(spines) else ()):
        # contrast medium in the bowel is as bright as bone, and thin bone is not bright
        if spine is None or abs(spine[0] - usual[0]) * pixel_mm > MAX_SPINE_SHIFT_MM:
            spine = float(usual[0]), float(usual[1])
        discs[number] = _discs(smooth[number], spine, pixel_mm)
        liver, area, mask = _liver(smooth[number], bodies[number], spine[0], pixel_mm)
        result[number] = result[number]._replace(liver=liver, liver_area=area, liver_mask=mask)
    path = _path({number: levels[number] for number in discs}, discs, pixel_mm)
    clearest: Dict[float, Tuple[float, Disc]] = {}
    places = {number: _best_near(one, path.get(levels[number]), pixel_mm) for number, one in discs.items()}
    for number, best in places.items():
        clearest[levels[number]] = max(clearest.get(levels[number], best), best)
    for number, best in places.items():
        score, place = best
        if score < MIN_AORTA_SCORE:  # blood without contrast medium is much like muscle: look where others show it
            score, place = clearest[levels[number]]
        if score >= (MIN_AORTA_SCORE if best[0] >= MIN_AORTA_SCORE else MIN_CLEAR_SCORE):
            aorta = _median_in(pictures[number], place)
            result[number] = result[number]._replace(aorta=aorta, aorta_at=place, aorta_score=score)
    return result


def aorta_of(found: Sequence[Organs]) -> Optional[float]:
    """Median HU of the aorta over the pictures of one series; None where they show it dimly or do not agree."""
    hu = [one.aorta for one in found if one.aorta is not None]
    if not hu or float(np.median([one.aorta_score for one in found if one.aorta is not None])) < MIN_CLEAR_SCORE:
        return None
    middle = float(np.median(hu))
    return middle if np.median(np.abs(np.array(hu) - middle)) <= MAX_DISAGREEMENT * max(middle, 50.0) else None


def _soft_tissue(picture: Array) -> Optional[float]:
    inside = picture[(picture > TISSUE_HU[0]) & (picture < TISSUE_HU[1])]
    return float(np.median(inside)) if inside.size > 0.02 * picture.size else None


def _disc(radius: float, reach: float = 0.0) -> Array:
    """A disc of ones in a square of zeros that reaches as far as a disc of radius ``reach``."""
    side = int(np.ceil(max(radius, reach)))
    y, x = np.mgrid[-side : side + 1, -side : side + 1]
    return (x * x + y * y <= radius * radius).astype(np.float32)


def _largest(mask: BoolArray) -> BoolArray:
    labels, count = ndimage.label(mask)
    if count < 2:
        return mask
    return labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))


def _spine(smooth: Array, body: BoolArray, pixel_mm: float) -> Optional[Place]:
    """(x, y) of the middle of the spine in pixels: where bone is thickest near the midline of the body's back."""
    if not body.any():
        return None
    rows, columns = np.flatnonzero(body.any(axis=1)), np.flatnonzero(body.any(axis=0))
    height, middle = rows[-1] - rows[0], (columns[0] + columns[-1]) / 2
    bone = (smooth > BONE_HU) & body
    bone[: rows[0] + int(0.6 * height)] = False
    reach = 0.12 * (columns[-1] - columns[0])
    x = np.arange(bone.shape[1])
    counts = ndimage.uniform_filter1d(
        bone.sum(axis=0).astype(np.float64), max(1, round(40 / pixel_mm)), mode="constant"
    )
    counts[np.abs(x - middle) > reach] = 0
    if counts.max() * pixel_mm * pixel_mm * 40 / pixel_mm < 300:  # mm2 of bone
        return None
    column = float(np.argmax(counts))
    near = bone & (np.abs(x - column) < 25 / pixel_mm)
    return float(np.median(np.nonzero(near)[1])), float(np.median(np.nonzero(near)[0]))


def _discs(smooth: Array, spine: Place, pixel_mm: float) -> _Discs:
    """How even a disc before or left of the spine is, and how much brighter than most of the ring around it.

    The rest of the ring may be a vertebra. The inside of a vertebra itself is told by the bright rim towards what is
    darker.
    """
    score, radius = np.zeros_like(smooth), np.zeros_like(smooth)
    left, right, front, back = (int(edge / pixel_mm) for edge in AORTA_BOX_MM)
    x, y = int(spine[0]), int(spine[1])
    box = slice(max(0, y + front), max(0, y + back)), slice(max(0, x + left), x + right)
    margin = int(np.ceil((AORTA_RADII_MM[-1] + RING_MM[1]) / pixel_mm)) + 1
    values = np.pad(np.clip(smooth, *CLIPPED_HU), margin, mode="edge")
    values = values[box[0].start : box[0].stop + 2 * margin, box[1].start : box[1].stop + 2 * margin]
    for mm in AORTA_RADII_MM:
        disc, inner, outer = (_disc((mm + beyond) / pixel_mm, (mm + RING_MM[1]) / pixel_mm) for beyond in (0, *RING_MM))
        mean = _mean_around(values, disc)
        sd = np.sqrt(np.maximum(_mean_around(values * values, disc) - mean * mean, 0))
        side = len(disc) // 2
        angle = np.arctan2(*(np.mgrid[: len(disc), : len(disc)] - side)) % (2 * np.pi)
        parts = [np.floor(angle / (np.pi / 4)) == number for number in range(8)]
        rim, ring = (
            np.array([_mean_around(values, shape * part) for part in parts]) for shape in (inner - disc, outer - inner)
        )
        one = np.minimum((mean - np.sort(ring, axis=0)[DARKER_SECTORS - 1]) / (sd + 10), MAX_SCORE)
        one[(sd > MAX_AORTA_SD) | (mean < AORTA_HU[0]) | (mean > AORTA_HU[1])] = 0
        darker = ring < mean - SHELL_HU
        one[2 * (darker & (rim > mean + SHELL_HU)).sum(axis=0) > darker.sum(axis=0)] = 0
        one = one[margin:-margin, margin:-margin]
        better = one > score[box]
        score[box][better], radius[box][better] = one[better], mm / pixel_mm
    to_left = (np.arange(score.shape[1])[None, :] - spine[0]) * pixel_mm
    to_back = (np.arange(score.shape[0])[:, None] - spine[1]) * pixel_mm
    weight = np.exp(-(((to_left - USUAL_LEFT_MM[0]) / USUAL_LEFT_MM[1]) ** 2) / 2)
    weight = np.where((np.abs(to_left) < VERTEBRA_MM[0]) & (to_back > -VERTEBRA_MM[1]), weight / 2, weight)
    return _Discs(score, radius, weight)


def _mean_around(values: Array, kernel: Array) -> Array:
    mean: Array = cv2.filter2D(values, -1, (kernel / kernel.sum()).astype(np.float32))
    return mean


def _path(level_of: Mapping[int, float], discs: Mapping[int, _Discs], pixel_mm: float) -> Dict[float, Place]:
    """level -> (x, y) of the aorta: the brightest, roundest places that lie close to each other from level to level."""
    reach = _disc(SPREAD_MM / pixel_mm).astype(np.uint8)
    before: List[_Step] = []
    steps: List[Tuple[float, List[_Step]]] = []
    for level in sorted(set(level_of.values())):
        here: List[Array] = [
            discs[number].score * discs[number].weight for number, other in level_of.items() if other == level
        ]
        # the blur has a plateau of the dilation peak in its middle
        total = np.mean(
            [cv2.GaussianBlur(cv2.dilate(score, reach), (0, 0), SPREAD_MM / pixel_mm / 2) for score in here], axis=0
        )
        entries = []
        for score, place in _peaks(total, FOLLOW_MM / pixel_mm):
            costs = [
                sums - PRICE_PER_MM * pixel_mm * float(np.hypot(place[0] - other[0], place[1] - other[1]))
                for sums, other, _ in before
            ]
            best = int(np.argmax(costs)) if costs else -1
            entries.append((score + (costs[best] if costs else 0.0), place, best))
        if entries:
            steps.append((level, entries))
            before = entries
    path: Dict[float, Place] = {}
    number = max(range(len(before)), key=lambda n: before[n][0]) if before else -1
    for level, entries in reversed(steps):
        _, path[level], number = entries[number]
    return path


def _peaks(total: Array, apart: float) -> List[Tuple[float, Place]]:
    """Up to MAX_PEAKS places of the highest scores."""
    left, peaks = total.copy(), []
    for _ in range(MAX_PEAKS):
        y, x = np.unravel_index(int(np.argmax(left)), left.shape)
        if left[y, x] < MIN_AORTA_SCORE:
            break
        peaks.append((float(left[y, x]), (float(x), float(y))))
        cv2.circle(left, (int(x), int(y)), max(1, round(apart)), [0.0], -1)
    return peaks


def _best_near(discs: _Discs, place: Optional[Place], pixel_mm: float) -> Tuple[float, Disc]:
    """Score of the best disc of a picture near the place that its level agrees on, and the disc; 0 for none."""
    near = np.zeros_like(discs.score)
    if place is not None:
        cv2.circle(near, (round(place[0]), round(place[1])), max(1, round(FOLLOW_MM / pixel_mm)), [1.0], -1)
    near *= discs.score
    row, column = np.unravel_index(int(np.argmax(near)), near.shape)
    return float(near[row, column]), (float(column), float(row), float(discs.radius[row, column]))


def _median_in(picture: Array, place: Disc) -> float:
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    inside = (x - place[0]) ** 2 + (y - place[1]) ** 2 <= (0.7 * place[2]) ** 2
    return float(np.median(picture[inside]))


def _liver(
    smooth: Array, body: BoolArray, spine_x: float, pixel_mm: float
) -> Tuple[Optional[float], float, Optional[BoolArray]]:
    """(median HU, area in mm2, mask) of the largest even region on the right of the spine."""
    x = np.arange(smooth.shape[1])
    right = body & (x < spine_x - 5 / pixel_mm) & (smooth > LIVER_HU[0]) & (smooth < LIVER_HU[1])
    if not right.any():
        return None, 0.0, None
    counts = np.bincount(smooth[right].astype(int), minlength=LIVER_HU[1] + 1).astype(np.float64)
    usual = int(np.argmax(ndimage.uniform_filter1d(counts, 15)))
    alike = body & (np.abs(smooth - usual) < LIVER_BAND_HU)
    opened = cv2.morphologyEx(
        (alike & (x < spine_x + 40 / pixel_mm)).astype(np.uint8),
        cv2.MORPH_OPEN,
        _disc(LIVER_OPENING_MM / 2 / pixel_mm).astype(np.uint8),
    )
    mask = _largest(opened.astype(bool))
    on_right = mask & (x < spine_x)
    area = float(on_right.sum()) * pixel_mm * pixel_mm
    rows, columns = np.nonzero(on_right)
    mirrored = np.rint(2 * spine_x - columns).astype(int)
    seen = mirrored < smooth.shape[1]
    like = alike[rows[seen], mirrored[seen]].sum() / max(1, len(rows))
    if area < MIN_LIVER_MM2 or like > MAX_MIRRORED:
        return None, 0.0, None
    return float(np.median(smooth[mask])), area, mask


def looks_like(aorta: Optional[float], liver: Optional[float]) -> str:
    """What such HU mostly mean, "" where they say nothing: a hint for a reader, on which nothing is decided."""
    if aorta is None:
        return ""
    if aorta < MAX_UNENHANCED_HU and (liver is None or liver < MAX_UNENHANCED_HU + 10):
        return "unenhanced"
    if aorta > MIN_ARTERIAL_HU and (liver is None or aorta > ARTERIAL_RATIO * liver):
        return "arterial"
    if liver is not None and aorta < ARTERIAL_RATIO * liver:
        return "portal venous or later"
    return ""
