"""``import ct --masks``: which study a mask is of, and which class its values are."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from gluon_liver.commands import main
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.errors import AnnotationError, InputError
from gluon_liver.labels.masks import REPEATED, MaskBoxes, SliceLesions
from gluon_liver.labels.source import LabelOptions
from gluon_liver.prepare.ct import import_ct
from gluon_liver.prepare.ct_label_places import place_mask_boxes
from gluon_liver.prepare.study_log import StudyLog
from gluon_liver.structures.geometry import Geometry
from gluon_liver.structures.slice_mapping import SliceHistory
from tests.readers.ct_writer import ct_dataset, uid, write
from tests.readers.mask_writer import read_headers, write_mask_series, write_seg
from tests.sets.written import write_nifti

SHAPE = (4, 16, 16)
SPACING = (2.0, 0.5, 0.5)


@pytest.fixture
def source(tmp_path):
    """Two patients of one arterial series of four slices, the second one millimetre further to the left."""
    for study, place in ((study, place) for study in (1, 2) for place in range(4)):
        tags = dict(study=study, patient=f"P{study}", ImagePositionPatient=[-11 + study, -20, 2.0 * place])
        pixels = np.full(SHAPE[1:], 100 * study + place - 1000, np.int16)
        write(ct_dataset(instance=place, pixels=pixels, **tags), tmp_path / "in" / f"p{study}" / f"{place:03d}.dcm")
    return tmp_path / "in"


def block(*places, values=(1,)):
    mask = np.zeros(SHAPE, np.uint8)
    for value, (z, y, x) in zip(values, places):
        mask[slice(*z), slice(*y), slice(*x)] = value
    return mask


SMALL, LARGE = ((1, 2), (3, 4), (5, 6)), ((0, 3), (8, 12), (2, 9))

SEGMENT = {1: ("hcc", block(LARGE))}


def run(source, tmp_path, masks, **options):
    out = tmp_path / "data"
    report = import_ct(source, out, masks=masks, salt="s", overwrite=True, **options)
    dataset = CTDataset.open(out)
    rows = {}
    for label in dataset.labels:
        study = dataset.study(label.case)
        number = int(study.hu[dataset.reference_index, 0, 0, 0] + 1000) // 100
        boxes = zip(label.lesions.tolist(), label.labels.tolist(), label.boxes.tolist())
        rows[number, label.slice] = [(lesion, dataset.classes[kind], box) for lesion, kind, box in boxes]
    return rows, report


def class_map(tmp_path, text):
    (tmp_path / "classes.yaml").write_text(text)
    return LabelOptions(classes=tmp_path / "classes.yaml")


def test_every_kind_of_mask_finds_its_study(source, tmp_path):
    first, second = (read_headers(source / name) for name in ("p1", "p2"))
    write_seg(tmp_path / "masks" / "a.dcm", first, {1: ("HCC", block(SMALL)), 2: ("Liver", block(LARGE))})
    write_mask_series(tmp_path / "masks" / "cyst_2", second, block(LARGE))
    options = class_map(tmp_path, "classes: [cyst, hcc]\nignore: [liver]\n")
    rows, report = run(source, tmp_path, [tmp_path / "masks"], label_options=options)
    assert rows == {
        **{(1, z): [] for z in (0, 2, 3)},
        (1, 1): [(1, "hcc", [5, 3, 6, 4])],
        **{(2, z): [(1, "cyst", [2, 8, 9, 12])] for z in (0, 1, 2)},
        (2, 3): [],
    }
    assert "masks: 2 lesions in 3D, each with its number in labels.json" in report["notes"]


@pytest.mark.parametrize("name", ["p2_seg.nii.gz", "p2/mask.nii.gz", "P2.nii.gz", "elsewhere.nii.gz"])
def test_a_volume_belongs_to_the_study_of_its_voxels_or_of_its_name(source, tmp_path, name):
    origin = (-9, -20, 0)
    shape = block(LARGE)
    if "elsewhere" not in name:  # of another grid: its name alone tells
        shape, origin = shape[:3], (-9, -20, 0)
    (tmp_path / "masks" / name).parent.mkdir(parents=True)
    write_nifti(tmp_path / "masks" / name, shape, SPACING, origin=origin)
    options = class_map(tmp_path, "classes: {hcc: [p2_seg, mask, P2, P, elsewhere]}\n")
    rows, report = run(source, tmp_path, [tmp_path / "masks"], label_options=options)
    expected = {(2, z): [(1, "hcc", [2, 8, 9, 12])] for z in (0, 1, 2)}
    assert rows == {**expected, **({(2, 3): []} if "elsewhere" in name else {})}
    assert "1 study(s) have no mask: their slices are unlabelled" in report["notes"]


def test_a_mask_of_no_study_and_one_that_could_be_of_several_are_refused(source, tmp_path):
    (tmp_path / "masks").mkdir()
    write_nifti(tmp_path / "masks" / "x.nii", block(LARGE)[:3], SPACING, origin=(-9, -20, 0))
    with pytest.raises(AnnotationError, match=r"mask 01 \(.nii.*nothing says which study .*none of 2 studies fits"):
        run(source, tmp_path, [tmp_path / "masks"])
    headers = read_headers(source / "p1")
    write_seg(
        tmp_path / "seg.dcm", headers, {1: ("HCC", block(SMALL))}, StudyInstanceUID="1.2", FrameOfReferenceUID="1.3"
    )
    with pytest.raises(AnnotationError, match=r"mask 01 \(DICOM SEG.*: its study is not in the folder"):
        run(source, tmp_path, [tmp_path / "seg.dcm"])
    write_seg(tmp_path / "seg.dcm", headers, {1: ("HCC", block(SMALL))}, StudyInstanceUID="1.2")
    assert (1, 1) in run(source, tmp_path, [tmp_path / "seg.dcm"])[0]  # by its frame of reference
    write_seg(tmp_path / "seg.dcm", headers, {1: ("HCC", block(SMALL))}, FrameOfReferenceUID="1.3")
    with pytest.raises(AnnotationError, match="its FrameOfReferenceUID is not that of the reference phase"):
        run(source, tmp_path, [tmp_path / "seg.dcm"])
    assert not list(tmp_path.glob("data*/*unfinished*"))


def write_pictures(folder, mask, marked=255, mode=None):
    folder.mkdir(parents=True)
    for place, plane in enumerate(mask):
        # the files of the slices are named as their places
        Image.fromarray((plane * marked).astype(np.uint8)).convert(mode or "L").save(folder / f"{place:03d}.png")


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_pictures_go_by_the_names_of_the_slices(source, tmp_path, mode):
    write_pictures(tmp_path / "p2" / "hcc", block(LARGE), mode=mode)
    rows, _ = run(source, tmp_path, [tmp_path / "p2"])
    assert rows == {**{(2, z): [(1, "hcc", [2, 8, 9, 12])] for z in (0, 1, 2)}, (2, 3): []}


def test_pictures_that_fit_no_study_or_several_are_refused(source, tmp_path):
    write_pictures(tmp_path / "masks" / "hcc", block(LARGE))
    with pytest.raises(AnnotationError, match=r"mask 01 \(PNG.*2 of 2 studies have a slice"):
        run(source, tmp_path, [tmp_path / "masks"])
    (tmp_path / "masks" / "hcc" / "003.png").unlink()
    with pytest.raises(AnnotationError, match="0 of 2 studies have a slice in their reference phase for each of its 3"):
        run(source, tmp_path, [tmp_path / "masks"])
    write_pictures(tmp_path / "p1" / "hcc", np.zeros((4, 9, 9)))
    with pytest.raises(AnnotationError, match="the picture of slice 0 has 9x9 pixels, its slice 16x16"):
        run(source, tmp_path, [tmp_path / "p1"])
    Image.fromarray(np.random.RandomState(0).randint(0, 255, (16, 16, 3)).astype(np.uint8)).save(
        tmp_path / "p1" / "hcc" / "000.png"
    )
    with pytest.raises(AnnotationError, match="picture of slice 0 has colours"):
        run(source, tmp_path, [tmp_path / "p1"])
    (tmp_path / "p1" / "hcc" / "000.png").write_bytes(b"\x89PNG")
    with pytest.raises(AnnotationError, match="picture of slice 0 cannot be read"):
        run(source, tmp_path, [tmp_path / "p1"])


def test_a_mask_that_leaves_the_images_is_refused_by_number_and_case(source, tmp_path):
    write_nifti(tmp_path / "p1.nii", block(LARGE), SPACING, origin=(-30, -20, 0))
    with pytest.raises(AnnotationError, match=r"masks of case-.*first is mask 01.*a lesion of value 1 lies outside"):
        run(source, tmp_path, [tmp_path / "p1.nii"], label_options=class_map(tmp_path, "classes: {hcc: [p1, p]}"))


def test_values_of_one_file_and_small_lesions(source, tmp_path):
    mask = block(SMALL, LARGE, values=(2, 1))
    write_nifti(tmp_path / "p1.nii", mask, SPACING, origin=(-10, -20, 0))
    options = class_map(tmp_path, "classes: {cyst: 1, hcc: 2}\n")
    rows, _ = run(source, tmp_path, [tmp_path / "p1.nii"], label_options=options)
    assert rows[1, 1] == [(1, "cyst", [2, 8, 9, 12]), (2, "hcc", [5, 3, 6, 4])]
    rows, report = run(source, tmp_path, [tmp_path / "p1.nii"], label_options=options, min_lesion_mm=1)
    assert rows[1, 1] == [(1, "cyst", [2, 8, 9, 12])]
    assert any(
        "1 lesions in 3D" in note and "1 below 1 mm in the plane were dropped" in note for note in report["notes"]
    )
    left_out = class_map(tmp_path, "classes: {cyst: 1}\nleave_out: [2]\n")
    rows, report = run(source, tmp_path, [tmp_path / "p1.nii"], label_options=left_out)
    assert sorted(rows) == [(1, 0), (1, 2), (1, 3)]
    assert [one["reason"] for one in report["labels"]["not_taken"]] == ["a lesion of it is of a class that is left out"]


def test_names_that_are_no_class_are_refused(source, tmp_path):
    headers = read_headers(source / "p1")
    path = write_seg(tmp_path / "seg.dcm", headers, {1: ("Mass", block(SMALL)), 2: ("Liver", block(LARGE))})
    with pytest.raises(AnnotationError, match="the masks mark Mass and Liver: Liver is no lesion; say with --classes"):
        run(source, tmp_path, [path])
    with pytest.raises(AnnotationError, match=r"the masks mark Mass, which nothing in .*classes.yaml names"):
        run(source, tmp_path, [path], label_options=class_map(tmp_path, "classes: [hcc]\nignore: [liver]\n"))
    # a coded type is a name too
    options = class_map(tmp_path, "classes: {hcc: 'SCT:108369006'}\nignore: [liver]\n")
    assert run(source, tmp_path, [path], label_options=options)[0][1, 1] == [(1, "hcc", [5, 3, 6, 4])]
    two = {1: ("Lesion_1", block(LARGE)), 2: ("Lesion 2", block(SMALL))}
    rows, _ = run(source, tmp_path, [write_seg(tmp_path / "two.dcm", headers, two)])
    assert [(number, name) for number, name, _ in rows[1, 1]] == [(1, "Lesion"), (2, "Lesion")]
    # the name of a folder may be a patient's: it is no class by itself, and no message has it
    write_mask_series(tmp_path / "m" / "Miller01", headers, block(SMALL))
    with pytest.raises(
        AnnotationError, match=r"mark value 1 of mask 01 \(DICOM mask series.*in the classes cyst"
    ) as error:
        run(source, tmp_path, [tmp_path / "m"])
    assert "Miller" not in str(error.value)
    rows, _ = run(source, tmp_path, [tmp_path / "m"], label_options=class_map(tmp_path, "classes: {hcc: 1}\n"))
    assert rows[1, 1] == [(1, "hcc", [5, 3, 6, 4])]
    write_mask_series(tmp_path / "usual" / "HCC 3", headers, block(SMALL), series=903)
    assert run(source, tmp_path, [tmp_path / "usual"])[0][1, 1] == [(1, "hcc", [5, 3, 6, 4])]


def test_a_damaged_volume_is_named_by_its_number(source, tmp_path):
    (tmp_path / "Miller.nii").write_bytes(b"nothing of the kind")
    with pytest.raises(AnnotationError, match=r"^mask 01 \(.nii") as error:
        run(source, tmp_path, [tmp_path / "Miller.nii"])
    assert "Miller" not in str(error.value)


def test_masks_from_the_command_line(source, tmp_path, capsys):
    path = write_seg(tmp_path / "seg.dcm", read_headers(source / "p1"), {1: ("hcc", block(SMALL))})
    command = ["import", "ct", "--out", str(tmp_path / "out"), "--salt", "s"]
    assert main([*command, str(source), "--masks", str(path), "--min-lesion-mm", "0.3"]) == 0
    assert "1 lesions in 3D, each with its number" in capsys.readouterr().out
    assert main([*command, "--overwrite", "--masks", str(path), str(source)]) == 0
    assert main([*command, "--overwrite", str(source), "--masks", str(path), "--labels", str(path)]) == 2
    assert "give one of them" in capsys.readouterr().err
    (tmp_path / "c.yaml").write_text("classes: [hcc]")
    assert (
        main([*command, "--overwrite", str(source), "--masks", str(path), "--classes", str(tmp_path / "c.yaml")]) == 0
    )
    assert main([*command, "--overwrite", str(source), "--masks", str(path), "--allow-missing"]) == 2
    assert uid(1) not in capsys.readouterr().err


def test_labels_and_masks_together_are_refused(source, tmp_path):
    with pytest.raises(InputError, match="--labels and --masks say both"):
        import_ct(source, tmp_path / "data", labels="x.json", masks=["y"])


@pytest.mark.parametrize("options", [{"min_lesion_mm": 3}, {"min_lesion_mm": -1, "masks": ["y"]}])
def test_a_size_without_masks_or_below_0_is_refused(source, tmp_path, options):
    with pytest.raises(InputError, match="--min-lesion-mm .*of 0 or more, and for --masks alone"):
        import_ct(source, tmp_path / "data", **options)


def test_what_a_message_about_contradicting_places_advises_works(source, tmp_path, capsys):
    drawn = block(SMALL)
    path = tmp_path / "hcc.nii"
    write_nifti(path, drawn, SPACING, origin=(-10.0, -20.0, 0.0), qform=np.diag([2.0, 2.0, 2.0, 1.0]))
    command = ["import", "ct", str(source / "p1"), "--masks", str(path), "--out", str(tmp_path / "out"), "--salt", "s"]
    assert main(command) == 2 and "--affine sform" in capsys.readouterr().err
    assert main([*command, "--affine", "sform"]) == 0
    boxes = [label.boxes.tolist() for label in CTDataset.open(tmp_path / "out").labels if len(label.boxes)]
    assert boxes == [[[5, 3, 6, 4]]]
    without = [one for one in command if one not in ("--masks", str(path))]
    assert main([*without, "--overwrite", "--affine", "sform"]) == 2
    assert "for --layout NAME and for --masks" in capsys.readouterr().err


def test_a_mask_that_is_there_twice_is_said(source, tmp_path):
    once = run(source / "p1", tmp_path, [write_seg(tmp_path / "a.dcm", read_headers(source / "p1"), SEGMENT)])[0]
    rows, report = run(
        source / "p1",
        tmp_path,
        [tmp_path / "a.dcm", write_seg(tmp_path / "b.dcm", read_headers(source / "p1"), SEGMENT)],
    )
    assert rows == once
    assert [(one["boxes"], one["reason"]) for one in report["labels"]["not_taken"]] == [(3, REPEATED)]


def test_a_lesion_between_the_slices_of_its_mask_is_placed_and_what_became_of_slices_is_counted():
    geometry = Geometry((0, 0, 0), (1, 1, 1), ((1, 0, 0), (0, 1, 0), (0, 0, 1)), (3, 8, 8))
    stack = SimpleNamespace(geometry=geometry, history=SliceHistory(shifted=(2,)))
    shown = SliceLesions(np.array([[1, 2, 3, 4]], np.float32), np.array([0], np.int32), np.array([1], np.int32))
    found = MaskBoxes({2: shown}, (), (), np.array([True, False, False]), repeated=0)
    log = StudyLog(reference="arterial")
    place_mask_boxes(found, stack, "case", log, carried=True)
    assert [(image.image_id, image.slice, image.boxes.tolist()) for image in log.images] == [
        (1, 0, []),
        (2, 2, [[1, 2, 3, 4]]),
    ]
    counts = {key: count for key, count in log.label_slices.items() if count}
    assert counts == {
        ("images", "carried"): 2,
        ("boxes", "carried"): 1,
        ("images", "shifted"): 1,
        ("boxes", "shifted"): 1,
    }
