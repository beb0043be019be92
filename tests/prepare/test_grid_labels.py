"""Labels on slices that an import turns, squares, shifts, interpolates, or carries over from another phase."""

from __future__ import annotations

import json
import tracemalloc
from functools import partial

import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.study import StudyRecord
from gluon_liver.errors import InputError
from gluon_liver.prepare.ct import import_ct
from tests.readers.ct_writer import ct_dataset, uid, write
from tests.readers.us_writer import write_labels

label_file = partial(write_labels, width=16, height=16, classes=("cyst", "hemangioma", "hcc"))


def write_phase(folder, series, description, *, zs, corner=(-10.0, -20.0), **tags):
    for i, z in enumerate(zs):
        pixels = np.full((16, 16), 100 * series + i, np.int16)
        common = dict(series=series, description=description, ImagePositionPatient=[*corner, z])
        write(ct_dataset(instance=i, pixels=pixels, **common, **tags), folder / f"se{series}" / f"{i}.dcm")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "in"


@pytest.fixture
def take(tmp_path, folder):
    """take([(image entry, x, y, width, height), ...]): the import's report and its data."""

    def start(boxes, *, options=(), name="data", exhaustive=False, **more):
        images = [image for image, *_ in boxes]
        rows = [(number, 3, list(box)) for number, (_, *box) in enumerate(boxes, 1) if box]
        labels = label_file(tmp_path / "labels.json", images, rows, exhaustive=exhaustive)
        report = import_ct(folder, tmp_path / name, labels=labels, **more)
        return report, CTDataset.open(tmp_path / name)

    return start


def on(phase, place):
    return {"study": uid(1), "phase": phase, "slice": place}


def boxes_of(dataset):
    return {label.slice: label.boxes.round(3).tolist() for label in dataset.labels}


def not_taken(report):
    return {one["reason"]: (one["images"], one["boxes"]) for one in report["labels"]["not_taken"]}


def test_boxes_turn_and_stretch_with_their_slices(folder, take):
    turned = dict(ImageOrientationPatient=[0, 1, 0, -1, 0, 0], PixelSpacing=[0.5, 1.0])
    write_phase(folder, 1, "ARTERIAL", zs=(0, 2, 4), corner=(5.0, -20.0), **turned)
    report, dataset = take([(on("arterial", 1), 1, 2, 3, 1)])
    # x runs to the back over pixels of 1 mm, y to the patient's right over pixels of 0.5 mm
    assert boxes_of(dataset) == {1: [[13, 2, 14, 8]]}
    record = report["taken"][0]["phases"]["arterial"]
    assert record["turned"] and record["made_square"] and record["source_pixel_mm"] == [0.5, 1.0]
    study = StudyRecord.load(dataset.folder / "studies" / dataset.cases[0].case)
    assert study.geometry.size == (3, 32, 16) and study.geometry.spacing == pytest.approx((2, 0.5, 0.5))
    index, back = study.source.mapping.to_source(dataset.labels[0].boxes, 1)
    assert index == 1 and back.tolist() == [[1, 2, 4, 3]]


def test_regrid_is_counted_on_the_screen_in_the_report_and_in_the_data(tmp_path, folder, take, capsys):
    zs = [0, 2, 4, 8, 10, 12.4, 14, 16, 200]
    write_phase(folder, 1, "ARTERIAL", zs=zs)
    write_phase(folder, 2, "DELAYED", zs=[1, 3, 5, 9, 11, 13, 15])
    report, dataset = take([(on("arterial", 4), 1, 2, 3, 4), (on("arterial", 5), 1, 2, 3, 4)], regrid=True)
    assert boxes_of(dataset) == {5: [[1, 2, 4, 6]], 6: [[1, 2, 4, 6]]}
    arterial, delayed = (report["taken"][0]["phases"][phase] for phase in ("arterial", "delayed"))
    keys = ("interpolated_slices", "blended_slices", "resampled_slices", "left_out_slices")
    assert [arterial[key] for key in keys] == [1, 1, 0, 1]
    assert [delayed[key] for key in keys] == [2, 0, 7, 0]
    study = StudyRecord.load(dataset.folder / "studies" / dataset.cases[0].case)
    history = study.source.history
    assert (history["arterial"].interpolated, history["arterial"].blended) == ((3,), (6,))
    # the delayed phase lacks the slice at 7 mm, of which those at 6 and 8 mm are mixed
    assert history["delayed"].interpolated == (3, 4) and history["delayed"].resampled
    assert "1 labelled slice(s) with 1 box(es) were blended with a neighbour" in " ".join(report["notes"])
    assert report["labels"]["on_changed_slices"]["blended"] == {"images": 1, "boxes": 1}
    labels = tmp_path / "labels.json"
    assert main(f"import ct {folder} --out {tmp_path / 'again'} --labels {labels} --regrid".split()) == 0
    printed = capsys.readouterr().out
    assert "1 slice(s) interpolated (--regrid), 1 slice(s) blended with a neighbour" in printed
    assert "1 lone slice(s) left out (--regrid)" in printed and "7 slice(s) resampled onto the reference" in printed
    assert "(1 image(s), stray-slice): it lies 184.0 mm off the other slices" in printed
    notes = dataset.label_notes(dataset.labels)
    assert notes == ["1 of 2 labelled slices were blended with a neighbour"]


