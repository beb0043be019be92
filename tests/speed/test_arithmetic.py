"""Multiplications and bytes, counted by hand."""

import mxnet as mx

from gluon_liver.speed.arithmetic import Arithmetic, arithmetic


def convolution(data, name, *, channels):
    return mx.sym.Convolution(data, kernel=(3, 3), pad=(1, 1), num_filter=channels, no_bias=True, name=name)


def test_convolutions_and_products():
    x = convolution(mx.sym.var("x"), "c", channels=8)  # 2 images, 8 x 8 x 4 x 3 x 9: each output element
    y = mx.sym.FullyConnected(x, num_hidden=5, no_bias=True, name="f")
    shapes = {"x": (2, 3, 4, 4)}
    first, second = 2 * 8 * 16 * 3 * 9, 2 * 5 * (8 * 16)
    maps = 4 * (2 * 8 * 16 + 2 * 5)
    # the gradient of x is not wanted
    found = arithmetic(y, shapes, learned=["c_weight", "f_weight"])
    assert found == Arithmetic(first + second, 2 * first + 3 * second, maps)
    assert arithmetic(y, shapes, learned=["f_weight"]).step == first + 2 * second
    assert arithmetic(y, shapes, learned=[]).step == first + second


def test_products_of_two_maps_and_what_is_frozen():
    x = mx.sym.var("x")
    a = mx.sym.FullyConnected(x, num_hidden=4, no_bias=True, flatten=False, name="a")
    product = mx.sym.batch_dot(mx.sym.BlockGrad(a), a, transpose_b=True)  # (2, 6, 4) by (2, 6, 4)
    found = arithmetic(product, {"x": (2, 6, 3)}, learned=["a_weight"])
    dense, dot = 2 * 6 * 4 * 3, 2 * 6 * 6 * 4
    assert found.forward == dense + dot
    assert found.step == 2 * dense + 2 * dot  # no gradient through BlockGrad
    transposed = mx.sym.batch_dot(a, a, transpose_a=True)
    assert arithmetic(transposed, {"x": (2, 6, 3)}, learned=[]).forward == dense + 2 * 4 * 4 * 6


def test_deconvolution_and_views():
    x = mx.sym.reshape(mx.sym.var("x"), (2, 3, 4, 4), name="view")
    y = mx.sym.Deconvolution(x, kernel=(2, 2), stride=(2, 2), num_filter=5, no_bias=True, name="d")
    found = arithmetic(y, {"x": (2, 48)}, learned=[])
    assert found.forward == 2 * 3 * 16 * 5 * 4
    assert found.map_bytes == 4 * 2 * 5 * 8 * 8
