"""Tiny prepared data of each task that every room can train on, evaluate and detect in."""

import contextlib
import functools
import hashlib
import json
import os
import resource
import signal

import numpy as np
import pytest

from gluon_liver.config.load import build_config
from gluon_liver.data.coco import save_labels
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.ct_labels import CLASSES, CTLabel
from gluon_liver.data.open import open_dataset
from gluon_liver.data.splits import Splits, save_splits
from gluon_liver.data.study import Study, StudySource
from gluon_liver.flow.liteflownet import LiteFlowNet
from gluon_liver.prepare.us import import_us
from gluon_liver.structures.geometry import Geometry
from gluon_liver.system.runtime import usable_cores
from tests.readers.us_writer import write_labels, write_us

# FFmpeg asks once in a process. A job that watches a stream says it before; here another test may have opened a video.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

SIZE, SLICES, US_FRAMES = 64, 3, 4
# window "liver" shows 5 to 155 HU; the three classes differ in brightness
CLASS_HU = (10, 150, 110)
RPN = dict(channels=16, anchor_sizes=[16, 24], samples=32, train_pre_nms=100, train_post_nms=30)
RPN.update(test_pre_nms=100, test_post_nms=20)
HEAD = dict(samples=16, roi_size=4, max_boxes=4, dropout=0.2)
TRAIN = dict(optimizer="adam", learning_rate=0.0005, batch_size=2, epochs=2)
TRAIN.update(decay_epochs=[], warmup_steps=0, log_every=1)
TINY = {
    "data": {"window": "liver", "size": SIZE, "storage": "raw"},
    "network": {"width": 0.125, "rpn": RPN, "head": HEAD},
    "train": TRAIN,
}
PHASES = ("non_contrast", "arterial", "delayed")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """Processes of ``--numprocesses auto``: one a core that may be used, and at most 8, which need 2 GB each."""
    return min(8, usable_cores()[0])


def write_dataset(folder, *, patients=4, boxes=True, phases=("arterial",), classes=CLASSES):
    """One study a patient, three slices each: a square on slices 0 and 1, nothing on slice 2.

    The arterial phase is the reference. Other phases show the square too; the last study lacks the last of them.
    """
    reference = phases.index("arterial")
    rng = np.random.default_rng(0)
    geometry = Geometry((0.0, 0.0, 0.0), (5.0, 1.0, 1.0), ((1, 0, 0), (0, 1, 0), (0, 0, 1)), (SLICES, SIZE, SIZE))
    images, studies = [], []
    for number in range(patients):
        case, patient = f"case-{number:010x}", f"patient-{number:010x}"
        hu = rng.normal(60, 5, (len(phases), SLICES, SIZE, SIZE)).astype(np.int16)
        present = np.ones((len(phases), SLICES), bool)
        present[-1] = len(phases) == 1 or number < patients - 1
        for index in range(SLICES):
            corners, labels = np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
            if boxes and index < 2:
                x, y = rng.integers(4, SIZE - 24, 2)
                corners = np.array([[x, y, x + 20, y + 18]], np.float32)
                labels = np.array([(number + index) % len(classes)], np.int32)
                hu[:, index, y : y + 18, x : x + 20] = CLASS_HU[labels[0] % 3]
            images.append(CTLabel(len(images) + 1, case, index, SIZE, SIZE, corners, labels, "arterial"))
        hu[~present] = -1024
        Study(case, patient, tuple(phases), "arterial", present, geometry, StudySource(), hu).save(
            folder / "studies" / case
        )
        fingerprint = hashlib.sha256(hu[reference].tobytes()).hexdigest()
        studies.append({"case": case, "patient": patient, "slices": SLICES, "fingerprint": fingerprint})
    names = [study["patient"] for study in studies]
    save_labels(images, classes, folder / "labels.json")
    save_splits(Splits(tuple(names[:-1]), (), (names[-1],), 0), folder / "splits.json")
    description = dict(format=1, kind="ct", phases=phases, reference_phase="arterial", classes=classes, phantom=True)
    (folder / "dataset.json").write_text(json.dumps({**description, "studies": studies}))
    return folder


def change_json(path, **entries):
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
    """Folder of prepared data; do not change it."""
    return write_dataset(tmp_path_factory.mktemp("tiny") / "data")


