"""Gluon and symbols compute the same numbers: every part of every network, and the gradients of a training step."""

import numpy as np
import pytest

from symbols.networks.catalogue import NETWORKS, network_of
from symbols.parity import differences, distance, split_parameters, symbol_gradients, symbol_parts

from .gluon_side import (
    CONFIGS,
    VARIANTS,
    gluon_gradients,
    gluon_parts,
    parameters_of,
    seeded_network,
    seeded_targets,
)

pytestmark = pytest.mark.slow

GOAL = 1e-4  # of the largest value of an array


def both_sides(name, *overrides):
    """Every part as the symbols and as Gluon compute it."""
    _, plain, detector, inputs = seeded_network(name, *overrides)
    found = symbol_parts(plain, *split_parameters(parameters_of(detector)), inputs)
    return found, gluon_parts(detector, inputs)


# ROIAlign differs in the head alone: one map, a pyramid
MODES = [(name, "pool") for name in CONFIGS] + [("r50", "align"), ("r101-fusion", "align")]


@pytest.mark.parametrize("name, mode", MODES)
def test_every_part_is_the_same(name, mode):
    found, wanted = both_sides(name, "network.roi_mode=" + mode)
    assert set(found) == set(wanted)
    assert (wanted["detections"][..., 0] >= 0).sum() > 10
    for part, (_, relative) in differences(found, wanted).items():
        assert relative < GOAL, part


@pytest.mark.parametrize("name, batch_norm", [(name, "live") for name in CONFIGS] + [("r101-fusion", "frozen")])
def test_gradients_of_a_training_step_are_the_same(name, batch_norm):
    overrides = ["network.head.dropout=0.5", "network.batch_norm=" + batch_norm]
    config, plain, detector, inputs = seeded_network(name, *overrides)
    params = {key: array.copy() for key, array in parameters_of(detector).items()}
    targets = seeded_targets(detector, config)
    wanted = gluon_gradients(detector, inputs, targets)
    found = symbol_gradients(plain, *split_parameters(params), dict(inputs, **targets))
    assert set(wanted) <= set(found)
    assert all(wanted["loss." + loss].min() > 0 for loss in ("rpn_score", "rcnn_score", "rcnn_box"))
    assert distance({name: found[name] for name in wanted}, wanted) < GOAL
    for part, (_, relative) in differences(found, wanted).items():
        # in Gluon a frozen BatchNorm is in its convolution: the same sums in another order, gamma's as their difference
        assert relative < (5 * GOAL if batch_norm == "frozen" else GOAL), part


@pytest.mark.parametrize("name", CONFIGS)
def test_names_shapes_and_constants_are_those_of_gluon(name):
    _, plain, detector, _ = seeded_network(name)
    network, learned = network_of(plain), detector.collect_learned()
    assert isinstance(network, NETWORKS[name])
    args, aux = {}, {}
    network.init_weights(plain, args, aux)
    constants = network.constants(plain)
    own = {key: array.shape for key, array in dict(args, **aux).items() if key not in constants}
    assert own == {key: parameter.shape for key, parameter in learned.items()}
    assert set(aux) == {key for key in learned if ".running_" in key}
    assert np.array_equal(constants["rpn.anchors"][0], detector.anchors())
    named = detector._collect_params_with_prefix()
    for key in set(constants) - {"rpn.anchors", "flow.resize"}:  # the last is an operator there
        assert np.array_equal(constants[key], named[key].data().asnumpy()), key
    fixed = set(network.fixed_names(plain)) - set(constants) | set(aux)
    assert fixed == {key for key, parameter in learned.items() if parameter.grad_req == "null"}


def test_a_trained_flow_keeps_what_the_release_keeps():
    _, plain, detector, _ = seeded_network("us-flow", "flow.train=true")
    network = network_of(plain)
    fixed = {key for key in network.fixed_names(plain) if key.startswith("flow.")} - set(network.constants(plain))
    learned = detector.collect_learned()
    assert fixed == {key for key in learned if key.startswith("flow.") and learned[key].grad_req == "null"}
    assert 0 < len(fixed) < sum(key.startswith("flow.") for key in learned)


def test_a_nan_is_a_difference():
    one, other = {"x": np.array([1.0, np.nan])}, {"x": np.array([1.0, 2.0])}
    assert differences(one, other)["x"][0] == np.inf
    assert differences(other, other)["x"] == [0, 0]
    with pytest.raises(ValueError, match="shape"):
        differences({"x": np.zeros(3)}, other)


def test_relations_without_a_reach_are_the_same():
    found, wanted = both_sides("r50-multimodal", "network.relation_reach=null")
    assert differences(found, wanted)["map16"][1] < GOAL
    _, _, reached, inputs = seeded_network("r50-multimodal")
    assert differences(found, gluon_parts(reached, inputs))["map16"][1] > 100 * GOAL


def with_the_numbers_of(detector, name):
    """The network of a configuration with what a variant of it has too."""
    _, _, plain, _ = seeded_network(name)
    given = detector.collect_learned()
    for key, parameter in plain.collect_learned().items():
        if key in given and given[key].shape == parameter.shape:
            parameter.set_data(given[key].data())
    return plain


@pytest.mark.parametrize("variant", VARIANTS)
def test_other_readings_and_controls_are_the_same(variant):
    """Every part and every gradient; and no variant computes what its configuration does without its changes."""
    name, *overrides = VARIANTS[variant]
    config, plain, detector, inputs = seeded_network(name, *overrides)
    params = {key: array.copy() for key, array in parameters_of(detector).items()}
    found, wanted = symbol_parts(plain, *split_parameters(params), inputs), gluon_parts(detector, inputs)
    assert set(found) == set(wanted)
    for part, (_, relative) in differences(found, wanted).items():
        assert relative < GOAL, part
    plainly = differences(gluon_parts(with_the_numbers_of(detector, name), inputs), wanted)["rpn_scores"][1]
    assert plainly > 20 * GOAL or "frozen" in variant  # which matters in training alone
    network = network_of(plain)
    kept = {key for key, one in detector.collect_learned().items() if one.grad_req == "null" and ".running_" not in key}
    assert set(network.fixed_names(plain)) - set(network.constants(plain)) == kept
    targets = seeded_targets(detector, config)
    wanted = gluon_gradients(detector, inputs, targets)
    found = symbol_gradients(plain, *split_parameters(params), dict(inputs, **targets))
    assert set(wanted) <= set(found)
    assert distance({key: found[key] for key in wanted}, wanted) < GOAL


def test_where_proposals_are_suppressed_nothing_is_detected():
    found, wanted = both_sides("r50", "network.rpn.nms_threshold=0.1", "network.rpn.min_size=16")
    assert (wanted["proposal_scores"] == -1).any(axis=1).all() and (wanted["proposals"].min(axis=2) == -1).any()
    for part in ("proposal_scores", "proposals", "class_scores", "abnormal", "detections"):
        assert differences(found, wanted)[part][1] < GOAL, part


def test_stride_8_and_sizes_that_32_does_not_divide():
    """us-flow at 80 pixels pads for LiteFlowNet; stride 8 leaves Block3 unstrided."""
    found, wanted = both_sides("us-flow", "data.size=80", "network.stride=8")
    assert wanted["map8"].shape[2:] == (10, 10) and wanted["flow"].shape[2:] == (80, 80)
    for part in ("flow", "map8", "rpn_scores"):
        assert differences(found, wanted)[part][1] < GOAL
    assert np.abs(wanted["flow"]).max() > 0
