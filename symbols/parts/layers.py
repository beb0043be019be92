"""Layers whose parameters are named after the layer, as Gluon names them: name.weight, name.bias, name.gamma ..."""

from __future__ import division

import mxnet as mx

BN_EPSILON = 1e-5
FAINTEST = -50.0  # as in gluon_liver.flow.operators, which says why


def parameters(name, bias=True):
    """The variables of a convolution or dense layer; layers that are given the same ones share them."""
    names = ("weight", "bias") if bias else ("weight",)
    return {part: mx.sym.Variable("{}.{}".format(name, part)) for part in names}


def convolution(x, name, channels, kernel, stride=1, bias=False, shared=None):
    """(N, C, H, W) -> (N, channels, H / stride, W / stride), padded by half the kernel.

    Parameters
    ----------
    kernel: side, or (rows, columns).
    shared: variables of :func:`parameters`, where other layers have them too.
    """
    kernel = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    options = dict(shared or parameters(name, bias), kernel=kernel, pad=(kernel[0] // 2, kernel[1] // 2))
    return mx.sym.Convolution(x, name=name, num_filter=channels, stride=(stride, stride), no_bias=not bias, **options)


def dense(x, name, units):
    """(N, ...) -> (N, units)."""
    return mx.sym.FullyConnected(x, name=name, num_hidden=units, **parameters(name))


def batch_norm(x, name, frozen):
    """BatchNorm; frozen means running statistics in training too."""
    gamma, beta, mean, var = (
        mx.sym.Variable("{}.{}".format(name, part)) for part in ("gamma", "beta", "running_mean", "running_var")
    )
    return mx.sym.BatchNorm(
        x, gamma, beta, mean, var, name=name, eps=BN_EPSILON, momentum=0.9, fix_gamma=False, use_global_stats=frozen
    )


def relu(x):
    return mx.sym.Activation(x, act_type="relu")


def part_of(x, axis, number):
    """One entry of an axis, the axis kept."""
    return mx.sym.slice_axis(x, axis=axis, begin=number, end=number + 1)


def edges(boxes, axis):
    """x1, y1, x2 and y2 of boxes, or the four offsets; the axis stays with length 1."""
    return mx.sym.SliceChannel(boxes, num_outputs=4, axis=axis)


def exp_of_largest(x, axis):
    """exp(x) / exp(the largest x along ``axis``), no less than exp(FAINTEST)."""
    below = mx.sym.broadcast_sub(x, mx.sym.BlockGrad(mx.sym.max(x, axis=axis, keepdims=True)))
    return mx.sym.exp(mx.sym.maximum(below, FAINTEST))
