"""Recordings read frame by frame: what the whole network detects in them, and the frame before."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from gluon_liver.config.load import build_config
from gluon_liver.data.images import unit_range
from gluon_liver.data.open import open_dataset
from gluon_liver.data.us_loader import network_frames
from gluon_liver.errors import InputError, RunError
from gluon_liver.evaluation.run_note import run_note
from gluon_liver.inference.detector import SliceDetector, detect_labelled
from gluon_liver.inference.stream import StreamDetector
from gluon_liver.library import load_detector
from gluon_liver.prepare.us import import_us
from gluon_liver.training.train import train
from tests.conftest import SIZE, US_FRAMES, us_config

pytestmark = pytest.mark.slow


@pytest.fixture
def stream(us_runs):
    return StreamDetector.from_run(us_runs["us-flow"])[0]


def recording(us_data):
    """Frames and labels of the first recording of the test split."""
    case = us_data.labels_of("test")[0].case
    return us_data.frames(case), [label for label in us_data.labels_of("test") if label.case == case]


@pytest.mark.parametrize("model", ["us-faster-rcnn", "us-flow"])
def test_a_stream_finds_what_the_whole_network_finds(us_runs, us_data, model):
    stream, _ = StreamDetector.from_run(us_runs[model])
    detector, _ = SliceDetector.from_run(us_runs[model])
    frames, labels = recording(us_data)
    expected = detect_labelled(detector, us_data, labels, batch_size=1, progress=False)
    for label, result in zip(labels, expected):
        streamed = stream.detect(frames[label.row])
        assert np.allclose(streamed.detections.boxes, result.boxes, atol=1e-2)
        assert np.allclose(streamed.detections.scores, result.scores, atol=1e-4)
        assert (streamed.flow is None) == (model == "us-faster-rcnn")
    assert len(labels) == US_FRAMES and max(len(result.scores) for result in expected) > 0
    if model == "us-flow":
        assert streamed.flow.shape == (SIZE, SIZE, 2)
        again = stream.detect(frames[0])
        stream.restart()
        first = stream.detect(frames[0])
        assert np.allclose(first.detections.scores, expected[0].scores, atol=1e-4)
        assert not np.allclose(again.flow, first.flow)


def let_the_previous_frame_count(*networks):
    """Set the aggregation's last weights: its BatchNorm starts at zero, where the previous frame does not count."""
    for network in networks:
        weight = network.aggregation.conv3.weight
        weight.set_data(mx.nd.array(np.random.default_rng(0).normal(0, 0.1, weight.shape)))


def test_a_stream_uses_the_frame_before(us_runs, stream, us_data):
    detector, _ = SliceDetector.from_run(us_runs["us-flow"])
    let_the_previous_frame_count(stream.engine.network, detector.network)
    frames, labels = recording(us_data)
    expected = detect_labelled(detector, us_data, labels, batch_size=1, progress=False)
    for label, result in zip(labels, expected):
        streamed = stream.detect(frames[label.row]).detections
        assert np.allclose(streamed.scores, result.scores, atol=1e-4)
        assert np.allclose(streamed.boxes, result.boxes, atol=1e-2)
    stream.restart()
    alone = stream.detect(frames[labels[-1].row]).detections
    assert not np.allclose(alone.scores, streamed.scores, atol=1e-3)


def test_a_stream_compares_with_the_frame_a_step_before(us_runs, us_data, tmp_path):
    source = us_data.folder.parent
    options = dict(labels=source / "labels.json", fractions=(0.5, 0, 0.5), salt="test-salt", step=2)
    import_us(source / "in", tmp_path / "data", **options)
    data, run = open_dataset(tmp_path / "data"), us_runs["us-flow"]
    stream, _ = StreamDetector.from_run(run, step=2)
    detector, _ = SliceDetector.from_run(run)
    let_the_previous_frame_count(stream.engine.network, detector.network)
    frames, labels = recording(data)
    expected = detect_labelled(detector, data, labels, batch_size=1, progress=False)
    streamed = [stream.detect(frames[label.row], label.frame).detections for label in labels]
    for one, other in zip(streamed, expected):
        assert np.allclose(one.scores, other.scores, atol=1e-4) and np.allclose(one.boxes, other.boxes, atol=1e-2)
    assert stream.alone == 2 and StreamDetector.from_run(run)[0].step == 1
    stream.step = 1
    stream.restart()
    before = [stream.detect(frames[label.row]).detections for label in labels]
    assert not np.allclose(before[-1].scores[:5], streamed[-1].scores[:5], atol=1e-3)


