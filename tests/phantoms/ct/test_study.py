"""What a phantom study shows, against plain NumPy and the published ranges."""

from __future__ import annotations

import numpy as np
import pytest

from gluon_liver.errors import ConfigError, InputError
from gluon_liver.phantoms.ct.attenuation import PHASES, TISSUES
from gluon_liver.phantoms.ct.config import CLASSES, CTPhantomConfig
from gluon_liver.phantoms.ct.study import _random_patient, make_ct_study, patient_of

SMALL = dict(matrix=128, slices=(16, 16), spacing_mm=(5.0,), background_fraction=0.0, subslices=1)
SPHERES = dict(SMALL, subslices=2, irregularity=0.0, diameter_mm=(16.0, 40.0), lesions=(3, 3))

# (lowest, highest) mean HU in the core of lesions, from the ranges in attenuation.py, +- 6 for noise
CORE_HU = {
    "cyst": {"non_contrast": (-6, 21), "arterial": (-6, 21), "delayed": (-6, 21)},
    "hemangioma": {"non_contrast": (32, 51), "arterial": (60, 170), "delayed": (95, 145)},
    "hcc": {"non_contrast": (36, 60), "arterial": (95, 140), "delayed": (62, 98)},
}


@pytest.fixture(scope="module")
def one_class():
    """Three studies of each class, by class."""
    studies = {}
    for number, label in enumerate(CLASSES):
        weights = tuple(1.0 if other == label else 0.0 for other in CLASSES)
        config = CTPhantomConfig(**dict(SMALL, class_weights=weights, diameter_mm=(14.0, 30.0)))
        studies[label] = [make_ct_study(config, seed=11, index=10 * number + k) for k in range(3)]
    return studies


def part(volume, mask):
    return volume[tuple(slice(start, start + size) for start, size in zip(mask.start, mask.coverage.shape))]


def core(study, phase, lesion):
    mask = study.masks[phase][lesion]
    return part(study.hu[phase], mask)[mask.coverage > 0.98].astype(float)


def test_core_hu_follows_class_and_phase(one_class):
    measured = 0
    for label, studies in one_class.items():
        for study in studies:
            for lesion, truth in enumerate(study.lesions):
                assert truth.label == label
                for phase in PHASES:
                    values = core(study, phase, lesion)
                    if len(values) >= 30:
                        low, high = CORE_HU[label][phase]
                        assert low < values.mean() < high, (label, phase, truth.diameter_mm)
                        measured += 1
    assert measured >= 27


def test_hemangioma_enhances_in_nodules_and_fills_in(one_class):
    checked = 0
    for study in one_class["hemangioma"]:
        for lesion in range(len(study.lesions)):
            early, late = core(study, "arterial", lesion), core(study, "delayed", lesion)
            if len(early) >= 100:
                # a minority as bright as the aorta, the rest like unenhanced blood; late, most is filled
                assert 0.03 < np.mean(early > 150) < 0.5
                assert np.median(early) < 85
                assert np.mean(late > 90) > 0.75
                checked += 1
    assert checked >= 2


def test_hcc_washes_out_below_the_liver(one_class):
    for study in one_class["hcc"]:
        (lowest, _), arterial, delayed = TISSUES["liver"]
        for lesion in study.lesions:
            late = lesion.hu["delayed"]
            assert lesion.hu["arterial"]["body"] > lowest + arterial + 30 and late["body"] < lowest + delayed - 5
            assert "capsule" not in late or late["capsule"] > lowest + delayed + 5


@pytest.mark.slow
def test_ambiguous_lesions_differ_in_the_delayed_phase_only():
    options = dict(SMALL, matrix=32, class_weights=(0.0, 1.0, 1.0), ambiguous_fraction=1.0, lesions=(4, 4))
    config = CTPhantomConfig(**options)
    parts = {"hemangioma": [], "hcc": []}
    for index in range(6):
        study = make_ct_study(config, seed=2, index=index)
        for lesion in study.lesions:
            assert lesion.ambiguous and lesion.diameter_mm <= 25.0
            assert set(lesion.hu["non_contrast"]) == set(lesion.hu["arterial"]) == {"body"}
            assert lesion.mosaic_hu == 0.0 and lesion.necrosis is None and lesion.unfilled == 0.0
            parts[lesion.label].append([lesion.hu[phase]["body"] for phase in PHASES])
    means = {label: np.mean(values, axis=0) for label, values in parts.items()}
    assert min(len(values) for values in parts.values()) >= 8
    gap = means["hemangioma"] - means["hcc"]
    assert abs(gap[0]) < 4.0 and abs(gap[1]) < 8.0 and gap[2] > 35.0


