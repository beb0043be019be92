"""Training of LiteFlowNet: losses by hand, what a few steps do, and the folder that is left."""

from __future__ import annotations

import json

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.errors import ConfigError, InputError, TrainingError
from gluon_liver.flow import training as module
from gluon_liver.flow.feature_matching import matching_costs, matching_labels, matching_losses, within_reach
from gluon_liver.flow.flow_file import find_flow, flow_input
from gluon_liver.flow.flying_shapes import FlyingConfig, flying_pair
from gluon_liver.flow.liteflownet import LEVELS, LiteFlowNet
from gluon_liver.flow.loss import Target, flow_losses, level_targets
from gluon_liver.flow.released_weights import load_flow
from gluon_liver.flow.scores import dis_flow, net_flow, score_flow
from gluon_liver.flow.training import FlowTrainer, FlowTraining, train_flow
from gluon_liver.metrics.end_point_error import end_point_error

pytestmark = pytest.mark.slow

CPU = mx.cpu()
TINY = FlowTraining(width=0.125, size=64, steps=2, matching_steps=2, batch_size=2, warmup=0, log_every=1)


def load_flow_net(path):
    file = find_flow(path)
    net = LiteFlowNet(width=file.width)
    load_flow(net, file.path, ctx=CPU)
    return net


def two_pairs(seed=2, **options):
    return [flying_pair(FlyingConfig(size=64, **options), seed=seed, index=index) for index in range(2)]


def levels_of(targets):
    return [mx.nd.array(target.flow) for target in targets for _ in range(3)]


def test_targets_are_means_of_valid_pixels():
    flow, valid = np.zeros((1, 2, 32, 32), np.float32), np.ones((1, 32, 32), bool)
    flow[0, 0, 0, :2], flow[0, 1, 1, 1] = (4, 8), 100
    valid[0, 1, :2] = False
    finest = level_targets(flow, valid)[-1]
    assert finest.flow.shape == (1, 2, 16, 16) and finest.flow[0, :, 0, 0].tolist() == [6, 0]
    assert finest.share[0, 0, 0, 0] == 0.5 and finest.share[0, 0, 0, 1] == 1
    none = level_targets(flow, ~np.ones_like(valid))
    assert not any(target.flow.any() or target.share.any() for target in none)


def test_losses_are_0_at_the_truth_and_by_hand_elsewhere():
    rng = np.random.default_rng(0)
    targets = level_targets(rng.normal(size=(2, 2, 32, 64)).astype(np.float32), np.ones((2, 32, 64), bool))
    flows = levels_of(targets)
    for flow in flows:
        flow.attach_grad()
    with mx.autograd.record():
        losses = flow_losses(flows, targets)
        total = mx.nd.add_n(*losses.values())
    total.backward()
    assert all(float(loss.asscalar()) == 0 for loss in losses.values())
    assert all(np.isfinite(flow.grad.asnumpy()).all() for flow in flows)
    # of levels 6 to 2, as in the authors' train.prototxt
    for place, weight in enumerate((0.32, 0.08, 0.02, 0.01, 0.005)):
        wrong = list(flows)
        wrong[3 * place + 1] = wrong[3 * place + 1] + mx.nd.array([30, 40]).reshape((1, 2, 1, 1))  # after refinement
        losses = flow_losses(wrong, targets)
        # 50 pixels / 20 in each cell, of which level 6 has 2
        assert abs(float(losses[LEVELS[place]].asscalar()) / (weight * 2 * 4**place * 2.5) - 1) < 2e-3
        assert all(float(loss.asscalar()) == 0 for level, loss in losses.items() if level != LEVELS[place])


def test_matching_labels_by_hand():
    """Level 4: a cell and a step are 8 pixels."""
    flow = np.array([8.0, -16.0, 4.0, 30.0]).reshape(1, 1, 1, 4) * np.array([1.0, 0.0]).reshape(1, 2, 1, 1)
    target = Target(flow.astype(np.float32), np.array([1, 1, 0.5, 1], np.float32).reshape(1, 1, 1, 4))
    labels, known = matching_labels(target, 4)
    assert known.tolist() == [[[1, 1, 1, 0]]] and np.array_equal(known, within_reach(target, 4))
    columns = labels[0, :, 0, :3].T
    at = [{place: column[place] for place in np.flatnonzero(column).tolist()} for column in columns]
    assert at == [{21 + 4: 1}, {21 + 1: 1}, {21 + 3: 0.5, 21 + 4: 0.5}]
    # level 2 compares every second cell: 4 pixels a step
    labels, known = matching_labels(Target(np.full((1, 2, 2, 2), 4, np.float32), np.ones((1, 1, 2, 2))), 2)
    assert labels.shape == (1, 49, 1, 1) and labels[0, 7 * 4 + 4, 0, 0] == 1 and known.shape == (1, 1, 1)


def test_matching_learns_the_features_through_both_images():
    """The slope along one weight by differences: one run holds both images."""
    pairs = two_pairs()
    pyramid = FlowTrainer(TINY, pairs, context=CPU).net.pyramid
    first, second = (flow_input(np.stack([pair[place] for pair in pairs]), context=CPU) for place in (0, 1))
    targets = level_targets(*(np.stack([pair[place] for pair in pairs]) for place in (2, 3)))

    def loss():
        return mx.nd.add_n(*matching_losses(matching_costs(pyramid, first, second), targets).values())

    weight = pyramid.features.level3[0].weight
    with mx.autograd.record():
        total = loss()
    total.backward()
    slope, direction = weight.grad().asnumpy(), np.sign(weight.grad().asnumpy())
    start = weight.data().asnumpy()
    values = []
    for step in (1e-4, -1e-4):
        weight.set_data(mx.nd.array(start + step * direction))
        values.append(float(loss().asscalar()))
    assert abs((values[0] - values[1]) / 2e-4 - np.abs(slope).sum()) < 0.1 * np.abs(slope).sum()


