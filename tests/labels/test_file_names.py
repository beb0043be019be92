"""Names as label tools write them, against the files that they mean."""

from __future__ import annotations

import random
import unicodedata
from urllib.parse import quote

import pytest

from gluon_liver.labels.file_names import match_names, path_parts, stem

FILES = [f"/in/p{p}/arterial/{i:03d}.dcm" for p in (1, 2) for i in range(3)]
HASH = "fc4622004ff72e58b546635774372fe2"


@pytest.mark.parametrize(
    "names, expected",
    [
        (["p1/arterial/000.dcm", "p2/arterial/000.dcm"], [[0], [3]]),
        (["p1/arterial/000.png", "p2/arterial/002.PNG"], [[0], [5]]),
        ([r"D:\export\P1\Arterial\001.jpg"], [[1]]),
        (["images/p1/arterial/001.dcm.png", "images/p2/arterial/001.dcm.png"], [[1], [4]]),
        (["../../label-studio/media/upload/4/p2/arterial/001.png"], [[4]]),
        (["p1_arterial_002.png", "p2-arterial-000_png.rf." + HASH + ".jpg"], [[2], [3]]),
        (["https://host/x/p1/arterial/000.png?Signature=ab%2Fc", "https://host/x/p2/arterial/000.png"], [[0], [3]]),
        (["/data/local-files/?d=p2%2Farterial%2F000.png"], [[3]]),
        (["000.png"], [[0, 3]]),  # of two patients
        (["images/000.png"], [[0, 3]]),
        (["p1/arterial/000.png", "p3/arterial/000.png"], [[0], []]),  # the third patient is not there
        (["p1/000.png", "p2/000.png"], [[0], [3]]),
        (["p1/delayed/000.png", "p2/delayed/000.png"], [[0, 3], [0, 3]]),
        (["p1/arterial/009.png"], [[]]),
        (["", "/"], [[], []]),
    ],
)
def test_names_of_two_patients(names, expected):
    assert [list(places) for places in match_names(names, FILES).candidates] == expected


@pytest.mark.parametrize(
    "name, file",
    [
        ("ab12cd34-IM_0001_1.png", "IM 0001 (1).dcm"),
        ("../../label-studio/media/upload/1/ab12cd34-012.png", "012"),
        ("/data/upload/1/ab12cd34-012.dcm", "012.dcm"),
        (f"012_dcm.rf.{HASH}.jpg", "012.dcm"),
        (f"012_dcm_png.rf.{HASH}.jpg", "012.dcm"),
        ("IM-0001-0012_png.rf.PycGYxW94XpQmfF9EGor.jpg", "IM 0001 0012"),
        (f"1-2-840-7_png.rf.{HASH}.jpg", "1.2.840.7"),
        ("1.2.840.7.png", "1.2.840.7.dcm"),
        ("Leber%20r%C3%B6ntgen.png", "Leber röntgen.DCM"),
        ("Leber%2520a.png", "Leber a.dcm"),
        (unicodedata.normalize("NFD", "Café.jpg"), unicodedata.normalize("NFC", "CAFÉ.dcm")),
        ("train/Image.PNG ", "image.dcm"),
        ("ab12cd34-012.dcm", "ab12cd34-012.dcm"),
    ],
)
def test_what_tools_make_of_a_name(name, file):
    others = ["/in/se/other.dcm", "/in/se/0012.dcm", "/in/se/12.dcm"]
    assert match_names([name], [*others, f"/in/se/{file}"]).candidates == ((3,),)


def test_the_literal_name_wins_and_folders_that_say_nothing_are_told():
    assert match_names(["a.dcm"], ["/in/A.dcm", "/in/a.dcm"]).candidates == ((1,),)
    assert match_names(["a.png"], ["/in/A.dcm", "/in/a.dcm"]).candidates == ((0, 1),)
    assert match_names(["images/a.png"], ["/in/a.dcm"]).by_name_alone
    assert match_names(["train/a.png", "val/b.png"], ["/in/a.dcm", "/in/b.dcm"]).candidates == ((0,), (1,))
    assert not match_names(["x/in/a.png"], ["/in/a.dcm"]).by_name_alone
    assert not match_names(["a.png"], ["/in/a.dcm"]).by_name_alone
    assert match_names([], []).candidates == ()


def test_parts_and_stems():
    assert path_parts(r"C:\A\.\b.PNG" + "\0 ") == ["a", "b.png"]
    assert stem("012.dcm.png") == "012" and stem(".dcm") == ".dcm" and stem("1.2.3") == "1.2.3"


def as_written(path, before, rng):
    """A path below the root as some tool writes it, with its folders and some before it."""
    folder, _, name = path.rpartition("/")
    name = rng.choice([name, name.rsplit(".", 1)[0] + ".png", name + ".jpg", name.rsplit(".", 1)[0]])
    if rng.random() < 0.3:
        name = f"{rng.getrandbits(32):08x}-{name}"
    whole = f"{before}{folder}/{name}"
    whole = rng.choice([whole, whole.upper(), quote(whole), whole.replace("/", "\\")])
    return unicodedata.normalize(rng.choice(["NFC", "NFD"]), whole)


@pytest.mark.parametrize("seed", range(20))
def test_no_name_ever_means_another_file(seed):
    """Of a folder of a part of what was labelled, by names of several tools: the own file, or none."""
    rng = random.Random(seed)
    folders = [f"{patient}/{phase}" for patient in ("p1", "p10", "Ä b", "1") for phase in ("art", "DEL 1", "é")]
    paths = sorted({f"{rng.choice(folders)}/{rng.randint(0, 12):03d}.dcm" for _ in range(60)})
    present = [path for path in paths if rng.random() < 0.7]
    before = rng.choice(["", "images/", "/data/", "../../x/"])
    names = [as_written(path, before, rng) for path in paths]
    matches = match_names(names, ["/root/in/" + path for path in present])
    for path, places in zip(paths, matches.candidates):
        assert path not in present or path in [present[place] for place in places]
        assert len(places) == (path in present)
