"""A person in the names and texts of data in the forms of ``--layout`` is in nothing that their import leaves."""

import shutil
import stat

import pytest

from gluon_liver.files.unfinished import PARTS, UNFINISHED
from gluon_liver.sets import case_jobs
from gluon_liver.sets.registry import LAYOUTS
from gluon_liver.sets.us.registry import US_LAYOUTS

from .canary import FULL_NAME, HAN, NAME, PERSON_ID, files_that_tell, seen_in
from .private_sets import CASES, US_SETS, write_nifti_set

EVEN = ("--split-fractions", "0.34", "0.33", "0.33")
PRIVATE = {"nifti", *US_SETS}


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ct") / "in"
    write_nifti_set(folder)
    return folder


@pytest.fixture(params=sorted(US_SETS))
def pictures(request, tmp_path):
    """(layout, folder)."""
    US_SETS[request.param](tmp_path / "in")
    return request.param, tmp_path / "in"


def _copy(source, folder):
    """The set again, to be changed."""
    shutil.copytree(source, folder / "in")
    return folder / "in"


def _tools(said_by, data):
    """What the tools of data say of it; their files lie beside it."""
    said = said_by("data", "summary", data, "--out", data.parent / "counts", code=0)
    said += said_by("data", "check", data, "--json", data.parent / "faults.json")
    case = sorted((data / "studies").iterdir())[0]
    return said + said_by("data", "view", case, "--out", data.parent / "case.html", code=0)


def test_public_are_the_salts_of_public_sets_alone():
    layouts = {**LAYOUTS, **US_LAYOUTS}
    assert {name for name, layout in layouts.items() if not layout.public} == PRIVATE


def test_volumes_of_ones_own(volumes, tmp_path, said_by):
    assert len(files_that_tell(volumes)) >= 20
    said = said_by("import", "ct", volumes, "--layout", "nifti", "--dry-run", code=0)
    said += said_by("import", "ct", volumes, "--layout", "nifti", "--out", tmp_path / "data", *EVEN, code=0)
    assert stat.S_IMODE((tmp_path / "data" / "private").stat().st_mode) == 0o700
    assert PERSON_ID in (tmp_path / "data" / "private" / "case-ids.csv").read_text(encoding="utf-8")
    said += _tools(said_by, tmp_path / "data")
    assert not seen_in(said), said.decode()
    assert not files_that_tell(tmp_path, spare=["private"])


def test_pictures_of_ones_own(pictures, tmp_path, said_by):
    layout, folder = pictures
    assert len(files_that_tell(folder)) >= 6
    words = ("import", "us", folder, "--layout", layout, "--whole-frame", *EVEN)
    said = said_by(*words, "--dry-run", code=0) + said_by(*words, "--out", tmp_path / "data", code=0)
    assert stat.S_IMODE((tmp_path / "data" / "private").stat().st_mode) == 0o700
    assert len((tmp_path / "data" / "private" / "salt").read_text().strip()) == 32, "random"
    said += _tools(said_by, tmp_path / "data")
    assert not seen_in(said), said.decode()
    assert not files_that_tell(tmp_path, spare=["private", "in"])


def test_what_an_interruption_leaves(volumes, tmp_path, said_by, monkeypatch):
    """Names are in the records of cases that are done, which their owner alone can read, and nowhere else."""
    done, left = case_jobs.import_case, tmp_path / f"data{UNFINISHED}"

    def interrupted(*args):
        if any((left / PARTS).glob("*.json")):
            raise KeyboardInterrupt
        done(*args)

    monkeypatch.setattr(case_jobs, "import_case", interrupted)
    words = ("import", "ct", volumes, "--layout", "nifti", "--out", tmp_path / "data", *EVEN)
    said = said_by(*words)
    assert left.is_dir() and stat.S_IMODE((left / PARTS).stat().st_mode) == 0o700
    salt = (left / PARTS / "salt").read_text()
    assert not files_that_tell(tmp_path, spare=[PARTS])
    monkeypatch.undo()
    said += said_by(*words, code=0)
    assert not seen_in(said), said.decode()
    assert (tmp_path / "data" / "private" / "salt.txt").read_text().strip() == salt
    assert not files_that_tell(tmp_path, spare=["private"])


