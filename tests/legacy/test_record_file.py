"""Record files: what is written is what the Gluon side loads, damage is found, and nothing is written over."""

import json

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.open import make_loader
from gluon_liver.errors import DatasetError, InputError
from gluon_liver.legacy import record_file
from gluon_liver.legacy.record_file import write_records
from symbols.record_iter import RecordIter
from symbols.records import RecordFile
from tests.conftest import SIZE, us_config, write_dataset


@pytest.fixture(scope="module")
def phases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records") / "data"
    return CTDataset.open(str(write_dataset(folder, phases=("non_contrast", "arterial", "delayed"))))


def test_images_boxes_and_what_they_belong_to(phases, make_config, tmp_path):
    config = make_config(**{"row": None, "network.relation": "full", "data.size": 96})
    assert write_records(config, phases, "test", tmp_path / "test.rec") == 3
    assert {path.name for path in tmp_path.iterdir()} == {"test.rec", "test.idx"}
    found = RecordFile(str(tmp_path / "test.rec"))
    assert found.config["phases"] == ["arterial", "non_contrast", "delayed"] and found.split == "test"
    assert found.config["network"]["width"] == config.network.width and found.boxes == [1, 1, 0]
    labels = phases.labels_of("test")
    load = make_loader(config, phases, cases=[labels[0].case])
    for record, label in zip(found, labels):
        sample = load(label)
        for name in ("image", "boxes", "labels"):
            assert np.array_equal(getattr(record, name), getattr(sample, name)), name
            assert getattr(record, name).dtype == getattr(sample, name).dtype
        assert record.image.shape == (3, 1, 1, 96, 96) and record.present.tolist() == [1, 1, 0]
        assert (record.image_id, record.case, record.place) == (label.image_id, label.case, label.slice)
        assert (record.scale, record.width, record.height) == (1.5, 64, 64)
    with pytest.raises(IndexError):
        found[3]


@pytest.fixture
def train_file(tiny_dataset, tiny_config, tmp_path):
    write_records(tiny_config, tiny_dataset, "train", tmp_path / "train.rec")
    return tmp_path / "train.rec"


def refused(path, message, number=None):
    """Whether a record file, or its record of that number from 1, is refused with the message."""
    with pytest.raises(ValueError, match=message):
        RecordFile(str(path))[number - 1 if number else 0]


def test_a_changed_byte_is_found(train_file):
    path = train_file
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    data[data.index(b'"boxes": [[') + 11] ^= 1  # a digit of the first box
    path.write_bytes(data)
    assert len(RecordFile(str(path))[1].boxes) == 1
    for number in (1, 9):
        refused(path, f"record {number} is damaged", number)
    for old, new in ((b'"learning_rate": 0.0005', b'"learning_rate": 0.0007'), (b'"format"', b'\xffformat"')):
        path.write_bytes(data.replace(old, new, 1))
        refused(path, "record 0 is damaged")


def test_a_file_that_was_cut_and_a_changed_index_are_found(train_file):
    path, index = train_file, train_file.with_suffix(".idx")
    whole, places = path.read_bytes(), index.read_text()
    path.write_bytes(whole[: len(whole) // 2])
    assert RecordFile(str(path))[0].image_id == 1
    refused(path, "record 9 is damaged", 9)
    lines = places.splitlines()
    swapped = lines[:1] + [lines[1].replace("1\t", "2\t"), lines[2].replace("2\t", "1\t")]
    path.write_bytes(whole)
    for text, damaged in (("\n".join(lines[:5]) + "\n", 9), ("\n".join(swapped) + "\n", 1), ("0\t0\n1\t12\n", 1)):
        index.write_text(text)
        refused(path, f"record {damaged} is damaged", damaged)
    for text, message in (("0 0\n", "train.idx is damaged"), ("", "record 0 is damaged")):
        index.write_text(text)
        refused(path, message)
    index.write_text(places)
    path.write_bytes(b"")
    refused(path, "record 0 is damaged")


def test_what_cannot_be_written_or_read(tiny_dataset, tiny_config, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(record_file, "_read_sums", lambda paths, count: [0] * count)
        with pytest.raises(DatasetError, match="disk full"):
            write_records(tiny_config, tiny_dataset, "test", tmp_path / "a.rec")
    assert not list(tmp_path.iterdir())
    (tmp_path / "a.idx").touch()
    for split, name, error, message in (
        ("test", "a.txt", InputError, "ends in .rec"),
        ("test", "a.rec", InputError, "a.idx exists"),
        ("val", "b.rec", DatasetError, "no labelled image in the val split"),
    ):
        with pytest.raises(error, match=message):
            write_records(tiny_config, tiny_dataset, split, tmp_path / name)
    refused(tmp_path / "b.rec", "no such file")
    writer = mx.recordio.MXIndexedRecordIO(str(tmp_path / "c.idx"), str(tmp_path / "c.rec"), "w")
    writer.write_idx(0, mx.recordio.pack(mx.recordio.IRHeader(0, 0.0, 0, 0), json.dumps({"format": 1}).encode()))
    writer.close()
    refused(tmp_path / "c.rec", "has format 1, this reads 2")


def test_the_command(tiny_run, tiny_data, tmp_path, capsys):
    out = tmp_path / "sub" / "train.rec"
    assert main(f"records --run {tiny_run.folder} --split train --out {out}".split()) == 0
    assert "train.rec: 9 images" in capsys.readouterr().out
    config = RecordFile(str(out)).config
    assert config["classes"] == ["cyst", "hemangioma", "hcc"] and config["phases"] == ["arterial"]
    words = f"records --data {tiny_data} --config demo-r101 --set data.size=64 --split test --out {tmp_path}/b.rec"
    assert main(words.split()) == 0
    assert RecordFile(str(tmp_path / "b.rec")).config["network"]["depth"] == 101
    assert main(f"records --config demo-r101 --split test --out {tmp_path}/c.rec".split()) == 2
    assert "give --run RUN, or --config NAME and --data DIR" in capsys.readouterr().err


@pytest.mark.slow
def test_a_record_file_holds_both_frames(us_data, tmp_path):
    write_records(us_config(), us_data, "test", tmp_path / "us.rec")
    file, load = RecordFile(str(tmp_path / "us.rec")), make_loader(us_config(), us_data, cases=[])
    assert file.config["model"] == "us-flow" and file.config["classes"] == ["tumor", "vessel"]
    for record, label in zip(file, us_data.labels_of("test")):
        sample = load(label)
        assert record.image.shape == (2, 3, SIZE, SIZE) and np.array_equal(record.image, sample.image)
        assert (record.case, record.place) == (label.case, label.frame) and np.array_equal(record.boxes, sample.boxes)
    batch = RecordIter(file, 2, seed=0).next()
    assert [item.name for item in batch.provide_data] == ["data", "draws"]
    assert 0.8 < batch.data[0].asnumpy().max() <= 1 and batch.data[0].shape == (2, 2, 3, SIZE, SIZE)
