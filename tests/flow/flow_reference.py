"""LiteFlowNet's operators in NumPy, with loops over taps, cells and displacements."""

from __future__ import annotations

import numpy as np


def conv(x, layer):
    """At stride 1, zero outside, the size kept."""
    weight, bias = layer.weight.data().asnumpy(), layer.bias.data().asnumpy()
    rows, columns = weight.shape[2:]
    padded = np.pad(x, [(0, 0), (0, 0), (rows // 2,) * 2, (columns // 2,) * 2])
    out = bias.reshape(1, -1, 1, 1).astype(np.float64)
    for i in range(rows):
        for j in range(columns):
            tap = padded[:, :, i : i + x.shape[2], j : j + x.shape[3]]
            out = out + np.einsum("oc,bchw->bohw", weight[:, :, i, j], tap)
    return out


def leaky(x):
    return np.where(x > 0, x, 0.1 * x)


def chain(x, layers):
    for layer in layers:
        if hasattr(layer, "weight"):
            x = leaky(conv(x, layer))
    return x


def upsample(x, layer):
    """Every cell spreads its channel's 4x4 kernel over twice the size."""
    weight = layer.weight.data().asnumpy()
    b, c, h, w = x.shape
    out = np.zeros((b, c, 2 * h + 2, 2 * w + 2))
    for i in range(h):
        for j in range(w):
            out[:, :, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += x[:, :, i, j, None, None] * weight[:, 0]
    return out[:, :, 1:-1, 1:-1]


def warp(x, flow):
    out = np.zeros(x.shape)
    for b, i, j in np.ndindex(x.shape[0], *x.shape[2:]):
        column, row = j + flow[b, 0, i, j], i + flow[b, 1, i, j]
        for r in (int(np.floor(row)), int(np.floor(row)) + 1):
            for c in (int(np.floor(column)), int(np.floor(column)) + 1):
                if 0 <= r < x.shape[2] and 0 <= c < x.shape[3]:
                    out[b, :, i, j] += x[b, :, r, c] * (1 - abs(row - r)) * (1 - abs(column - c))
    return out


def correlation(first, second, stride):
    b, c, h, w = first.shape
    out = np.zeros((b, 49, h // stride, w // stride))
    for k, i, j in np.ndindex(*out.shape[1:]):
        row, column = stride * (i + k // 7 - 3), stride * (j + k % 7 - 3)
        if 0 <= row < h and 0 <= column < w:
            out[:, k, i, j] = (first[:, :, stride * i, stride * j] * second[:, :, row, column]).mean(axis=1)
    return out


def local_convolution(flow, distance, kernel, net):
    """Means of the k x k neighbours' flow with the softmax of -distance^2 as weights, then the layers of ones."""
    weights = np.exp(-(distance.astype(np.float64) ** 2) + (distance**2).min(axis=1, keepdims=True))
    reach = kernel // 2
    padded = np.pad(flow, [(0, 0), (0, 0), (reach,) * 2, (reach,) * 2])
    out = np.zeros(flow.shape)
    for axis, layer in enumerate((net.sum_x, net.sum_y)):
        ones, bias = layer.weight.data().asnumpy().ravel(), layer.bias.data().asnumpy()
        out[:, axis] = bias
        for k in range(kernel**2):
            i, j = k // kernel, k % kernel
            shifted = padded[:, axis, i : i + flow.shape[2], j : j + flow.shape[3]]
            out[:, axis] += ones[k] * weights[:, k] * shifted
    return out / weights.sum(axis=1)[:, None]