def test_a_label_of_a_slice_that_is_left_out_is_counted(folder, take):
    write_phase(folder, 1, "ARTERIAL", zs=[0, 2, 4, 6, 300])
    report, dataset = take([(on("arterial", 4), 1, 2, 3, 4)], regrid=True, exhaustive=True)
    assert not_taken(report) == {"--regrid left its slice out, far off the others": (1, 1)}
    assert boxes_of(dataset) == {0: [], 1: [], 2: [], 3: []}


def test_labels_on_another_phase_are_carried_over_on_request(tmp_path, folder, take, capsys):
    write_phase(folder, 1, "ARTERIAL", zs=[0, 5, 10, 15])
    # 1 mm to the left, half a millimetre to the back, half as thick, from 10 mm on
    write_phase(folder, 2, "DELAYED", zs=[10 + 2.5 * i for i in range(8)], corner=(-9.0, -19.5))
    boxes = [(on("delayed", 0), 1, 2, 3, 4), (on("delayed", 1), 5, 5, 3, 3), (on("delayed", 2), 6, 6, 3, 3)]
    boxes += [(on("delayed", 7), 1, 2, 3, 4), (on("arterial", 0), 7, 7, 2, 2)]
    report, dataset = take(boxes)
    assert boxes_of(dataset) == {0: [[7, 7, 9, 9]]}
    report, dataset = take(boxes, name="carried", labels_on="delayed")
    assert boxes_of(dataset) == {0: [[7, 7, 9, 9]], 2: [[3, 3, 6, 7]], 3: [[8, 7, 11, 10]]}
    assert {label.phase for label in dataset.labels} == {"arterial"} and dataset.labels_on == "delayed"
    assert not_taken(report) == {
        "another slice of delayed lies nearer to the slice of the reference phase": (1, 1),
        "the reference phase has no slice at its position on delayed": (1, 1),
    }
    notes = " ".join(report["notes"])
    assert "2 box(es) on 2 slice(s) were drawn on delayed and carried over to arterial" in notes
    assert "breathing" in notes and "labels not taken of image 4: the reference phase has no slice" in notes
    assert report["labels"]["on_changed_slices"]["carried"] == {"images": 2, "boxes": 2}
    assert "drawn on delayed were carried over" in dataset.label_notes(dataset.labels)[-1]
    words = f"import ct {folder} --out {tmp_path / 'cli'} --labels {tmp_path / 'labels.json'} --labels-on delayed"
    assert main(words.split()) == 0 and "breathing" in capsys.readouterr().out


def test_the_reference_phases_own_labels_win_over_carried_ones(folder, take):
    for series, description in ((1, "ARTERIAL"), (2, "DELAYED")):
        write_phase(folder, series, description, zs=[0, 2, 4])
    boxes = [(on("delayed", 1), 1, 2, 3, 4), (on("arterial", 1), 7, 7, 2, 2), (on("delayed", 2),)]
    report, dataset = take(boxes, labels_on="delayed")
    assert boxes_of(dataset) == {1: [[7, 7, 9, 9]], 2: []}
    assert not_taken(report) == {"the slice of the reference phase has labels of its own": (1, 1)}


def test_exhaustive_carries_background_only_where_the_other_phase_has_a_slice(folder, take):
    write_phase(folder, 1, "ARTERIAL", zs=[0, 2.5, 5, 7.5, 10])
    write_phase(folder, 2, "DELAYED", zs=[0, 5, 10])
    _, dataset = take([(on("delayed", 1), 1, 2, 3, 4)], labels_on="delayed", exhaustive=True)
    assert boxes_of(dataset) == {0: [], 2: [[1, 2, 4, 6]], 4: []}


