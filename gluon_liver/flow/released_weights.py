"""Released weights of LiteFlowNet -> parameters of :class:`gluon_liver.flow.liteflownet.LiteFlowNet` at width 1.

Two sources are known by the names and shapes of their tensors: the authors' Caffe models (names from the published
deploy.prototxt and train.prototxt) and the PyTorch port's state dict (github.com/sniklaus/pytorch-liteflownet). The
released files themselves were not at hand when this was written: it is proved on files with these names and shapes.

Convolutions are (out, in, height, width) and deconvolutions (in, out / groups, height, width) in Caffe, PyTorch and
MXNet alike, none of them flips kernels, and both sources scale flows as our network does, so values pass unchanged.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import mxnet as mx
import numpy as np

from gluon_liver.errors import InputError
from gluon_liver.readers.weights.params_check import check_params
from gluon_liver.structures.enumerations import first_of

from .liteflownet import FIRST_MEAN, LEVELS, SECOND_MEAN, LiteFlowNet
from .modules import FEATURES

STAGES = {1: "One", 2: "Two", 3: "Thr", 4: "Fou", 5: "Fiv", 6: "Six"}  # the port's words for levels of features
_PARTS = "upsample_flow upsample_cost decoder flow reduce guide distance sum_x sum_y"  # ours, and the port's
_THEIRS = "netUpflow netUpcorr netMain netMain.6 netFeat netMain netDist netScaleX netScaleY"
PORT_PARTS = dict(zip(_PARTS.split(), _THEIRS.split()))
LAYER = re.compile(r"pyramid\.(features\.)?level(\d)\.(.+)\.(weight|bias)")
MEANS = {"pyramid.first_mean": "img0s_aug", "pyramid.second_mean": "img1s_aug"}  # and Caffe's layers that keep them
MEAN_BLOB = 2  # after a counter and the mean of each pixel
# Caffe layers that no parameter of ours takes: they depend on the size of an image, or sum by ones
SIZE_LAYER = "ScaleMag_flow"
ONES = re.compile(r"sum_exp_kernel_R_L[2-6]")
LISTED = 5  # names that an error shows


class Converted(NamedTuple):
    """Arrays by our parameters' names, all of them, and what each was taken from."""

    arrays: Dict[str, np.ndarray]
    sources: Dict[str, str]


def parameter_shapes(net: LiteFlowNet) -> Dict[str, Tuple[int, ...]]:
    """Names and shapes of a network's parameters, fixed ones and mean colours included."""
    return {name: parameter.shape for name, parameter in net._collect_params_with_prefix().items()}


def _parts_of(name: str) -> Tuple[Optional[str], str, str, str]:
    """One of our names -> "features." or None, level, layer, and weight or bias."""
    match = LAYER.fullmatch(name)
    assert match is not None, f"{name} is no layer of LiteFlowNet"
    features, level, layer, kind = match.groups()
    return features, level, layer, kind


def port_names(name: str) -> Tuple[str, ...]:
    """Where the PyTorch port keeps one of our parameters; the mean colours stand in its code: ().

    The port has the 1x1 convolution that widens level 2 twice, for matching and for refinement.
    """
    if name in MEANS:
        return ()
    features, level, layer, kind = _parts_of(name)
    if features:
        return (f"netFeatures.net{STAGES[int(level)]}.{layer}.{kind}",)
    part, _, rest = layer.partition(".")
    index = int(level) - 2
    if part == "widen":
        return tuple(f"net{module}.{index}.netFeat.{rest}.{kind}" for module in ("Matching", "Subpixel"))
    module = {"matching": "netMatching", "subpixel": "netSubpixel", "regularization": "netRegularization"}[part]
    head, dot, place = rest.partition(".")
    return (f"{module}.{index}.{PORT_PARTS[head]}{dot}{place}.{kind}",)


def caffe_names(name: str) -> Tuple[Tuple[str, ...], int]:
    """Layers of the Caffe model that may hold one of our parameters, and which of their blobs it is."""
    if name in MEANS:
        return (MEANS[name],), MEAN_BLOB
    features, level, layer, kind = _parts_of(name)
    number = int(level)
    part, _, rest = layer.partition(".")
    blob = 1 if kind == "bias" else 0
    if features:
        several = len(FEATURES[number]) > 1
        return (f"conv{level}_{int(layer) // 2 + 1}" if several else f"conv{level}",), blob
    head, _, place = rest.partition(".")
    count = int(place) // 2 + 1 if place else 0  # every second place is a LeakyReLU
    step = {"matching": "D1", "subpixel": "D2"}.get(part)
    residual = "" if part == "matching" and number == 6 else "res_"  # there is no flow before level 6
    return {
        "upsample_flow": (f"scaled_flow_R_L{number + 1}to{level}",),
        "upsample_cost": (f"corr_L{level}",),
        "decoder": (f"conv{count}_{step}_L{level}",),
        "flow": (f"scaled_flow_{step}_{residual}L{level}",),
        "reduce": (f"F0_128_L{level}",),
        "guide": (f"conv{count}_R_L{level}",),
        "distance": (("distW" if place == "1" else "distH" if number < 5 else "dist") + f"_R_L{level}",),
        # the training and the testing network name it differently
        "sum_x": (f"scaled_flow_R_L{level}_x", f"scaled_flow0_R_L{level}_x"),
        "sum_y": (f"scaled_flow_R_L{level}_y", f"scaled_flow0_R_L{level}_y"),
    }.get(head, ("F0_F1_64_L2",)), blob  # widen is the only part without a head


