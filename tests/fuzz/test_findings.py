"""What fuzzing found, one case each: before, these ended in a traceback, in a crash or in memory for nothing."""

import contextlib
import json
import struct
import sys

import numpy as np
import pytest

from gluon_liver import errors
from gluon_liver.archive.scan import scan_folder
from gluon_liver.config.load import load_config
from gluon_liver.data.study import open_array
from gluon_liver.files.json_records import MOST_VALUES, read_yaml
from gluon_liver.labels.ct import load_label_file
from gluon_liver.labels.image_map import load_image_map
from gluon_liver.readers.dicom.bounded import BoundedReader
from gluon_liver.readers.dicom.pixels import read_encoded
from gluon_liver.readers.frames import read_frames
from gluon_liver.readers.masks.segmentation import open_segmentation
from gluon_liver.readers.volumes.open import open_volume
from gluon_liver.readers.weights.formats import read_weights
from gluon_liver.sets.msd import MSDLiver
from tests.readers.ct_writer import ct_dataset, write
from tests.readers.mask_writer import seg_dataset
from tests.readers.us_writer import us_dataset
from tests.sets.lits_set import write_msd

from .dicom import nested_sequences
from .recipe import WHOLE
from .texts import CT_LABELS
from .volumes import itk
from .weights import params


@pytest.mark.parametrize("change", [dict(width=10**400), dict(height=65536)], ids=["width", "height"])
def test_an_image_without_measure(change, tmp_path):
    tree = json.loads(json.dumps(CT_LABELS))
    tree["images"][0].update(change)
    (tmp_path / "l.json").write_text(json.dumps(tree))
    with pytest.raises(errors.AnnotationError, match="must be 1 or more and at most 65535"):
        load_label_file(tmp_path / "l.json")


def test_a_polygon_without_measure(tmp_path):
    tree = json.loads(json.dumps(CT_LABELS))
    tree["annotations"][2]["segmentation"] = [[1, 2, 10**400, 2, 10, 12]]
    (tmp_path / "l.json").write_text(json.dumps(tree))
    with pytest.raises(errors.AnnotationError, match="bbox"):
        load_label_file(tmp_path / "l.json")


@pytest.mark.parametrize("base", ["x" * 3000, "a\0b"])
def test_a_base_that_no_file_can_be(base, tmp_path):
    (tmp_path / "c.yaml").write_text(json.dumps({"BASE": base}))
    with pytest.raises(errors.ConfigError, match="no configuration"):
        load_config(tmp_path / "c.yaml")


def test_aliases_of_aliases(tmp_path):
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    (tmp_path / "c.yaml").write_text("\n".join(lines))
    with pytest.raises(errors.ConfigError, match=f"its aliases stand for more than {MOST_VALUES} values, line 7"):
        load_config(tmp_path / "c.yaml")
    (tmp_path / "c.yaml").write_text("data: &a {size: *a}")
    with pytest.raises(errors.ConfigError, match="an alias stands in what it means"):
        load_config(tmp_path / "c.yaml")
    (tmp_path / "c.yaml").write_text("a: &a [1, 2]\nb: *a\nc: {<<: {d: *a}}")
    assert read_yaml(tmp_path / "c.yaml") == {"a": [1, 2], "b": [1, 2], "c": {"d": [1, 2]}}


def test_a_value_of_set_that_is_no_date():
    with pytest.raises(errors.ConfigError, match="not YAML"):
        load_config("r50", overrides=["train.epochs=2001-99-99"])


def test_a_header_of_npy_that_does_not_end(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content.replace(b"(3,)", b"((3,"))
    with pytest.raises(errors.DatasetError, match="is damaged; again"):
        open_array(tmp_path / "a.npy", remedy="again")


def test_an_element_that_announces_more_than_its_file(tmp_path):
    content = bytes(128) + b"DICM" + b"\x08\x00\x08\x00UT\0\0" + struct.pack("<I", 0x7FFFFFFF) + b"few"
    (tmp_path / "a.dcm").write_bytes(content)
    with BoundedReader(tmp_path / "a.dcm") as stream:
        stream.read(144)
        assert stream.read(0x7FFFFFFF) == b"few"
        assert stream.read(0x7FFFFFFF) == b""
    scan = scan_folder(tmp_path)
    assert not scan.series and len(scan.rejected) == 1


def test_a_number_of_another_length(tmp_path):
    pixels = np.zeros((1, 8, 8, 3), np.uint8)
    content = write(us_dataset(pixels), tmp_path / "a.dcm").read_bytes()
    place = content.index(b"\x28\x00\x06\x00US\x02\x00")
    (tmp_path / "a.dcm").write_bytes(content[: place + 6] + b"\x03\x00inf" + content[place + 10 :])
    with pytest.raises(errors.DicomError, match="a header value cannot be read"):
        list(read_frames(tmp_path / "a.dcm", whole_frame=True))


# CPython 3.8 aborts where a RecursionError is handled near the limit of the stack (bpo-42500); 3.9 was not tried
CAN_RECOVER = pytest.mark.skipif(sys.version_info < (3, 10), reason="this Python aborts on deep recursion, bpo-42500")