def test_controls_stream_as_they_are_evaluated(us_data, tmp_path):
    """No flow, and the current frame as its own previous one."""
    tree = us_config(epochs=1).to_dict()
    tree["data"]["previous_frame"], tree["flow"]["estimate"], tree["network"]["aggregation"] = "current", "zero", "warp"
    with pytest.warns(UserWarning, match="the current frame is its own previous one"):
        run = train(build_config(tree), us_data, tmp_path / "run", steps=1, progress=False)
    assert not (run.folder / "flow.json").exists()
    stream, detector = StreamDetector.from_run(run)[0], SliceDetector.from_run(run)[0]
    let_the_previous_frame_count(stream.engine.network, detector.network)
    frames, labels = recording(us_data)
    expected = detect_labelled(detector, us_data, labels, batch_size=1, progress=False)
    for label, result in zip(labels, expected):
        streamed = stream.detect(frames[label.row])
        assert streamed.flow is None and np.allclose(streamed.detections.scores, result.scores, atol=1e-4)
        stream.restart()
        assert np.array_equal(stream.detect(frames[label.row]).detections.scores, streamed.detections.scores)
    note = run_note(run, us_data, "test")
    assert all(f"({key})" in note for key in ("data.previous_frame", "flow.estimate"))


def test_fewer_proposals_are_the_most_likely_ones(us_runs, us_data):
    run, (frames, _) = us_runs["us-faster-rcnn"], recording(us_data)
    own = run.config.network.rpn.test_post_nms
    found = {}
    for count in (None, 3, own + 1):
        stream, _ = StreamDetector.from_run(run, proposals=count)
        network = stream.engine.network
        assert network.proposals(training=False) == min(own, count or own)
        frame = mx.nd.array(unit_range(network_frames(frames[0][None], SIZE)[0]))
        with autograd.predict_mode():
            rows, boxes = network.rpn(frame, network.frame_map(mx.nd, frame))
        found[count] = np.concatenate([rows.asnumpy(), boxes.asnumpy()], axis=2)[0]
        assert len(stream.detect(frames[0]).detections.scores) <= min(own, count or own) * len(stream.classes)
    assert np.array_equal(found[None], found[own + 1])
    assert len(found[3]) == 3 and np.allclose(found[3], found[None][:3], atol=1e-5)


def test_the_library_takes_frames_and_no_volumes(us_runs, stream, us_data):
    detector, (frames, _) = load_detector(us_runs["us-flow"].folder), recording(us_data)
    for frame in frames[:2]:
        detected, expected = detector.detect_frame(frame), stream.detect(frame).detections
        assert np.array_equal(detected.boxes, expected.boxes) and np.array_equal(detected.scores, expected.scores)
    assert detector.step == 1
    with pytest.raises(InputError, match="step is 0"):
        detector.restart(step=0)
    detector.restart(step=2)
    assert detector.step == detector._stream.step == 2
    detector.restart(step=1)
    stream.restart()
    assert np.array_equal(detector.detect_frame(frames[0]).scores, stream.detect(frames[0]).detections.scores)
    with pytest.raises(RunError, match="is an ultrasound run"):
        detector.detect_volume(np.zeros((2, 8, 8)), spacing=(1, 1, 1))
    with pytest.raises(InputError, match="uint8 .H, W, 3. is needed"):
        detector.detect_frame(np.zeros((8, 8), np.uint8))


def test_larger_frames_give_larger_boxes_and_flow(stream, us_data):
    frames, _ = recording(us_data)
    small = [stream.detect(frame) for frame in frames]
    stream.restart()
    large = [stream.detect(frame.repeat(2, axis=0).repeat(2, axis=1)) for frame in frames]
    for one, other in zip(small, large):
        assert len(one.detections.boxes) > 0
        assert np.allclose(2 * one.detections.boxes, other.detections.boxes, atol=1e-2)
        assert np.allclose(2 * one.flow, other.flow, atol=1e-3)
    assert max(np.abs(one.flow).max() for one in small) > 1e-2


def test_flow_runs_from_the_previous_frame_in_blue_green_red(us_runs, monkeypatch):
    network = SliceDetector.from_run(us_runs["us-flow"])[0].network
    seen = []

    def flow(first, second):
        seen.extend(frame.asnumpy()[:, ::-1] for frame in (first, second))
        return mx.nd.zeros((1, 2, SIZE, SIZE))

    monkeypatch.setitem(network.__dict__, "flow", flow)
    frames = mx.nd.random.uniform(shape=(1, 2, 3, SIZE, SIZE))
    network.features(mx.nd, frames)
    assert np.allclose(seen[0], frames[:, 0].asnumpy()) and np.allclose(seen[1], frames[:, 1].asnumpy())
