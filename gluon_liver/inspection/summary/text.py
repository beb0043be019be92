"""The summary as text: the layout of the CT paper's Table 1, then what else is known, in lines for a screen."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, Sequence

TITLES = {"train": "Training Set", "val": "Validation Set", "test": "Test Set", "unassigned": "In no split"}
# CT paper, Table 1
PRINTED = "printed in Table 1 (patients, lesions): training cyst 178, 910, hemangioma 353, 495, HCC 90, 173"
PRINTED += "; test cyst 20, 98, hemangioma 20, 38, HCC 20, 30"


def table1(summary: Mapping[str, Any]) -> List[List[str]]:
    """Rows of cells: a header of splits, one of columns, one row a class, and one of all."""
    ct = summary["kind"] == "ct"
    columns = {"patients": "No. Patients", "lesions": "No. Lesions"} if ct else {"scenes": "Scenes", "boxes": "Boxes"}
    columns["images"] = "Slices" if ct else "Frames"
    splits: Dict[str, Any] = summary["splits"]
    blank = [""] * (len(columns) - 1)
    rows = [["", *(cell for name in splits for cell in (TITLES[name], *blank))]]
    rows.append(["", *(title for _ in splits for title in columns.values())])
    for name in summary["classes"]:
        rows.append([name, *(str(one["classes"][name][key]) for one in splits.values() for key in columns)])
    own = {**columns, "images": "images_with_box"}
    rows.append(
        ["all", *(str(one[own[key] if key == "images" else key]) for one in splits.values() for key in columns)]
    )
    return rows


def aligned(rows: Sequence[Sequence[str]]) -> List[str]:
    """Rows in columns: the first to the left, the others to the right; titles of splits span theirs."""
    widths = [max(len(row[column]) for row in rows[1:]) for column in range(len(rows[0]))]
    starts = [index for index, cell in enumerate(rows[0]) if cell] + [len(widths)]
    for first, after in zip(starts, starts[1:]):
        short = len(rows[0][first]) - sum(widths[first:after]) - 2 * (after - first - 1)
        widths[first] += max(short, 0)
    top = [" " * widths[0]]
    for first, after in zip(starts, starts[1:]):
        top.append(rows[0][first].center(sum(widths[first:after]) + 2 * (after - first - 1)))
    lines = ["  ".join(top).rstrip()]
    for row in rows[1:]:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]
        lines.append("  ".join(cells).rstrip())
    return lines


def summary_lines(summary: Mapping[str, Any]) -> List[str]:
    """All lines of the summary."""
    lines = [_heading(summary), "", *aligned(table1(summary)), ""]
    if summary["kind"] == "ct":
        lines.append("a patient with lesions of two classes counts in both rows, and once in 'all'")
        if [one.lower() for one in summary["classes"]] == ["cyst", "hemangioma", "hcc"]:
            lines.append(PRINTED)
    for name, one in summary["splits"].items():
        lines.append(f"{TITLES[name].lower()}: {_split_line(one)}")
    lines.append("")
    lines += _ct_lines(summary) if summary["kind"] == "ct" else _us_lines(summary)
    return lines + [f"note: {note}" for note in summary["notes"]]


def _heading(summary: Mapping[str, Any]) -> str:
    what = {"ct": "study(s)", "us": "recording(s)"}[summary["kind"]]
    shows = " (phantoms)" * summary["phantom"]
    return (
        f"{summary['modality']} data{shows}: {summary['studies']} {what} of {summary['patients']} patient(s), split by "
        + (f"{summary['split_by']}, classes {', '.join(summary['classes'])}")
    )


def _split_line(one: Mapping[str, Any]) -> str:
    scenes = f", {one['scenes']} scene(s)" if "scenes" in one else ""
    lesions = f"{one['lesions']} lesion(s), " if "lesions" in one else ""
    return (
        f"{one['patients']} patient(s) ({one['patients_without_box']} without a box), {one['studies']} case(s)"
        f"{scenes}, {lesions}{one['boxes']} boxes on {one['images_with_box']} of {one['images']} labelled images"
    )


def _of(values: Mapping[str, Any], unit: str) -> str:
    if not values["n"]:
        return "none"
    return (
        f"{values['median']:.4g} {unit} (quartiles {values['p25']:.4g} to {values['p75']:.4g}, "
        f"{values['min']:.4g} to {values['max']:.4g}, n={values['n']})"
    )


def _ct_lines(summary: Mapping[str, Any]) -> Iterator[str]:
    yield "median size of lesions, the longest side of their boxes:"
    yield from (f"  {name}: {_of(one, 'mm')}" for name, one in summary["lesion_mm"].items())
    yield f"slices with a box of a lesion: {_of(summary['lesion_slices']['all'], 'slices')}"
    yield f"between slices: {_of(summary['spacing_mm']['between_slices'], 'mm')}"
    yield f"pixels: {_of(summary['spacing_mm']['pixels'], 'mm')}; matrix {_counts(summary['matrix'])}"
    yield f"slices of a study: {_of(summary['slices'], 'slices')}"
    phases = summary["phases"]
    for phase, one in phases["each"].items():
        gaps = f", {one['studies_with_gaps']} of them not on all slices" if one["studies_with_gaps"] else ""
        reference = " (reference)" if phase == phases["reference"] else ""
        yield f"phase {phase}{reference}: {one['studies']} study(s){gaps}"
    yield f"phases together: {_counts(phases['together'])}"
    if "intensities" in summary:
        yield from _intensity_lines(summary["intensities"])


def _intensity_lines(found: Mapping[str, Any]) -> Iterator[str]:
    unit = found["unit"]
    organs = ", and of likely aorta and liver, medians of the studies" if unit == "HU" else ""
    yield f"{unit} inside the boxes, median (5 % to 95 %){organs}:"
    for phase, one in found["phases"].items():
        parts = [
            f"{name} {box['median']} ({box['p5']} to {box['p95']})"
            for name, box in one["boxes"].items()
            if box["pixels"]
        ]
        for organ in ("aorta", "liver"):
            known = one[f"{organ}_of_studies"]
            if known["studies"]:
                parts.append(f"{organ} {known['median']:g} in {known['studies']} study(s)")
        yield f"  {phase}: {', '.join(parts) or 'nothing'}"


def _us_lines(summary: Mapping[str, Any]) -> Iterator[str]:
    yield "median longest side of boxes in pixels of the stored frame:"
    yield from (f"  {name}: {_of(one, 'px')}" for name, one in summary["box_px"].items())
    yield f"labelled frames of a scene: {_of(summary['frames_of_scenes'], 'frames')}"
    yield f"frame size: {_counts(summary['matrix'])}"
    rates = summary["frames_per_second"]
    yield f"frames a second: {_counts(rates) if rates else 'not known'}"


def _counts(counts: Mapping[str, int], most: int = 6) -> str:
    shown = [f"{name} ({count})" for name, count in list(counts.items())[:most]]
    return ", ".join(shown + [f"{len(counts) - most} more"] * (len(counts) > most))