@pytest.mark.parametrize("depth", [100, pytest.param(30_000, marks=CAN_RECOVER)])
def test_sequences_in_sequences(depth, tmp_path):
    content = write(us_dataset(np.zeros((1, 8, 8, 3), np.uint8)), tmp_path / "a.dcm").read_bytes()
    place = content.index(b"\x10\x00\x10\x00PN")
    (tmp_path / "a.dcm").write_bytes(content[:place] + nested_sequences(depth) + content[place:])
    if depth == 100:
        assert len(list(read_frames(tmp_path / "a.dcm", whole_frame=True))) == 1
        return
    with pytest.raises(errors.TruncatedFileError, match="header cannot be parsed"):
        read_frames(tmp_path / "a.dcm", whole_frame=True)


def test_params_without_a_value(tmp_path):
    content = params()
    (tmp_path / "a.params").write_bytes(content[:32] + bytes(4) + content[36:])
    with pytest.raises(errors.InputError, match="array 1 of 2 has no value"):
        read_weights(tmp_path / "a.params")


def test_a_lone_carriage_return_in_a_table(tmp_path):
    (tmp_path / "m.csv").write_bytes(b'file_name,path\na.png,"p\rq"\nb.png,\x00\r"x\n')
    with contextlib.suppress(errors.AnnotationError):
        load_image_map(str(tmp_path / "m.csv"), ("path",))


@pytest.mark.parametrize(
    "name,before,after",
    [
        ("a.nrrd", b"encoding: gzip", b"encoding: " + b"x" * 900),
        ("a.nrrd", b"encoding: gzip", b"encoding: " + b"x" * 3000),
        ("a.nrrd", b"sizes: 10 8 6", b"sizes: 10 -8 6"),
        ("a.mha", b"NDims = 3", b"NDims = 21474836483"),
        ("a.mha", b"DimSize = 10 8 6", b"DimSize = 10 8"),
        ("a.mha", b"Offset = 0 0 0", b"Offset = 0 nan 0"),
        ("a.mha", b"ElementType = MET_SHORT", b"ElementType = " + b"x" * 900),
    ],
    ids=["encoding", "long", "sizes", "axes", "sides", "offset", "type"],
)
def test_headers_that_end_the_process_in_itk(name, before, after, tmp_path):
    content = itk(name, 0)
    assert before in content
    (tmp_path / name).write_bytes(content.replace(before, after))
    with pytest.raises(errors.VolumeError, match="header"):
        open_volume(tmp_path / name)


def test_every_word_of_params(tmp_path):
    """MXNet itself ends the process on some of these, and makes room for gigabytes on others."""
    content, path = params(), tmp_path / "a.params"
    refused = 0
    for place in range(0, len(content), 4):
        for number in WHOLE:
            path.write_bytes(content[:place] + struct.pack("<I", number % 2**32) + content[place + 4 :])
            try:
                read_weights(path)
            except errors.InputError:
                refused += 1
    assert refused > 300


def test_a_sequence_of_a_segmentation_with_bytes_left_over(tmp_path):
    headers = [ct_dataset(instance=place, z=2.0 * place) for place in range(2)]
    seg = seg_dataset(headers, {1: ("tumor", np.ones((2, headers[0].Rows, headers[0].Columns), np.uint8))})
    path = write(seg, tmp_path / "a.dcm")
    content = path.read_bytes()
    place = content.index(b"\x00\x52\x29\x92SQ\0\0") + 8  # SharedFunctionalGroupsSequence
    length = int.from_bytes(content[place : place + 4], "little")
    end = place + 4 + length
    longer = (length + 2).to_bytes(4, "little")
    path.write_bytes(content[:place] + longer + content[place + 4 : end] + b"\0\0" + content[end:])
    with pytest.raises(errors.DicomError, match="a value of it cannot be read"):
        open_segmentation(path, "mask 01").read()


def test_compressed_pixels_that_say_they_are_a_text(tmp_path):
    path = write(ct_dataset(pixels=np.full((16, 16), 0x4141, np.int16)), tmp_path / "a.dcm")
    content = path.read_bytes()
    place = content.index(b"\xe0\x7f\x10\x00OW")
    changed = content[:place] + b"\xe0\x7f\x10\x00UT" + content[place + 6 :]
    path.write_bytes(changed.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0", 1))
    with pytest.raises(errors.PixelDataError, match="its pixel data are no bytes"):
        read_encoded(path, "file 1")


def test_a_file_of_the_decathlon_whose_name_is_too_long(tmp_path):
    write_msd(tmp_path, "Task03_Liver", "liver", {"1": "liver", "2": "cancer"})
    path = tmp_path / "Task03_Liver" / "dataset.json"
    record = json.loads(path.read_text())
    record["training"][0]["image"] = "x" * 3000
    path.write_text(json.dumps(record))
    found = MSDLiver().find(tmp_path)
    assert len(found.cases) == 1 and found.left_out[0].reason == "dataset.json names it, and it is not there"
