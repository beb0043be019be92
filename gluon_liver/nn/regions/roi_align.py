"""Regions of interest: features on one map or on the level of a pyramid that fits, and the decoding of their boxes."""

from __future__ import annotations

import itertools
from typing import Any, Sequence, Tuple

from .roi_matrices import OPERATOR, SAMPLES
from .rpn import SIZE_LIMIT

BOX_STDS = (0.1, 0.1, 0.2, 0.2)  # GluonCV's normalisation of the head's box targets


def roi_rows(F: Any, rois: Any) -> Tuple[Any, Any]:
    """(B, R, 4) corners -> image indices (B, R, 1) and corners with an area.

    Proposals that were suppressed or clipped away have no area, on which aligned ROIAlign ends the process: every ROI
    is read at least one pixel wide. Their scores are -1, so they are never sampled nor detected.
    """
    images = F.reshape(F.contrib.arange_like(rois, axis=0), (-1, 1, 1))
    images = F.broadcast_like(images, F.slice_axis(rois, axis=2, begin=0, end=1))
    x1, y1, x2, y2 = F.split(rois, num_outputs=4, axis=2)
    return images, F.concat(x1, y1, F.maximum(x2, x1 + 1), F.maximum(y2, y1 + 1), dim=2)


def align_rows(F: Any, images: Any, rois: Any, *, stride: int) -> Any:
    """Image indices (B, R, 1) and corners (B, R, 4) in pixels of the input -> (B * R, 5) for aligned ROIAlign.

    Cell k of this backbone's maps is centred on stride * k + 0.5, where aligned ROIAlign takes it to be on
    stride * (k + 0.5).
    """
    return F.stop_gradient(F.reshape(F.concat(images, rois + (stride - 1) / 2.0, dim=2), (-3, 0)))


def roi_align(F: Any, feature_map: Any, images: Any, rois: Any, *, stride: int, size: int, step: int = 1) -> Any:
    """(B, C, h, w), image indices (B, R, 1) and corners (B, R, 4) in pixels of the input -> (B * R, C, size, size).

    step: of the bins keep every so many along both axes, from the first one on.
    """
    scale = 1.0 / stride
    if step == 1:
        rows = align_rows(F, images, rois, stride=stride)
        return F.contrib.ROIAlign(feature_map, rows, (size, size), scale, sample_ratio=SAMPLES, aligned=True)
    # Bins of step times the width have one sample each where the kept ones have one of theirs; the others are not read.
    x1, y1, x2, y2 = F.split(rois, num_outputs=4, axis=2)
    width, height, kept = (x2 - x1) / size, (y2 - y1) / size, -(-size // step)
    pooled = []
    for down, across in itertools.product([(sample + 0.5) / SAMPLES - step / 2 for sample in range(SAMPLES)], repeat=2):
        left, top = x1 + width * across, y1 + height * down
        wide = F.concat(left, top, left + width * (kept * step), top + height * (kept * step), dim=2)
        rows = align_rows(F, images, wide, stride=stride)
        pooled.append(F.contrib.ROIAlign(feature_map, rows, (kept, kept), scale, sample_ratio=1, aligned=True))
    return F.add_n(*pooled) / len(pooled)


def roi_matrices(F: Any, feature_map: Any, images: Any, rois: Any, *, stride: int, size: int, step: int = 1) -> Any:
    """As :func:`roi_align`, on CPUs alone, where it takes a ninth of the time with its gradient.

    MXNet 1.9.1 turns what comes to a custom operator in a layout of oneDNN into a copy of its own layout, and frees the
    copy before the operator has run. So it is fed what has that layout already: what transpose gives, and, in the
    backward pass, what the gradient of squeeze does.
    """
    rows = align_rows(F, images, rois, stride=stride)
    maps = F.transpose(feature_map, axes=(0, 2, 3, 1))
    return F.squeeze(F.Custom(maps, rows, op_type=OPERATOR, bins=size, scale=1.0 / stride, step=step), axis=0)


def roi_pool(F: Any, feature_map: Any, images: Any, rois: Any, *, stride: int, size: int) -> Any:
    """As :func:`roi_align`, but maxima over whole cells (Girshick 2015): what MXNet 1.0 has, for its symbols/.

    The operator counts pixels, the last one included, and takes pixel p to lie on cell p / stride, as our maps have it.
    """
    x1, y1, x2, y2 = F.split(rois, num_outputs=4, axis=2)
    rows = F.reshape(F.concat(images, x1, y1, x2 - 1, y2 - 1, dim=2), (-3, 0))  # (B * R, 5)
    return F.ROIPooling(feature_map, F.stop_gradient(rows), pooled_size=(size, size), spatial_scale=1.0 / stride)


# network.roi_mode; what it calls align is done by matrices on CPUs
ROI_MODES = {"align": roi_align, "matrices": roi_matrices, "pool": roi_pool}


def pyramid_align(
    F: Any, maps: Sequence[Any], images: Any, rois: Any, *, strides: Sequence[int], size: int, mode: str = "align"
) -> Any:
    """Features of every ROI on its own level -> (B * R, C, size, size).

    The level is the coarsest on which the ROI's mean side still spans ``size`` cells, so that a bin is never finer
    than the map except on the finest level (Lin et al. 2017, equation 1, with its 224 pixels at stride 16 set to
    16 * size: lesions are smaller than the objects of photographs).
    """
    x1, y1, x2, y2 = F.split(rois, num_outputs=4, axis=2)
    side = F.reshape(F.sqrt((x2 - x1) * (y2 - y1)), (-1,))  # (B * R,)
    pooled = None
    for feature_map, stride in zip(maps, strides):
        here = ROI_MODES[mode](F, feature_map, images, rois, stride=stride, size=size)
        # Every level pools every ROI. An image index of -1 would skip the others, but on CPU MXNet then leaves them
        # unwritten and zeroes numbers of the first ROI instead (roi_align.cc, top_data[n]).
        pooled = here if pooled is None else F.where(side >= stride * size, here, pooled)
    return pooled


def decode_boxes(F: Any, rois: Any, deltas: Any, *, stds: Tuple[float, float, float, float] = BOX_STDS) -> Any:
    """Boxes from ROIs (B, R, 4) and the head's normalised deltas (B, R, C, 4) -> (B, R, C, 4)."""
    x1, y1, x2, y2 = (F.expand_dims(edge, 2) for edge in F.split(rois, num_outputs=4, axis=2))  # (B, R, 1, 1)
    dx, dy, dw, dh = F.split(deltas, num_outputs=4, axis=3)  # (B, R, C, 1)
    width, height = x2 - x1, y2 - y1
    x = F.broadcast_add(F.broadcast_mul(dx * stds[0], width), (x1 + x2) / 2)
    y = F.broadcast_add(F.broadcast_mul(dy * stds[1], height), (y1 + y2) / 2)
    half_width = F.broadcast_mul(F.exp(F.clip(dw * stds[2], -SIZE_LIMIT, SIZE_LIMIT)), width / 2)
    half_height = F.broadcast_mul(F.exp(F.clip(dh * stds[3], -SIZE_LIMIT, SIZE_LIMIT)), height / 2)
    return F.concat(x - half_width, y - half_height, x + half_width, y + half_height, dim=3)