@pytest.fixture(scope="session")
def phase_data(tmp_path_factory):
    """Data of three phases, the last of which the last study lacks; do not change it."""
    return CTDataset.open(str(write_dataset(tmp_path_factory.mktemp("phases") / "data", phases=PHASES)))


@pytest.fixture
def tiny_dataset(tiny_data):
    return CTDataset.open(tiny_data)


@pytest.fixture
def tiny_config():
    return build_config(TINY)


@pytest.fixture
def make_config():
    """tiny configuration with dotted keys changed: make_config(**{"train.epochs": 1})."""

    def make(**changes):
        tree = json.loads(json.dumps(TINY))
        for key, value in changes.items():
            *parents, leaf = key.split(".")
            functools.reduce(lambda branch, parent: branch.setdefault(parent, {}), parents, tree)[leaf] = value
        return build_config(tree)

    return make


@pytest.fixture(scope="session")
def tiny_run(tiny_data, tmp_path_factory):
    """A run trained for two epochs on the tiny data; do not change it."""
    from gluon_liver.training.train import train

    out = tmp_path_factory.mktemp("tiny-run") / "run"
    return train(build_config(TINY), CTDataset.open(tiny_data), out, progress=False)


def us_config(model="us-flow", **train):
    tree = json.loads(json.dumps(TINY))
    tree.update(model=model, row=None, flow={"width": 0.125}, data={"size": SIZE})
    tree["network"]["head"]["score_threshold"] = 0.0
    tree["train"].update(train)
    return build_config(tree)


@pytest.fixture(scope="session")
def us_data(tmp_path_factory):
    """Four recordings of four frames: a bright square (tumor) or a dark one (vessel) that moves to the right."""
    return make_us_data(tmp_path_factory.mktemp("us"))


def make_us_data(folder, classes=("tumor", "vessel")):
    """Recordings of a square each that moves to the right, of one class after the other."""
    rng = np.random.default_rng(0)
    images, boxes = [], []
    for number in range(4):
        frames = rng.integers(90, 110, (US_FRAMES, SIZE, SIZE, 3)).astype(np.uint8)
        kind, name, patient = number % len(classes), f"{number}.dcm", str(number)
        for frame in range(US_FRAMES):
            x, y = 8 + 3 * frame + number, 12 + 5 * number
            frames[frame, y : y + 18, x : x + 20] = (220, 10, 160)[kind]
            images.append({"video": name, "frame": frame, "scene": 1, "patient": patient})
            boxes.append((len(images), kind + 1, (x, y, 20, 18)))
        region = (0, 0, SIZE - 1, SIZE - 1)
        write_us(folder / "in" / name, frames, region=region, number=number + 1, patient=patient)
    labels = write_labels(folder / "labels.json", images, boxes, width=SIZE, height=SIZE, classes=classes)
    import_us(folder / "in", folder / "data", labels=labels, fractions=(0.5, 0, 0.5), salt="test-salt")
    return open_dataset(folder / "data")


@pytest.fixture(scope="session")
def us_flow(tmp_path_factory):
    """A file of a LiteFlowNet with random weights."""
    import mxnet as mx  # after gluon_liver, which sets its threads

    net = LiteFlowNet(width=0.125)
    mx.random.seed(0)
    net.initialize()
    path = tmp_path_factory.mktemp("flow") / "flow.params"
    net.save_parameters(str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    about = {"format": 1, "network": "LiteFlowNet", "width": 0.125, "output": {"sha256": digest}}
    path.with_suffix(".json").write_text(json.dumps(about))
    return path


@pytest.fixture(scope="session")
def us_runs(us_data, us_flow, tmp_path_factory):
    """A trained run of each ultrasound model; change nothing in it but its evaluation."""
    from gluon_liver.training.train import train

    folder = tmp_path_factory.mktemp("us-runs")
    flows = {"us-faster-rcnn": None, "us-flow": us_flow}
    return {
        model: train(us_config(model, epochs=4), us_data, folder / model, progress=False, flow=flow)
        for model, flow in flows.items()
    }


@pytest.fixture
def ctrl_c():
    """Sends this process SIGINT, which it hears although it may be a job in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def full_disk():
    """full_disk(size): a context in which no file of this process grows beyond ``size`` bytes, as on a full disk."""

    @contextlib.contextmanager
    def limit(size):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit
