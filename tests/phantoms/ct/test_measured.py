"""What the images of CT phantoms show, measured in them and held against what was drawn."""

from __future__ import annotations

import dataclasses
import itertools

import cv2
import numpy as np
import pytest

from gluon_liver.phantoms.ct.attenuation import PHASES
from gluon_liver.phantoms.ct.config import CLASSES, CTPhantomConfig
from gluon_liver.phantoms.ct.study import _random_patient, make_ct_study

SMALL = dict(matrix=128, slices=(24, 24), spacing_mm=(4.0,), background_fraction=0.0, subslices=2, breathing_mm=2.0)
SILENT = CTPhantomConfig(**SMALL, noise_sd_hu=(0.0, 0.0), diameter_mm=(14.0, 40.0), two_study_fraction=0.0)


@pytest.mark.parametrize("label", CLASSES)
def test_lesions_measure_what_was_drawn(label):
    only = tuple(float(label == other) for other in CLASSES)
    config = dataclasses.replace(SILENT, lesions=(3, 3), class_weights=only)
    ratios = []
    for index in range(2):
        study, drawn = make_ct_study(config, seed=9, index=index), _random_patient(config, 9, index).lesions
        voxel = np.prod(study.geometry.spacing)
        for lesion, ((centre, diameter), _) in enumerate(drawn):
            assert study.lesions[lesion].centre_mm == pytest.approx(tuple(centre))
            for phase in PHASES:
                # slices may be thicker than they are apart, which counts their edges more than once but not their sum
                volume = study.masks[phase][lesion].coverage.sum() * voxel
                ratios.append(np.cbrt(6.0 * volume / np.pi) / diameter)
    assert len(ratios) >= 12 and abs(np.mean(ratios) - 1.0) < 0.02 and np.ptp(ratios) < 0.12


@pytest.mark.parametrize("label, lower", [("cyst", 30.0), ("hcc", -25.0), ("hemangioma", -18.0)])
def test_images_show_lesions_as_large_as_their_masks(label, lower):
    """lower: HU by which the liver must at least be denser than the lesion (below 0: less dense), halfway."""
    only = tuple(float(label == other) for other in CLASSES)
    config = dataclasses.replace(SILENT, lesions=(1, 1), class_weights=only, diameter_mm=(22.0, 24.0))
    phase, shares = "arterial" if label == "hcc" else "delayed", []
    for index in range(3):
        study = make_ct_study(config, seed=6, index=index)
        (mask,) = study.masks[phase]
        middle = len(mask.coverage) // 2
        covered = mask.coverage[middle] >= 0.5
        rows, columns = (slice(start, start + size) for start, size in zip(mask.start[1:], covered.shape))
        image = study.hu[phase][mask.start[0] + middle, rows, columns].astype(float)
        liver = np.median(image[mask.coverage[middle] == 0.0])
        told = liver - image > lower if lower > 0.0 else liver - image < lower
        near = cv2.dilate(covered.astype(np.uint8), np.ones((5, 5))) > 0
        shares.append((told & near).sum() / covered.sum())
    assert 0.85 < np.mean(shares) < 1.15


def test_no_two_slices_and_no_two_phases_share_noise():
    noisy = dataclasses.replace(SILENT, noise_sd_hu=(10.0, 10.0), matrix=96, subslices=1, padding_fraction=0.0)
    study = make_ct_study(noisy, seed=4, index=0)
    plain = make_ct_study(dataclasses.replace(noisy, noise_sd_hu=(0.0, 0.0)), seed=4, index=0)
    noise = np.concatenate([study.hu[phase].astype(float) - plain.hu[phase] for phase in PHASES])
    # air and bone aside, where the range of CT numbers cuts noise off
    inside = np.all([np.abs(plain.hu[phase]) < 200 for phase in PHASES], axis=(0, 1))
    planes = noise[:, inside]
    assert planes.std(axis=1) == pytest.approx(np.full(len(planes), 10.0), rel=0.15)
    between = np.corrcoef(planes) - np.eye(len(planes))
    # as much as chance gives planes of so many independent pixels
    assert np.abs(between).max() < 5.0 / np.sqrt(inside.sum() / 4) and len(planes) == 72
    other = make_ct_study(noisy, seed=4, index=1)
    assert not any(np.array_equal(study.hu[one], other.hu[two]) for one, two in itertools.product(PHASES, PHASES))
