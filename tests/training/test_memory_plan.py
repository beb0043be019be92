"""The memory plan against arrays counted by hand, and mirroring against the gradients of the plain graph."""

import re

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.commands import main, memory
from gluon_liver.nn.build import make_detector
from gluon_liver.nn.nets import TrainingNet
from gluon_liver.training.memory_plan import MIB, MemoryPlan, format_plans, memory_plan, plan_symbol
from gluon_liver.training.mirror import INPUTS, mirror_blocks, training_symbol
from tests.conftest import us_config, write_dataset

PLAN = MemoryPlan(parameters=MIB, gradients=MIB, optimizer=MIB, constants=0, batch=MIB, maps=6 * MIB, kept={"rpn_x": 7})


def dense_chain():
    """Three dense layers without bias; every map (1024, 1024) and every weight is 4 MiB."""
    y = mx.sym.var("x")
    for number in range(3):
        y = mx.sym.FullyConnected(y, num_hidden=1024, no_bias=True, name=f"dense{number}")
        if number < 2:
            y = mx.sym.relu(y, name=f"relu{number}")
    return y


def bottlenecks(width=8, units=3):
    """A convolution and two-layer residual units, the parts that mirror_blocks knows."""
    y = mx.sym.Convolution(mx.sym.var("x"), num_filter=width, kernel=(1, 1), no_bias=True, name="stem")
    y = mx.sym.relu(mx.sym.BatchNorm(y, fix_gamma=False, name="stem_bn"), name="stem_relu")
    for unit in range(units):
        inner = y
        for layer in range(2):
            name = f"unit{unit}_{layer}"
            inner = mx.sym.Convolution(inner, num_filter=width, kernel=(3, 3), pad=(1, 1), no_bias=True, name=name)
            inner = mx.sym.BatchNorm(inner, fix_gamma=False, name=name + "_bn")
            if layer == 0:
                inner = mx.sym.relu(inner, name=name + "_relu")
        y = mx.sym.relu(inner + y, name=f"unit{unit}_out")
    return y


def learned_of(symbol):
    return [name for name in symbol.list_arguments() if name != "x"]


def test_plan_of_three_dense_layers_is_what_one_counts():
    symbol = dense_chain()
    plan = plan_symbol(symbol, {"x": (1024, 1024)}, learned=learned_of(symbol), optimizer_states=2)
    assert plan.parameters == plan.gradients == 3 * 4 * MIB
    assert plan.optimizer == 6 * 4 * MIB and plan.constants == 0
    assert plan.batch == 2 * 4 * MIB  # x, and the gradient of the output
    # both hidden layers (ReLU in place), the output, the executor's copy of its gradient, and one more gradient:
    # from there on gradients take over maps that were freed
    assert plan.maps == 5 * 4 * MIB
    assert plan.kept == {"relu0": 4 * MIB, "relu1": 4 * MIB}
    assert plan.total == (12 + 12 + 24 + 8 + 20) * MIB


def test_mirroring_keeps_the_output_of_each_unit_alone():
    symbol, shapes = bottlenecks(), {"x": (4, 8, 256, 256)}  # 8 MiB a map
    plain = plan_symbol(symbol, shapes, learned=learned_of(symbol))
    mirrored = plan_symbol(symbol, shapes, learned=learned_of(symbol), mirror=True)
    # plain: the stem's two maps, and of each unit two convolutions and two ReLUs
    assert sum(plain.kept.values()) == (2 + 3 * 4) * 8 * MIB
    assert mirrored.kept == {"unit0_out": 8 * MIB, "unit1_out": 8 * MIB}
    assert mirrored.maps < 0.7 * plain.maps
    assert (mirrored.parameters, mirrored.gradients) == (plain.parameters, plain.gradients)


def gradients(symbol, arrays):
    executor = symbol.simple_bind(mx.cpu(), x=arrays["x"].shape)
    executor.copy_params_from({name: mx.nd.array(array) for name, array in arrays.items()})
    (output,) = executor.forward(is_train=True)
    executor.backward(mx.nd.cos(output))
    return {name: array.asnumpy() for name, array in {**executor.grad_dict, **executor.aux_dict}.items()}


def test_mirrored_gradients_and_running_statistics_are_those_of_the_plain_graph():
    symbol = bottlenecks()
    rng = np.random.default_rng(0)
    shapes, _, _ = symbol.infer_shape(x=(2, 8, 9, 9))
    arrays = {name: rng.normal(0, 0.5, shape).astype("f") for name, shape in zip(symbol.list_arguments(), shapes)}
    plain, mirrored = gradients(symbol, arrays), gradients(mirror_blocks(symbol), arrays)
    assert plain.keys() == mirrored.keys()
    for name, array in plain.items():
        np.testing.assert_allclose(mirrored[name], array, rtol=1e-5, atol=1e-6, err_msg=name)
    assert any(np.abs(array).max() > 0.1 for name, array in plain.items() if name.startswith("unit0"))


