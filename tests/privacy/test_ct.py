"""A person in every text of a CT study is in nothing that the commands print, write or name, but where it is said."""

import json
import stat

import numpy as np
import pydicom
import pytest
import yaml

from tests.readers.ct_writer import ct_dataset, cut, write
from tests.readers.mask_writer import read_headers, seg_dataset

from .canary import (
    BIRTH,
    EXAMINED,
    FULL_NAME,
    HAN,
    LATIN,
    NAME,
    PERSON_ID,
    TOKENS,
    UID_MARK,
    files_that_tell,
    json_canary,
    seen_in,
    text_tags,
)
from .commands import narrow, programs

SIDE, SLICES = 64, 3
EVEN = ("--split-fractions", "0.34", "0.33", "0.33")
STATED = ("private",)  # of prepared data: docs/privacy.md
PHASES = {"ARTERIAL": 1, "NON CONTRAST": 2}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """(folder of DICOM, label file): three studies of two phases, every text of which names the person."""
    folder = tmp_path_factory.mktemp("ct")
    rng, images, boxes = np.random.default_rng(0), [], []
    before = pydicom.config.settings.writing_validation_mode
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    for study in range(1, 4):
        for description, series in PHASES.items():
            for place in range(SLICES):
                pixels = rng.normal(60, 5, (SIDE, SIDE)).astype(np.int16)
                pixels[20:40, 20:40] = 150
                uid = f"1.2.{UID_MARK}.{study}.{series}.{place + 1}"
                slice_ = ct_dataset(study=study, series=series, instance=place, z=5.0 * place, pixels=pixels)
                text_tags(slice_, description=description)
                slice_.PatientID, slice_.SOPInstanceUID = f"{PERSON_ID}-{study}", uid
                slice_.SeriesInstanceUID = f"1.2.{UID_MARK}.{study}.{series}"
                slice_.StudyInstanceUID = f"1.2.{UID_MARK}.{study}"
                below = f"{NAME}%20{LATIN}/{HAN} {NAME.upper()}^{study}/{series}_{PERSON_ID}"
                path = write(slice_, folder / "in" / below / f"{NAME}.{place}.dcm")
                content = path.read_bytes()
                path.write_bytes(NAME.encode().ljust(128, b" ") + content[128:])
                if series == 1:
                    images.append({"id": len(images) + 1, "width": SIDE, "height": SIDE, "sop_instance_uid": uid})
                    boxes.append({"image_id": len(images), "category_id": 1, "bbox": [20, 20, 20, 20]})
    pydicom.config.settings.writing_validation_mode = before
    (folder / "in" / f"{NAME}.txt").write_text(NAME)
    (folder / "in" / f"{NAME}.nii").write_bytes(bytes(344) + b"n+1\0" + NAME.encode())
    boxes = [{"id": number, **box} for number, box in enumerate(boxes, 1)]
    classes = [{"id": 1, "name": "hcc", "supercategory": NAME}]
    tree = json_canary({"images": images, "annotations": boxes, "categories": classes})
    (folder / "labels.json").write_text(json.dumps(tree))
    return folder / "in", folder / "labels.json"


def labels_with(source, folder, change):
    """A copy of the label file with its first image changed."""
    tree = json.loads(source[1].read_text())
    change(tree)
    path = folder / "changed.json"
    path.write_text(json.dumps(tree))
    return path


def test_the_search_finds_what_it_looks_for(source, tmp_path):
    """The canary is in the source, so a search that finds nothing elsewhere means something."""
    told = dict(files_that_tell(source[0].parent))
    for word in (NAME, LATIN, HAN, PERSON_ID, BIRTH, EXAMINED):
        assert sum(word in words for words in told.values()) >= 18, word
    for hidden in (  # as other programs write it
        NAME.upper().encode("utf-16-le"),
        b"%4Banarvogel",
        LATIN.encode("latin-1"),
        b"\\u91d1\\u7cf8\\u96c0",
    ):
        assert seen_in(b"..." + hidden)
    import PIL.Image
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    about.add_text("Comment", NAME, zip=True)
    PIL.Image.new("L", (4, 4)).save(tmp_path / "a.png", pnginfo=about)
    assert files_that_tell(tmp_path) == [("a.png", [NAME])]


