"""One real study with three contrast phases, where it is at hand."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.errors import InputError
from gluon_liver.prepare.ct import import_ct
from gluon_liver.prepare.look.listing import list_series
from tests.readers.us_writer import write_labels

BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data" / "ct" / "hcc_tace_seg_005"
FOLDER = Path(os.environ.get("GLUON_LIVER_REAL_CT", str(BESIDE)))

pytestmark = pytest.mark.skipif(
    not (FOLDER / "boxes.json").is_file(),
    reason="no real CT study: set GLUON_LIVER_REAL_CT to the folder of hcc_tace_seg_005 with its boxes.json",
)


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    tmp = tmp_path_factory.mktemp("real")
    boxes = json.loads((FOLDER / "boxes.json").read_text())
    lines = ["order: [early_arterial, late_arterial, portal_venous]", "reference: late_arterial", "series:"]
    lines += [f"  '{uid}': {phase}" for uid, phase in boxes["phase_by_series"].items()]
    (tmp / "phases.yaml").write_text("\n".join(lines))
    images = [{"sop_instance_uid": one["sop_instance_uid"]} for one in boxes["boxes"]]
    corners = (one["box_xyxy_px"] for one in boxes["boxes"])
    hcc = [(i, 1, [x1, y1, x2 - x1, y2 - y1]) for i, (x1, y1, x2, y2) in enumerate(corners, 1)]
    labels = write_labels(tmp / "labels.json", images, hcc, width=512, height=512, classes=["hcc"])
    report = import_ct(FOLDER, tmp / "data", phases=tmp / "phases.yaml", labels=labels, salt="test")
    return report, CTDataset.open(tmp / "data"), boxes["boxes"]


def test_three_phases_on_the_grid_of_the_late_arterial_one(imported):
    report, dataset, _ = imported
    phases = report["taken"][0]["phases"]
    assert [(phase, record["images"], record["resampled"]) for phase, record in sorted(phases.items())] == [
        ("early_arterial", 81, True),
        ("late_arterial", 81, False),
        ("portal_venous", 81, True),
    ]
    study = dataset.study(dataset.cases[0].case)
    assert study.hu.shape == (3, 81, 512, 512) and study.present.all()
    assert study.geometry.spacing == pytest.approx((2.5, 0.820312, 0.820312))
    assert study.geometry.origin[2] == pytest.approx(-226.0)
    # Padding of -2048 HU around the field of view is air by now.
    assert study.hu.min() == -1024 and (study.hu[:, :, 0, 0] == -1024).all()


def test_phases_lie_on_each_other(imported):
    _, dataset, _ = imported
    study = dataset.study(dataset.cases[0].case)
    body = [np.asarray(study.hu[phase, 40]) > -300 for phase in range(3)]
    for moving in (0, 2):
        overlap = (body[1] & body[moving]).sum() / (body[1] | body[moving]).sum()
        # Their stacks start 1 mm higher and lower, the portal venous one also 4.1 mm to the side.
        assert overlap > 0.95


def test_sixteen_boxes_on_their_slices(imported):
    report, dataset, boxes = imported
    assert (report["labels"]["boxes"], report["labels"]["not_taken"]) == (16, [])
    study = dataset.study(dataset.cases[0].case)
    z_of_box = {tuple(np.float32(one["box_xyxy_px"]).round(1).tolist()): one["z_mm"] for one in boxes}
    for image in dataset.labels:
        (box,) = image.boxes
        z_mm = study.geometry.index_to_world([image.slice, 0, 0])[2]
        assert z_mm == pytest.approx(z_of_box[tuple(box.round(1).tolist())], abs=1e-3)
        x1, y1, x2, y2 = box.astype(int)
        # A hypervascular nodule: in the late arterial phase it is brighter than it was in the early one.
        inside = np.asarray(study.hu[:2, image.slice, y1:y2, x1:x2]).mean(axis=(1, 2))
        assert inside[1] > inside[0] + 5


def test_without_a_phase_file_nothing_is_guessed(tmp_path):
    with pytest.raises(InputError, match="no rule says which phase it is"):
        import_ct(FOLDER, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_aorta_and_liver_tell_the_phases():
    phase_by_series = json.loads((FOLDER / "boxes.json").read_text())["phase_by_series"]
    seen = {phase_by_series[one.address]: (one.aorta, one.liver, one.looks_like) for one in list_series(FOLDER).series}
    # read off the pictures by eye: the middle of the aorta at the level of the liver, and liver without vessels
    for phase, aorta, liver, look in (
        ("early_arterial", 340, 45, "arterial"),
        ("late_arterial", 195, 70, "arterial"),
        ("portal_venous", 135, 95, "portal venous or later"),
    ):
        assert seen[phase] == (pytest.approx(aorta, abs=20), pytest.approx(liver, abs=8), look)
