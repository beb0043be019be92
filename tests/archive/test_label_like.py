"""Masks and maps of classes that are stored as CT are no patients; anything that may be CT is one."""

from __future__ import annotations

import numpy as np
import pytest

from gluon_liver.archive.scan import scan_folder
from gluon_liver.errors import InputError
from gluon_liver.prepare.ct import import_ct
from tests.readers.ct_writer import ct_dataset, uid, write

SIDE, SLICES = 48, 9
BYTES = dict(BitsAllocated=8, BitsStored=8, HighBit=7)
ROWS, COLUMNS = np.indices((SIDE, SIDE))
DISC = (ROWS - 24) ** 2 + (COLUMNS - 24) ** 2 < 300


def anatomy(i):
    """HU with noise: air, a body, an organ."""
    noise = np.random.default_rng(i).normal(0, 12, (SIDE, SIDE))
    return (np.where(DISC, 60, -1000) + noise).astype(np.int16)


def windowed(i, low, high):
    """Anatomy in 8 bits, as a heavily windowed copy has it."""
    return (np.clip((anatomy(i) - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def where(value, dtype=np.uint8, i=4):
    """A disc of one value, on the middle slices alone."""
    return (DISC * value * (2 <= i <= 6)).astype(dtype)


LABELS = {
    "0 and 255 in 8 bits": (lambda i: where(255, i=i), BYTES),
    "0 and 1 in 16 bits": (lambda i: where(1, np.int16, i), {}),
    "0 and 255 in 16 bits, unsigned": (lambda i: where(255, np.uint16, i), {}),
    "three values": (lambda i: where(127) + where(128) * (ROWS > 24).astype(np.uint8), BYTES),
    "with the rescale of its CT": (lambda i: where(255, i=i), {**BYTES, "RescaleIntercept": -1024}),
    "classes 0 to 7": (lambda i: (DISC * (COLUMNS // 6)).astype(np.int16), {}),
    "classes without regions": (lambda i: ((ROWS + COLUMNS) % 8).astype(np.int16), {}),
    "a hundred classes": (lambda i: (ROWS // 6 * 8 + COLUMNS // 6 + i).astype(np.int16), {}),
    "an organ on one slice alone": (lambda i: where(1, np.int16) * np.int16(i == 1), {}),
    "nothing": (lambda i: np.zeros((SIDE, SIDE), np.uint8), BYTES),
    "all of one class": (lambda i: np.full((SIDE, SIDE), 255, np.uint8), BYTES),
    "derived": (lambda i: where(255), {**BYTES, "ImageType": ["DERIVED", "SECONDARY"]}),
}
CT = {
    "anatomy": (anatomy, {}),
    "air alone on the ends": (lambda i: anatomy(i) if 3 <= i <= 5 else np.full((SIDE, SIDE), -1000, np.int16), {}),
    "8 bits of a wide window": (lambda i: windowed(i, -160, 240), BYTES),
    "8 bits of a narrow window": (lambda i: windowed(i, 40, 80), BYTES),
    "8 bits of 16 grey values and air": (lambda i: windowed(i, -1024, 200) // 16, {**BYTES, "RescaleIntercept": -10}),
    "water with noise": (lambda i: np.random.default_rng(i).normal(0, 3, (SIDE, SIDE)).astype(np.int16), {}),
    "a phantom of few values": (lambda i: np.where(DISC, 40, -1000).astype(np.int16), {}),
    "a phantom without air": (lambda i: np.where(DISC, 1064, 1124).astype(np.int16), {"RescaleIntercept": -1024}),
    "a constant slice": (lambda i: np.full((SIDE, SIDE), 1064, np.int16), {"RescaleIntercept": -1024}),
    "a staircase": (lambda i: np.full((SIDE, SIDE), i, np.int16), {}),
    "a phantom that says so": (lambda i: where(100, np.int16), {"QualityControlImage": "YES"}),
}


def write_slices(folder, pixels, tags, **whose):
    for i in range(SLICES):
        write(ct_dataset(instance=i, z=2.0 * i, pixels=pixels(i), **{**tags, **whose}), folder / f"{i}.dcm")


@pytest.mark.parametrize("name", LABELS)
def test_labels_in_the_guise_of_ct(tmp_path, name):
    write_slices(tmp_path, *LABELS[name])
    (series,) = scan_folder(tmp_path).series
    assert series.kind == "labels" and "no CT" in series.kind_reason


@pytest.mark.parametrize("name", CT)
def test_what_may_be_ct_is_never_taken_for_labels(tmp_path, name):
    write_slices(tmp_path, *CT[name])
    (series,) = scan_folder(tmp_path).series
    assert series.kind == ""


@pytest.mark.parametrize("patient", ["P1", "liver"])
def test_masks_are_no_patients_whoever_names_them(tmp_path, patient):
    """The layout of a public set: each organ a folder, with identifiers of its own or those of the patient."""
    write_slices(tmp_path / "in" / "ct", anatomy, {})
    for number, organ in enumerate(("ARTERIAL liver", "tumor"), 2):
        whose = dict(study=number, series=number, patient=patient, description=organ)
        write_slices(tmp_path / "in" / organ, *LABELS["0 and 255 in 8 bits"], **whose)
    report = import_ct(tmp_path / "in", tmp_path / "out")
    assert [one["slices"] for one in report["taken"]] == [SLICES] and sum(report["patients"].values()) == 1
    assert [(one["kind"], one["images"]) for one in report["quarantined"]] == [("labels", SLICES)] * 2
    assert "it looks like a mask, no CT: its pixels are 0 and 255, of 8 bits" in report["quarantined"][0]["reason"]
    (tmp_path / "p.yaml").write_text(f"series:\n  '{uid(2, 2)}': arterial\n")
    with pytest.raises(InputError, match="the phase file names it for arterial, but it looks like a mask"):
        import_ct(tmp_path / "in", tmp_path / "out2", phases=tmp_path / "p.yaml")


@pytest.mark.parametrize("name", ["0 and 255 in 8 bits", "0 and 1 in 16 bits"])
def test_a_mask_in_the_series_of_its_ct_leaves_it_alone(tmp_path, name):
    write_slices(tmp_path / "in" / "ct", anatomy, {})
    pixels, tags = LABELS[name]
    for i in range(SLICES):
        write(ct_dataset(instance=50 + i, z=2.0 * i, pixels=pixels(i), **tags), tmp_path / "in" / "mask" / f"{i}.dcm")
    kinds = [one.kind for one in scan_folder(tmp_path / "in").series]
    assert sorted(kinds) == ["", "labels"]
    for phases in (None, tmp_path / "p.yaml"):
        (tmp_path / "p.yaml").write_text(f"series:\n  '{uid(1, 1)}': arterial\n")
        report = import_ct(tmp_path / "in", tmp_path / "out", phases=phases, overwrite=True)
        assert report["taken"][0]["slices"] == SLICES


@pytest.mark.parametrize(
    "pixels, tags",
    [
        (lambda i: windowed(i, -160, 240), BYTES),
        (lambda i: DISC * np.random.default_rng(i).integers(0, 1000, (SIDE, SIDE), np.int16), {"RescaleSlope": 0.001}),
    ],
)
def test_what_has_no_air_is_noted(tmp_path, pixels, tags):
    write_slices(tmp_path / "in" / "a", pixels, tags)
    write_slices(tmp_path / "in" / "b", anatomy, dict(study=2, series=2, patient="P2"))
    notes = "\n".join(import_ct(tmp_path / "in", tmp_path / "out")["notes"])
    assert notes.count("no air (all pixels") == 1 and "(1 of 2 studies)" in notes
