"""Folders that the program writes and reads back: prepared data, runs with checkpoints; and files of detections."""

import contextlib
import json
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np

from gluon_liver.config.load import build_config
from gluon_liver.data.open import open_dataset
from gluon_liver.data.study import Study
from gluon_liver.errors import GluonLiverError
from gluon_liver.evaluation.detection_file import read_detections
from gluon_liver.files.json_records import read_json, read_yaml
from tests.conftest import TINY, write_dataset

from .harness import Target
from .recipe import change_bytes, change_json

CHECKPOINT = "step-00000002"
DETECTIONS = [
    {"image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 12], "score": 0.5},
    {"image_id": 2, "category_id": 3, "bbox": [1, 2, 10.5, 12], "score": 0.25, "file_name": "a.png"},
    {"image_id": 2.0, "category_id": 1, "bbox": [0, 0, 10, 12], "score": 1},
]


@lru_cache(maxsize=None)
def _data():
    return write_dataset(Path(tempfile.mkdtemp()) / "data", patients=3)


@lru_cache(maxsize=None)
def _run():
    """A run folder with a checkpoint of a few numbers in place of a network's."""
    import mxnet as mx

    from gluon_liver.files.arrays import save_arrays
    from gluon_liver.runs.manifest import OPTIMIZER, PARAMETERS, STATE, write_manifest
    from gluon_liver.runs.run import Run
    from gluon_liver.runs.training_state import TrainingState

    dataset = open_dataset(_data())
    run = Run.create(_data().parent / "run", build_config(TINY), dataset=dataset)
    for event, record in (("start", {"steps": 4, "notes": ["a"]}), ("checkpoint", {"step": 2}), ("end", {})):
        run.log(event, **record)
    (run.folder / "best.json").write_text(json.dumps({"checkpoint": CHECKPOINT, "map": 0.5, "split": "val"}))
    (run.folder / "pretrained.json").write_text(json.dumps({"trained_on": [dataset.training_record()]}))
    folder = run.checkpoints / CHECKPOINT
    folder.mkdir(parents=True)
    for name in (PARAMETERS, OPTIMIZER):
        save_arrays(folder / name, {"a.weight": mx.nd.ones((2, 3))})
    state = TrainingState(2, 1, 0, 7, "sgd", {"a.weight": 2})
    (folder / STATE).write_text(json.dumps(state.to_fields()))
    write_manifest(folder, step=2, epoch=1, classes=dataset.classes)
    return run.folder


def _tree(path):
    """What a text file holds, None for other files."""
    if path.suffix == ".json":
        return read_json(path)
    return read_yaml(path) if path.suffix == ".yaml" else None


def _builder(folder):
    """Changes one file: (its path below the folder, content)."""

    def build(recipe):
        paths = sorted(path for path in folder().rglob("*") if path.is_file())
        path = recipe.of(paths)
        tree = _tree(path)
        how = recipe.below(4)
        changed = change_bytes(recipe, path.read_bytes()) if tree is None or how == 3 else change_json(recipe, tree)
        return path.relative_to(folder()).as_posix(), changed

    return build


def _changed(original, content, folder):
    """A copy of a folder in which one file is changed."""
    name, changed = content
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(original, copy)
    (copy / name).write_bytes(changed)
    return copy


def _read_data(content, folder):
    copy = _changed(_data(), content, folder)
    dataset = open_dataset(copy)
    dataset.digests()
    for info in dataset.cases:
        np.asarray(Study.load(copy / "studies" / info.case).hu).sum()
    dataset.labels_of("train")


def _read_run(content, folder):
    from gluon_liver.runs.checkpoint import load_state, read_parameters
    from gluon_liver.runs.checkpoint_folder import chosen_checkpoint, newest_intact
    from gluon_liver.runs.manifest import MANIFEST, write_manifest
    from gluon_liver.runs.run import Run

    copy = _changed(_run(), content, folder)
    name, _ = content
    if name.startswith("checkpoints/") and not name.endswith(MANIFEST):  # as who forges a run would
        (copy / "checkpoints" / CHECKPOINT / MANIFEST).unlink()
        write_manifest(copy / "checkpoints" / CHECKPOINT, step=2, epoch=1, classes=["cyst"])
    run = Run.open(copy)
    for ask in (run.progress, run.training_notes, run.trained_before, run.imported, lambda: run.input_phases):
        _ask(ask)
    _ask(lambda: run.check_dataset(open_dataset(_data())))
    _ask(lambda: open_dataset(_data()).refuse_trained(run.environment, "test"))
    newest_intact(run.checkpoints, resumable=True)
    path = chosen_checkpoint(run)
    _ask(lambda: load_state(path))
    _ask(lambda: read_parameters(path))


def _ask(question):
    """Ask one thing after the other, each of which may be refused."""
    with contextlib.suppress(GluonLiverError):
        question()


def _read_detections(content, folder):
    path = folder / "d.json"
    path.write_bytes(content)
    dataset = open_dataset(_data())
    read_detections(path, dataset, dataset.labels)


TARGETS = [
    Target("data-folder", _builder(_data), _read_data),
    Target("run-folder", _builder(_run), _read_run),
    Target("detections", lambda recipe: change_json(recipe, DETECTIONS), _read_detections),
]