def _cut(path):
    path.write_bytes(path.read_bytes()[:200])


def _itk_word(word):
    def change(path):
        lines = path.read_bytes().split(b"\n")
        at = next(number for number, line in enumerate(lines) if line.lower().startswith(word))
        lines[at] = word + lines[at][len(word) :][:2] + NAME.encode()
        path.write_bytes(b"\n".join(lines))

    return change


def _noise(path):
    path.write_bytes(FULL_NAME.encode() * 40)


DAMAGES = {
    "nifti": ("arterial.nii.gz", _cut),
    "nifti-noise": ("arterial.nii.gz", _noise),
    "mask": ("mask.nii.gz", _cut),
    "nrrd": ("portal_venous.nrrd", _cut),
    "nrrd-type": ("portal_venous.nrrd", _itk_word(b"type")),
    "nrrd-space": ("portal_venous.nrrd", _itk_word(b"space directions")),
    "mha": ("delayed.mha", _noise),
    "mha-file": ("delayed.mha", _itk_word(b"elementdatafile")),
}


def test_damaged_volumes(volumes, tmp_path, said_by):
    """One fault a case and import, so that each gets its message."""
    waiting = list(DAMAGES.items())
    for turn in range(0, len(waiting), len(CASES)):
        place = tmp_path / str(turn)
        place.mkdir()
        folder = _copy(volumes, place)
        for name, (_, (file, damage)) in zip(CASES, waiting[turn:]):
            damage(folder / name / file)
        words = ("import", "ct", folder, "--layout", "nifti")
        said = said_by(*words, "--dry-run") + said_by(*words, "--out", place / "data", *EVEN)
        assert (b"cut short" in said or b"damaged" in said) and not seen_in(said), said.decode()
        assert not files_that_tell(place, spare=["in", "private", PARTS])


DESCRIPTIONS = {
    "classes": f"phases: [arterial]\nclasses: [{NAME}]\n",
    "class": f"phases: [arterial]\nclasses: {{{NAME}: hcc}}\n",
    "phases": f"phases: {NAME}\nclasses: {{1: hcc}}\n",
    "reference": f"phases: [arterial]\nreference: {NAME}\nclasses: {{1: hcc}}\n",
    "ignored": f"phases: [arterial]\nclasses: {{1: hcc}}\nignored: [{NAME}]\n",
    "key": f"phases: [arterial]\nclasses: {{1: hcc}}\n{NAME}: {HAN}\n",
    "patients": f"phases: [arterial]\nclasses: {{1: hcc}}\npatients: {{{NAME}: [{HAN}]}}\n",
    "patient": f"phases: [arterial]\nclasses: {{1: hcc}}\npatients: {{{NAME}: {HAN}}}\n",
    "splits": f"phases: [arterial]\nclasses: {{1: hcc}}\nsplits: {{train: [{NAME}]}}\n",
    "split": f"phases: [arterial]\nclasses: {{1: hcc}}\nsplits: {{{NAME}: [a]}}\n",
    "twice": f"phases: [arterial]\nclasses: {{1: hcc}}\npatients: {{{NAME}: a, {NAME}: b}}\n",
    "yaml": f"phases: [arterial]\n{NAME} {HAN}\nclasses: {{1: hcc}}\n",
    "alias": f"phases: [arterial]\nclasses: *{NAME}\n",
    "tag": f"phases: [arterial]\nclasses: !{NAME} x\n",
}


