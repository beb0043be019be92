"""Region proposals (Ren et al. 2015) over one map or a pyramid, as gluon_liver.nn.regions.rpn makes them."""

from __future__ import division

import math

import mxnet as mx
import numpy as np

from .fusion import cells
from .layers import convolution, edges, parameters, relu
from .suppression import suppress

SIZE_LIMIT = float(np.log(1000.0 / 16.0))  # largest log change of a size


def levels_of(network):
    """(stride, anchor sizes) of each map that proposals are read from, finest first."""
    sizes = sorted(network["rpn"]["anchor_sizes"])
    if not network["fusion"]:
        return [(network["stride"], sizes)]
    strides = [stride for stride in (4, 8, 16, 32) if stride <= 2 * network["stride"]]
    each = len(sizes) - len(strides) + 1
    return [(stride, sizes[first : first + each]) for first, stride in enumerate(strides)]


def anchors_of(network, size):
    """(1, A, 4) float32 corners of all anchors in pixels, level by level, row by row, ratio by ratio."""
    every = []
    for stride, sides in levels_of(network):
        # base size times scale, as the Gluon side multiplies them
        shapes = [
            (stride * (side / stride) / math.sqrt(r), stride * (side / stride) * math.sqrt(r))
            for r in network["rpn"]["anchor_ratios"]
            for side in sides
        ]
        base = np.array([(-w / 2, -h / 2, w / 2, h / 2) for w, h in shapes]) + 0.5
        y, x = np.meshgrid(*[np.arange(cells(size, stride)) * stride] * 2, indexing="ij")
        every.append((np.stack([x, y, x, y], axis=-1)[:, :, None] + base).reshape(-1, 4))
    return np.concatenate(every)[None].astype(np.float32)


def count_anchors(network, size):
    ratios = len(network["rpn"]["anchor_ratios"])
    return sum(cells(size, stride) ** 2 * len(sides) * ratios for stride, sides in levels_of(network))


def count_proposals(network, size, training):
    """Proposals an image that the graph carries on, never more than there are anchors."""
    most = network["rpn"]["train_post_nms" if training else "test_post_nms"]
    return min(most, count_anchors(network, size))


def rpn_head(maps, network):
    """Maps of the levels -> scores (B, A, 1) before the sigmoid and offsets (B, A, 4)."""
    name = "rpn.rpn_head" if len(maps) > 1 else "rpn"
    layers = [parameters("{}.{}".format(name, part)) for part in ("conv1.0", "score", "loc")]
    scores, offsets = [], []
    for (stride, sides), level in zip(levels_of(network), maps):
        suffix = ".stride{}".format(stride)
        anchors = len(sides) * len(network["rpn"]["anchor_ratios"])
        x = relu(convolution(level, "rpn.conv" + suffix, network["rpn"]["channels"], 3, bias=True, shared=layers[0]))
        for rows, width, part in ((scores, 1, "score"), (offsets, 4, "loc")):
            shared = layers[1 if part == "score" else 2]
            y = convolution(x, "rpn.{}{}".format(part, suffix), anchors * width, 1, bias=True, shared=shared)
            rows.append(mx.sym.reshape(mx.sym.transpose(y, axes=(0, 2, 3, 1)), shape=(0, -1, width)))
    return mx.sym.concat(*scores, dim=1), mx.sym.concat(*offsets, dim=1)


def propose(scores, offsets, network, size, batch, training=False):
    """Scores (B, A, 1) and offsets (B, A, 4) -> proposals' scores (B, R) and corners (B, R, 4), -1 where there are
    fewer, and the anchor (B, R) that each was made of; no gradient passes."""
    rpn, prefix = network["rpn"], "train" if training else "test"
    total = count_anchors(network, size)
    # a Module of MXNet 1.0 does not infer the type of what is split
    anchors = mx.sym.Variable("rpn.anchors", shape=(1, total, 4), dtype="float32")
    boxes = decode(anchors, mx.sym.BlockGrad(offsets))
    boxes = mx.sym.clip(boxes, 0, size)
    x1, y1, x2, y2 = edges(boxes, axis=2)
    large = mx.sym.broadcast_mul(x2 - x1 >= rpn["min_size"], y2 - y1 >= rpn["min_size"])  # (B, A, 1)
    scores = mx.sym.sigmoid(mx.sym.BlockGrad(scores))
    scores = mx.sym.reshape(mx.sym.where(large, scores, -mx.sym.ones((batch, total, 1))), shape=(batch, total))
    numbers = mx.sym.reshape(mx.sym.arange(start=0, stop=total), shape=(1, total))
    found = suppress(
        scores,
        boxes,
        total,
        rpn[prefix + "_pre_nms"],
        count_proposals(network, size, training),
        rpn["nms_threshold"],
        batch,
        [mx.sym.broadcast_to(numbers, shape=(batch, total))],
    )
    return [mx.sym.BlockGrad(part) for part in found]


def decode(anchors, offsets):
    """(1, A, 4) corners and (B, A, 4) offsets -> (B, A, 4) corners."""
    x1, y1, x2, y2 = edges(anchors, axis=2)
    dx, dy, dw, dh = edges(offsets, axis=2)
    width, height = x2 - x1, y2 - y1
    x = mx.sym.broadcast_add(mx.sym.broadcast_mul(dx, width), x1 + width * 0.5)
    y = mx.sym.broadcast_add(mx.sym.broadcast_mul(dy, height), y1 + height * 0.5)
    dw, dh = (mx.sym.exp(mx.sym.minimum(d, SIZE_LIMIT)) for d in (dw, dh))
    half_width, half_height = mx.sym.broadcast_mul(dw, width) * 0.5, mx.sym.broadcast_mul(dh, height) * 0.5
    return mx.sym.concat(x - half_width, y - half_height, x + half_width, y + half_height, dim=2)
