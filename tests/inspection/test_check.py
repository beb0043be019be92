"""Each check against data with the one fault that it looks for, and against sound data."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.data.open import open_dataset
from gluon_liver.errors import InputError
from gluon_liver.files.digest import digest
from gluon_liver.inspection.check import copies
from gluon_liver.inspection.check.counts import check_counts
from gluon_liver.inspection.check.findings import NOTE, PROBLEM, WARNING, Finding, exit_code, ordered
from gluon_liver.inspection.check.phases import ARTERIAL, BEFORE, LATER, meaning_of, swapped
from gluon_liver.inspection.check.pixels import fault_of
from gluon_liver.inspection.check.run import check, lines_of
from gluon_liver.inspection.organs import PhaseOrgans
from tests.conftest import change_json, write_dataset


def body(seed, *, size=128, shift=0.0):
    """A body with organs of its own (HU, size x size) at a height ``shift`` of it, without noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size - 0.5
    hu = np.full((size, size), -1000.0)
    hu[(x / 0.42) ** 2 + (y / 0.32) ** 2 < 1] = -90
    for _ in range(12):
        cx, cy = rng.uniform(-0.3, 0.3), rng.uniform(-0.22, 0.22)
        slope, radius, value = rng.normal(0, 0.02, 2), rng.uniform(0.04, 0.15), rng.uniform(20, 200)
        cx, cy = cx + shift * slope[0], cy + shift * slope[1]
        hu[(x - cx) ** 2 + (y - cy) ** 2 < radius**2] = value
    return hu


@pytest.fixture
def data(tmp_path):
    """Sound data of four patients, but for their small matrix and lesions, and that no class is in every split."""
    folder = write_dataset(tmp_path / "data", patients=6, phases=("non_contrast", "arterial"))
    rng = np.random.default_rng(7)
    for number, path in enumerate(sorted((folder / "studies").iterdir())):
        hu = np.load(path / "volume.npy")
        for place in range(hu.shape[1]):
            hu[:, place] = body(number, size=64, shift=place) + rng.normal(0, 5, (2, 64, 64))
        np.save(path / "volume.npy", hu)
    return folder


def found(folder):
    """But that no aorta was found in bodies that have none."""
    found = [(one.severity, one.check) for one in check(folder) if one.check not in ("classes", "splits", "boxes")]
    assert (NOTE, "phases") in found
    return [one for one in found if one != (NOTE, "phases")]


def test_sound_data_have_nothing_but_empty_splits(data):
    assert found(data) == []


def test_order_lines_and_exit_code():
    notes = [
        Finding(NOTE, "a", [], "x", ""),
        Finding(WARNING, "b", list("123456"), "y", "do"),
        Finding(PROBLEM, "c", [], "z", ""),
    ]
    assert [one.severity for one in ordered(notes)] == [PROBLEM, WARNING, NOTE]
    assert notes[1].lines() == ["warning: b: y [1, 2, 3, 4, 5 and 1 more]", "    do"]
    assert lines_of([]) == ["nothing found"] and lines_of(notes)[-1] == "1 problem(s), 1 warning(s), 1 note(s)"
    assert [exit_code(some) for some in ([], notes[:1], notes[:2])] == [0, 0, 1]


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        (lambda hu: hu, None),
        (lambda hu: np.zeros_like(hu), "empty"),
        (lambda hu: np.maximum(hu + 1024, 0), "offset 1024"),
        (lambda hu: hu - 1024, "too low"),
        (lambda hu: np.minimum(hu + 32768, 32767), "offset 32768"),
        (lambda hu: 255 * np.clip((hu + 160) / 400, 0, 1), "8 bits"),
        (lambda hu: np.clip(hu, -160, 150), "window"),
        (lambda hu: np.abs(hu) % 600, "positive"),
        (lambda hu: np.maximum(hu, -400 + hu % 7), "no air"),
    ],
)
def test_hu_that_no_scanner_gives(values, fault):
    hu = body(1) + np.random.default_rng(0).normal(0, 10, (128, 128))
    assert fault_of(values(hu.round()).astype(np.int64).ravel()) == fault


def test_wrong_offset_is_found_in_data(data):
    path = next((data / "studies").glob("*0002/volume.npy"))
    hu = np.load(path)
    hu[1] += 1024
    np.save(path, hu)
    (one,) = [one for one in check(data) if one.check == "HU"]
    assert one.severity == PROBLEM and one.places == ["case-0000000002 arterial"] and "RescaleIntercept" in one.advice


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("non_contrast", BEFORE),
        ("NC", BEFORE),
        ("arterial", ARTERIAL),
        ("late_arterial", ARTERIAL),
        ("portal_venous", LATER),
        ("delayed", LATER),
        ("PVP", LATER),
        ("T2", ""),
    ],
)
def test_what_names_of_phases_mean(name, meaning):
    assert meaning_of(name) == meaning