def from_port(weights: Mapping[str, np.ndarray]) -> Converted:
    """Arrays of the port's state dict, named ``netFeatures.netOne.0.weight`` or, in its file, ``moduleFeatures...``.

    Raises :class:`InputError` naming tensors that are missing, left over, mis-shaped, not finite, or differ where the
    network has one tensor for two of the port.
    """
    tensors = {name.replace("module", "net"): array for name, array in weights.items()}
    wanted = parameter_shapes(LiteFlowNet())
    names = {name: port_names(name) for name in wanted}
    expected = [theirs for pair in names.values() for theirs in pair]
    _refuse("is missing", sorted(set(expected) - set(tensors)), "state dict")
    odd = sorted(set(tensors) - set(expected))
    _refuse("has no counterpart", [f"{name} {tensors[name].shape}" for name in odd], "state dict")
    arrays, sources = {}, {}
    for name, shape in wanted.items():
        if name in MEANS:
            arrays[name] = np.array(FIRST_MEAN if "first" in name else SECOND_MEAN, np.float32).reshape(shape)
            sources[name] = "run.py of the port"
            continue
        copies = [_checked(tensors[theirs], shape, theirs) for theirs in names[name]]
        if not all(np.array_equal(copies[0], copy) for copy in copies):
            raise InputError(
                f"{' and '.join(names[name])} differ; the released network has one such layer for both, and so has "
                "this one: weights that were trained apart cannot be converted"
            )
        arrays[name], sources[name] = copies[0], " = ".join(names[name])
    return Converted(arrays, sources)


def from_caffe(layers: Mapping[str, Sequence[np.ndarray]]) -> Converted:
    """Arrays of the authors' Caffe model: blobs by layer, as :func:`gluon_liver.readers.weights.caffe.read_caffemodel`.

    The mean colours are those that the data layers keep. Sums over neighbours are filled with ones where the file
    has no layer for them, as Caffe does. Raises :class:`InputError` as :func:`from_port`.
    """
    arrays, sources, used, missing = {}, {}, set(), []
    for name, shape in parameter_shapes(LiteFlowNet()).items():
        candidates, blob = caffe_names(name)
        layer = next((one for one in candidates if len(layers.get(one, ())) > blob), None)
        if layer is not None:
            sources[name] = f"{layer}[{blob}]"
            arrays[name] = _checked(layers[layer][blob], shape, sources[name])
            used.update([layer] if name in MEANS else [sources[name]])  # of a data layer, the rest is not wanted
        elif ".sum_" in name:
            arrays[name] = np.full(shape, 0.0 if name.endswith("bias") else 1.0, np.float32)
            sources[name] = "filler"
        else:
            missing.append(f"{' or '.join(candidates)}[{blob}] {shape}")
    _refuse("is missing", missing, "Caffe model")
    _refuse("has no counterpart", _left_over(layers, used), "Caffe model")
    return Converted(arrays, sources)


def load_flow(net: LiteFlowNet, path: Union[str, os.PathLike], *, ctx: Any = None) -> None:
    """Set a network's parameters from a file that ``convert-flow`` or ``save_parameters`` wrote.

    The file may have levels that the network leaves out. Raises :class:`InputError`, with the network unchanged, when
    the file is not that or is for another width.
    """
    try:
        check_params(Path(path))
        arrays = mx.nd.load(os.fspath(path))
    except InputError as error:
        raise InputError(f"{path} cannot be read as MXNet parameters: {error}") from error
    except (mx.MXNetError, ValueError) as error:
        raise InputError(f"{path} cannot be read as MXNet parameters: {str(error).splitlines()[0]}") from error
    wanted = parameter_shapes(net)
    if isinstance(arrays, dict):
        arrays = {name: array for name, array in arrays.items() if not name.startswith(left_out(net))}
    if not isinstance(arrays, dict) or set(arrays) != set(wanted):
        odd = sorted(set(arrays) ^ set(wanted)) if isinstance(arrays, dict) else ["an array without a name"]
        raise InputError(f"{path} is not of LiteFlowNet ({odd[0]}): convert released weights with convert-flow first")
    for name, shape in wanted.items():
        _checked(arrays[name].asnumpy(), shape, f"{name} of {path}")
    net.load_parameters(os.fspath(path), ctx=ctx, ignore_extra=True)


def left_out(net: LiteFlowNet) -> Tuple[str, ...]:
    """What names of parameters of levels begin with that the network does not have."""
    return tuple(f"pyramid.level{level}." for level in LEVELS if not hasattr(net.pyramid, f"level{level}"))


def _left_over(layers: Mapping[str, Sequence[np.ndarray]], used: set) -> List[str]:
    """Blobs that were not taken, but for those that may be there. Raises InputError for a sum that is none."""
    odd = []
    for layer, blobs in layers.items():
        if layer in used or layer == SIZE_LAYER:
            continue
        if ONES.fullmatch(layer):
            if not np.array_equal([np.min(blobs[0]), np.max(blobs[0])], [1, 1]) or any(map(np.any, blobs[1:])):
                raise InputError(f"{layer} is not the plain sum that the released network has there")
            continue
        odd += [f"{layer}[{place}] {blob.shape}" for place, blob in enumerate(blobs) if f"{layer}[{place}]" not in used]
    return odd


def _checked(array: np.ndarray, shape: Tuple[int, ...], name: str) -> np.ndarray:
    """The array in the wanted shape; old Caffe files pad the shape of a bias with ones in front."""
    if array.shape != shape and array.shape != (1,) * (4 - len(shape)) + shape:
        raise InputError(f"{name} is {array.shape}, wanted is {shape}")
    if not np.isfinite(array).all():
        raise InputError(f"{name} holds values that are not finite")
    return np.asarray(array, np.float32).reshape(shape)


def _refuse(what: str, names: Sequence[str], source: str) -> None:
    if names:
        raise InputError(f"{first_of(names, LISTED)} {what}: the file is no {source} of LiteFlowNet")