@pytest.mark.slow
def test_from_look_to_export(source, tmp_path):
    folder, labels = source
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(narrow()))
    data, run = ("--data", "data"), ("--run", "run")
    said = programs(
        ("look", folder, "--out", "look"),
        ("import", "ct", folder, "--out", "data", "--labels", labels, *EVEN),
        ("data", "summary", "data", "--out", "counts"),
        ("train", "--config", "c.yaml", *data, "--out", "run", "--steps", "1"),
        folder=tmp_path,
    )
    for private in ("look", "data/private"):
        assert stat.S_IMODE((tmp_path / private).stat().st_mode) == 0o700
    study, case = next(folder.rglob("*^1")), sorted((tmp_path / "data" / "studies").iterdir())[0]
    said += programs(
        ("evaluate", *run),
        ("detect", study, *run, "--out", "found", "--score", "0.01"),
        ("detect", case, *run, "--out", "found2", "--score", "0.01"),
        ("data", "view", case, "--detections", "found2", "--out", "case.html"),
        ("export", "run", "--legacy", "--out", "exported"),
        ("export", "run", "--onnx", "--out", "graphs"),
        ("table", "run"),
        folder=tmp_path,
    )
    assert not seen_in(said), said.decode()
    assert UID_MARK not in said.decode()
    # UIDs too, but for where `detect` says in DICOM's terms what it read
    assert not files_that_tell(tmp_path, spare=(*STATED, "look", "c.yaml"), tokens=[*TOKENS, UID_MARK])


def _other_name(tree):
    tree["images"][0] = {**tree["images"][0], "file_name": f"{NAME}/{HAN}.0.dcm"}
    del tree["images"][0]["sop_instance_uid"]


def _other_uid(tree):
    tree["images"][0]["sop_instance_uid"] = f"1.2.{UID_MARK}.77"


def _other_patient(tree):
    del tree["images"][0]["sop_instance_uid"]
    tree["images"][0].update(study=f"{NAME} {PERSON_ID}", phase=NAME, slice=NAME)


def _other_study(tree):
    del tree["images"][0]["sop_instance_uid"]
    tree["images"][0].update(study=f"{NAME} {PERSON_ID}", phase="arterial", slice=1)


def _other_phase(tree):
    del tree["images"][0]["sop_instance_uid"]
    tree["images"][0].update(study=f"1.2.{UID_MARK}.1", phase=NAME, slice=1)


def _near_name(tree):
    """A name almost as a file is called, of those that a message might quote."""
    del tree["images"][0]["sop_instance_uid"]
    tree["images"][0]["file_name"] = f"{HAN} {NAME.upper()}^1/1_{PERSON_ID}/{NAME}x.0.dcm"


def _patient_for_box(tree):
    tree["annotations"].append({NAME: HAN, "category_id": 1})


def _category(tree):
    tree["categories"].append({"id": NAME, "name": [HAN]})


def _not_keys(tree):
    tree["images"][0] = f"{NAME} {HAN}"


def _names_twice(tree):
    for image in tree["images"][:2]:
        del image["sop_instance_uid"]
        image["file_name"] = f"{NAME}.0.dcm"


def _other_box(tree):
    tree["annotations"][0]["bbox"] = NAME


def _other_size(tree):
    tree["images"][0].update(width=NAME)


def _class(tree):
    tree["annotations"][0]["category_id"] = NAME


LABEL_FAULTS = (_other_name, _other_uid, _other_patient, _other_study, _other_phase, _near_name, _names_twice)
LABEL_FAULTS += (_other_box, _other_size, _class, _patient_for_box, _category, _not_keys)


@pytest.mark.parametrize("change", LABEL_FAULTS, ids=lambda change: change.__name__)
def test_labels_that_do_not_fit(change, source, tmp_path, said_by):
    labels = labels_with(source, tmp_path, change)
    said = said_by("import", "ct", source[0], "--out", tmp_path / "data", "--labels", labels, code=2)
    assert b"error" in said and not seen_in(said), said.decode()
    assert not files_that_tell(tmp_path, spare=["changed.json"])


PHASE_FILES = {
    "entries": {"series": {f"1.2.{UID_MARK}.9": "arterial"}, "folders": {f"*{NAME}*": "arterial"}},
    "no phase": {"folders": {f"*{NAME}*": f"{NAME}"}},
    "no series": {"series": {f"{NAME}^{HAN}": "arterial"}},
    "no pattern": {"patterns": {"arterial": [f"({NAME}"]}},
    "exchanged": {"folders": {"arterial": f"*{NAME}*"}},
    "reference": {"reference": NAME, "folders": {"*": "arterial"}},
    "key": {NAME: {}},
    "order": {"order": [f"{NAME} {HAN}"]},
}


@pytest.mark.parametrize("name", PHASE_FILES)
def test_phase_files_that_do_not_fit(name, source, tmp_path, said_by):
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(PHASE_FILES[name], allow_unicode=True))
    said = said_by("import", "ct", source[0], "--out", tmp_path / "data", "--phases", tmp_path / "p.yaml", code=2)
    assert b"error" in said and not seen_in(said), said.decode()
    assert not files_that_tell(tmp_path, spare=["p.yaml"])


