"""The page of one case: slices of all phases as embedded pictures, boxes and lesions as data, and what scrolls them.

It is one file that asks nothing of a server or network; its policy lets nothing else be loaded.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import cv2
import jinja2
import numpy as np

from gluon_liver.report.figures.drawing import class_colours
from gluon_liver.report.figures.us_drawing import us_colours
from gluon_liver.structures.arrays import Array
from gluon_liver.structures.lesions import SliceBox, in_plane_mm, join_slices
from gluon_liver.system.terminal import progress_bar

from .codec import SAMPLES, Codec, choose_codec
from .detections import Overlay
from .source import Shown

FILES = Path(__file__).parent / "files"
BODY_HU, BODY_MARGIN, BODY_THICK = -250, 0.02, 40
JOIN_FROM = 0.05  # detections below this score are shown as boxes, not joined to lesions
WINDOWS: Dict[str, List[Tuple[str, float, float]]] = {
    "CT": [("liver", 150, 80), ("abdomen", 400, 40), ("paper", 80, 150), ("wide", 700, 100), ("bone", 1500, 400)],
    "MRI": [("all", 2048, 0), ("dark half", 1024, -512), ("bright half", 1024, 512)],
    "ultrasound": [("all", 255, 127.5), ("dark half", 128, 64), ("bright half", 128, 192)],
}
WINDOWS["CT"].append(("lung", 1500, -600))


class Page(NamedTuple):
    """html: the page. codec: of its pictures. pictures: how many there are."""

    html: str
    codec: Codec
    pictures: int


def make_page(
    shown: Shown,
    overlay: Optional[Overlay] = None,
    *,
    size: Optional[int] = None,
    slices: Optional[Tuple[int, int]] = None,
    form: Optional[str] = None,
    progress: bool = False,
) -> Page:
    """The page of a case.

    size: the longer side of the pictures, where it is shorter than as stored. slices: the first and the last that are
    shown, both counted from 0. form: JPEG, WEBP or PNG; by default the smallest that is good enough.
    """
    first, last = slices or (0, len(shown.places) - 1)
    factor = min(1.0, (size or max(shown.size)) / max(shown.size))
    wanted = [(phase, place) for phase in range(len(shown.phases)) for place in range(first, last + 1)]
    codec = choose_codec(_samples(shown, first, last, factor), fine=shown.scale.fine, form=form)

    def one(where: Tuple[int, int]) -> Optional[str]:
        picture = shown.picture(*where)
        return None if picture is None else codec.uri(_shrunk(picture, factor))

    # the encoders let other threads work meanwhile
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        bar = progress_bar(pool.map(one, wanted), total=len(wanted), text="pictures", show=progress)
        images = list(bar)
    pictures = sum(image is not None for image in images)
    data = _data(shown, overlay, first, last)
    data["note"] = _note(shown, codec, factor)
    return Page(_html(data, images), codec, pictures)


def _samples(shown: Shown, first: int, last: int, factor: float) -> List[Array]:
    """Some slices of the reference phase, evenly spaced."""
    count = min(SAMPLES, last - first + 1)
    places = first + ((np.arange(count) + 0.5) * (last - first + 1) / count).astype(int)
    pictures = [shown.picture(shown.reference, int(place)) for place in places]
    return [_shrunk(picture, factor) for picture in pictures if picture is not None]


def _shrunk(picture: Array, factor: float) -> Array:
    if factor == 1:
        return picture
    height, width = (max(1, round(side * factor)) for side in picture.shape[:2])
    smaller: Array = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return smaller


def _data(shown: Shown, overlay: Optional[Overlay], first: int, last: int) -> Dict[str, Any]:
    """What the page's script reads; places count from the first slice that is shown."""
    frames = shown.kind == "ultrasound"
    classes = overlay.classes if overlay else shown.classes
    truth = [
        [place - first, int(kind), *_edges(box)]
        for place, label in sorted(shown.labels.items())
        if first <= place <= last
        for box, kind in zip(label.boxes, label.labels)
    ]
    lesions = [entry for entry in _lesions(shown) if entry["last"] >= first and entry["first"] <= last]
    boxes = [one for one in overlay.boxes if first <= one.place <= last] if overlay else []
    data: Dict[str, Any] = {
        "case": shown.case,
        "kind": shown.kind,
        "frames": frames,
        "facts": _facts(shown, first, last),
        "phases": list(shown.phases),
        "reference": shown.reference,
        "places": list(shown.places[first : last + 1]),
        "numbers": list(shown.numbers[first : last + 1]),
        "body": _body(shown, first, last),
        "width": shown.size[1],
        "height": shown.size[0],
        "aspect": 1.0 if shown.spacing is None else shown.spacing[1] / shown.spacing[2],
        "unit": shown.scale.unit,
        "table": shown.scale.table(),
        "windows": [dict(name=name, width=width, level=level) for name, width, level in WINDOWS[shown.kind]],
        "classes": list(classes or shown.classes),
        "colours": [list(colour) for colour in (us_colours(classes) if frames else class_colours(len(classes)))],
        "labelled": sorted(place - first for place in shown.labels if first <= place <= last),
        "truth": truth,
        "lesions": [_moved(entry, first, last) for entry in lesions],
        "detections": None,
        "phantom": shown.phantom,
        "notes": [*shown.notes, *(overlay.notes if overlay else [])],
    }
    if overlay is not None:
        data["detections"] = [[b.place - first, b.label, *_edges(b.box), round(b.score, 4)] for b in boxes]
        data["threshold"] = overlay.threshold
        found = [] if frames else _found_lesions(shown, overlay)
        inside = [one for one in found if one["last"] >= first and one["first"] <= last]
        data["found"] = [_moved(entry, first, last) for entry in inside]
    return data