@pytest.mark.slow
def test_class_does_not_follow_from_size_or_position():
    config = CTPhantomConfig(lesions=(2, 4), background_fraction=0.0)
    rows = []
    for number in range(100):
        patient = _random_patient(config, 4, number)
        for (centre, diameter), (label, _) in patient.lesions:
            rows.append([CLASSES.index(label), np.log(diameter), *centre])
    rows = np.array(rows)
    assert len(rows) > 220
    for column in range(1, 5):
        values = (rows[:, column] - rows[:, column].mean()) / rows[:, column].std()
        for label in range(3):
            mine = values[rows[:, 0] == label]
            assert abs(mine.mean()) < 3.5 / np.sqrt(len(mine))


def test_a_site_holds_the_same_lesion_whatever_its_class():
    """Of one seed with one class or another, sizes are those of the sites, and boxes the same in all phases."""
    options = dict(SMALL, matrix=64, irregularity=0.0, lesions=(3, 3), ambiguous_fraction=0.0)
    of_class = {}
    for label in CLASSES:
        config = CTPhantomConfig(**options, class_weights=tuple(float(label == other) for other in CLASSES))
        of_class[label] = make_ct_study(config, seed=9, index=0)
        sites = [site for site, _ in _random_patient(config, 9, 0).lesions]
        assert [lesion.diameter_mm for lesion in of_class[label].lesions] == [diameter for _, diameter in sites]
    first = of_class["cyst"]
    assert len(first.lesions) == 3 and {lesion.label for lesion in first.lesions} == {"cyst"}
    for label in CLASSES[1:]:
        assert [(box.phase, box.slice, box.box) for box in of_class[label].boxes] == [
            (box.phase, box.slice, box.box) for box in first.boxes
        ]


def test_noise_is_of_its_slice_phase_and_study_alone():
    options = dict(SMALL, matrix=64, breathing_mm=0.0, padding_fraction=0.0, two_study_fraction=0.0)
    noise = []
    for index in range(2):
        loud, silent = (
            make_ct_study(CTPhantomConfig(**options, noise_sd_hu=(sd, sd)), seed=6, index=index) for sd in (10.0, 0.0)
        )
        for phase in PHASES:
            difference = loud.hu[phase].astype(float) - silent.hu[phase]
            noise += list(difference[2:12, 16:48, 16:48].reshape(10, -1))  # the body, where nothing is cut off
    alike = np.corrcoef(noise) - np.eye(60)
    assert np.std(noise) == pytest.approx(10, rel=0.1)
    assert np.abs(alike).max() < 0.2 and abs(alike.sum()) < 15  # 1024 pixels, neighbours of which are correlated


def test_liver_and_vessels_change_with_the_phases_as_published():
    """Liver: 13 HU above unenhanced in the arterial phase, 35 in the delayed one; the aorta fades."""
    options = dict(SMALL, matrix=64, background_fraction=1.0, breathing_mm=0.0, noise_sd_hu=(0.0, 0.0))
    study = make_ct_study(CTPhantomConfig(**options), seed=3, index=0)
    plain, arterial, delayed = (study.hu[phase].astype(float) for phase in PHASES)
    liver = (plain > 52) & (plain < 62) & (arterial - plain > 5)
    assert liver.sum() > 500
    assert 8 < np.median((arterial - plain)[liver]) < 20 and 25 < np.median((delayed - plain)[liver]) < 48
    assert ((arterial > 200) & (delayed < 160) & (plain < 60)).sum() > 10


