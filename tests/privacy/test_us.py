"""A person in the header, the pixels and the names of ultrasound recordings is in nothing that the commands leave."""

import json
import stat

import numpy as np
import pydicom
import pytest
import yaml

from gluon_liver import errors
from gluon_liver.readers.frames import read_frames
from tests.readers.ct_writer import write
from tests.readers.us_writer import us_dataset, write_us, write_video

from .canary import HAN, LATIN, NAME, PERSON_ID, files_that_tell, json_canary, seen_in, text_tags
from .commands import narrow, programs

SIDE, WIDE = 64, 96  # the picture, and the frame with what is written beside it
REGION = (0, 0, SIDE - 1, SIDE - 1)
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def frames(count=4):
    """Tissue with a moving square, and beside it white letters on black: (count, SIDE, WIDE, 3)."""
    rng = np.random.default_rng(0)
    pictures = np.zeros((count, SIDE, WIDE, 3), np.uint8)
    pictures[:, :, :SIDE] = rng.integers(90, 110, (count, SIDE, SIDE, 3))
    for number, picture in enumerate(pictures):
        picture[20:38, 8 + 3 * number : 28 + 3 * number] = 200
        picture[::2, SIDE:] = 255
    return pictures


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """(folder of recordings, label file)."""
    folder, images, boxes = tmp_path_factory.mktemp("us"), [], []
    before = pydicom.config.settings.writing_validation_mode
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    for number in range(1, 4):
        dataset = us_dataset(frames() + np.uint8(number), region=REGION, number=number)
        text_tags(dataset, description="LIVER")
        dataset.PatientID, dataset.BurnedInAnnotation = f"{PERSON_ID}-{number}", "YES"
        name = f"{NAME} {HAN}/{LATIN}%20{number}.dcm"
        write(dataset, folder / "in" / name)
        for frame in range(4):
            image = {"width": WIDE, "height": SIDE, "video": name, "frame": frame, "scene": NAME, "patient": PERSON_ID}
            images.append({"id": len(images) + 1, **image})
            box = {"image_id": len(images), "category_id": 1, "bbox": [8 + 3 * frame, 20, 20, 18]}
            boxes.append({"id": len(images), **box})
    pydicom.config.settings.writing_validation_mode = before
    classes = [{"id": 1, "name": "tumor", "supercategory": NAME}]
    (folder / "labels.json").write_text(
        json.dumps(json_canary({"images": images, "annotations": boxes, "categories": classes}))
    )
    return folder / "in", folder / "labels.json"


@pytest.mark.slow
def test_from_import_to_watch(source, tmp_path):
    folder, labels = source
    tree = narrow()
    tree.update(model="us-faster-rcnn", row=None, data={"size": SIDE})
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(tree))
    even = ("--split-fractions", "0.34", "0.33", "0.33")
    recording = next(folder.rglob("*.dcm"))
    (tmp_path / "in.dcm").write_bytes(recording.read_bytes())
    said = programs(
        ("import", "us", folder, "--out", "data", "--labels", labels, *even),
        ("train", "--config", "c.yaml", "--data", "data", "--out", "run", "--steps", "1"),
        ("evaluate", "--run", "run"),
        ("watch", "in.dcm", "--run", "run", "--out", "seen.mp4", "--score", "0.01"),
        folder=tmp_path,
    )
    assert stat.S_IMODE((tmp_path / "data" / "private").stat().st_mode) == 0o700
    case = next((tmp_path / "data" / "studies").iterdir())
    said += programs(("data", "view", case, "--out", "case.html"), folder=tmp_path)
    assert not seen_in(said), said.decode()
    assert not files_that_tell(tmp_path, spare=("private", "c.yaml", "in.dcm"))
    for path in (tmp_path / "data" / "studies").rglob("frames.npy"):
        stored = np.load(path)
        assert stored.shape[1:] == (SIDE, SIDE, 3) and stored.max() < 210, "the letters beside the picture"
    seen = next(iter(read_frames(tmp_path / "seen.mp4", whole_frame=True)))
    assert seen.shape[0] == seen.shape[1], "the picture alone, enlarged"