def _body(shown: Shown, first: int, last: int) -> Optional[List[float]]:
    """Left, top, right and bottom of the body on some slices, as fractions of the picture; None without HU."""
    if shown.kind != "CT":
        return None
    boxes = []
    for picture in _samples(shown, first, last, 1.0):
        outside = shown.scale.encode(np.array(BODY_HU))
        # clothes, lines and the table are thin
        thick = np.ones((max(3, picture.shape[1] // BODY_THICK),) * 2, np.uint8)
        seen = cv2.morphologyEx((picture > outside).astype(np.uint8), cv2.MORPH_OPEN, thick)
        count, _, parts, _ = cv2.connectedComponentsWithStats(seen)
        if count > 1:
            left, top, width, height, _ = parts[1 + int(np.argmax(parts[1:, cv2.CC_STAT_AREA]))]
            boxes.append((left, top, left + width, top + height))
    if not boxes:
        return None
    height, width = shown.size
    corners = np.array(boxes, np.float64) / (width, height, width, height)
    low, high = corners[:, :2].min(axis=0) - BODY_MARGIN, corners[:, 2:].max(axis=0) + BODY_MARGIN
    return [round(float(edge), 4) for edge in (*np.maximum(low, 0), *np.minimum(high, 1))]


def _edges(box: Sequence[float]) -> List[float]:
    return [round(float(edge), 2) for edge in box]


def _moved(entry: Dict[str, Any], first: int, last: int) -> Dict[str, Any]:
    inside = {key: min(max(entry[key], first), last) - first for key in ("first", "last", "best")}
    return {**entry, **inside}


def _lesions(shown: Shown) -> List[Dict[str, Any]]:
    """Entries of the list that jumps: lesions, or scenes of a recording."""
    if shown.scenes:
        return [dict(name=name, first=low, last=high, best=low, text="") for name, low, high in shown.scenes]
    return [_entry(list(one.boxes), one.class_name, one.size_mm[0]) for one in shown.lesions]


def _entry(boxes: Sequence[SliceBox], name: str, mm: float) -> Dict[str, Any]:
    best = max(boxes, key=lambda one: float(np.prod(one.box[2:] - one.box[:2])))
    return dict(name=name, first=boxes[0].slice, last=boxes[-1].slice, best=best.slice, text=f"{mm:.0f} mm")


def _found_lesions(shown: Shown, overlay: Overlay) -> List[Dict[str, Any]]:
    """Detections joined over slices as `detect` joins them, with the best score of each, best first."""
    spacing = shown.spacing or (1.0, 1.0, 1.0)
    boxes = [
        SliceBox(one.place, np.array(one.box, np.float32), overlay.classes[one.label], one.score)
        for one in overlay.boxes
        if one.score >= JOIN_FROM
    ]
    entries = []
    for some in join_slices(boxes, spacing=spacing):
        best = max(some, key=lambda one: one.score)
        score = round(best.score, 4)
        entries.append(
            {**_entry(some, best.class_name, in_plane_mm(some, spacing)), "score": score, "best": best.slice}
        )
    return sorted(entries, key=lambda entry: -float(entry["score"]))


def _facts(shown: Shown, first: int, last: int) -> List[str]:
    what = ("frame" if shown.kind == "ultrasound" else "slice") + "s" * (first != last)
    part = "" if last - first + 1 == len(shown.places) else f" ({first} to {last} of {len(shown.places)})"
    facts = [shown.kind, f"{last - first + 1} {what}{part}", f"{shown.size[1]} x {shown.size[0]} pixels"]
    if shown.spacing is not None:
        facts[1:1] = [f"{len(shown.phases)} phase" + "s" * (len(shown.phases) > 1)]
        facts.append(f"{shown.spacing[0]:.3g} mm apart, pixels {shown.spacing[2]:.3g} mm")
    return facts + [f"{shown.split} split"] * bool(shown.split)


def _note(shown: Shown, codec: Codec, factor: float) -> str:
    """What the pixels of the page are, and what they are not."""
    scale = shown.scale
    if scale.fine == (0, 255):
        kept = f"8 bits from {scale.values[0]:g} to {scale.values[-1]:g} ({scale.unit})"
    else:
        table = scale.table()
        fine = f"in steps of {scale.step:.2g} from {table[scale.fine[0]]:g} to {table[scale.fine[1]]:g} {scale.unit}"
        kept = f"8 bits {fine}, coarser from {table[0]:g} and to {table[-1]:g} {scale.unit}"
    smaller = f", shrunk to {factor:.0%} of the stored size" if factor < 1 else ""
    lost = f", error {codec.error * scale.step:.1f} {scale.unit} (RMS of sampled images)" if codec.error else ""
    return f"Pixels are for display: {kept}{smaller}, as {codec.title}{lost}."


def _html(data: Dict[str, Any], images: Sequence[Optional[str]]) -> str:
    script = (FILES / "viewer.js").read_text(encoding="utf-8")
    loader = jinja2.FileSystemLoader(FILES)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    values = dict(
        data=data,
        style=(FILES / "viewer.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=f"sha256-{digest}",
        json=_in_script(data),
        images=_in_script(images),
    )
    return environment.get_template("page.html.j2").render(values)


def _in_script(value: Any) -> str:
    """JSON that cannot end the element of the page that holds it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
