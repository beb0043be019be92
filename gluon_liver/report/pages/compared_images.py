"""The images in which compared runs differ most, as their page shows them: pictures side by side, words and boxes."""

from __future__ import annotations

import base64
from collections import Counter
from typing import Any, Dict, List, Mapping, Tuple

from gluon_liver.report.comparison.differing import SAME, SHOWN
from gluon_liver.report.tables.table import Table
from gluon_liver.structures.enumerations import first_of

_MOST_LISTED = 4  # of what a side misses, or gets wrong, below a picture
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
    counts = {name: groups[name] or "none" for name in SHOWN}
    text = f"Of {images} {what} A is better in {counts['a']}, B in {counts['b']}"
    text += f"; in {counts['mixed']} each errs in its own way, and in {same or 'none'} both find the same"
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
            groups.append({"title": title, "note": f"{note[0].upper()}{note[1:]}: {shown}.", "images": images})
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
    """What a side finds, and what it misses and gets wrong."""
    objects, false = len(entry["objects"]), side["false"]
    found = sum(side["found"])
    texts = [f"{found:.3g} of {objects} found" if objects else "nothing to find"]
    texts += [f"{false:.3g} false detection" + ("" if false == 1 else "s")] if false or not objects else []
    missed = [one["class"] for one, share in zip(entry["objects"], side["found"]) if share <= 0.5]
    texts += [f"missed: {_listed(missed)}"] if missed else []
    wrong = [f"{one['class']} {one['score']:.2f}{_near(one)}" for one in side["detections"] if not one["right"]]
    return "; ".join(texts + ([f"wrong: {_listed(wrong)}"] if wrong else []))


def _near(one: Dict[str, Any]) -> str:
    """How near a wrong detection is to an object of its class, where it is on a part of one."""
    return f" (IoU {one['iou']:.2f})" if one["iou"] >= 0.1 else ""


def _listed(texts: List[str]) -> str:
    """Texts with how often each is there, at most :data:`_MOST_LISTED`."""
    counted = [f"{count} {text}" if count > 1 else text for text, count in Counter(texts).items()]
    return first_of(counted, _MOST_LISTED)


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