def test_a_few_steps_lower_the_error_on_the_pairs_that_are_shown():
    options = FlowTraining(width=0.125, size=64, steps=15, matching_steps=25, batch_size=2, learning_rate=3e-3)
    pairs = two_pairs(seed=1, shapes=(0, 0), turn_deg=0.0, zoom=0.0)
    trainer = FlowTrainer(options, pairs, context=CPU)

    def error():
        flows = [net_flow(trainer.net, pair, context=CPU) for pair in pairs]
        return np.mean([end_point_error(flow, pair.flow, pair.valid) for flow, pair in zip(flows, pairs)])

    before = error()
    matched = [trainer.match(pairs)["total"] for _ in range(options.matching_steps)]
    assert matched[-1] < 0.8 * matched[0]
    trainer.end_matching(pairs)
    for _ in range(options.steps):
        trainer.step(pairs)
    assert error() < 0.7 * before


def test_dis_and_no_flow_are_scored_on_the_same_pixels():
    pairs = two_pairs()
    trainer = FlowTrainer(TINY, pairs, context=CPU)
    found = score_flow(trainer.net, {"flying": pairs}, context=CPU)["flying"]
    lengths = [np.hypot(*pair.flow)[pair.valid].mean() for pair in pairs]
    assert found["pairs"] == 2 and abs(found["zero"] - np.mean(lengths)) < 1e-5
    assert abs(found["net"] - found["zero"]) < 1e-3  # the filters of flow start at 0
    assert dis_flow(pairs[0]).shape == (2, 64, 64) and found["dis"] < 0.5 * found["zero"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("flow") / "flow"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "HELD_OUT_PAIRS", 2)
        return out, train_flow(TINY, out, progress=False)


def test_the_folder_and_the_network_in_it(trained):
    out, scores = trained
    assert sorted(path.name for path in out.iterdir()) == ["flow.json", "flow.params", "log.jsonl", "results.json"]
    assert [path.name for path in out.parent.iterdir()] == ["flow"]
    manifest = json.loads((out / "flow.json").read_text())
    assert manifest["width"] == 0.125 and manifest["source"]["end_point_error"] == scores
    assert json.loads((out / "results.json").read_text())["end_point_error"] == scores
    events = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    places = [(one["event"], one["step"]) for one in events]
    assert places == [("matching", 1), ("matching", 2), ("step", 3), ("step", 4)]
    pairs = two_pairs(seed=module.HELD_OUT_SEED)
    for path in (out, out / "flow.params"):
        assert score_flow(load_flow_net(path), {"flying": pairs}, context=CPU) == scores


def test_files_that_do_not_belong_together(trained, tmp_path):
    manifest = json.loads((trained[0] / "flow.json").read_text())
    (tmp_path / "flow.params").write_bytes((trained[0] / "flow.params").read_bytes())
    for change, message in (
        (dict(width="wide"), "flow.json: width: expected float, found 'wide'"),
        (dict(network="other"), "network is 'other': it must be one of LiteFlowNet"),
        (dict(output={}), "output.sha256 is missing"),
        (dict(output={**manifest["output"], "sha256": "0"}), "SHA-256 differs"),
        (dict(width=0.25), "wanted is"),
    ):
        (tmp_path / "flow.json").write_text(json.dumps({**manifest, **change}))
        with pytest.raises(InputError, match=message):
            load_flow_net(tmp_path)
    for name, message in (("params", "cannot be read"), ("json", "cannot be read: No such file.*; make both with")):
        (tmp_path / f"flow.{name}").unlink()
        with pytest.raises(InputError, match=f"flow.{name} {message}"):
            load_flow_net(tmp_path / "flow.params")


@pytest.mark.parametrize("error", [KeyboardInterrupt, TrainingError])
def test_what_is_interrupted_leaves_nothing(tmp_path, monkeypatch, error):
    def stop(trainer, pairs):
        raise error

    monkeypatch.setattr(module, "HELD_OUT_PAIRS", 1)
    monkeypatch.setattr(FlowTrainer, "step", stop)
    with pytest.raises(error):
        train_flow(TINY, tmp_path / "flow", progress=False)
    assert not list(tmp_path.iterdir())


def test_a_loss_that_is_not_finite_is_an_error_and_changes_nothing():
    first, second = pairs = two_pairs()
    trainer = FlowTrainer(TINY, pairs, context=CPU)
    parameters = trainer.net.collect_params().values()
    broken = first._replace(flow=np.where(first.valid, np.float32(np.inf), first.flow))
    before = [parameter.data().asnumpy() for parameter in parameters]
    with pytest.raises(TrainingError, match="not finite"):
        trainer.step([broken, second])
    assert all(np.array_equal(values, parameter.data().asnumpy()) for values, parameter in zip(before, parameters))


def test_bad_options(tmp_path):
    wrong = {"size is 100": {"size": 100}, "seed": {"seed": module.HELD_OUT_SEED}}
    wrong["learning_rate is 0.0; it must be above 0$"] = {"learning_rate": 0.0}
    wrong["learning_rate is inf; it must be a finite number"] = {"learning_rate": float("inf")}
    for message, options in wrong.items():
        with pytest.raises(ConfigError, match=message):
            FlowTraining(**options)
    with pytest.raises(InputError, match="exists"):
        train_flow(TINY, tmp_path, progress=False)
    with pytest.raises(InputError, match="inside the phantoms"):
        train_flow(TINY, tmp_path / "new", phantoms=tmp_path, progress=False)
