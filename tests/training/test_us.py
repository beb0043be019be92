"""Both ultrasound models through training, choice of the best epoch, and detection."""

import hashlib
import json

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.config.load import build_config
from gluon_liver.data.open import make_loader, open_dataset
from gluon_liver.errors import ConfigError, DatasetError, InputError, RunError
from gluon_liver.evaluation.from_file import score_detections
from gluon_liver.evaluation.run_folder import evaluate
from gluon_liver.flow.liteflownet import LiteFlowNet
from gluon_liver.inference.detector import SliceDetector, detect_labelled
from gluon_liver.inference.stream import StreamDetector
from gluon_liver.legacy.record_file import write_records
from gluon_liver.library import load_detector
from gluon_liver.prepare.us import import_us
from gluon_liver.runs.checkpoint import chosen_checkpoint
from gluon_liver.runs.run import Run
from gluon_liver.training.inputs import TrainingInputs
from gluon_liver.training.train import train
from symbols.record_iter import RecordIter
from symbols.records import RecordFile
from tests.conftest import TINY
from tests.readers.us_writer import write_us

from .conftest import records

pytestmark = pytest.mark.slow

SIZE, FRAMES = 64, 4


def config(model="us-flow", **train):
    tree = json.loads(json.dumps(TINY))
    tree.update(model=model, row=None, flow={"width": 0.125})
    tree["data"] = {"size": SIZE}
    tree["network"]["head"]["score_threshold"] = 0.0
    tree["train"].update(train)
    return build_config(tree)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Four recordings of four frames: a bright square (tumor) or a dark one (vessel) that moves to the right."""
    folder = tmp_path_factory.mktemp("us")
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(4):
        frames = rng.integers(90, 110, (FRAMES, SIZE, SIZE, 3)).astype(np.uint8)
        kind = number % 2
        for frame in range(FRAMES):
            x, y = 8 + 3 * frame + number, 12 + 5 * number
            frames[frame, y : y + 18, x : x + 20] = (220, 10)[kind]
            image = {"id": len(images), "width": SIZE, "height": SIZE, "video": f"{number}.dcm", "frame": frame}
            images.append(dict(image, scene=1, patient=str(number)))
            box = {"category_id": kind + 1, "bbox": [x, y, 20, 18]}
            annotations.append({"id": len(annotations), "image_id": image["id"], **box})
        region, file = (0, 0, SIZE - 1, SIZE - 1), folder / "in" / f"{number}.dcm"
        write_us(file, frames, region=region, number=number + 1, patient=str(number))
    categories = [{"id": 1, "name": "tumor"}, {"id": 2, "name": "vessel"}]
    labels = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "labels.json").write_text(json.dumps(labels))
    import_us(folder / "in", folder / "data", labels=folder / "labels.json", fractions=(0.5, 0, 0.5), salt="test-salt")
    return open_dataset(folder / "data")


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    net = LiteFlowNet(width=0.125)
    mx.random.seed(0)
    net.initialize()
    path = tmp_path_factory.mktemp("flow") / "flow.params"
    net.save_parameters(str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    about = {"format": 1, "network": "LiteFlowNet", "width": 0.125, "output": {"sha256": digest}}
    path.with_suffix(".json").write_text(json.dumps(about))
    return path


@pytest.mark.parametrize("model", ["us-faster-rcnn", "us-flow"])
def test_both_models_train_and_detect(model, data, flow, tmp_path):
    chosen = config(model, best_epoch=True, epochs=3)
    run = train(chosen, data, tmp_path / "run", flow=flow if model == "us-flow" else None, progress=False)
    best = json.loads((run.folder / "best.json").read_text())
    scores = [record["map"] for record in records(run, "score")]
    assert len(scores) == 3 and best["map"] == max(scores) and best["split"] == "test"
    assert sorted(path.name for path in run.checkpoints.iterdir()) == [f"step-{step:08d}" for step in (4, 8, 12)]
    detector, name = SliceDetector.from_run(run)
    assert name == best["checkpoint"] == chosen_checkpoint(run).name
    results = detect_labelled(detector, data, data.labels_of("test"), progress=False)
    assert len(results) == 8 and all(np.isfinite(result.scores).all() for result in results)
    assert (run.folder / "flow.json").exists() == (model == "us-flow")


def test_the_flow_of_the_file_is_kept_as_it_is(data, flow, tmp_path):
    run = train(config(), data, tmp_path / "run", flow=flow, steps=2, progress=False)
    detector, _ = SliceDetector.from_run(run)
    saved = mx.nd.load(str(flow))
    own = detector.network.flow._collect_params_with_prefix()
    assert all(np.array_equal(own[name].data().asnumpy(), saved[name].asnumpy()) for name in saved)


def test_inputs_hold_the_frame_before(data):
    inputs = TrainingInputs(config(), data)
    batch = inputs.load([0, 1], epoch=0, anchors=np.array([[0.0, 0, 16, 16]]), random_number_count=3)
    assert batch.images.shape == (2, 2, 3, SIZE, SIZE) and batch.images.max() <= 1
    assert np.array_equal(batch.images[0, 0], batch.images[0, 1])  # the first frame of its scene
    assert np.array_equal(batch.images[1, 0], batch.images[0, 1]) and not np.array_equal(*batch.images[1])
    alone = TrainingInputs(config("us-faster-rcnn"), data)
    alone = alone.load([1], epoch=0, anchors=np.zeros((1, 4)), random_number_count=3)
    assert np.array_equal(alone.images[0, 0], batch.images[1, 1])


def test_what_does_not_fit_is_refused(data, flow, tiny_dataset, tiny_config, tmp_path):
    wide = build_config(dict(config().to_dict(), flow={"width": 0.25}))
    alone = flow.parent / "alone.params"
    alone.write_bytes(flow.read_bytes())
    for chosen, dataset, file, error, message in (
        (config(), tiny_dataset, flow, DatasetError, "holds CT data, the model us-flow takes ultrasound"),
        (tiny_config, data, None, DatasetError, "holds ultrasound data, the model ct-faster-rcnn takes CT"),
        (config(), data, None, ConfigError, "us-flow needs --flow FILE"),
        (config("us-faster-rcnn"), data, flow, ConfigError, "--flow is for the model us-flow"),
        (wide, data, flow, InputError, "flow.params is of a flow net of width 0.125, flow.width is 0.25"),
        (config(), data, alone, InputError, "alone.json"),
    ):
        with pytest.raises(error, match=message):
            train(chosen, dataset, tmp_path / "run", flow=file, progress=False)
    assert not (tmp_path / "run").exists()


def test_a_damaged_choice_of_the_best_is_told(data, tmp_path):
    run = train(config("us-faster-rcnn", best_epoch=True, epochs=1), data, tmp_path / "run", progress=False)
    gone = json.dumps({"checkpoint": "step-9", "map": 0.1, "split": "x"})
    for text, message in (("{", "best.json cannot be read: it is not JSON.*; delete it"), (gone, "step-9")):
        (run.folder / "best.json").write_text(text)
        with pytest.raises(RunError, match=message):
            SliceDetector.from_run(run)


@pytest.fixture(scope="module")
def runs(data, flow, tmp_path_factory):
    """A trained run of each model."""
    folder = tmp_path_factory.mktemp("us-runs")
    return {
        model: train(config(model, epochs=4), data, folder / model, progress=False, flow=weights)
        for model, weights in (("us-faster-rcnn", None), ("us-flow", flow))
    }


@pytest.fixture
def stream(runs):
    return StreamDetector.from_run(runs["us-flow"])[0]


def recording(data):
    """Frames and labels of the first recording of the test split."""
    case = data.labels_of("test")[0].case
    return data.frames(case), [label for label in data.labels_of("test") if label.case == case]


def test_both_models_are_scored_and_compared(runs, data, capsys):
    for model, run in runs.items():
        text, report = evaluate(run, data, progress=False)
        results = json.loads((run.folder / "results.json").read_text())
        assert "Table 1" in text and report.is_file() and results["model"] == model
        assert results["detections"] == {"score_threshold": 0.0, "max_detections": 100}
        assert "score above 0, at most 100 a frame" in " ".join(text.split())
        assert len(results["summary"]["scenes"]) == 2 and results["data"]["split_by"] == "patient"
        assert all(np.isfinite(row["score"]) for row in json.loads((run.folder / "detections.json").read_text()))
    folders = [str(runs[model].folder) for model in ("us-flow", "us-faster-rcnn")]
    assert main(["evaluate", "--compare", *folders]) == 0
    assert "Table 2" in capsys.readouterr().out
    assert main(["evaluate", "--run", folders[0], "--split", "val"]) == 2


def test_what_was_trained_on_is_not_scored(runs, data):
    run = Run.open(runs["us-faster-rcnn"].folder)
    run.environment["training_units"] = [data.unit_of(label) for label in data.labels_of("test")]
    with pytest.raises(DatasetError, match="were trained on"):
        evaluate(run, data, progress=False)


@pytest.fixture(scope="module")
def imports(data, tmp_path_factory):
    """The recordings of ``data`` imported again: split by image, by scene, and by patient with another salt."""
    source, out = data.folder.parent, tmp_path_factory.mktemp("imports")
    options = {"labels": source / "labels.json", "fractions": (0.5, 0, 0.5)}
    for split_by, salt in (("image", "test-salt"), ("scene", "another salt"), ("patient", "another salt")):
        import_us(source / "in", out / split_by, split_by=split_by, salt=salt, **options)
    return {name: open_dataset(out / name) for name in ("image", "scene", "patient")}


def prints(dataset, split):
    return {info.fingerprint for info in dataset.cases if info.case in dataset.cases_of(split)}


def test_what_was_trained_on_is_not_scored_in_another_import(data, imports, tmp_path):
    run = train(config("us-faster-rcnn"), data, tmp_path / "run", steps=1, progress=False)
    for name in ("image", "scene"):
        again = imports[name]
        assert prints(again, "test") & prints(data, "train")
        assert not {again.unit_of(label) for label in again.labels} & set(run.environment["training_units"])
        with pytest.raises(DatasetError, match="were trained on.*imported again"):
            evaluate(run, again, progress=False)
    assert not (run.folder / "results.json").exists()
    evaluate(run, data, progress=False)


def test_parts_of_a_recording_are_scored_in_the_import_of_the_training_alone(data, imports, runs):
    run = Run.open(runs["us-faster-rcnn"].folder)
    run.environment.update(imports["image"].training_record())
    assert prints(imports["image"], "test") & prints(imports["image"], "train")
    evaluate(run, imports["image"], progress=False)
    for name in ("scene", "patient"):
        assert prints(imports[name], "test") & prints(imports["image"], "train")
        with pytest.raises(DatasetError, match="were trained on"):
            evaluate(run, imports[name], progress=False)


@pytest.mark.parametrize("model", ["us-faster-rcnn", "us-flow"])
def test_a_stream_finds_what_the_whole_network_finds(runs, data, model):
    stream, _ = StreamDetector.from_run(runs[model])
    detector, _ = SliceDetector.from_run(runs[model])
    frames, labels = recording(data)
    expected = detect_labelled(detector, data, labels, batch_size=1, progress=False)
    for label, result in zip(labels, expected):
        streamed = stream.detect(frames[label.row])
        assert np.allclose(streamed.detections.boxes, result.boxes, atol=1e-2)
        assert np.allclose(streamed.detections.scores, result.scores, atol=1e-4)
        assert (streamed.flow is None) == (model == "us-faster-rcnn")
    assert len(labels) == FRAMES and max(len(result.scores) for result in expected) > 0
    if model == "us-flow":
        assert streamed.flow.shape == (SIZE, SIZE, 2)
        again = stream.detect(frames[0])
        stream.restart()
        first = stream.detect(frames[0])
        assert np.allclose(first.detections.scores, expected[0].scores, atol=1e-4)
        assert not np.allclose(again.flow, first.flow)


def test_a_stream_uses_the_frame_before(runs, stream, data):
    detector, _ = SliceDetector.from_run(runs["us-flow"])
    for network in (stream._network, detector.network):
        # it starts at zero, where the previous frame does not count
        gamma = network.aggregation.bn3.gamma
        gamma.set_data(mx.nd.ones_like(gamma.data()))
    frames, labels = recording(data)
    expected = detect_labelled(detector, data, labels, batch_size=1, progress=False)
    for label, result in zip(labels, expected):
        streamed = stream.detect(frames[label.row]).detections
        assert np.allclose(streamed.scores, result.scores, atol=1e-4)
        assert np.allclose(streamed.boxes, result.boxes, atol=1e-2)
    stream.restart()
    alone = stream.detect(frames[labels[-1].row]).detections
    assert not np.allclose(alone.scores, streamed.scores, atol=1e-3)


def test_the_library_takes_frames_and_no_volumes(runs, stream, data):
    detector, (frames, _) = load_detector(runs["us-flow"].folder), recording(data)
    for frame in frames[:2]:
        detected, expected = detector.detect_frame(frame), stream.detect(frame).detections
        assert np.array_equal(detected.boxes, expected.boxes) and np.array_equal(detected.scores, expected.scores)
    detector.restart()
    stream.restart()
    assert np.array_equal(detector.detect_frame(frames[0]).scores, stream.detect(frames[0]).detections.scores)
    with pytest.raises(RunError, match="is an ultrasound run"):
        detector.detect_volume(np.zeros((2, 8, 8)), spacing=(1, 1, 1))
    with pytest.raises(InputError, match="uint8 .H, W, 3. is needed"):
        detector.detect_frame(np.zeros((8, 8), np.uint8))


def test_larger_frames_give_larger_boxes_and_flow(stream, data):
    frames, _ = recording(data)
    small = [stream.detect(frame) for frame in frames]
    stream.restart()
    large = [stream.detect(frame.repeat(2, axis=0).repeat(2, axis=1)) for frame in frames]
    for one, other in zip(small, large):
        assert len(one.detections.boxes) > 0
        assert np.allclose(2 * one.detections.boxes, other.detections.boxes, atol=1e-2)
        assert np.allclose(2 * one.flow, other.flow, atol=1e-3)
    assert max(np.abs(one.flow).max() for one in small) > 1e-2


def test_flow_runs_from_the_previous_frame_in_blue_green_red(runs, monkeypatch):
    network = SliceDetector.from_run(runs["us-flow"])[0].network
    seen = []

    def flow(first, second):
        seen.extend(frame.asnumpy()[:, ::-1] for frame in (first, second))
        return mx.nd.zeros((1, 2, SIZE, SIZE))

    monkeypatch.setitem(network.__dict__, "flow", flow)
    frames = mx.nd.random.uniform(shape=(1, 2, 3, SIZE, SIZE))
    network.features(mx.nd, frames)
    assert np.allclose(seen[0], frames[:, 0].asnumpy()) and np.allclose(seen[1], frames[:, 1].asnumpy())


def test_a_record_file_holds_both_frames(data, tmp_path):
    write_records(config(), data, "test", tmp_path / "us.rec")
    file, load = RecordFile(str(tmp_path / "us.rec")), make_loader(config(), data, cases=[])
    assert file.config["model"] == "us-flow" and file.config["classes"] == ["tumor", "vessel"]
    for record, label in zip(file, data.labels_of("test")):
        sample = load(label)
        assert record.image.shape == (2, 3, SIZE, SIZE) and np.array_equal(record.image, sample.image)
        assert (record.case, record.place) == (label.case, label.frame) and np.array_equal(record.boxes, sample.boxes)
    batch = RecordIter(file, 2, seed=0).next()
    assert [item.name for item in batch.provide_data] == ["data", "draws"]
    assert 0.8 < batch.data[0].asnumpy().max() <= 1 and batch.data[0].shape == (2, 2, 3, SIZE, SIZE)


def test_a_file_of_detections_gives_the_tables_of_evaluate(runs, data, capsys):
    run = runs["us-flow"]
    text, _ = evaluate(run, data, progress=False)
    file = run.folder / "detections.json"
    assert score_detections(run, data, file) == text
    score = ["score", "--run", str(run.folder), "--detections", str(file)]
    assert main(score) == 0
    for count in ("7", "1000"):
        for command in (score, ["evaluate", "--run", str(run.folder)]):
            assert main([*command, "--bootstrap", count]) == 2
            assert "--bootstrap is for CT runs" in capsys.readouterr().err
