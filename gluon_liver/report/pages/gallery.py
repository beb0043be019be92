"""The pictures of a page, embedded: hits, misses and false positives with the slices and phases beside them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple

from gluon_liver.errors import RunError
from gluon_liver.metrics.errors.causes import FOUND, RIGHT

Kinds = Mapping[str, Tuple[str, str]]  # in the order shown: kind -> heading, explanation
_SIGNATURES = {b"\x89PNG\r\n\x1a\n": "png", b"RIFF": "webp", b"\xff\xd8\xff": "jpeg"}


def embedded_overlays(entries: List[Any], run: Path, kinds: Kinds) -> List[Dict[str, Any]]:
    """Groups of cases in the order of kinds, of ``overlays`` in results.json; empty groups are left out.

    Raises :class:`RunError` for an entry without file, caption and kind, and for a file outside RUN/overlays or that is
    no picture.
    """
    groups: Dict[str, Dict[str, Any]] = {kind: _group(*words) for kind, words in kinds.items()}
    for entry in entries:
        if not isinstance(entry, dict) or not {"file", "caption", "kind"} <= set(entry):
            raise RunError(f"{run / 'results.json'}: an overlay needs file, caption and kind")
        if entry["kind"] not in kinds:
            raise RunError(f"{run / 'results.json'}: overlay kind {entry['kind']!r} is none of {', '.join(kinds)}")
        case = dict(image=_embedded(entry["file"], run), title="", words=str(entry["caption"]), pictures=[])
        groups[entry["kind"]]["cases"].append({**case, "alt": str(entry["caption"])})
    return [group for group in groups.values() if group["cases"]]


def embedded_gallery(results: Mapping[str, Any], run: Path, kinds: Kinds) -> List[Dict[str, Any]]:
    """Groups of cases, of ``gallery`` in results.json, each with how many there are in all; of its overlays where an
    older version evaluated."""
    entries, totals = results.get("gallery"), results.get("gallery_totals") or {}
    if not entries:
        return embedded_overlays(results["overlays"], run, kinds)
    groups: Dict[str, Dict[str, Any]] = {kind: _group(*words) for kind, words in kinds.items()}
    for entry in entries:
        kind = entry["kind"]
        group = groups.setdefault(kind, _group(f"{kind[0].upper()}{kind[1:]}", "examples"))
        group["total"] = totals.get(kind)
        group["cases"].append(_case(entry, run, "slice" if results["kind"] == "ct" else "frame"))
    return [group for group in groups.values() if group["cases"]]


def data_uri(content: bytes, kind: str = "png") -> str:
    """A picture as the source of an image that needs no file."""
    return f"data:image/{kind};base64," + base64.b64encode(content).decode("ascii")


def _group(title: str, note: str) -> Dict[str, Any]:
    return dict(title=title, note=note, total=None, cases=[])


def _case(entry: Mapping[str, Any], run: Path, unit: str) -> Dict[str, Any]:
    """One case: its picture, what stands below it, and the pictures that it opens to: slice by slice, then other
    phases."""
    facts = [("IoU", entry.get("iou")), ("score", entry.get("score"))]
    numbers = [f"{name} {value:.2f}" for name, value in facts if isinstance(value, (int, float))]
    title = ", ".join([str(entry.get("class") or ""), *numbers]).strip(", ")
    cause = "" if entry.get("cause") in (None, RIGHT, FOUND) else f": {entry['cause']}"
    words = f"{entry['case']}, {unit} {entry['place']}{cause}"
    shown = entry.get("pictures") or []
    reference = shown[0].get("phase") if shown else None
    ordered = sorted(
        shown, key=lambda one: (one.get("phase") != reference, one["offset"] if one.get("phase") == reference else 0)
    )
    pictures = [
        dict(image=_embedded(one["file"], run), label=str(one["label"]), place=one["file"] == entry["file"])
        for one in ordered
    ]
    alt = f"{entry['kind']}: {title}; {words}"
    return dict(image=_embedded(entry["file"], run), title=title, words=words, alt=alt, pictures=pictures)


def _embedded(name: Any, run: Path) -> str:
    """The source of an image of the run's overlays."""
    path = run / str(name)
    if (run / "overlays").resolve() not in path.resolve().parents:
        raise RunError(f"{run / 'results.json'}: overlay {name!r} lies outside {run / 'overlays'}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.__class__.__name__})") from error
    kind = next((kind for start, kind in _SIGNATURES.items() if content.startswith(start)), None)
    if kind is None:
        raise RunError(f"{path}: not a PNG image, nor WebP or JPEG")
    return data_uri(content, kind)
