"""Convolutions behind BatchNorm and ReLU, as oneDNN computes them without leaving its layout.

A frozen BatchNorm is one scale and one shift a channel. Both belong to the convolution: convolving with scaled filters
and a bias gives the same numbers and gradients, and neither the map before BatchNorm nor the one after it is kept for
the backward pass. For inference :mod:`gluon_liver.nn.folding` does the same to the numbers themselves.
"""

from __future__ import annotations

from typing import Any, Optional, Tuple

from mxnet.gluon import Parameter, nn

BN_EPSILON = 1e-5
FOLDED = "folded"  # beside the two of network.batch_norm: convolutions with a bias and no BatchNorm, for inference


def batch_norm(kind: str, **kwargs: Any) -> Optional[nn.BatchNorm]:
    """BatchNorm, None when folded; frozen means running statistics in training too, right for pretrained weights."""
    if kind == FOLDED:
        return None
    return nn.BatchNorm(epsilon=BN_EPSILON, use_global_stats=kind == "frozen", **kwargs)


def relu(F: Any, x: Any) -> Any:
    """Maps (N, C, H, W), not negative. The operator named relu knows MXNet's own layout alone: all maps around it are
    then kept a second time."""
    return F.Activation(x, act_type="relu")


def mean_in_inference(F: Any, x: Any) -> Any:
    """Maps (N, C, H, W) -> (N, C). A pooling, for the operator named mean knows MXNet's own layout alone."""
    return F.Flatten(F.Pooling(x, global_pool=True, pool_type="avg", kernel=(1, 1)))


def mean_in_training(F: Any, x: Any) -> Any:
    """As :func:`mean_in_inference`, slower; a training step takes 0.25 GB less with it."""
    return F.mean(x, axis=(2, 3))


def live(norm: Optional[nn.BatchNorm]) -> bool:
    """Whether a layer normalises by the statistics of a batch in training."""
    return norm is not None and not norm._kwargs["use_global_stats"]


def conv_norm(F: Any, x: Any, conv: nn.Conv2D, norm: Optional[nn.BatchNorm], **changed: Any) -> Any:
    """``norm(conv(x))`` of a convolution; without a norm ``conv(x)``. ``changed`` are parameters of the convolution."""
    options = {key: value for key, value in conv._kwargs.items() if key != "no_bias"}
    bias = None if conv.bias is None else own_array(F, x, conv.bias)
    return convolve(F, x, own_array(F, x, conv.weight), bias, norm, **dict(options, **changed))


def convolve(F: Any, x: Any, weight: Any, bias: Optional[Any], norm: Optional[nn.BatchNorm], **options: Any) -> Any:
    """A convolution with or without a bias, normalised where there is a norm: then it has none."""
    if norm is not None and not live(norm):
        scale, bias = scale_and_shift(F, x, norm)
        weight = F.broadcast_mul(weight, F.reshape(scale, (-1, 1, 1, 1)))
    arrays = [weight] if bias is None else [weight, bias]
    y = F.Convolution(x, *arrays, no_bias=bias is None, **options)
    return norm(y) if norm is not None and live(norm) else y


def scale_and_shift(F: Any, x: Any, norm: nn.BatchNorm) -> Tuple[Any, Any]:
    """What a frozen BatchNorm multiplies each of its C channels with and then adds: (C,) and (C,)."""
    parameters = (norm.gamma, norm.beta, norm.running_mean, norm.running_var)
    gamma, beta, mean, variance = (own_array(F, x, one) for one in parameters)
    scale = gamma / F.sqrt(variance + norm._kwargs["eps"])
    return scale, beta - mean * scale


def own_array(F: Any, x: Any, parameter: Parameter) -> Any:
    """A parameter as what ``x`` is: a variable of the graph that is traced, or the array on its device."""
    return parameter.data(x.context) if hasattr(x, "context") else parameter.var()