@pytest.mark.parametrize("text", DESCRIPTIONS.values(), ids=list(DESCRIPTIONS))
def test_a_description_that_is_wrong(text, tmp_path, said_by):
    (tmp_path / "in" / NAME).mkdir(parents=True)
    (tmp_path / "in" / NAME / "arterial.nii").write_bytes(b"")
    (tmp_path / "in" / "set.yaml").write_text(text, encoding="utf-8")
    said = said_by("import", "ct", tmp_path / "in", "--layout", "nifti", "--out", tmp_path / "data", code=2)
    assert b"error" in said and not seen_in(said), said.decode()
    assert not files_that_tell(tmp_path, spare=["in", PARTS])


def _replaced(suffix, old, new):
    def change(folder):
        path = next(one for one in sorted(folder.rglob(f"*{suffix}")) if old in one.read_text(encoding="utf-8"))
        path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")

    return change


def _all_noise(suffix):
    def change(folder):
        for path in folder.rglob(f"*{suffix}"):
            path.write_bytes(FULL_NAME.encode() * 20)

    return change


def _without(suffix):
    def change(folder):
        for path in folder.rglob(f"*{suffix}"):
            path.unlink()

    return change


def _lists(folder):
    lists = folder / NAME / "ImageSets"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_bytes(b"\xff\xfe\xff" + FULL_NAME.encode())


US_FAULTS = [
    ("labelme", _replaced(".json", '"rectangle"', f'"{NAME}"')),
    ("labelme", _replaced(".json", '"shape_type": "circle"', f'"shape_type": "{NAME}"')),
    ("labelme", _replaced(".json", "28.5", f'"{NAME}"')),
    ("labelme", _replaced(".json", '"imageWidth": 64', f'"imageWidth": "{NAME}"')),
    ("labelme", _all_noise(".json")),
    ("labelme", _all_noise(".png")),
    ("labelme", _without(".png")),
    ("cvat", _replaced(".xml", "<annotations>", f"<{NAME}>")),
    ("cvat", lambda folder: [one(folder) for one in (_replaced(".xml", "annotations>", f"{NAME}>"),) * 2]),
    ("cvat", _replaced(".xml", 'track id="0" label="tumor"', f'track id="{NAME}"')),
    ("cvat", _replaced(".xml", 'xtl="2.00"', f'xtl="{NAME}"')),
    ("cvat", _replaced(".xml", 'frame="1"', f'frame="{NAME}"')),
    ("cvat", _replaced(".xml", "<width>64", f"<width>{NAME}")),
    ("cvat", _replaced(".xml", f"<source>{NAME}_", f"<source>x{NAME}")),
    ("cvat", _replaced(".xml", 'encoding="utf-8"', f'encoding="{NAME}"')),
    ("cvat", _all_noise(".xml")),
    ("cvat", _all_noise(".png")),
    ("cvat", _without(".png")),
    ("vos", _replaced(".json", '"objects"', f'"{NAME}"')),
    ("vos", _replaced(".json", '"1": ', f'"{NAME}": ')),
    ("vos", _replaced(".json", '"2": ', '"3": ')),
    ("vos", _all_noise(".json")),
    ("vos", _all_noise(".png")),
    ("vos", _lists),
    ("vos", _all_noise(".jpg")),
    ("vos", _without(".jpg")),
]


@pytest.mark.parametrize("layout", sorted(US_SETS))
def test_pictures_and_labels_that_are_damaged(layout, tmp_path, said_by):
    US_SETS[layout](tmp_path / "whole")
    refused = 0
    for number, change in enumerate(change for name, change in US_FAULTS if name == layout):
        place = tmp_path / str(number)
        place.mkdir()
        folder = _copy(tmp_path / "whole", place)
        change(folder)
        words = ("import", "us", folder, "--layout", layout, "--whole-frame", "--out", place / "data", *EVEN)
        said = said_by(*words)
        assert not seen_in(said), f"fault {number}: {said.decode()}"
        refused += b"error" in said
        assert not files_that_tell(place, spare=["in", "private", PARTS])
    assert refused >= number, "one at most is taken: a damaged comment, say"
