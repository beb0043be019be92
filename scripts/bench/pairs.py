"""What is compared with what, and what the goal of each comparison is.

A pair is one piece of work and the sides that do it, each a module of ``sides/`` with arguments, run in turns. A goal
compares a figure of one side with that of another, or with a number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Optional, Tuple, Union

OURS, TORCH = "ours", "torch"  # which Python runs a side: the project's, or one that has PyTorch
SECONDS, BYTES, RATE = "seconds", "bytes", "rate"
GB = 1e9


@dataclass(frozen=True)
class Side:
    """A module of ``sides/`` with its arguments; ``{build}`` in them is the folder of what benchmarks leave.

    python: OURS or TORCH.
    cores: that it may use; all of them unless said.
    """

    module: str
    arguments: str = ""
    python: str = OURS
    cores: Optional[int] = None


@dataclass(frozen=True)
class Goal:
    """``figure`` of ``side`` over that of ``peer`` is at most (for a rate at least) ``limit``.

    key: names what holds it, in notes.md.
    peer: another side, a constant of the side's own record, or a number, in seconds, bytes or a second.
    """

    key: str
    figure: str
    side: str
    peer: Union[str, float]
    limit: float

    @property
    def at_least(self) -> bool:
        return self.figure == RATE


@dataclass(frozen=True)
class Pair:
    """title: of its section. text: what is compared. prepare: run once before the sides."""

    title: str
    text: str
    sides: Dict[str, Side]
    goals: Tuple[Goal, ...]
    rounds: int = 2
    prepare: Optional[Side] = None


HERE = "gluon_liver"
REDUCED, MIRRORED = f"{HERE}, reduced precision", f"{HERE}, train.mirror"
ONNX, INT8 = "onnxruntime", "onnxruntime, int8"
STOCK, TUNED, TORCHVISION = "GluonCV as it comes", "GluonCV tuned", "torchvision"
# channels_last was faster in all pairs; with it BatchNorm2d was faster than FrozenBatchNorm2d in inference, and as fast
# in training, where it takes a third more memory.
BEST_DETECT, BEST_TRAIN = "detect --norm eval --channels-last", "train --norm frozen --channels-last"
DEFAULT_LAYOUT = "torchvision, default layout"
ROWS = "--as-configured --warm-up 1 --calls 1"
R50, R101 = "r50-multimodal, train.mirror", "r101-multimodal, train.mirror"
SAME_NET = "PyTorch, the same network"
THOUSAND = "--set network.rpn.test_post_nms=1000 --set network.rpn.test_pre_nms=6000"
CT_EXPORT = Side("ours_export", "--config r50-2.5d --out {build}/r50-2.5d.npz")
CT_LIKE = "--slices 9 --like {build}/r50-2.5d.npz"


def onnx_pair(name: str, what: str, here: Side, calls: int) -> Pair:
    """A configuration in MXNet and in onnxruntime; the graphs are made before."""
    sides = {HERE: here}
    if here.module == "ours_detect":
        sides[REDUCED] = Side(here.module, f"{here.arguments} --precision bfloat16")
    graphs = f"--graphs {{build}}/onnx-{name} --calls {calls}"
    sides.update({ONNX: Side("onnx_run", graphs), INT8: Side("onnx_run", f"{graphs} --int8")})
    goals = [Goal(f"onnx-{name}", SECONDS, ONNX, HERE, 1), Goal(f"onnx-{name}-int8", SECONDS, INT8, HERE, 0.7)]
    if here.module == "ours_stream":
        goals.append(Goal("onnx-stream-rate", RATE, INT8, 4.0, 1))
    return Pair(
        f"onnxruntime, {name}",
        f"{what}, in MXNet and in onnxruntime, both on the CPU: the graphs of `export --onnx` in float32 and with "
        "convolutions in int8, in processes that hold no MXNet.",
        sides,
        tuple(goals),
        prepare=Side("onnx_export", f"{here.arguments} --out {{build}}/onnx-{name}"),
    )


PAIRS: Dict[str, Pair] = {
    "frame": Pair(
        "One frame, Faster R-CNN ResNet-50",
        "Inference of one image of 800x800 with random weights, from its pixels to boxes. Here and in torchvision 100 "
        "proposals are kept, the anchors are the same 15 a cell, and Block4 (layer4) is the head. GluonCV's "
        "`faster_rcnn_resnet50_v1b_coco` keeps 1,000 proposals and has 80 classes. Tuned, it runs on all cores with "
        "the OpenBLAS kernels of the CPU, as a static graph.",
        {
            HERE: Side("ours_detect", "--config r50 --calls 5"),
            TUNED: Side("gluoncv_detect", "--tuned --calls 2"),
            TORCHVISION: Side("torch_run", f"{BEST_DETECT} --calls 5", TORCH),
            DEFAULT_LAYOUT: Side("torch_run", "detect --norm frozen --calls 3", TORCH),
            STOCK: Side("gluoncv_detect", "--calls 1"),
        },
        (
            Goal("frame-stock", SECONDS, HERE, STOCK, 0.07),
            Goal("frame-tuned", SECONDS, HERE, TUNED, 0.15),
            Goal("frame-torchvision", SECONDS, HERE, TORCHVISION, 0.85),
        ),
    ),
    "frame-1000": Pair(
        "One frame, 1,000 proposals",
        "The same at as many proposals as GluonCV keeps: the 6,000 best boxes before suppression, 1,000 after it. "
        "Reduced precision is Block4 in bfloat16 (`--precision`), which a CPU with avx512_bf16 multiplies.",
        {
            HERE: Side("ours_detect", f"--config r50 {THOUSAND} --calls 3"),
            REDUCED: Side("ours_detect", f"--config r50 {THOUSAND} --calls 3 --precision bfloat16"),
            TUNED: Side("gluoncv_detect", "--tuned --calls 3"),
        },
        (
            Goal("frame-1000-time", SECONDS, HERE, TUNED, 0.85),
            Goal("frame-1000-memory", BYTES, HERE, TUNED, 0.7),
            Goal("frame-1000-reduced", SECONDS, REDUCED, TUNED, 0.5),
        ),
    ),
    "step": Pair(
        "Training step, Faster R-CNN ResNet-50",
        "One image of 800x800: targets, forward, backward and an SGD update with momentum; statistics of BatchNorm "
        "are frozen, 256 anchors and 128 ROIs are sampled. Here BatchNorm's scales and offsets learn too; "
        "torchvision's FrozenBatchNorm2d has none to learn.",
        {
            HERE: Side("ours_train", "--config r50 --calls 3"),
            TORCHVISION: Side("torch_run", f"{BEST_TRAIN} --calls 3", TORCH),
            DEFAULT_LAYOUT: Side("torch_run", "train --norm frozen --calls 2", TORCH),
        },
        (
            Goal("step-time", SECONDS, HERE, TORCHVISION, 0.7),
            Goal("step-memory", BYTES, HERE, TORCHVISION, 1.2),
        ),
    ),
    "step-2.5d": Pair(
        "Training step, r50-2.5d",
        "The 3D-stem network on nine slices of 800x800, one image a step. Beside it the same network in PyTorch's "
        "operators, slices folded into the batch, with the weights of this one; the texture stage is off, because "
        "PyTorch has none.",
        {
            HERE: Side("ours_train", "--config r50-2.5d --calls 2"),
            MIRRORED: Side("ours_train", "--config r50-2.5d --calls 2 --set train.mirror=true"),
            SAME_NET: Side("torch_run", f"{BEST_TRAIN} {CT_LIKE} --calls 2", TORCH),
        },
        (
            Goal("step-2.5d-time", SECONDS, HERE, SAME_NET, 0.7),
            Goal("step-2.5d-memory", BYTES, HERE, SAME_NET, 1.2),
            Goal("step-2.5d-mirrored-time", SECONDS, MIRRORED, SAME_NET, 0.7),
            Goal("step-2.5d-mirrored-memory", BYTES, MIRRORED, SAME_NET, 1.2),
        ),
        prepare=CT_EXPORT,
    ),
    "detect-2.5d": Pair(
        "Inference, r50-2.5d",
        "The same network on one image, at 100 proposals.",
        {
            HERE: Side("ours_detect", "--config r50-2.5d --calls 4"),
            SAME_NET: Side("torch_run", f"{BEST_DETECT} {CT_LIKE} --calls 4", TORCH),
        },
        (Goal("detect-2.5d", SECONDS, HERE, SAME_NET, 0.7),),
        prepare=CT_EXPORT,
    ),
    "study": Pair(
        "A whole study, r50-2.5d",
        "Seconds a slice of a study at 800x800, as configured: each window of nine slices by itself, and `--dense`, "
        "which computes once what neighbouring windows share. It begins four slices below the first and ends as far "
        "above the last, which 24 slices pay more for than a whole liver does. The texture stage of random weights "
        "calls no proposal normal, so it saves nothing here.",
        {
            "dense": Side("ours_study", "--config r50-2.5d --as-configured --dense --slices 24"),
            "windows one by one": Side("ours_study", "--config r50-2.5d --as-configured --slices 6"),
        },
        (Goal("study", SECONDS, "dense", "windows one by one", 0.5),),
        rounds=1,
    ),
    "rows-memory": Pair(
        "Training step, memory of the rows",
        "One image of 800x800, as configured, with the texture stage and dropout; three phases of nine slices in the "
        "multi-modal rows.",
        {
            "r50-2.5d": Side("ours_train", f"--config r50-2.5d {ROWS}"),
            "r50-multimodal": Side("ours_train", f"--config r50-multimodal --phases 3 {ROWS}"),
            R50: Side("ours_train", f"--config r50-multimodal --phases 3 {ROWS} --set train.mirror=true"),
            R101: Side("ours_train", f"--config r101-multimodal --phases 3 {ROWS} --set train.mirror=true"),
        },
        (
            Goal("memory-2.5d", BYTES, "r50-2.5d", 5 * GB, 1),
            Goal("memory-r50-multimodal", BYTES, "r50-multimodal", 12 * GB, 1),
            Goal("memory-r50-multimodal-mirrored", BYTES, R50, 12 * GB, 1),
            Goal("memory-r101-multimodal", BYTES, R101, 12 * GB, 1),
        ),
        rounds=1,
    ),
    "stream": Pair(
        "Ultrasound stream",
        "Frames of 320x320 one after the other, as `watch` reads them, 100 proposals. The paper's system reads 4 "
        "frames a second. `us-flow` adds the optical flow from the frame before and the aggregation; both nets and "
        "the flow net have the given share of their channels.",
        {
            f"{model}, width {width}": Side(
                "ours_stream", f"--config {model} --set network.width={width} --set flow.width={width}"
            )
            for width in (1.0, 0.5, 0.25)
            for model in ("us-flow", "us-faster-rcnn")
        },
        (
            Goal("stream-rate", RATE, "us-flow, width 1.0", 4.0, 1),
            *(
                Goal(f"flow-{width}", SECONDS, f"us-flow, width {width}", f"us-faster-rcnn, width {width}", 1.3)
                for width in (1.0, 0.5, 0.25)
            ),
        ),
    ),
    "onnx-r50": onnx_pair(
        "r50", "One image of 800x800, 100 proposals", Side("ours_detect", "--config r50 --calls 5"), 5
    ),
    "onnx-r101-multimodal": onnx_pair(
        "r101-multimodal",
        "Three phases of nine slices of 800x800, without the texture stage",
        Side("ours_detect", "--config r101-multimodal --phases 3 --calls 2"),
        2,
    ),
    "onnx-us-flow": onnx_pair(
        "us-flow",
        "Frames of 320x320 one after the other",
        Side("ours_stream", "--config us-flow --set data.size=320"),
        8,
    ),
    "loading": Pair(
        "Loading for training",
        "Images of three phases and nine slices at 800x800: what a training step waits for, with the rows' "
        "augmentation, from prepared data of 512x512 slices on disk.",
        {
            "two cores": Side("ours_load", "--data {build}/loading", cores=2),
            "one core": Side("ours_load", "--data {build}/loading", cores=1),
        },
        (Goal("loading", RATE, "two cores", 3.0, 1),),
        prepare=Side("ours_load", "--data {build}/loading --prepare"),
    ),
    "import": Pair(
        "Importing a study",
        "3 x 500 slices of 512x512: three phases that start half a millimetre beside each other, so that two are "
        "resampled. The volumes are what the prepared study holds.",
        {HERE: Side("ours_import", "--source {build}/import-source --out {build}/imported")},
        (Goal("import-memory", BYTES, HERE, "volumes", 1.5),),
        rounds=1,
        prepare=Side("ours_import", "--source {build}/import-source --prepare"),
    ),
    "roi-align": Pair(
        "ROIAlign, forward and backward",
        "1,024 channels of 50x50, 128 ROIs, 14x14: the pooling of the ROI head beside `contrib.ROIAlign` of MXNet, "
        "with the gradient of the map.",
        {
            HERE: Side("roi_align", "ours --calls 5"),
            "MXNet's operator": Side("roi_align", "mxnet --calls 5"),
        },
        (Goal("roi-align", SECONDS, HERE, "MXNet's operator", round(1 / 6, 3)),),
    ),
    "start-up": Pair(
        "Start-up",
        "Whole processes: the commands' help, a path that is not there, and the import of the package.",
        {
            "--help": Side("start_up", "help"),
            "train --help": Side("start_up", "train-help"),
            "a refused path": Side("start_up", "refused"),
            "import gluon_liver": Side("start_up", "import"),
        },
        (
            Goal("start-help", SECONDS, "--help", 0.3, 1),
            Goal("start-train-help", SECONDS, "train --help", 0.3, 1),
            Goal("start-refused", SECONDS, "a refused path", 0.3, 1),
            Goal("start-import", SECONDS, "import gluon_liver", 0.1, 1),
        ),
        rounds=1,
    ),
}