def _other_video(tree):
    tree["images"][0]["video"] = f"{NAME}/{HAN}.dcm"


def _near_video(tree):
    tree["images"][0]["video"] = f"{NAME} {HAN}/{LATIN} {1}x.dcm"


def _frame(tree):
    tree["images"][0]["frame"] = NAME


def _scene(tree):
    tree["images"][0]["scene"] = [NAME]


def _two_patients(tree):
    tree["images"][0]["patient"] = HAN


def _late_frame(tree):
    tree["images"][3]["frame"] = 99


def _other_size(tree):
    tree["images"][0]["width"] = 32


FAULTS = (_other_video, _near_video, _frame, _scene, _two_patients, _late_frame, _other_size)


@pytest.mark.parametrize("change", FAULTS, ids=lambda change: change.__name__)
def test_labels_that_do_not_fit(change, source, tmp_path, said_by):
    tree = json.loads(source[1].read_text())
    change(tree)
    (tmp_path / "l.json").write_text(json.dumps(tree))
    said = said_by("import", "us", source[0], "--out", tmp_path / "data", "--labels", tmp_path / "l.json", code=2)
    assert b"error" in said and not seen_in(said), said.decode()
    assert not files_that_tell(tmp_path, spare=["l.json"])


@pytest.mark.parametrize(
    "change",
    [lambda content: content[:3000], lambda content: content[:-900], lambda content: content.replace(b"RGB ", b"KAN ")],
    ids=["header", "pixels", "photometric"],
)
def test_damaged_recordings(change, source, tmp_path, said_by):
    for path in source[0].rglob("*.dcm"):
        copy = tmp_path / "in" / path.relative_to(source[0])
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(change(path.read_bytes()))
    said = said_by("import", "us", tmp_path / "in", "--out", tmp_path / "data", "--labels", source[1], code=2)
    assert b"error" in said and not seen_in(said), said.decode()


@pytest.mark.parametrize(
    "tags,refused",
    [
        ({"BurnedInAnnotation": "YES"}, True),
        ({"BurnedInAnnotation": "NO"}, False),
        ({}, False),
        ({"SOPClassUID": SECONDARY_CAPTURE}, True),
        ({"SOPClassUID": SECONDARY_CAPTURE + ".4"}, True),
        ({"SOPClassUID": SECONDARY_CAPTURE, "BurnedInAnnotation": "NO"}, False),
    ],
    ids=str,
)
def test_text_in_the_pixels_is_cropped_or_refused(tags, refused, tmp_path):
    """Without a region of its own a file that says it has text is taken by --region alone."""
    path = write_us(tmp_path / "a.dcm", frames(2), **tags)
    with pytest.raises(errors.InputError, match="text around it may name the patient"):
        read_frames(path)
    assert next(iter(read_frames(path, region=(0, 0, SIDE, SIDE)))).max() < 210
    if refused:
        with pytest.raises(errors.InputError, match="it is not taken whole"):
            read_frames(path, whole_frame=True)
        assert read_frames(path, whole_frame=True, text_stays=True).notes
    else:
        assert "text burned into them stays" in read_frames(path, whole_frame=True).notes[0]
    told = write_us(tmp_path / "b.dcm", frames(2), region=REGION, **tags)
    assert next(iter(read_frames(told, whole_frame=True))).max() < 210


def test_whole_frames_are_said_loudly(tmp_path, said_by):
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in" / "a.avi", frames())
    image = {"width": WIDE, "height": SIDE, "video": "a.avi", "scene": 1}
    images = [{"id": number + 1, "frame": number, **image} for number in range(3)]
    tree = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "tumor"}]}
    (tmp_path / "l.json").write_text(json.dumps(tree))
    command = ("import", "us", tmp_path / "in", "--out", tmp_path / "data", "--labels", tmp_path / "l.json")
    assert b"text around it may name the patient" in said_by(*command, code=2)
    said = said_by(*command, "--whole-frame", "--split-fractions", "1", "0", "0", code=0)
    assert b"text burned into them stays, patient names too" in said
    assert "text burned into them stays" in (tmp_path / "data" / "import-report.json").read_text()
