"""Event files for TensorBoard, read back record by record."""

import json
import socket
import struct
import sys

import numpy as np
import pytest
from PIL import Image

from gluon_liver.commands import main
from gluon_liver.errors import InputError
from gluon_liver.evaluation.board import figures, write_evaluation
from gluon_liver.runs import tensorboard
from gluon_liver.runs.tensorboard import Board, check_installed
from gluon_liver.training.train import train

pytest.importorskip("tensorboardX")


def events(folder):
    """The events of a folder's files in their order; every checksum is checked."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    found = []
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            body = data[12 : 12 + length]
            assert struct.unpack("<I", data[8:12])[0] == masked_crc32c(data[:8])
            assert struct.unpack("<I", data[12 + length : 16 + length])[0] == masked_crc32c(body)
            found.append(Event.FromString(body))
            data = data[16 + length :]
    return found


def scalars(folder):
    """{(tag, step): value}, of pictures their size."""
    points = {}
    for event in events(folder):
        for value in event.summary.value:
            size = (value.image.height, value.image.width)
            points[value.tag, event.step] = size if value.HasField("image") else value.simple_value
    return points


STEP = {"step": 20, "epoch": 1, "losses": {"total": 0.5, "rpn_box": None}, "learning_rate": 0.001, "rpn_recall": None}


def test_records_of_the_log_become_points_of_curves(tmp_path):
    with Board(tmp_path / "a" / "board") as board:
        board.record("start", {"step": 0, "images": 3})
        assert not (tmp_path / "a").exists()  # nothing to say, no file
        board.record("step", {**STEP, "images_per_second": 8.0})
        board.record("score", {"step": 30, "split": "val", "map": 0.25, "ap50": 0.5, "seconds": 3.0})
        board.image("val/one", np.full((4, 6, 3), 200, np.uint8), step=30)
    assert scalars(tmp_path / "a" / "board") == {
        ("loss/total", 20): 0.5,
        ("speed/learning_rate", 20): pytest.approx(0.001),
        ("speed/images_per_second", 20): 8.0,
        ("val/map", 30): 0.25,
        ("val/ap50", 30): 0.5,
        ("val/one", 30): (4, 6),
    }
    first = events(tmp_path / "a" / "board")[0]
    assert first.file_version == "brain.Event:2"


def test_a_part_that_goes_on_is_a_later_file_that_drops_what_came_after_its_checkpoint(tmp_path):
    for after in (None, 10, 10):
        with Board(tmp_path, after=after) as board:
            board.scalar("loss/total", 1.0, step=20)
    assert len(list(tmp_path.iterdir())) == 3
    starts = [event.step for event in events(tmp_path) if event.session_log.status == 1]
    assert starts == [11, 11]


def test_no_file_is_named_after_the_machine(tmp_path):
    with Board(tmp_path) as board:
        board.scalar("loss/total", 1.0, step=1)
    (path,) = tmp_path.iterdir()
    assert "tfevents" in path.name and socket.gethostname() not in path.name
    assert socket.gethostname().encode() not in path.read_bytes()


def test_what_is_seen_is_on_the_disk_while_training_goes_on(tmp_path):
    with Board(tmp_path) as board:
        board.record("step", STEP)
        assert ("loss/total", 20) in scalars(tmp_path)


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    for module in tensorboard.MODULES:
        monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(InputError, match=r"tensorboardX, which is not installed: pip install 'tensorboardX>="):
        check_installed()
    train_words = ["train", "--config", "r50", "--data", str(tmp_path), "--out", str(tmp_path / "run"), "--tensorboard"]
    for words in (train_words, ["evaluate", "--run", str(tmp_path), "--tensorboard", str(tmp_path / "b")]):
        assert main(words) == 2
        assert "--tensorboard needs the package tensorboardX" in capsys.readouterr().err


def test_an_evaluation_writes_its_figures_and_overlays(tmp_path):
    summary = {
        "images": 446,
        "ap": {"mean": 0.5},
        "ap50": {"mean": {"value": 0.75, "low": 0.5, "high": 0.9}, "hcc": {"value": None}},
        "settings": {"score_threshold": 0.5},
    }
    assert dict(figures(summary)) == {"ap/mean": 0.5, "ap50/mean": 0.75}
    (tmp_path / "overlays").mkdir()
    Image.fromarray(np.zeros((5, 7, 3), np.uint8)).save(tmp_path / "overlays" / "hit-a.png")
    overlays = [{"file": "overlays/hit-a.png", "caption": "a: hit", "kind": "hit"}]
    results = {"checkpoint": "step-00000954", "split": "test", "summary": summary, "overlays": overlays}
    (tmp_path / "results.json").write_text(json.dumps(results))
    with Board(tmp_path / "board") as board:
        write_evaluation(tmp_path, board)
    assert scalars(tmp_path / "board") == {
        ("test/ap/mean", 954): 0.5,
        ("test/ap50/mean", 954): 0.75,
        ("test_hit/hit-a", 954): (5, 7),
    }


@pytest.mark.slow
def test_a_training_and_its_evaluation_go_to_one_folder(tiny_data, tiny_dataset, make_config, tmp_path, capsys):
    config = make_config(**{"train.best_epoch": True, "train.epochs": 1, "train.log_every": 2})
    run = train(config, tiny_dataset, tmp_path / "run", progress=False, tensorboard=tmp_path / "run" / "tensorboard")
    log = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    points = scalars(run.folder / "tensorboard")
    steps = {record["step"]: record["losses"]["total"] for record in log if record["event"] == "step"}
    assert len(steps) > 1
    assert {step: points["loss/total", step] for step in steps} == pytest.approx(steps)
    (score,) = (record for record in log if record["event"] == "score")
    assert points[f"{score['split']}/map", score["step"]] == pytest.approx(score["map"])
    assert any(tag.startswith("test_images/") for tag, _ in points)
    assert main(["evaluate", "--run", str(run.folder), "--bootstrap", "5", "--tensorboard"]) == 0
    assert f"tensorboard --logdir {run.folder / 'tensorboard'}" in capsys.readouterr().out
    assert ("test/ap/mean", score["step"]) in scalars(run.folder / "tensorboard")
