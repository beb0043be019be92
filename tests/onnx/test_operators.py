"""Every operator in the forms that detectors use, against MXNet itself, with one image and with three."""

import functools
from operator import eq, ge, gt, le, lt, ne

import mxnet as mx
import numpy as np
import pytest
from mxnet import sym

from gluon_liver.errors import InputError
from gluon_liver.onnx.convert import convert
from gluon_liver.onnx.operators.table import OPERATORS

from .conftest import run

B = None  # the batch axis
MAP, PAIR = {"x": (B, 4, 6, 8)}, {"x": (B, 4, 6, 8), "y": (B, 4, 6, 8)}
ROWS = {"x": (B, 7, 5)}


@functools.lru_cache(maxsize=None)
def v(name):
    """A variable, the same one each time."""
    return sym.var(name)


def x(operator, *others, **attributes):
    """An operator on x and other inputs."""
    return lambda: operator(v("x"), *map(v, others), **attributes)


# name of the operator in the symbol -> forms, each what makes the symbol, and shapes of its inputs
FORMS = {
    "exp": [(x(sym.exp), MAP)],
    "log": [(lambda: sym.log(sym.abs(v("x")) + 1), MAP)],
    "sqrt": [(lambda: sym.sqrt(sym.abs(v("x"))), MAP)],
    "abs": [(x(sym.abs), MAP)],
    "sigmoid": [(x(sym.sigmoid), MAP)],
    "tanh": [(x(sym.tanh), MAP)],
    "relu": [(x(sym.relu), MAP)],
    "square": [(x(sym.square), MAP)],
    "elemwise_add": [(x(sym.elemwise_add, "y"), PAIR)],
    "elemwise_sub": [(x(sym.elemwise_sub, "y"), PAIR)],
    "elemwise_mul": [(x(sym.elemwise_mul, "y"), PAIR)],
    "elemwise_div": [(x(sym.elemwise_div, "y"), PAIR)],
    "_maximum": [(x(sym.maximum, "y"), PAIR)],
    "_minimum": [(x(sym.minimum, "y"), PAIR)],
    "broadcast_add": [(x(sym.broadcast_add, "y"), {"x": (B, 4, 1, 8), "y": (1, 4, 6, 1)})],
    "broadcast_sub": [(x(sym.broadcast_sub, "y"), {"x": (B, 4, 6), "y": (B, 1, 6)})],
    "broadcast_mul": [(x(sym.broadcast_mul, "y"), {"x": (B, 4, 6), "y": (1, 4, 1)})],
    "broadcast_div": [(x(sym.broadcast_div, "y"), {"x": (B, 4, 6), "y": (B, 1, 1)})],
    "broadcast_maximum": [(x(sym.broadcast_maximum, "y"), {"x": (B, 4), "y": (1, 4)})],
    "broadcast_minimum": [(x(sym.broadcast_minimum, "y"), {"x": (B, 4), "y": (1, 4)})],
    "_plus_scalar": [(lambda: v("x") + 1.5, MAP)],
    "_minus_scalar": [(lambda: v("x") - 1.5, MAP)],
    "_rminus_scalar": [(lambda: 1.5 - v("x"), MAP)],
    "_mul_scalar": [(lambda: v("x") * -2, MAP)],
    "_div_scalar": [(lambda: v("x") / 3, MAP)],
    "_rdiv_scalar": [(lambda: 3 / (sym.abs(v("x")) + 1), MAP)],
    "_power_scalar": [(lambda: v("x") ** 2, MAP)],
    "_maximum_scalar": [(lambda: sym.maximum(v("x"), 0.25), MAP)],
    "_minimum_scalar": [(lambda: sym.minimum(v("x"), 0.25), MAP)],
    "add_n": [(lambda: sym.add_n(v("x"), v("y"), v("x")), PAIR)],
    "Activation": [(x(sym.Activation, act_type=kind), MAP) for kind in ("relu", "sigmoid", "tanh", "softrelu")],
    "LeakyReLU": [(x(sym.LeakyReLU, slope=0.1), MAP), (x(sym.LeakyReLU, act_type="leaky"), MAP)],
    "clip": [(x(sym.clip, a_min=-0.5, a_max=0.25), MAP)],
    "where": [
        (lambda: sym.where(v("x") > 0, v("x"), v("y")), PAIR),
        (lambda: sym.where(v("c") >= 0, v("x"), v("y")), {**PAIR, "c": (B,)}),
        (lambda: sym.where(v("x") * 0.5, v("x"), v("y")), PAIR),  # whatever is not 0 is true
    ],
    "BlockGrad": [(lambda: sym.stop_gradient(v("x")) * 2, MAP)],
    "_copy": [(lambda: sym.identity(v("x")) * 2, MAP)],
    "ones_like": [
        (x(sym.ones_like), MAP),
        (lambda: sym.ones_like(sym.slice_axis(v("x"), axis=0, begin=0, end=1)), MAP),
    ],
    "zeros_like": [(x(sym.zeros_like), MAP)],
    "Cast": [(x(sym.cast, dtype="float32"), MAP), (lambda: sym.cast(sym.cast(v("x"), "int32"), "float32"), MAP)],
    "_arange": [
        (lambda: sym.broadcast_add(v("x"), sym.arange(5)), ROWS),
        (lambda: sym.broadcast_add(v("x"), sym.arange(2, 12, step=2)), ROWS),
    ],
    "_contrib_arange_like": [
        (x(sym.contrib.arange_like, axis=0), MAP),
        (x(sym.contrib.arange_like, axis=2, start=1, step=3), MAP),
        (x(sym.contrib.arange_like, axis=0, start=1, step=3), MAP),
    ],
    "Reshape": [
        (x(sym.reshape, shape=shape), MAP)
        for shape in [
            (0, -1),
            (-3, 0, 0),
            (-4, -1, 1, 0, 0, 0),
            (0, 0, -3),
            (0, -4, 2, -1, -2),
            (-1, 2, 6, 8),
            (0, 8, 24),
        ]
    ],
    "Flatten": [(x(sym.Flatten), MAP)],
    "expand_dims": [(x(sym.expand_dims, axis=axis), MAP) for axis in (0, 2, -1)],
    "squeeze": [(x(sym.squeeze, axis=1), {"x": (B, 1, 5)})],
    "reshape_like": [(x(sym.reshape_like, "y"), {"x": (B, 24), "y": (B, 4, 6)})],
    "transpose": [(x(sym.transpose, axes=(0, 2, 3, 1)), MAP), (x(sym.transpose), {"x": (B, 3, 2)})],
    "SwapAxis": [(x(sym.swapaxes, dim1=2, dim2=3), MAP)],
    "slice_axis": [
        (x(sym.slice_axis, axis=axis, begin=begin, end=end), MAP)
        for axis, begin, end in [(1, 0, 1), (3, 2, None), (-1, -3, -1), (2, 1, 4)]
    ],
    "slice": [
        (x(sym.slice, begin=(None,) * 4, end=(None,) * 4, step=(1, 1, 2, 2)), MAP),
        (x(sym.slice, begin=(None, 1), end=(None, 3)), MAP),
    ],
    "slice_like": [
        (x(sym.slice_like, "y", axes=(2, 3)), {**MAP, "y": (1, 9, 5, 3)}),
        (x(sym.slice_like, "y"), {**MAP, "y": (B, 2, 5, 8)}),
    ],
    "SliceChannel": [
        (lambda: sym.split(v("x"), num_outputs=4, axis=1)[2] - sym.split(v("x"), num_outputs=4, axis=1)[0], MAP),
        (lambda: sym.split(sym.concat(v("x"), v("y"), dim=0), num_outputs=2, axis=0)[1], PAIR),
    ],
    "Concat": [(x(sym.concat, "y", dim=dim), PAIR) for dim in (0, 1, -1)]
    + [(lambda: sym.concat(v("x"), dim=1) * 2, MAP)],
    "stack": [(x(sym.stack, "y", axis=axis), PAIR) for axis in (0, 1, -1)] + [(lambda: sym.stack(v("x"), axis=1), MAP)],
    "tile": [(x(sym.tile, reps=(2,)), {"x": (B, 3)}), (x(sym.tile, reps=(2, 1, 3)), {"x": (B, 3)})],
    "broadcast_like": [
        (x(sym.broadcast_like, "y"), {"x": (1, 1, 3), "y": (B, 5, 3)}),
        (x(sym.broadcast_like, "y"), {"x": (B, 1, 3), "y": (B, 5, 3)}),
    ],
    "broadcast_axis": [(x(sym.broadcast_axes, axis=2, size=4), {"x": (B, 7, 1)})],
    "broadcast_to": [(x(sym.broadcast_to, shape=(0, 7, 4)), {"x": (B, 7, 1)})],
    "reverse": [(x(sym.reverse, axis=1), MAP), (x(sym.reverse, axis=(1, 3)), MAP)],
    "Pad": [
        (x(sym.pad, mode="edge", pad_width=(0, 0, 0, 0, 0, 3, 2, 5)), MAP),
        (x(sym.pad, mode="constant", constant_value=2, pad_width=(0, 0, 0, 0, 1, 0, 0, 1)), MAP),
        (x(sym.pad, mode="reflect", pad_width=(0, 0, 0, 0, 1, 2, 3, 1)), MAP),
    ],
    "shape_array": [
        (lambda: sym.cast(sym.slice_axis(sym.shape_array(v("x")), axis=0, begin=2, end=None), "float32"), MAP),
        (lambda: sym.cast(sym.shape_array(v("x")), "float32"), MAP),
    ],
    "sum": [
        (x(sym.sum, axis=(1, 2)), MAP),
        (x(sym.sum, axis=1, keepdims=True), MAP),
        (x(sym.sum), MAP),
        (x(sym.sum, axis=-1), ROWS),
    ],
    "mean": [(x(sym.mean, axis=(2, 3), keepdims=True), MAP), (x(sym.mean), MAP), (x(sym.mean, axis=1), MAP)],
    "max": [(x(sym.max, axis=1, keepdims=True), MAP), (x(sym.max), MAP)],
    "min": [(x(sym.min, axis=2), MAP)],
    "softmax": [(x(sym.softmax, axis=-1), ROWS), (x(sym.softmax, axis=1), ROWS)],
    "batch_dot": [
        (x(sym.batch_dot, "y"), {"x": (B, 4, 6), "y": (B, 6, 5)}),
        (x(sym.batch_dot, "y", transpose_a=True), {"x": (B, 6, 4), "y": (B, 6, 5)}),
        (x(sym.batch_dot, "y", transpose_b=True), {"x": (B, 4, 6), "y": (B, 5, 6)}),
    ],
    "Convolution": [
        (
            lambda: sym.Convolution(
                v("x"), v("weight"), v("bias"), kernel=(3, 3), num_filter=5, stride=(2, 1), pad=(1, 0)
            ),
            {**MAP, "weight": (5, 4, 3, 3), "bias": (5,)},
        ),
        (
            lambda: sym.Convolution(
                v("x"), v("weight"), kernel=(1, 5), num_filter=4, num_group=2, pad=(0, 4), dilate=(1, 2), no_bias=True
            ),
            {**MAP, "weight": (4, 2, 1, 5)},
        ),
    ],
    "Deconvolution": [
        (
            lambda: sym.Deconvolution(
                v("x"), v("weight"), kernel=(4, 4), num_filter=4, num_group=4, stride=(2, 2), pad=(1, 1), no_bias=True
            ),
            {**MAP, "weight": (4, 1, 4, 4)},
        ),
        (
            lambda: sym.Deconvolution(
                v("x"), v("weight"), v("bias"), kernel=(3, 3), num_filter=5, stride=(2, 2), adj=(1, 1), no_bias=False
            ),
            {**MAP, "weight": (4, 5, 3, 3), "bias": (5,)},
        ),
    ],
    "FullyConnected": [
        (
            lambda: sym.FullyConnected(v("x"), v("weight"), v("bias"), num_hidden=3),
            {**MAP, "weight": (3, 192), "bias": (3,)},
        ),
        (
            lambda: sym.FullyConnected(v("x"), v("weight"), num_hidden=3, flatten=False, no_bias=True),
            {**MAP, "weight": (3, 8)},
        ),
        (
            lambda: sym.FullyConnected(v("x"), v("weight"), v("bias"), num_hidden=3, flatten=False),
            {**MAP, "weight": (3, 8), "bias": (3,)},
        ),
    ],
    "Pooling": [
        (x(sym.Pooling, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max"), MAP),
        (x(sym.Pooling, kernel=(3, 1, 1), stride=(2, 1, 1), pad=(1, 0, 0), pool_type="max"), {"x": (B, 1, 5, 4, 6)}),
        (x(sym.Pooling, kernel=(2, 2), stride=(2, 2), pool_type="avg"), MAP),
        (x(sym.Pooling, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="avg"), MAP),
        (x(sym.Pooling, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="avg", count_include_pad=False), MAP),
        (x(sym.Pooling, kernel=(3, 3), stride=(2, 2), pooling_convention="full"), MAP),
        (x(sym.Pooling, kernel=(1, 1), global_pool=True, pool_type="avg"), MAP),
        (x(sym.Pooling, kernel=(1, 1), global_pool=True), MAP),
    ],
    "GroupNorm": [(x(sym.GroupNorm, "gamma", "beta", num_groups=2, eps=1e-3), {**MAP, "gamma": (2,), "beta": (2,)})],
    "GridGenerator": [(x(sym.GridGenerator, transform_type="warp"), {"x": (B, 2, 5, 7)})],
    "BilinearSampler": [
        (x(sym.BilinearSampler, "y"), {**MAP, "y": (B, 2, 5, 7)}),
        (
            lambda: sym.BilinearSampler(v("x"), sym.GridGenerator(v("y") * 2, transform_type="warp")),
            {**MAP, "y": (B, 2, 6, 8)},
        ),
    ],
    "_contrib_BilinearResize2D": [
        (x(sym.contrib.BilinearResize2D, mode="size", scale_height=n, scale_width=n, align_corners=False), MAP)
        for n in (2, 4)
    ],
    "UpSampling": [(x(sym.UpSampling, scale=3, sample_type="nearest"), MAP)],
    "Correlation": [
        (x(sym.Correlation, "y", kernel_size=1, max_displacement=r, pad_size=r, stride1=s, stride2=s), PAIR)
        for r, s in [(3, 1), (6, 2)]
    ]
    + [
        (x(sym.Correlation, "y", kernel_size=1, max_displacement=r, pad_size=p, stride1=1, stride2=2), PAIR)
        for r, p in [(2, 1), (3, 3)]
    ],
    "im2col": [
        (x(sym.im2col, kernel=(k, k), stride=(1, 1), dilate=(1, 1), pad=(k // 2, k // 2)), {"x": (B, 1, 6, 8)})
        for k in (3, 7)
    ]
    + [(x(sym.im2col, kernel=(3, 2), stride=(2, 1), dilate=(1, 2), pad=(1, 0)), MAP)],
}
# those with inputs of their own are tested in test_region_operators.py
REGIONS = {"_contrib_ROIAlign", "ROIPooling", "_contrib_box_decode", "_contrib_box_nms"}
COMPARED = {"equal": eq, "not_equal": ne, "greater": gt, "greater_equal": ge, "lesser": lt, "lesser_equal": le}
for name, compares in COMPARED.items():
    FORMS[f"broadcast_{name}"] = [(x(getattr(sym, f"broadcast_{name}"), "y"), {"x": (B, 4, 6), "y": (B, 1, 6)})]
    FORMS[f"_{name}"] = [(x(compares, "y"), {"x": (B, 4), "y": (B, 4)})]
    FORMS[f"_{name}_scalar"] = [(lambda compares=compares: compares(v("x"), 0.5), ROWS)]


def compare(symbol, shapes, *, batch, tolerance=2e-6, feeds=None):
    """A symbol as MXNet and as onnxruntime compute it, on numbers some of which are equal."""
    rng = np.random.default_rng(batch)
    feeds = feeds or {
        name: rng.integers(-6, 7, [batch if one is None else one for one in shape]).astype(np.float32) / 4
        for name, shape in shapes.items()
    }
    expected = symbol.eval(mx.cpu(), **{name: mx.nd.array(array) for name, array in feeds.items()})[0].asnumpy()
    given = {name: feeds[name] for name, shape in shapes.items() if None in shape}
    weights = {name: feeds[name] for name, shape in shapes.items() if None not in shape}
    model = convert(symbol, weights, inputs={name: shapes[name] for name in given}, outputs=["out"], name="test")
    found = run(model, given)["out"]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    return model


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("name", "form"), [(name, form) for name, forms in FORMS.items() for form in range(len(forms))]
)
def test_an_operator_gives_what_mxnet_does(name, form, batch):
    make, shapes = FORMS[name][form]
    compare(make(), shapes, batch=batch)


def test_every_operator_is_tested():
    other_names = {"ElementWiseSum"}
    assert set(FORMS) | REGIONS == set(OPERATORS) - other_names


def test_a_symbol_holds_the_operator_that_a_form_is_named_after():
    for name, forms in FORMS.items():
        for make, _ in forms:
            assert f'"op": "{name}"' in make().tojson(), name


def test_nan_is_equal_to_nothing_as_in_mxnet():
    array = np.array([[np.nan, 1.0]], np.float32)
    symbol = sym.where(v("x") == v("x"), v("x"), sym.ones_like(v("x")) * -1)
    model = convert(symbol, {}, inputs={"x": (None, 2)}, outputs=["out"], name="test")
    assert run(model, {"x": array})["out"].tolist() == [[-1, 1]]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: sym.arccosh(v("x"), name="odd"), "odd: the operator arccosh has no translation"),
        (lambda: sym.Activation(v("x"), act_type="softsign") + sym.LeakyReLU(v("x"), act_type="elu"), "act_type elu"),
        (lambda: sym.softmax(v("x"), temperature=2.0, name="warm"), "warm: the operator softmax: temperature 2.0"),
        (lambda: sym.Pooling(v("x"), kernel=(2, 2), pool_type="sum"), "pool_type sum"),
        (lambda: sym.Pooling(v("x"), kernel=(2, 2), pool_type="max", p_value=3), "the attribute p_value (3)"),
        (lambda: sym.sum(v("x"), axis=1, exclude=True), "exclude True"),
        (lambda: sym.cast(v("x"), "float16"), "the type float16"),
        (lambda: sym.slice(v("x"), begin=(None, 3), end=(None, None), step=(1, -1)), "the step (1, -1)"),
        (lambda: sym.contrib.BilinearResize2D(v("x"), height=9, width=8), "6 cells to 9"),
        (lambda: sym.GridGenerator(v("x"), transform_type="affine", target_shape=(3, 3)), "transform_type affine"),
        (lambda: sym.split(v("x"), num_outputs=4, squeeze_axis=True)[0], "squeeze_axis True"),
    ],
)
def test_what_has_no_translation_is_named(make, said):
    shapes = {"x": (None, 6)} if "affine" in said else MAP
    with pytest.raises(InputError) as raised:
        convert(make(), {}, inputs=shapes, outputs=["out"], name="test")
    assert said in str(raised.value)


def test_constants_are_computed_and_dead_ends_left_out():
    unread = sym.exp(v("x"))
    weight = sym.sum(v("weight"), axis=2) * 2
    symbol = sym.broadcast_mul(sym.slice_like(v("x"), unread, axes=(1,)), sym.reshape(weight, (1, 4)))
    array = np.arange(12, dtype=np.float32).reshape(1, 4, 3)
    model = convert(symbol, {"weight": array}, inputs={"x": (None, 4)}, outputs=["out"], name="test")
    assert [node.op_type for node in model.graph.node] == ["Mul", "Identity"]
    assert [list(one.dims) for one in model.graph.initializer] == [[1, 4]]
    ones = np.ones((2, 4), np.float32)
    np.testing.assert_allclose(run(model, {"x": ones})["out"], ones * array.sum(axis=2) * 2)


def test_an_output_may_be_a_constant():
    symbol = sym.Group([sym.contrib.arange_like(v("x"), axis=1), v("x") + 1])
    model = convert(symbol, {}, inputs={"x": (None, 4)}, outputs=["places", "more"], name="test")
    assert run(model, {"x": np.zeros((2, 4), np.float32)})["places"].tolist() == [0, 1, 2, 3]
