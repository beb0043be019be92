"""Files whose repetitions a regular expression could part in a great many ways are told of at once."""

import pytest

from gluon_liver.errors import AnnotationError, VolumeError
from gluon_liver.labels.label_json import read_label_json
from gluon_liver.readers.volumes.itk import DETACHED
from gluon_liver.readers.volumes.itk_header import check_header

META = "NDims = 3\nDimSize = {}\nElementType = MET_SHORT\nElementSpacing = 1 1 1\nElementDataFile"


@pytest.mark.parametrize(
    "text, said",
    [
        ("<!-- a --> " * 400, "is XML, not COCO"),
        ("<!-- a --> " * 300 + "<annotations>", "is XML of CVAT, not COCO"),
        ('<?xml version="1.0"?>\n<!-- a -->\n<annotation>', "is XML of Pascal VOC or LabelMe"),
        ("<!-- a --><b>", "is XML, not COCO"),
        ("<!-- a " * 500, "is XML, not COCO"),
        ("0 " + " 1111111111" * 300 + "x", "is not JSON"),
        ("0 0.5 .5 1 0.25\n", "is text of YOLO, not COCO"),
        ("0 0.5 -0.5 1e-3 2.\n1 1 1 1 1\n", "is text of YOLO, not COCO"),
    ],
)
def test_label_files(tmp_path, text, said):
    (tmp_path / "labels.json").write_text(text, encoding="utf-8")
    with pytest.raises(AnnotationError, match=said):
        read_label_json(str(tmp_path / "labels.json"))


def test_headers_of_volumes():
    for size in ("1" * 60 + "x", "1" * 10 + " 2 3", "1 2", " "):
        with pytest.raises(VolumeError, match="damaged: DimSize"):
            check_header(META.format(size).encode())
    check_header(META.format("10 20  30 ").encode())
    check_header(META.format("10 20 30").replace("DimSize =", " DimSize   :=\t").encode())
    check_header((META.format("10 20 30\n" + " " * 1000)).encode())
    check_header((META.format("10 20 30\n" + ":" * 1000)).encode())


def test_a_header_of_blanks_and_empty_lines_names_no_other_file():
    assert not DETACHED.search(b"\n" * 65536) and not DETACHED.search(b" " * 65536)
    assert DETACHED.search(b"NRRD0004\n\n  data file: a.raw\n") and DETACHED.search(b"ElementDataFile = a.raw\n")
    assert not DETACHED.search(b"ElementDataFile = LOCAL\n")