@pytest.mark.parametrize("depth, norm", [(50, "live"), (101, "live"), (50, "group")])
def test_all_that_runs_again_is_read(make_config, depth, norm):
    # cuDNN's BatchNorm and the plain Convolution refuse to run for an output that nobody reads
    config = make_config(
        **{"network.depth": depth, "network.relation": "full", "row": None, "network.batch_norm": norm}
    )
    net = TrainingNet(make_detector(config, classes="abc", phases=2, context=mx.cpu()), batch_size=2)
    arrays = (2, 2, 1, 1, 64, 64), (2, 4, 4), (2, 4), (2, net.detector.random_number_count), (2, 2)
    shapes = dict(zip(INPUTS, arrays))
    graph = mirror_blocks(training_symbol(net, list(shapes))).simple_bind(mx.cpu(), **shapes).debug_str()
    read = set(re.findall(r"^\targ\[\d+\]=(\S+)\(0\)", graph, re.MULTILINE))
    again = re.findall(r"^Op:(?:BatchNorm|GroupNorm|Convolution), Name=(\S+_mirror)$", graph, re.MULTILINE)
    assert len(again) > 90 and set(again) <= read


@pytest.mark.slow
def test_plan_of_a_detector_grows_with_its_input(make_config, monkeypatch):
    small = memory_plan(make_config(), classes=3)
    large = memory_plan(make_config(**{"data.size": 128}), classes=3)
    assert 0 < small.maps < large.maps and small.parameters == large.parameters
    assert small == memory_plan(make_config(), classes=3)
    assert small.optimizer == 2 * small.parameters  # Adam
    assert memory_plan(make_config(**{"train.optimizer": "sgd", "train.momentum": 0.0}), classes=3).optimizer == 0
    assert memory_plan(make_config(), classes=3, batch_size=4).batch > 1.9 * small.batch
    assert memory_plan(make_config(**{"data.size": 128}), classes=3, mirror=True).maps < large.maps
    monkeypatch.setenv("MXNET_BACKWARD_DO_MIRROR", "1")
    assert memory_plan(make_config(), classes=3) == small


def test_text_says_by_how_much_a_plan_does_not_fit():
    assert PLAN.total == 10 * MIB
    enough, short = (format_plans([PLAN], size * MIB) for size in (10, 8))
    assert "fits" in enough and "TOO LARGE" not in enough and "TOO LARGE" in short
    assert [line.split()[-1] for line in short.splitlines() if line.startswith("left, or exceeded")] == ["-2"]


@pytest.mark.slow
def test_command_prints_both_plans_and_what_they_leave_out(capsys):
    small = "memory demo-ct --set data.size=64"
    assert main(f"{small} --limit-gb 0.001".split()) == 0
    printed = capsys.readouterr().out
    for words in ("demo-ct: 4 x 1 phase of 64x64x1", "plain", "mirrored", "TOO LARGE", "workspace", "CUDA context"):
        assert words in printed
    assert main(f"{small} --set network.relation=full --set row=null --phases 2".split()) == 0
    assert "2 phases" in capsys.readouterr().out


@pytest.mark.slow
def test_command_counts_the_classes_and_phases_of_the_data(capsys, tmp_path, us_data, monkeypatch):
    """What the last layers of more classes take, and which configurations the data are for."""
    small = "memory demo-ct --set data.size=64 --set network.relation=full --set row=null"
    main(small.split())
    assert "3 phases of 64x64x1 on one device, 3 classes, adam" in capsys.readouterr().out
    data = write_dataset(tmp_path / "two", phases=("arterial", "delayed"), classes=["a", "b", "c", "d", "e"])
    assert main([*small.split(), "--data", str(data)]) == 0
    assert "2 phases of 64x64x1 on one device, 5 classes, adam" in capsys.readouterr().out
    assert main([*small.split(), "--data", str(data), "--classes", "1", "--phases", "3"]) == 0
    assert "3 phases of 64x64x1 on one device, 1 class, adam" in capsys.readouterr().out
    assert main(["memory", "demo-ct", "--data", str(us_data.folder)]) == 2
    assert "holds ultrasound data, the model ct-faster-rcnn takes CT" in capsys.readouterr().err
    # nothing is named: what does not go with the data is told
    monkeypatch.setattr(memory, "config_names", lambda: ["base-ct", "r50", "demo-us-flow"])
    assert main(["memory", "--data", str(us_data.folder), "--set", "data.size=64"]) == 0
    printed = capsys.readouterr()
    assert "demo-us-flow: 4 x 2 frames of 64x64 on one device, 2 classes, adam" in printed.out
    assert "r50 is left out: " in printed.err and "\nr50: " not in printed.out


@pytest.mark.slow
def test_more_classes_are_larger_last_layers(make_config):
    few, many = (memory_plan(make_config(), classes=count).parameters for count in (3, 13))
    width = make_config().network.width
    assert many - few == 10 * 4 * (1 + 4) * (int(2048 * width) + 1)  # a score and four offsets, each with its bias


@pytest.mark.slow
@pytest.mark.parametrize("model, frames", [("us-faster-rcnn", 1), ("us-flow", 2)])
def test_ultrasound_is_planned_by_its_frames(model, frames):
    plans = [memory_plan(us_config(model), classes=2, batch_size=size) for size in (1, 3)]
    image = 4 * frames * 3 * 64 * 64
    assert plans[1].batch - plans[0].batch >= 2 * image and plans[0].maps >= 0


@pytest.mark.parametrize(
    "arguments",
    ["no-such-config", "r50 --batch-size 1", "r50 --phases 5", "r50 --limit-gb 0", "r50 --classes 0", "r50 --data no"],
)
def test_command_refuses_what_it_cannot_plan(capsys, arguments):
    assert main(["memory", *arguments.split()]) == 2
    assert capsys.readouterr().err.startswith("error: ")
