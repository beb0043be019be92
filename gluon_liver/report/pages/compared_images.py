"""The images in which compared runs differ most, as their page shows them: pictures side by side, words and boxes."""

from __future__ import annotations

import base64
from typing import Any, Dict, List, Mapping, Tuple

from gluon_liver.report.comparison.differing import SAME, SHOWN
from gluon_liver.report.tables.table import Table

TITLES = {
    "a": ("A is better", "A finds more objects or has fewer false detections than B"),
    "b": ("B is better", "B finds more objects or has fewer false detections than A"),
    "mixed": ("As good, in other ways", "each is right about something that the other is wrong about"),
    "scores": ("Other scores alone", "both find the same, with other scores"),
}


def totals_text(document: Mapping[str, Any]) -> str:
    """How many images each group has."""
    groups, images = document["differing"]["groups"], document["images"]
    what = "slices" if document["kind"] == "ct" else "frames"
    same = groups[SAME] + groups["scores"]
    counts = f"A is better in {groups['a']}, B in {groups['b']}, and in {groups['mixed']} each errs in its own way"
    text = f"Of {images} {what} {counts}; in {same} both find the same"
    return text + (f", in {groups['scores']} of them with other scores." if groups["scores"] else ".")


def image_groups(document: Mapping[str, Any], pictures: Mapping[int, Tuple[bytes, bytes]]) -> List[Dict[str, Any]]:
    """Groups for the template, the empty left out: title, note, total and entries.

    pictures: WebP of A and of B by image id; empty where none could be drawn.
    """
    groups = []
    for group in SHOWN:
        entries = [one for one in document["differing"]["shown"] if one["group"] == group]
        if entries:
            title, note = TITLES[group]
            total = document["differing"]["groups"][group]
            shown = f"the {len(entries)} where the difference is largest, spread over patients, of {total}"
            shown = shown if len(entries) < total else f"all {total}" if total > 1 else "the only one"
            images = [_entry(one, document, pictures.get(one["image_id"])) for one in entries]
            groups.append({"title": title, "note": f"{note}: {shown}.", "images": images})
    return groups


def _entry(entry: Dict[str, Any], document: Mapping[str, Any], pictures: Any) -> Dict[str, Any]:
    case, place = ("study", "slice") if document["kind"] == "ct" else ("scene", "frame")
    title = f"{case.capitalize()} {entry['case']}, {place} {entry['place']}"
    sides = []
    for number, letter in enumerate(("a", "b")):
        said = f"{letter.upper()}: {_said(entry, entry[letter])}"
        run = document[letter][entry[letter]["run"]]
        if len(document[letter]) > 1:
            said += f" on average over {len(document[letter])} runs; shown is {run['name']} (seed {run['seed']})"
        image = None if pictures is None else "data:image/webp;base64," + base64.b64encode(pictures[number]).decode()
        sides.append({"image": image, "said": f"{said}.", "alt": f"{title}, {said}. {_seen(entry[letter])}"})
    return {"title": title, "sides": sides, "table": _boxes(entry, title)}


def _said(entry: Dict[str, Any], side: Dict[str, Any]) -> str:
    objects, false = len(entry["objects"]), side["false"]
    found = sum(side["found"])
    what = f"{found:.3g} of {objects} found" if objects else "nothing to find"
    return f"{what}, {false:.3g} false detection" + ("" if false == 1 else "s")


def _seen(side: Dict[str, Any]) -> str:
    """The detections in words, for who does not see the picture."""
    texts = [f"{one['class']} {one['score']:.2f} {'right' if one['right'] else 'wrong'}" for one in side["detections"]]
    return f"Detected: {', '.join(texts)}" if texts else "Nothing detected"


def _boxes(entry: Dict[str, Any], title: str) -> Table:
    """What is annotated with what becomes of it, and every detection of the runs that are shown."""
    rows: List[Tuple[str, ...]] = []
    for number, one in enumerate(entry["objects"]):
        scores = [_object_text(entry[letter], number) for letter in ("a", "b")]
        rows.append(("annotated", one["class"], _box(one["box"]), *scores))
    for place, letter in enumerate(("a", "b")):
        for one in entry[letter]["detections"]:
            text = f"{one['score']:.2f}, " + ("right" if one["right"] else f"wrong (IoU {one['iou']:.2f})")
            rows.append((f"detected by {letter.upper()}", one["class"], _box(one["box"]), *["", ""][:place], text))
    padded = [(*row, *[""] * (5 - len(row))) for row in rows]
    return Table.of(f"{title}: boxes", ("", "class", "x1, y1, x2, y2", "A", "B"), padded)


def _object_text(side: Dict[str, Any], number: int) -> str:
    share, score = side["found"][number], side["scores"][number]
    if 0 < share < 1:
        return f"found by {100 * share:.0f} % of runs"
    return f"found, {score:.2f}" if share else f"missed, best {score:.2f}" if score else "missed"


def _box(box: List[float]) -> str:
    return ", ".join(f"{edge:.0f}" for edge in box)
