"""Convolutions behind BatchNorm and ReLU, as oneDNN computes them without leaving its layout.

A frozen BatchNorm is one scale and one shift a channel. Both belong to the convolution: convolving with scaled filters
and a bias gives the same numbers and gradients, and neither the map before BatchNorm nor the one after it is kept for
the backward pass. For inference :mod:`gluon_liver.nn.folding` does the same to the numbers themselves.
"""

from __future__ import annotations

from typing import Any, Optional, Tuple, Union

from mxnet.gluon import Parameter, nn

BN_EPSILON = 1e-5
FOLDED = "folded"  # beside those of network.batch_norm: convolutions with a bias and no BatchNorm, for inference
GROUP, MOST_GROUPS = "group", 32  # of channels, in GroupNorm (Wu and He 2018)


class GroupNorm(nn.HybridBlock):
    """Normalises groups of channels of each map by their own mean and variance, alike in training and inference.

    Then every channel has a scale and a shift of its own, gamma and beta, as in Wu and He 2018; MXNet 1.9.1's operator
    has one of each a group, which are 1 and 0 here. As many groups as divide the channels, 32 and two channels each at
    most.
    """

    def __init__(self, in_channels: int, *, gamma_initializer: str = "ones", **kwargs: Any):
        super().__init__(**kwargs)
        most = min(MOST_GROUPS, in_channels // 2)
        self._groups = max(count for count in range(1, most + 1) if in_channels % count == 0)
        with self.name_scope():
            self.gamma = self.params.get("gamma", shape=(in_channels,), init=gamma_initializer)
            self.beta = self.params.get("beta", shape=(in_channels,), init="zeros")

    def hybrid_forward(self, F: Any, x: Any, gamma: Any, beta: Any) -> Any:
        """(N, C, H, W) -> the same shape."""
        some = F.slice_axis(F.stop_gradient(gamma), axis=0, begin=0, end=self._groups)  # for its size and device alone
        x = F.GroupNorm(x, F.ones_like(some), F.zeros_like(some), num_groups=self._groups, eps=BN_EPSILON)
        x = F.broadcast_mul(x, F.reshape(gamma, (1, -1, 1, 1)))
        return F.broadcast_add(x, F.reshape(beta, (1, -1, 1, 1)))


Norm = Union[nn.BatchNorm, GroupNorm]


def batch_norm(kind: str, **kwargs: Any) -> Optional[Norm]:
    """BatchNorm or GroupNorm, None when folded; frozen means running statistics in training too, right for pretrained
    weights."""
    if kind == FOLDED:
        return None
    if kind == GROUP:
        return GroupNorm(**kwargs)
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


def live(norm: Optional[Norm]) -> bool:
    """Whether a layer normalises by statistics of the maps that it is given, in training."""
    return norm is not None and (isinstance(norm, GroupNorm) or not norm._kwargs["use_global_stats"])


def conv_norm(F: Any, x: Any, conv: nn.Conv2D, norm: Optional[Norm], **changed: Any) -> Any:
    """``norm(conv(x))`` of a convolution; without a norm ``conv(x)``. ``changed`` are parameters of the convolution."""
    options = {key: value for key, value in conv._kwargs.items() if key != "no_bias"}
    bias = None if conv.bias is None else own_array(F, x, conv.bias)
    return convolve(F, x, own_array(F, x, conv.weight), bias, norm, **dict(options, **changed))


def convolve(F: Any, x: Any, weight: Any, bias: Optional[Any], norm: Optional[Norm], **options: Any) -> Any:
    """A convolution with or without a bias, normalised where there is a norm: then it has none."""
    if norm is not None and not live(norm):
        scale, bias = scale_and_shift(F, x, norm)
        weight = F.broadcast_mul(weight, F.reshape(scale, (-1, 1, 1, 1)))
    arrays = [weight] if bias is None else [weight, bias]
    y = F.Convolution(x, *arrays, no_bias=bias is None, **options)
    return norm(y) if norm is not None and live(norm) else y


def scale_and_shift(F: Any, x: Any, norm: Norm) -> Tuple[Any, Any]:
    """What a frozen BatchNorm multiplies each of its C channels with and then adds: (C,) and (C,)."""
    parameters = (norm.gamma, norm.beta, norm.running_mean, norm.running_var)
    gamma, beta, mean, variance = (own_array(F, x, one) for one in parameters)
    scale = gamma / F.sqrt(variance + norm._kwargs["eps"])
    return scale, beta - mean * scale


def own_array(F: Any, x: Any, parameter: Parameter) -> Any:
    """A parameter as what ``x`` is: a variable of the graph that is traced, or the array on its device."""
    return parameter.data(x.context) if hasattr(x, "context") else parameter.var()
