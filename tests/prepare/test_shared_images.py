"""One examination under two patients: named at import, and on one side of the split."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.open import open_dataset
from gluon_liver.errors import DatasetError, SplitError
from gluon_liver.prepare.ct import import_ct
from gluon_liver.prepare.us import import_us
from gluon_liver.structures.shared_images import digest_of, joined
from tests.readers.ct_writer import ct_dataset, write
from tests.readers.us_writer import write_labels, write_us


def noise(seed, shape=(16, 16)):
    return np.random.default_rng(seed).integers(-50, 150, shape).astype(np.int16)


def write_study(folder, study, patient, *, slices=range(6), seed=1, phases=("ARTERIAL",), z0=0.0):
    """Slice i of a phase is noise of its seed; everything else is new in every study."""
    for number, phase in enumerate(phases, 1):
        for place, i in enumerate(slices):
            pixels = noise(1000 * seed + 100 * len(phase) + i)
            common = dict(study=study, series=number, patient=patient, description=phase)
            write(
                ct_dataset(instance=place, z=z0 + 2.0 * place, pixels=pixels, **common),
                folder / f"{study}/{number}-{i}",
            )


def splits_of(out):
    return {
        one: name for name in ("train", "val", "test") for one in json.loads((out / "splits.json").read_text())[name]
    }


def others(folder):
    for study in range(10, 14):
        write_study(folder, study, f"Q{study}", seed=study)


@pytest.mark.parametrize(
    "second, shared",
    [
        (dict(), 6),
        (dict(slices=range(3, 9)), 3),  # cut at other ends
        (dict(z0=400.0), 6),  # another frame of reference
        (dict(slices=range(5, -1, -1)), 6),
        (dict(phases=("PLAIN", "ARTERIAL")), 6),
    ],
)
def test_one_examination_under_two_patients_is_named_and_kept_together(tmp_path, second, shared):
    source, out = tmp_path / "in", tmp_path / "out"
    others(source)
    write_study(source, 1, "P1")
    write_study(source, 2, "P2", **second)
    for seed in range(4):
        report = import_ct(source, out, seed=seed, overwrite=True)
        (twins,) = report["same_examination"]
        assert twins["images"] == shared
        patients = [one["patient"] for one in report["taken"] if one["case"] in twins["cases"]]
        assert len({splits_of(out)[patient] for patient in patients}) == 1 < len(set(patients))
        assert any(f"share {shared} slices: the same examination under" in note for note in report["notes"])
    record = json.loads((out / "dataset.json").read_text())
    assert record["same_examination"] == [sorted(patients)]
    splits = json.loads((out / "splits.json").read_text())
    for name in ("train", "val", "test"):
        splits[name] = [one for one in splits[name] if one != patients[0]]
    apart = "test" if splits_of(out)[patients[1]] == "train" else "train"
    (out / "splits.json").write_text(json.dumps({**splits, apart: splits[apart] + [patients[0]]}))
    with pytest.raises(SplitError, match="who share an examination .* move them to one split"):
        CTDataset.open(out)


def test_what_only_looks_alike_stays_apart(tmp_path):
    others(tmp_path / "in")
    write_study(tmp_path / "in", 1, "P1", slices=[0, 1, 2, 3])
    write_study(tmp_path / "in", 2, "P2", slices=[3, 11, 12, 13])  # one common slice: a page, not an examination
    report = import_ct(tmp_path / "in", tmp_path / "out")
    assert report["same_examination"] == [] and not any("share" in note for note in report["notes"])
    assert digest_of(np.full((64, 64), 7)) is None and digest_of(noise(0)) != digest_of(noise(1))


def test_the_same_examination_twice_under_one_patient_and_in_two_phases_is_named(tmp_path):
    write_study(tmp_path / "in", 1, "P1")
    write_study(tmp_path / "in", 2, "P1")
    write_study(tmp_path / "in", 3, "P3", phases=("ARTERIAL", "12345678"), seed=3)
    (tmp_path / "p.yaml").write_text("patterns: {arterial: art, delayed: '123'}")
    notes = "\n".join(import_ct(tmp_path / "in", tmp_path / "out", phases=tmp_path / "p.yaml")["notes"])
    assert "share 6 slices: the same examination twice under one patient" in notes
    assert "arterial and delayed of case-" in notes and "one series is stored as two phases" in notes


def test_groups_of_pairs():
    assert joined([("a", "b"), ("c", "d"), ("d", "a"), ("e", "e")]) == [("a", "b", "c", "d")]


def test_evaluate_says_that_the_pixels_were_trained_on_under_another_patient(tmp_path):
    write_study(tmp_path / "in", 1, "P1")
    import_ct(tmp_path / "in", tmp_path / "a", salt="one salt", fractions=(0, 0, 1))
    import_ct(tmp_path / "in", tmp_path / "b", salt="another salt", fractions=(1, 0, 0))
    trained = CTDataset.open(tmp_path / "b").training_record()
    dataset = CTDataset.open(tmp_path / "a")
    with pytest.raises(DatasetError, match="of 1 studies of the test split 1 hold the very pixels .* under another"):
        dataset.refuse_trained(trained, "test")
    with pytest.raises(DatasetError, match="1 belong to patients who were trained on, .* the split has changed"):
        dataset.refuse_trained({"training_patients": [dataset.cases[0].patient], "training_studies": []}, "test")
    dataset.refuse_trained({"training_patients": [], "training_studies": []}, "test")


@pytest.mark.parametrize("by", ["patient", "scene", "image"])
def test_one_recording_under_two_patients(tmp_path, by):
    images = []
    for number in range(6):
        seed = 0 if number == 1 else number  # recording 1 shows what recording 0 does
        frames = np.random.default_rng(seed).integers(0, 255, (4, 32, 32, 3)).astype(np.uint8)
        write_us(
            tmp_path / "in" / f"{number}.dcm", frames, region=(0, 0, 31, 31), number=number + 1, patient=f"P{number}"
        )
        images += [{"video": f"{number}.dcm", "frame": frame, "scene": 1 + frame // 2} for frame in range(4)]
    labels = write_labels(tmp_path / "l.json", images, [], width=32, height=32)
    report = import_us(tmp_path / "in", tmp_path / "out", labels=labels, split_by=by, fractions=(0.5, 0, 0.5))
    (twins,) = report["same_examination"]
    assert twins["images"] == 4
    (note,) = [note for note in report["notes"] if "the same examination under" in note]
    assert ("they may be in several splits" in note) == (by == "image")
    record = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert [len(group) for group in record["same_examination"]] == {"patient": [2], "scene": [2, 2], "image": []}[by]
    assert open_dataset(tmp_path / "out").splits.train


def test_twins_are_told_on_the_screen(tmp_path, capsys):
    write_study(tmp_path / "in", 1, "P1")
    write_study(tmp_path / "in", 2, "P2")
    assert main(["import", "ct", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "note: case-" in printed and "one split holds both patients" in printed
    assert "patients: train 2, val 0, test 0" in printed