def test_a_carried_label_on_an_interpolated_slice_is_noted(folder, take):
    write_phase(folder, 1, "ARTERIAL", zs=[0, 2, 4, 8, 10])
    write_phase(folder, 2, "DELAYED", zs=[0, 2, 4, 6, 8, 10])
    report, dataset = take([(on("delayed", 3), 1, 2, 3, 4)], labels_on="delayed", regrid=True)
    assert boxes_of(dataset) == {3: [[1, 2, 4, 6]]}
    assert "1 labelled slice(s) with 1 box(es) were interpolated" in " ".join(report["notes"])
    assert dataset.label_notes(dataset.labels)[0] == "1 of 1 labelled slices were interpolated: no scanner saw them"


def test_a_carried_box_that_leaves_the_image_takes_its_slice_along(folder, take):
    write_phase(folder, 1, "ARTERIAL", zs=[0, 2, 4])
    write_phase(folder, 2, "DELAYED", zs=[0, 2, 4], corner=(-4.0, -20.0))
    report, dataset = take([(on("delayed", 0), 10, 2, 5, 4), (on("delayed", 1), 1, 2, 2, 2)], labels_on="delayed")
    assert boxes_of(dataset) == {1: [[13, 2, 15, 4]]}
    assert not_taken(report) == {"going over to the reference phase moved a box of the slice out of it": (1, 1)}


def test_a_phase_in_another_direction_carries_its_boxes_by_the_world(folder, take):
    write_phase(folder, 1, "ARTERIAL", zs=[0, 2, 4])
    prone = dict(ImageOrientationPatient=[-1, 0, 0, 0, -1, 0])
    write_phase(folder, 2, "DELAYED", zs=[0, 2, 4], corner=(-10 + 15 * 0.5, -20 + 15 * 0.5), **prone)
    _, dataset = take([(on("delayed", 0), 1, 2, 3, 4)], labels_on="delayed")
    assert boxes_of(dataset) == {0: [[12, 10, 15, 14]]}
    study = dataset.study(dataset.cases[0].case)
    assert not study.source.history["delayed"].resampled and study.present[1:].all()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"labels_on": "portal"}, "--labels-on portal: the phases are"),
        ({"labels_on": "arterial"}, "it is the reference phase"),
    ],
)
def test_wrong_options(folder, take, options, message):
    write_phase(folder, 1, "ARTERIAL", zs=[0, 2, 4])
    with pytest.raises(InputError, match=message):
        take([(on("arterial", 0), 1, 1, 2, 2)], **options)
    with pytest.raises(InputError, match="--labels-on is for --labels FILE"):
        import_ct(folder, folder.parent / "data", labels_on="delayed")


def test_study_json_tells_the_mapping(tmp_path, folder, take):
    write_phase(folder, 1, "ARTERIAL", zs=[0, 2, 6], ImageOrientationPatient=[-1, 0, 0, 0, -1, 0])
    _, dataset = take([], regrid=True)
    path = dataset.folder / "studies" / dataset.cases[0].case / "study.json"
    source = json.loads(path.read_text())["source"]
    assert source["images"] == {"arterial": 3} and source["history"]["arterial"]["interpolated"] == [2]
    assert source["mapping"]["slices"] == [0, 1, 3] and source["mapping"]["source_size"] == [16, 16]
    assert source["mapping"]["matrix"] == [[-1, 0, 16], [0, -1, 16]]


def test_an_import_holds_one_phase_in_memory_at_most(tmp_path, folder):
    side, zs = 128, [2.0 * i for i in range(90)]
    for series, description, shift in ((1, "NON CONTRAST", 1.0), (2, "ARTERIAL", 0.0), (3, "DELAYED", -1.0)):
        for i, z in enumerate(zs):
            pixels = np.full((side, side), 100 * series + i, np.int16)
            common = dict(series=series, description=description, ImagePositionPatient=[shift, 0, z + shift])
            write(ct_dataset(instance=i, pixels=pixels, **common), folder / f"se{series}" / f"{i}.dcm")
    phase = len(zs) * side * side * 2
    import_ct(folder, tmp_path / "first")  # modules are loaded, caches filled
    tracemalloc.start()
    import_ct(folder, tmp_path / "data")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert phase < peak < 2.5 * phase, peak / phase