def organs(**aorta):
    return {name: PhaseOrgans(hu, 60.0, np.zeros(0, np.float32)) for name, hu in aorta.items()}


def test_swapped_phases_are_told_by_the_aorta():
    assert swapped(organs(non_contrast=42, arterial=280, delayed=130)) == []
    assert swapped(organs(early_arterial=355, late_arterial=196, portal_venous=139)) == []
    assert len(swapped(organs(non_contrast=280, arterial=42))) == 1
    assert "130 in arterial" in swapped(organs(arterial=130, delayed=280))[0]
    assert "looks unenhanced" in swapped(organs(arterial=45))[0]
    assert swapped(organs(non_contrast=150)) and not swapped(organs(non_contrast=None, arterial=None))
    assert swapped(organs(arterial=150, delayed=170)) == []  # within the margin


def test_copies_are_near_and_neighbours_and_patients_are_not():
    rng = np.random.default_rng(0)
    describe = copies.describe_slice
    one = describe(body(1) + rng.normal(0, 10, (128, 128)))

    def away(other):
        return float(np.sqrt(((describe(other) - one) ** 2).mean()))

    assert away(body(1) + rng.normal(0, 10, (128, 128))) < copies.MOST_DISTANCE / 2  # other noise
    assert away(cv2.resize(body(1), (100, 100), interpolation=cv2.INTER_AREA)) < copies.MOST_DISTANCE
    wider = np.pad(body(1), ((9, 30), (20, 5)), constant_values=-1000.0)
    assert away(wider) < copies.MOST_DISTANCE
    assert away(body(2)) > 4 * copies.MOST_DISTANCE
    assert describe(np.full((64, 64), -1000)) is None


def test_distance_is_the_median_of_the_nearest():
    pattern, apart = np.array([[100, -100, 0, 0]], np.float32), np.array([[0, 0, 1, -1]], np.float32)
    some, others = (pattern + np.array(rows)[:, None] * apart for rows in ([0, 1, 9], [0, 2]))
    # 0, 1 and 7 times the root of 2 over that of 4
    assert copies.distance(some, others) == pytest.approx(0.5**0.5, rel=1e-3)
    assert copies.distance(some[:0], others) == np.inf


def test_distance_leaves_out_shift_and_a_gain_of_no_more_than_a_quarter():
    some = np.random.default_rng(0).uniform(0.2, 0.6, (3, 16)).astype(np.float32)
    spread = float(np.median(some.std(axis=1)))
    for gain in (0.85, 1.2):
        assert copies.distance(some, some * gain + 0.1) == pytest.approx(0, abs=1e-4)
    assert 0.1 * spread < copies.distance(some, some * 2)


def test_pixels_that_are_not_as_imported_are_found(data):
    path = data / "studies" / "case-0000000001" / "volume.npy"
    digests = {path.parent.name: digest(path)}
    change_json(data / "dataset.json", pixels=digests)
    assert found(data) == []
    np.save(path, np.load(path) + 1)
    (one,) = [one for one in check(data) if one.check == "files"]
    assert one.severity == WARNING and one.places == ["case-0000000001: volume.npy was changed"]


def test_labels_that_stop_the_opening_are_a_finding_with_advice(data):
    edit(data / "labels.json", lambda labels: labels["images"][0].update(slice=500))
    (one,) = check(data)
    assert one.severity == PROBLEM and "key 'slice' is 500" in one.what and "mend labels.json" in one.advice


def test_a_patient_who_is_there_twice_with_noise_is_found(data):
    studies = sorted((data / "studies").iterdir())
    hu = np.load(studies[0] / "volume.npy")
    noise = np.random.default_rng(3).normal(0, 3, hu.shape)
    np.save(studies[-1] / "volume.npy", np.clip(hu + noise, -1024, 3000).astype(np.int16))
    (one,) = [one for one in check(data) if one.check == "near duplicates"]
    assert one.severity == PROBLEM and one.places == [studies[0].name, studies[-1].name]  # train and test
    assert "in test and train" in one.what


def test_same_pixels_of_one_and_of_two_patients(data):
    description = json.loads((data / "dataset.json").read_text())
    description["studies"][1]["fingerprint"] = description["studies"][0]["fingerprint"]
    (data / "dataset.json").write_text(json.dumps(description))
    (one,) = copies.check_fingerprints(open_dataset(data))
    assert (one.severity, one.check) == (WARNING, "duplicates") and "2 patients, in train" in one.what