def test_a_slice_is_the_mean_over_its_thickness():
    """With subslices the ends of spheres are covered in part where one plane has them or not."""
    options = dict(SPHERES, matrix=64, noise_sd_hu=(0.0, 0.0))
    thin, thick = (make_ct_study(CTPhantomConfig(**dict(options, subslices=n)), seed=21, index=0) for n in (1, 8))
    for one, other in zip(thin.masks["arterial"], thick.masks["arterial"]):
        assert np.isclose(one.coverage.sum(), other.coverage.sum(), rtol=0.25)
        assert np.abs(other.coverage - one.coverage).max() > 0.05


def brute_force_boxes(study, phase, config):
    """Spheres rasterised over the whole grid without the package's shape code."""
    nz, ny, nx = study.hu[phase].shape
    dz, dy, dx = study.geometry.spacing
    edge = max(dx, 1.2)
    ox, oy, oz = (o - w for o, w in zip(study.geometry.origin, study.world_offset_mm))
    y, x = np.meshgrid(oy + dy * np.arange(ny), ox + dx * np.arange(nx), indexing="ij")
    boxes = {}
    for number, lesion in enumerate(study.lesions):
        cx, cy, cz = (c + s for c, s in zip(lesion.centre_mm, study.shifts_mm[phase]))
        for k in range(nz):
            covered = np.zeros((ny, nx))
            for part in range(config.subslices):
                z = oz + dz * k + ((part + 0.5) / config.subslices - 0.5) * study.slice_thickness_mm
                outside = np.sqrt((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2) - 0.5 * lesion.diameter_mm
                covered += np.clip(0.5 - outside / edge, 0, 1) / config.subslices
            rows, columns = np.where(covered >= 0.5)
            if len(rows) >= config.min_box_pixels:
                boxes[k, number] = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    return boxes


def test_boxes_equal_an_independent_rasterisation():
    config = CTPhantomConfig(**SPHERES)
    study = make_ct_study(config, seed=21, index=0)
    assert len(study.lesions) >= 2
    for phase in PHASES:
        expected = brute_force_boxes(study, phase, config)
        got = {(box.slice, box.lesion): box.box for box in study.boxes if box.phase == phase}
        assert len(expected) >= 6
        assert got.keys() == expected.keys()
        # float32 against float64: a pixel that is covered by exactly half may fall on either side
        gaps = [np.abs(np.subtract(got[key], expected[key])).max() for key in expected]
        assert max(gaps) <= 1 and np.mean(np.array(gaps) == 0) >= 0.9


def test_sites_lie_apart_and_inside_the_liver():
    config = CTPhantomConfig(lesions=(4, 8), background_fraction=0.0)
    directions = np.random.default_rng(0).standard_normal((200, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    pairs = 0
    for number in range(25):
        patient = _random_patient(config, 13, number)
        sites = [site for site, _ in patient.lesions]
        for k, (centre, diameter) in enumerate(sites):
            surface = centre + 0.58 * diameter * directions
            assert patient.abdomen.liver.distance_at(surface).max() < 1.0
            assert patient.abdomen.liver.distance_at(centre + 0.25 * diameter * directions).max() < 0.0
            for other, size in sites[k + 1 :]:
                pairs += 1
                assert np.linalg.norm(centre - other) > 0.6 * (diameter + size)
    assert pairs > 150


def test_lesions_do_not_overlap_and_are_not_cut_at_the_ends():
    for index in range(3):
        study = make_ct_study(CTPhantomConfig(**dict(SMALL, matrix=64, lesions=(4, 4))), seed=8, index=index)
        slices = {box.slice for box in study.boxes}
        assert slices and 0 not in slices and 15 not in slices
        for phase in PHASES:
            total = np.zeros(study.hu[phase].shape)
            for mask in study.masks[phase]:
                part(total, mask)[...] += mask.coverage >= 0.5
            assert total.max() == 1


def test_breathing_moves_the_boxes_with_the_stated_shift():
    study = make_ct_study(CTPhantomConfig(**dict(SPHERES, breathing_mm=12.0)), seed=5, index=1)
    assert study.shifts_mm["arterial"] == (0.0, 0.0, 0.0)
    dz, dy, dx = study.geometry.spacing
    for phase in ("non_contrast", "delayed"):
        shift = np.asarray(study.shifts_mm[phase])
        assert np.abs(shift).max() > 1.0 and np.all(np.abs(shift) <= (3.6, 4.8, 12.0))
        for lesion in range(len(study.lesions)):
            centres = []
            for name in ("arterial", phase):
                boxes = [box for box in study.boxes if box.phase == name and box.lesion == lesion]
                weights = np.array([box.pixels for box in boxes], float)
                x = np.average([(box.box[0] + box.box[2]) / 2 for box in boxes], weights=weights)
                y = np.average([(box.box[1] + box.box[3]) / 2 for box in boxes], weights=weights)
                centres.append((x * dx, y * dy, np.average([box.slice for box in boxes], weights=weights) * dz))
            assert np.abs(np.subtract(*centres[::-1]) - shift).max() < 0.75 * max(dx, dz)


def test_anatomy_lies_where_a_radiologist_expects_it():
    study = make_ct_study(CTPhantomConfig(**dict(SMALL, noise_sd_hu=(0.0, 0.0))), seed=1, index=0)
    arterial = study.hu["arterial"]
    middle = arterial[8]
    bone, bright = study.hu["non_contrast"].max(axis=0) > 250, (middle > 230) & (middle < 330)
    half = middle.shape[0] / 2
    assert np.median(np.nonzero(bone[20:108, 50:78])[0]) > half + 8  # spine at the back
    soft = np.abs(middle - np.median(arterial[(arterial > 55) & (arterial < 85)])) < 8
    assert soft[:, : int(half)].sum() > 2 * soft[:, int(half) :].sum()  # liver on the patient's right: low x
    rows, columns = np.nonzero(bright[56:80, 60:84])
    assert columns.mean() + 60 > half and len(rows) > 30  # aorta to the left of the midline


def test_study_index_stands_alone_and_patients_repeat():
    config = CTPhantomConfig(two_study_fraction=0.5)
    owners = [patient_of(config, 3, index) for index in range(60)]
    assert owners[0] == (0, 0)
    for (patient, visit), (following, next_visit) in zip(owners, owners[1:]):
        assert (following, next_visit) in ((patient + 1, 0), (patient, 1)) and not (visit == 1 and next_visit == 1)
    repeats = sum(visit for _, visit in owners)
    assert 10 <= repeats <= 28
    assert all(visit == 0 for _, visit in (patient_of(CTPhantomConfig(two_study_fraction=0.0), 3, k) for k in range(9)))


def test_second_visit_shows_the_same_patient():
    config = CTPhantomConfig(**dict(SMALL, matrix=64, two_study_fraction=1.0))
    first, second = (make_ct_study(config, seed=6, index=index) for index in (0, 1))
    assert (first.patient, first.visit, second.patient, second.visit) == (0, 0, 0, 1)
    assert [a.label for a in first.lesions] == [b.label for b in second.lesions]
    for a, b in zip(first.lesions, second.lesions):
        assert a.centre_mm == b.centre_mm and 0.84 * a.diameter_mm < b.diameter_mm <= a.diameter_mm
    assert first.study_uid != second.study_uid
    assert not np.array_equal(first.hu["arterial"], second.hu["arterial"])


BAD = [dict(matrix=100), dict(matrix=16), dict(slices=(9, 4)), dict(slices=(5, 5), spacing_mm=(0.5,))]
BAD += [dict(spacing_mm=()), dict(diameter_mm=(2.0, 60.0)), dict(lesions=(0, 3)), dict(class_weights=(0.0, 0.0, 0.0))]
BAD += [dict(background_fraction=1.5), dict(ambiguous_fraction=-0.1), dict(noise_sd_hu=(-1.0, 5.0))]


@pytest.mark.parametrize("options", BAD + [dict(breathing_mm=50.0)])
def test_bad_options_are_named(options):
    with pytest.raises(ConfigError, match=f"option {next(iter(options))} is"):
        CTPhantomConfig(**options)
    assert issubclass(ConfigError, InputError)


@pytest.mark.slow
def test_one_class_a_patient():
    config = CTPhantomConfig(matrix=64, lesions=(3, 3), background_fraction=0.0, one_class_fraction=1.0)
    studies = [make_ct_study(config, seed=4, index=index) for index in range(8)]
    classes = [{lesion.label for lesion in study.lesions} for study in studies]
    assert all(len(one) == 1 for one in classes)
    assert len(set.union(*classes)) == 3