def _cut_header(path):
    path.write_bytes(path.read_bytes()[:3000])


def _cut_pixels(path):
    cut(path, 200)


def _number(path):
    content = path.read_bytes()
    place = content.index(b"\x28\x00\x30\x00DS")
    path.write_bytes(content[: place + 8] + NAME[:4].encode() + content[place + 12 :])


def _uid(path):
    """A name where a UID should be, which pydicom quotes in a warning."""
    content = path.read_bytes()
    place = content.index(b"\x20\x00\x52\x00UI")
    length = content[place + 6]
    path.write_bytes(content[: place + 8] + NAME.encode()[:length].ljust(length) + content[place + 8 + length :])


def _noise(path):
    path.write_bytes(NAME.encode() * 400)


DAMAGES = (_cut_header, _cut_pixels, _number, _uid, _noise)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damaged_files(damage, source, tmp_path, said_by):
    """Of the only study: what is wrong is said by the number of the file."""
    for number, path in enumerate(sorted(next(source[0].rglob("*^1")).rglob("*.dcm"))):
        copy = tmp_path / "in" / NAME / f"{HAN}{number}.dcm"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
        if number == 1:
            damage(copy)
    said = b""
    for options in ((), ("--skip-damaged",), ("--skip-damaged", "--regrid")):
        said += said_by("import", "ct", tmp_path / "in", "--out", tmp_path / f"data{len(options)}", *options)
    said += said_by("look", tmp_path / "in")
    assert not seen_in(said), said.decode()
    assert not files_that_tell(tmp_path, spare=["in", *STATED])


def test_text_burned_into_ct_is_said(tmp_path, said_by):
    for place in range(4):
        tags = {"BurnedInAnnotation": "YES"} if place == 1 else {}
        write(ct_dataset(instance=place, z=5.0 * place, **tags), tmp_path / "in" / f"{place}.dcm")
    said = said_by("import", "ct", tmp_path / "in", "--out", tmp_path / "data", code=0).decode()
    assert "1 CT image(s), file 0002, say that text is burned into their pixels" in said


def test_masks(source, tmp_path, said_by):
    """Of a SEG the labels of its segments alone are shown; --classes says what they are called in the data."""
    before = pydicom.config.settings.writing_validation_mode
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    folder = next(path for path in source[0].rglob(f"1_{PERSON_ID}") if "^1" in str(path))
    headers = read_headers(folder)
    mask = np.zeros((SLICES, SIDE, SIDE), np.uint8)
    mask[1:, 20:30, 20:30] = 1
    seg = text_tags(seg_dataset(headers, {1: ("tumor", mask)}), description="SEG")
    seg.ContentDescription, seg.ContentCreatorName, seg.PatientID = NAME, FULL_NAME, f"{PERSON_ID}-1"
    one = seg.SegmentSequence[0]
    one.SegmentDescription, one.TrackingID, one.SegmentAlgorithmName = f"{NAME} {HAN}", NAME, FULL_NAME
    place = tmp_path / "masks" / f"{NAME} {HAN}"
    write(seg, place / f"{LATIN}.dcm")
    pydicom.config.settings.writing_validation_mode = before
    (place / f"{NAME}.txt").write_text(NAME)
    (tmp_path / "c.yaml").write_text("classes: {hcc: [tumor]}\n")
    words = ("import", "ct", source[0], *EVEN, "--masks", tmp_path / "masks", "--out", tmp_path / "data")
    said = said_by(*words, "--classes", tmp_path / "c.yaml", code=0)
    whole = (place / f"{LATIN}.dcm").read_bytes()
    for damaged in (whole[:2000], whole[:-300], whole.replace(b"BINARY", b"KANARV")):
        (place / f"{LATIN}.dcm").write_bytes(damaged)
        said += said_by(*words, "--overwrite")
    assert not seen_in(said), said.decode()
    assert not files_that_tell(tmp_path, spare=["masks", *STATED])


def test_the_tools_of_data(source, tmp_path, said_by):
    folder, labels = source
    data = tmp_path / "data"
    said = said_by("import", "ct", folder, "--out", data, "--labels", labels, *EVEN, code=0)
    said += said_by("data", "check", data, "--json", tmp_path / "faults.json")
    case = sorted((data / "studies").iterdir())[0].name
    said += said_by("data", "view", data, "--case", case, "--out", tmp_path / "a.html", code=0)
    said += said_by("data", "view", next(folder.rglob("*^1")), "--out", tmp_path / "b.html")
    assert not seen_in(said), said.decode()
    assert not files_that_tell(tmp_path, spare=STATED)
