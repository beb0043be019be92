"""The README.md of an exported Module checkpoint."""

from __future__ import annotations

from typing import Any, Mapping, Sequence, Tuple, Union

from gluon_liver.data.images import GREY_MEAN, GREY_STD
from gluon_liver.data.us_pairs import seconds
from gluon_liver.structures.modality import MRI

TEXT = """# A liver lesion detector as a Module checkpoint

Exported by gluon_liver from {checkpoint} (step {step}, epoch {epoch}) of a run of {plain[model]}{row}.
For MXNet 1.0.0 on Python 2.7; MXNet 1.9.1 loads it too. Research software, not a medical device, not for diagnosis.
{notes}
| file | |
| --- | --- |
| {prefix}-symbol.json | the network for inference, batches of {shapes[data][0]} |
| {prefix}-0000.params | parameters (`arg:`, `aux:`), the constants of the configuration among them |
| config.json | the configuration, classes and phases, as `symbols/` of gluon_liver takes them |
| predict.py | runs the checkpoint on saved inputs; needs mxnet and numpy alone |
| SHA256SUMS | `sha256sum -c SHA256SUMS` |

    pip install mxnet==1.0.0.post4 numpy==1.13.3        # Python 2.7
    OMP_NUM_THREADS=1 python predict.py {prefix} INPUTS.npz OUTPUTS.npz

Inputs, float32: {inputs}. {meaning}

Outputs: `detections` (images, {most}, 6), rows of class, score, x1, y1, x2, y2, best first, class -1 for no box; the
corners are in pixels of the input, unclipped. Classes, from 0: {classes}. `check` (images,) is finite where the scores
are.

Back into a run of gluon_liver: `python -m gluon_liver import-legacy {prefix} --data DATA --out RUN`.
"""
CT = (
    "`data` is (image, phase, 1, slice, row, column), phases {phases}, the annotated slice in the middle{step}: "
    "{values} in the window {window}{storage}, resized, (grey / 255 - {mean}) / {std}.{present}"
)
PRESENT = " `present` (image, phase) is 1; 0 for a phase that is not there, with the reference phase's slices instead."
STEP = ", the others {:g} mm apart, linear between stored slices"
MRI_VALUES = f"grey values of {MRI}, each volume scaled by itself (`gluon_liver.mri_volume`),"
US = "`data` is (image, frame, red green blue, row, column), grey / 255, the current frame last{before}."
BEFORE = ", behind the one that lies {step} frame(s) before it{time}, as in training"


def readme(
    plain: Mapping[str, Any],
    shapes: Mapping[str, Tuple[int, ...]],
    *,
    prefix: str,
    checkpoint: str,
    manifest: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> str:
    """Text for the configuration that ``symbols`` takes and the shapes of its inputs.

    manifest: the checkpoint's, with ``frames_per_second`` of the training recordings. notes: what a reader must know of
    the network.
    """
    data, row = plain["data"], plain["row"]
    time = seconds(plain["step"], manifest.get("frames_per_second", [])) if "step" in plain else ""
    meaning = US.format(before=BEFORE.format(step=plain["step"], time=time) if "step" in plain else "")
    if "phases" in plain:
        meaning = CT.format(
            phases=", ".join(plain["phases"]),
            values="HU" if "modality" not in plain else MRI_VALUES,
            window=_window(data["window"]),
            step=STEP.format(data["slice_step_mm"]) if data.get("slice_step_mm") else "",
            mean=GREY_MEAN,
            std=GREY_STD,
            storage=", 8-bit JPEG" if data["storage"] == "jpeg" else "",
            present=PRESENT if "present" in shapes else "",
        )
    trained = {"checkpoint": checkpoint, "step": manifest["step"], "epoch": manifest.get("epoch", "?")}
    inputs = ", ".join(f"`{name}` {shape}" for name, shape in shapes.items())
    texts = {"inputs": inputs, "meaning": meaning, "row": f" beside row {row} of Table 4" if row else ""}
    names = (f"`{name}`".replace("`", "'") if "`" in name else f"`{name}`" for name in plain["classes"])
    texts["notes"] = "".join(f"\n**Note**: {note}.\n" for note in notes)
    detections = {"classes": ", ".join(names), "most": plain["network"]["head"]["max_detections"]}
    return TEXT.format(plain=plain, shapes=shapes, prefix=prefix, **trained, **texts, **detections)


def _window(window: Union[str, Sequence[float]]) -> str:
    return f"`{window}`" if isinstance(window, str) else "of width {:g}, level {:g}".format(*window)
