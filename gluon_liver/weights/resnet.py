"""Transfer learning: weights of a 2D or 3D bottleneck ResNet for the backbone and Block4 of a detector.

2D weights are inflated along depth as in I3D (Carreira and Zisserman 2017): on a volume that does not change along
depth, the inflated net gives the 2D net's features. The paper says "transfer learning" and no more.

Where a net strides cannot be seen from its weights. Ours strides in the 3x3 of a block, as torchvision and GluonCV's
v1b do; weights of a net that strides in the first 1x1 (Caffe, GluonCV's v1) fit in shape and work less well.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

import mxnet as mx
import numpy as np

from gluon_liver.errors import InputError
from gluon_liver.nn.rcnn import RegionDetector

BACKBONE, BLOCK4 = "backbone.", "block4."  # where a detector keeps conv1 to Block3, and Block4 (its ROI head)
# How a source calls its parts: by name (torchvision, GluonCV), or by place where a ResNet's children became a
# Sequential (0 conv1, 1 bn1, 4 to 7 the stages), as GluonCV's detectors have it
STEM = {"conv1": "stem.conv1", "bn1": "stem.bn1", "0": "stem.conv1", "1": "stem.bn1"}
STAGE = re.compile(r"(?:layers?([1-4])|([4-7]))\.(\d+)\.(.+)")
SKIP = {"downsample.0": "skip_conv", "downsample.1": "skip_bn", "shortcut.0": "skip_conv", "shortcut.1": "skip_bn"}
NORM = {"weight": "gamma", "bias": "beta"}  # PyTorch's names of BatchNorm's parameters
FIRST_BLOCK = re.compile(r"((?:.*\.)?)(?:layers?1|4)\.0\.conv1\.weight")
GLUONCV_STAGE4 = ("features.", "top_features.0.", "features.7.")  # its detectors keep the last stage apart
WANTED = "a ResNet with bottlenecks: conv1.weight of (64, 1 or 3, 7, 7) or in 3D, layer1.0.conv1.weight and so on"

# why a tensor has no counterpart
OUTSIDE, COUNTER = "not part of a ResNet's four stages", "counts batches"
OWN_LAYER, TRANSITION, NOT_THERE = "the detector's own layer", "transition layer", "bottleneck that the file lacks"


class Match(NamedTuple):
    """A parameter that was set: our name, theirs, and what was done to it."""

    ours: str
    theirs: str
    how: str


class Unused(NamedTuple):
    """A tensor without a counterpart: theirs that was skipped, or ours that keeps its initial values."""

    name: str
    why: str


class TransferReport(NamedTuple):
    """What :func:`transfer` did with each tensor of the file and each parameter of the detector."""

    matched: List[Match]
    skipped: List[Unused]
    not_initialised: List[Unused]

    def text(self) -> str:
        """The report in some thirty lines: counts by part of the network and by reason."""
        total = len(self.matched) + len(self.not_initialised)
        return "\n".join(
            [f"transferred: {len(self.matched)} of {total} parameters"]
            + _counts((_part(match.ours), match.how.split(" from ")[0]) for match in self.matched)
            + [f"keep their initial values: {len(self.not_initialised)}"]
            + _counts((_part(name), why) for name, why in self.not_initialised)
            + [f"not used of the file: {len(self.skipped)}"]
            + _counts((name.split(".")[0] + ".*" if why == OUTSIDE else "", why) for name, why in self.skipped)
        )

    def to_dict(self) -> Dict[str, Any]:
        """The report for JSON, tensor by tensor."""
        return {name: [entry._asdict() for entry in entries] for name, entries in self._asdict().items()}


def transfer(
    weights: Mapping[str, np.ndarray],
    detector: RegionDetector,
    *,
    crop: bool = False,
    source_input: Tuple[float, float] = (1.0, 0.0),
) -> TransferReport:
    """Set the detector's backbone and Block4 from a ResNet's weights, all or nothing.

    The first bottlenecks of each stage are taken. Bottlenecks that the source does not have, and the transition
    layers of depth 101, keep their initial values: both then pass on what they get.

    - conv1 of an ultrasound detector takes colours as the source does. That of CT is summed over its input channels:
      our net sees grey (normalised by mean 0.449 and deviation 0.226, the averages of ImageNet's colours), and grey
      repeated to RGB in front of the source's conv1 is the same. A 2D kernel is repeated over the 7 depth taps and
      divided by 7, with network.stem 1x7x7 taken as it is, with network.slice_fusion channels put in the tap of the
      annotated slice, the others zero. A 3D kernel of odd depth up to ours is centred; for 1x7x7 it is summed over
      depth, as those of the blocks are.
    - The blocks' convolutions are in-plane; those of a 3D source are summed over depth.

    Parameters
    ----------
    weights: floating-point arrays by the source's names, which may share a prefix such as ``backbone.``.
    detector: initialised.
    crop: give the first channels to a narrower detector (``network.width`` below 1). Features are then no longer the
        source's and its BatchNorm statistics do not fit them: train with ``network.batch_norm: live``.
    source_input: (scale, shift) that turn a value of our input into what the source saw for the same tissue. conv1's
        weights and bn1's running mean take them up, exact wherever conv1 does not reach over the image's edge.
        Matters with frozen BatchNorm; the default suits ImageNet.

    Raises :class:`InputError`, with the detector unchanged, naming the first key and shape that does not fit, when
    the weights are another architecture's, differ in shape, are incomplete in a stage that they have, or not finite.
    """
    wanted = _wanted(detector)
    theirs_by_path, skipped = _assign(weights, wanted)
    matched, values, centred = [], {}, detector.config.slice_fusion == "channels"
    for path, (ours, parameter) in wanted.items():
        if path in theirs_by_path:
            theirs = theirs_by_path[path]
            values[ours], how = _fit(
                np.asarray(weights[theirs]), path, parameter.shape, crop=crop, theirs=theirs, centred=centred
            )
            matched.append(Match(ours, theirs, how))
    _fold(values, wanted, source_input)
    values = {name: value.astype(np.float32) for name, value in values.items()}
    broken = [match.theirs for match in matched if not np.isfinite(values[match.ours]).all()]
    if broken:
        raise InputError(f"{broken[0]} holds values that are not finite")
    parameters = detector.collect_learned()
    backbone = {ours: path for path, (ours, _) in wanted.items()}
    initial = [Unused(name, _why_initial(backbone.get(name))) for name in parameters if name not in values]
    for name, value in values.items():
        parameters[name].set_data(mx.nd.array(value))
    return TransferReport(matched, skipped, initial)


def _fold(values: Dict[str, np.ndarray], wanted: Mapping[str, Any], source_input: Tuple[float, float]) -> None:
    """conv1(scale * x + shift) = scale * conv1(x) + shift * sum(weights), and bn1 subtracts its running mean."""
    scale, shift = source_input
    weight, mean = (wanted["stem." + layer][0] for layer in ("conv1.weight", "bn1.running_mean"))
    values[mean] = values[mean] - shift * values[weight].reshape(len(values[weight]), -1).sum(axis=1)
    values[weight] = values[weight] * scale


def _wanted(detector: RegionDetector) -> Dict[str, Tuple[str, mx.gluon.Parameter]]:
    """Parameters that a ResNet can fill, by a path such as stem.conv1.weight or block4.0.bn1.gamma."""
    filled = {name: one for name, one in detector.collect_learned().items() if name.startswith((BACKBONE, BLOCK4))}
    return {name[len(BACKBONE) if name.startswith(BACKBONE) else 0 :]: (name, one) for name, one in filled.items()}


def _assign(weights: Mapping[str, np.ndarray], wanted: Mapping[str, Any]) -> Tuple[Dict[str, str], List[Unused]]:
    """Their name for each of our paths, and theirs that have none. Raises InputError for another architecture."""
    prefix = _prefix(weights)
    theirs: Dict[str, str] = {}
    skipped: List[Unused] = []
    ours = {_bottleneck(path) for path in wanted if path.endswith(".conv1.weight")}
    for name in weights:
        path = _path(name, prefix)
        if path is None:
            skipped.append(Unused(name, OUTSIDE))
        elif path.endswith(".num_batches_tracked"):
            skipped.append(Unused(name, COUNTER))
        elif path in wanted:
            theirs[path] = name
        elif _bottleneck(path) in ours:
            raise InputError(f"{name} {np.shape(weights[name])} has no counterpart; wanted is {WANTED}")
        else:
            block = path.split(".")[0]
            count = sum(one.startswith(block + ".") for one in ours)
            skipped.append(Unused(name, f"{block} has {count} bottlenecks"))
    present = {_bottleneck(path): name for path, name in theirs.items()}
    for path in wanted:
        if path not in theirs and (_bottleneck(path) in present or path.startswith("stem.")):
            name = present.get(_bottleneck(path), next(iter(weights)))
            raise InputError(f"beside {name} {np.shape(weights[name])} nothing fits {path}; wanted is {WANTED}")
    return theirs, skipped


def _prefix(weights: Mapping[str, np.ndarray]) -> str:
    """What stands before every name of the ResNet in the file, "" or ending with a dot."""
    prefixes = sorted({match.group(1) for match in map(FIRST_BLOCK.fullmatch, weights) if match})
    if len(prefixes) == 1:
        return prefixes[0]
    if prefixes:
        raise InputError(f"there are {len(prefixes)} ResNets, below {' and '.join(map(repr, prefixes))}: keep one")
    if not weights:
        raise InputError("there are no weights")
    name = next(iter(weights))
    raise InputError(f"the first tensor is {name} {np.shape(weights[name])}; wanted is {WANTED}")


def _path(name: str, prefix: str) -> Optional[str]:
    """Our path of their name, or None for what is not part of the ResNet; unknown layers keep their names."""
    features, stage4, place = GLUONCV_STAGE4
    if prefix == features and name.startswith(stage4):
        name = place + name[len(stage4) :]
    if not name.startswith(prefix):
        return None
    name = name[len(prefix) :]
    stage = STAGE.fullmatch(name)
    if stage:
        number = stage.group(1) or int(stage.group(2)) - 3
        layer, _, value = stage.group(4).rpartition(".")
        layer = SKIP.get(layer, layer)
        head = f"block{number}.{stage.group(3)}.{layer}"
    else:
        first, _, value = name.partition(".")
        if first not in STEM:
            return None
        head = layer = STEM[first]
    if "bn" in layer:
        value = NORM.get(value, value)
    return f"{head}.{value}"


def _bottleneck(path: str) -> str:
    """block1.0 of block1.0.conv1.weight; stem of stem.bn1.beta."""
    parts = path.split(".")
    return parts[0] if parts[0] == "stem" else ".".join(parts[:2])


def _why_initial(path: Optional[str]) -> str:
    layer = re.match(r"block\d\.\d+\.(\w+)", path or "")
    if not layer:
        return OWN_LAYER
    return TRANSITION if layer.group(1) in ("conv", "bn") else NOT_THERE


def _fit(
    value: np.ndarray, path: str, shape: Tuple[int, ...], *, crop: bool, theirs: str, centred: bool
) -> Tuple[np.ndarray, str]:
    """Their array in our shape, and what was done to it. Raises InputError when it does not fit."""
    given = value.shape
    steps: List[str] = []
    if path == "stem.conv1.weight" and len(shape) == 5:
        value, steps = _fit_conv1(value, shape[2], centred=centred)
    elif value.ndim == 5:
        if value.shape[2] > 1:
            steps = ["summed over depth"]
        value = value.sum(axis=2)
    if value.shape != shape:
        cuttable = value.ndim == len(shape) and value.shape[2:] == shape[2:]
        cuttable = cuttable and all(ours <= theirs for ours, theirs in zip(shape, value.shape))
        if not (crop and cuttable):
            why = "cropping its channels would make it fit" if cuttable else f"wanted is {WANTED}"
            raise InputError(f"{theirs} is {given}, the detector's {path} is {shape}; {why}")
        value = value[tuple(slice(n) for n in shape)]
        steps = steps + [f"cropped from {given}"]
    return value, ", ".join(steps) or "as is"


def _fit_conv1(value: np.ndarray, depth: int, *, centred: bool) -> Tuple[np.ndarray, List[str]]:
    """(64, C, 7, 7) or (64, C, k, 7, 7) -> (64, 1, depth, 7, 7); ``centred``: a 2D one into the centre tap alone."""
    if value.ndim not in (4, 5) or (value.ndim == 4 and value.shape[1] not in (1, 3)):
        raise InputError(f"conv1 is {value.shape}; wanted is {WANTED}")
    steps = ["summed over channels"] if value.shape[1] > 1 else []
    value = value.sum(axis=1, keepdims=True)
    if value.ndim == 4 and not centred and depth > 1:
        return np.repeat(value[:, :, None], depth, axis=2) / depth, steps + ["inflated"]
    value = value[:, :, None] if value.ndim == 4 else value
    if depth == 1 < value.shape[2] and not centred:
        return value.sum(axis=2, keepdims=True), steps + ["summed over depth"]
    missing = depth - value.shape[2]
    if missing < 0 or missing % 2:
        raise InputError(f"conv1 has {value.shape[2]} taps over depth; odd numbers up to {depth} can be centred")
    if missing:
        value = np.pad(value, [(0, 0), (0, 0), (missing // 2,) * 2, (0, 0), (0, 0)])
        steps = steps + [f"centred in {depth} taps"]
    return value, steps


def _part(name: str) -> str:
    """stem, block1 to block4 or the detector's own part of one of our names."""
    return name[len(BACKBONE) :].split(".")[0] if name.startswith(BACKBONE) else name.split(".")[0]


def _counts(pairs: Iterable[Tuple[str, str]]) -> List[str]:
    return [f"  {count:4d}  {part:<8} {why}" for (part, why), count in Counter(pairs).items()]