def edit(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_all_faults_of_labels_are_told_at_once(data):
    def change(labels):
        labels["annotations"][0]["bbox"] = [50, 50, 30, 5]
        labels["annotations"][1]["bbox"] = [5, 5, 0, 5]
        labels["annotations"][2]["category_id"] = 9
        labels["annotations"][3]["image_id"] = 999

    edit(data / "labels.json", change)
    problems = [one for one in check(data) if one.severity == PROBLEM]
    told = " ".join(one.what for one in problems)
    for what in ("leaves its image", "without area", "category that", "of an image that", "cannot be opened"):
        assert what in told
    assert main(["data", "check", str(data)]) == 1


@pytest.mark.parametrize("key", ["id", "image_id", "category_id", "bbox"])
@pytest.mark.parametrize("value", [None, [], {}, "x", [1, 2], float("nan"), 10**400, True])
def test_any_value_of_an_annotation_is_a_finding_or_an_error(data, key, value):
    edit(data / "labels.json", lambda labels: labels["annotations"][0].update({key: value}))
    try:
        assert all(one.lines() for one in check(data))
    except InputError as error:
        assert "labels.json" in str(error)


def test_shared_unknown_and_absent_patients(data):
    def change(splits):
        splits["test"] = [splits["train"][0], "nobody"]
        splits["train"] = splits["train"][:-1]

    edit(data / "splits.json", change)
    told = {one.what: one.places for one in check(data) if one.check == "splits"}
    assert told["1 patient(s) are in more than one split"] == ["patient-0000000000"]
    assert told["1 names in splits.json are no patient of the data"] == ["nobody"]
    assert len(told["2 patients are in no split: they are neither trained on nor scored"]) == 2


def test_boxes_drawn_twice_too_small_and_on_air(data):
    def change(labels):
        first = labels["annotations"][0]
        other = {**first, "id": 900, "category_id": first["category_id"] % 3 + 1}
        labels["annotations"] += [{**first, "id": 901}, other, {**first, "id": 902, "bbox": [1, 1, 1, 8]}]

    edit(data / "labels.json", change)
    told = " ".join(one.what for one in check(data) if one.check == "boxes")
    assert "1 boxes overlap another of their class" in told and "2 boxes overlap one of another class" in told
    assert "1 boxes have a side below 2 pixels" in told and "lie mostly on air" in told


def test_a_wide_lesion_on_one_slice_of_thin_ones(data):
    for path in (data / "studies").glob("*/study.json"):
        edit(path, lambda study: study["geometry"].update(spacing=[1.0, 1.0, 1.0]))
    (one,) = [one for one in check(data) if one.check == "one slice"]
    # its boxes on slices 0 and 1 lie apart and are of two classes; all slices are labelled
    assert one.severity == WARNING and len(one.places) == 12


def test_implausible_sizes(data):
    for path in (data / "studies").glob("*/study.json"):
        edit(path, lambda study: study["geometry"].update(spacing=[5.0, 20.0, 20.0]))
    (one,) = [one for one in check(data) if one.check == "sizes"]
    assert len(one.places) == 12 and "400 mm" in one.places[0]


def test_empty_class_and_split(data):
    change_json(data / "splits.json", test=[])
    told = {one.what: one.severity for one in check(data)}
    assert told["the test split has no image"] == WARNING and told["the val split has no image"] == NOTE
    assert sum("import with other --split-fractions or --seed" in one.advice for one in check(data)) == 2


def test_one_patient_is_not_told_to_split_otherwise(data):
    dataset = open_dataset(data)
    one = replace(dataset, splits=replace(dataset.splits, train=dataset.splits.train[:1], val=(), test=()))
    advice = [found.advice for found in check_counts(one) if found.check == "splits"]
    assert len(advice) >= 2 and all("one patient cannot be parted; detect" in told for told in advice)


def test_ultrasound(us_data, tmp_path, capsys):
    folder = tmp_path / "data"
    shutil.copytree(us_data.folder, folder)
    before = {(one.check, one.what) for one in check(folder)}
    assert "near duplicates" not in {name for name, _ in before}
    cases = [info.case for info in us_data.cases]
    shutil.copy(folder / "studies" / cases[0] / "frames.npy", folder / "studies" / cases[1] / "frames.npy")
    frames = np.load(folder / "studies" / cases[2] / "frames.npy")
    frames[0] = 0
    np.save(folder / "studies" / cases[2] / "frames.npy", frames)
    told = {one.check: one for one in check(folder)}
    assert sorted(told["near duplicates"].places) == sorted(cases[:2])
    assert told["frames"].what == "1 labelled frames show nothing"
    assert main(["data", "check", str(folder), "--json", str(tmp_path / "found.json")]) == 1
    written = json.loads((tmp_path / "found.json").read_text())
    assert written["counts"]["warning"] + written["counts"]["problem"] >= 2
    assert str(tmp_path) not in json.dumps(written)


def test_what_cannot_be_read_is_no_finding(data, tmp_path, capsys):
    assert main(["data", "check", str(tmp_path / "nothing")]) == 2
    (data / "labels.json").write_text("{")
    assert main(["data", "check", str(data)]) == 2
    assert "labels.json cannot be read" in capsys.readouterr().err
