"""Vessels that look like lesions on one slice, sizes by class, noise of thin slices; defaults stay as they were."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from gluon_liver.errors import ConfigError
from gluon_liver.phantoms.ct.attenuation import PHASES
from gluon_liver.phantoms.ct.config import CLASSES, CTPhantomConfig
from gluon_liver.phantoms.ct.folder import _write_study
from gluon_liver.phantoms.ct.study import _random_patient, make_ct_study

SMALL = dict(matrix=128, slices=(24, 24), spacing_mm=(1.5,), background_fraction=0.0, subslices=1, breathing_mm=2.0)
SMALL.update(lesions=(2, 3), diameter_mm=(8.0, 25.0), noise_sd_hu=(0.0, 0.0), two_study_fraction=0.0)
TUBES = CTPhantomConfig(**SMALL, steep_vessels=(5, 5), steep_vessel_mm=(7.0, 20.0))


@pytest.fixture(scope="module")
def studies():
    return [make_ct_study(TUBES, seed=2, index=index) for index in range(3)]


def test_without_the_new_options_files_and_identifiers_name_the_old_ones_alone():
    old = set(dataclasses.asdict(CTPhantomConfig())) - {"steep_vessel_mm", "diameter_mm_by_class", "noise_at_mm"}
    assert set(CTPhantomConfig(steep_vessels=(1, 2)).record()) == old
    assert set(CTPhantomConfig(noise_at_mm=5.0).record()) == old | {"noise_at_mm"}
    study = make_ct_study(CTPhantomConfig(matrix=32, slices=(10, 12), spacing_mm=(5.0,), subslices=1), seed=0, index=0)
    # as first published
    assert study.study_uid == "2.25.158790628005601405120273818647113618575"
    assert [(one.label, round(one.diameter_mm, 3)) for one in study.lesions] == [("hemangioma", 15.36), ("hcc", 19.897)]


def test_tubes_change_nothing_but_where_they_are(studies):
    plain = make_ct_study(dataclasses.replace(TUBES, steep_vessels=(0, 0)), seed=2, index=1)
    study = studies[1]
    assert study.lesions == plain.lesions and study.boxes == plain.boxes
    assert plain.steep_vessels == () and len(study.steep_vessels) >= 3
    spots = tube_pixels(study, grow=3.0)
    for phase in PHASES:
        changed = study.hu[phase] != plain.hu[phase]
        assert changed.sum() > 500 and not (changed & ~spots[phase]).any()


def tube_pixels(study, grow=0.0):
    """Pixels within the tubes, by phase, from their axes alone."""
    masks = {}
    for phase, shift in study.shifts_mm.items():
        k, i, j = np.indices(study.hu[phase].shape, sparse=True)
        z, y, x = (
            origin + spacing * index - world - move
            for origin, spacing, index, world, move in zip(
                study.geometry.origin[::-1],
                study.geometry.spacing,
                (k, i, j),
                study.world_offset_mm[::-1],
                shift[::-1],
            )
        )
        masks[phase] = np.zeros(study.hu[phase].shape, bool)
        for tube in study.steep_vessels:
            cx, cy, cz = tube.section.centre_mm
            along = x - cx - (z - cz) * tube.slope[0], y - cy - (z - cz) * tube.slope[1]
            masks[phase] |= np.hypot(*along) < 0.58 * tube.diameter_mm + grow
    return masks


def test_a_tube_carries_the_section_of_a_lesion_through_all_slices(studies):
    tubes = [(study, tube) for study in studies for tube in study.steep_vessels]
    assert len({tube.section.label for _, tube in tubes}) == 3
    for study, tube in tubes:
        z = study.geometry.origin[2] - study.world_offset_mm[2] + 1.5 * np.arange(24)
        steps = np.diff([tube.at(value) for value in z], axis=0)
        assert np.allclose(steps, 1.5 * np.array(tube.slope)) and 0.14 < np.hypot(*tube.slope) < 0.47
        assert 7.0 <= tube.diameter_mm <= 20.0 and tube.section.diameter_mm <= 25.0
        whole, height = tube.section.diameter_mm, tube.height_mm
        assert tube.diameter_mm == pytest.approx(np.sqrt(whole**2 - 4 * height**2))
        for lesion in study.lesions:
            away = np.hypot(*(tube.at(lesion.centre_mm[2]) - lesion.centre_mm[:2]))
            assert away > 0.5 * (tube.diameter_mm + lesion.diameter_mm) + 3.0


def test_size_by_class():
    sizes = (8.0, 15.0, 10.0, 20.0, 25.0, 50.0)
    config = CTPhantomConfig(background_fraction=0.0, diameter_mm_by_class=sizes, spacing_mm=(5.0,), slices=(24, 24))
    seen = {label: [] for label in CLASSES}
    for number in range(25):
        for (_, diameter), (label, _) in _random_patient(config, 1, number).lesions:
            seen[label].append(diameter)
    for k, label in enumerate(CLASSES):
        assert len(seen[label]) >= 8 and max(seen[label]) <= sizes[2 * k + 1]
        assert np.mean(np.array(seen[label]) >= sizes[2 * k]) > 0.8  # those that fit nowhere shrink


def test_thin_slices_are_as_noisy_as_their_photons_are_few():
    options = dict(matrix=32, slices=(40, 40), spacing_mm=(1.0,), noise_sd_hu=(10.0, 10.0), subslices=1)
    options.update(breathing_mm=0.0, padding_fraction=0.0)
    plain = make_ct_study(CTPhantomConfig(**options), seed=3, index=0)
    thin = make_ct_study(CTPhantomConfig(**options, noise_at_mm=4.0), seed=3, index=0)
    assert plain.noise_sd_hu == 10.0
    assert thin.noise_sd_hu == pytest.approx(10.0 * np.sqrt(4.0 / thin.slice_thickness_mm))
    silent = make_ct_study(CTPhantomConfig(**{**options, "noise_sd_hu": (0.0, 0.0)}), seed=3, index=0)
    soft = np.abs(silent.hu["delayed"]) < 200
    for study in (plain, thin):
        noise = (study.hu["delayed"].astype(float) - silent.hu["delayed"])[soft]
        assert noise.std() == pytest.approx(study.noise_sd_hu, rel=0.05)


def test_the_truth_names_the_tubes(studies, tmp_path):
    (tmp_path / "dicom").mkdir()
    truth = json.loads(json.dumps(_write_study(TUBES, 2, tmp_path, 0)["truth"]))
    assert len(truth["steep_vessels"]) == len(studies[0].steep_vessels)
    for told, tube in zip(truth["steep_vessels"], studies[0].steep_vessels):
        assert told["class"] == tube.section.label and told["diameter_mm"] == pytest.approx(tube.diameter_mm, abs=0.01)
        x, y, z = np.subtract(told["centre_mm"], studies[0].world_offset_mm)
        assert tube.at(z) == pytest.approx((x, y), abs=0.02)
        assert told["slope"] == pytest.approx(tube.slope, abs=1e-4)


BAD = [dict(steep_vessel_mm=(2.0, 10.0)), dict(steep_vessel_mm=(60.0, 60.0)), dict(noise_at_mm=0.0)]
BAD += [dict(diameter_mm_by_class=(8.0, 20.0)), dict(diameter_mm_by_class=(8.0, 20.0, 8.0, 20.0, 30.0, 20.0))]


@pytest.mark.parametrize("options", BAD)
def test_bad_options_are_named(options):
    with pytest.raises(ConfigError, match=f"option {next(iter(options))} is"):
        CTPhantomConfig(**options)
