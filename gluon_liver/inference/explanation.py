"""What detections rest on, as pictures: the CT paper's Fig. 4 (the relation) and Fig. 5 (hits and false positives)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from gluon_liver.config.windows import window_values
from gluon_liver.data.ct_labels import CTLabel
from gluon_liver.data.ct_loader import OpenCase, ct_sample, shown_phases
from gluon_liver.data.samples import Sample
from gluon_liver.metrics.matching import class_hits
from gluon_liver.nn.relation_map import RelationNet
from gluon_liver.report.figures.drawing import draw_overlay, save_png
from gluon_liver.report.figures.lettering import lettering
from gluon_liver.report.figures.paper_figures import Cells, Related, Tile, draw_examples, draw_relation
from gluon_liver.structures.detections import Boxes, Detections
from gluon_liver.structures.lesions import Lesion

from .detector import SliceDetector

FOLDER = "explain"
RELATIONS = 20  # lesions that get a picture of Fig. 4 at most, the best scores first
TILES = 6  # of a row of Fig. 5 at most
TILE_SIDE = 512  # pixels that small slices are enlarged to about
IOU = 0.5  # of a hit, as in the metrics
NO_RELATION = "no relation map: the configuration relates no phases (network.relation is off)"
# what else there is to know of where a lesion looks
LOOKS = {
    "full": "",
    "position": "by distance alone: the same in every image, whatever the phases show",
    "same_cell": "at its own cells alone: the network has no weights over positions",
}
REPEATED = "control: every phase shows the reference phase (data.repeat_reference)"
GOOD = f"Good: every detection matches a lesion of its class (IoU {IOU:g} or more)"
FALSE = "False positives: a detection matches no lesion of its class"
COUNTED = "{hits} hits, {false_positives} false positives, {misses} misses on {labelled_slices} labelled slices"


class SliceRelations(NamedTuple):
    """What the relation says at one slice, on the (h, w) cells of Block3's map.

    norm: (h, w), L2 norm over the channels of the reference phase's map, before anything is added.
    others: for each of the other phases f / C of Equation 1, (h * w, h * w), a row for each reference cell, and the
        (h, w) L2 norm of what is added; None if the phase is absent.
    """

    norm: np.ndarray
    others: List[Optional[Tuple[np.ndarray, np.ndarray]]]


def read_relations(net: RelationNet, detector: SliceDetector, sample: Sample) -> SliceRelations:
    """The relations of one network input, by the ``net`` of a detector of several phases."""
    reference, rows, responses = net(*detector.inputs(sample.image[None], sample.present[None]))
    norm, *norms = (np.linalg.norm(maps.asnumpy()[0], axis=0) for maps in (reference, *responses))
    there = zip(rows, norms, sample.present[1:])
    return SliceRelations(norm, [(row.asnumpy()[0], added) if present else None for row, added, present in there])


def cells_in(box: np.ndarray, *, cells: Cells, shape: Tuple[int, ...]) -> np.ndarray:
    """Which of a map's (h, w) cells are centred in a box of stored-image pixels, bool (h, w).

    A box that lies between two rows or columns of centres has the nearest: every lesion looks from somewhere.
    """
    inside = []
    for low, high, count in ((box[1], box[3], shape[0]), (box[0], box[2], shape[1])):
        centres = (cells.stride * np.arange(count) + 0.5) / cells.scale
        here = (centres >= low) & (centres < high)
        here[np.abs(centres - (low + high) / 2).argmin()] |= not here.any()
        inside.append(here)
    return np.outer(*inside)


def write_explanation(
    detector: SliceDetector,
    case: OpenCase,
    folder: Path,
    *,
    shown: Sequence[Detections],
    lesions: Sequence[Lesion],
    labels: Dict[int, CTLabel],
    score_threshold: float,
) -> List[Dict[str, Any]]:
    """Write ``folder``/explain/*.png and return what lesions.json says of them.

    shown: the detections at ``score_threshold`` and above of all slices, in their order, which were joined to
    ``lesions``; labels: of the slices that are labelled.

    Each entry has ``figure`` (4 or 5, of the paper), ``file`` below ``folder`` or None where there is nothing to
    draw, and ``note``, a sentence.
    """
    (folder / FOLDER).mkdir()
    if detector.network.phases > 1 and lesions:
        entries = _write_relations(detector, case, folder, lesions)
    else:
        none = f"no relation map: no lesion at score {score_threshold} and above"
        entries = [{"figure": 4, "file": None, "note": none if detector.network.phases > 1 else NO_RELATION}]
    return [*entries, _write_examples(folder, case, shown, labels, classes=detector.classes)]


def _write_relations(
    detector: SliceDetector, case: OpenCase, folder: Path, lesions: Sequence[Lesion]
) -> List[Dict[str, Any]]:
    """Fig. 4: a picture for each lesion at its best slice."""
    net, study, entries = RelationNet(detector.network), case.study, []
    net.hybridize()
    others = [name for name in study.phases if name != study.reference_phase]  # the order of the samples
    seen = dict(zip(others, shown_phases(study, detector.config)[1:]))
    repeated, looks = detector.config.data.repeat_reference, LOOKS[detector.config.network.relation]
    said = [text for text in (looks, REPEATED if repeated else "") if text]
    width, level = window_values(detector.config.data.window)
    shown = lettering(detector.classes).names
    for number, lesion in enumerate(lesions[:RELATIONS], 1):
        # to the digits of lesions.json, so that the picture shows what can be read there
        boxes = [box.to_json() for box in lesion.boxes if box.class_name == lesion.class_name]
        best = max(boxes, key=lambda box: box["score"])
        box, index = np.array(best["box_xyxy_px"]), best["slice"]
        sample = ct_sample(case, index, detector.config)
        relations = read_relations(net, detector, sample)
        cells = Cells(detector.network.config.stride, sample.scale)
        inside = cells_in(box, cells=cells, shape=relations.norm.shape)
        related: Dict[str, Optional[Related]] = dict.fromkeys(others)
        for name, one in zip(others, relations.others):
            if one is not None:
                row = one[0][inside.ravel()].mean(axis=0).reshape(inside.shape)
                related[name] = Related(case.images[seen[name], index], row, one[1])
        title = f"lesion {number} of {len(lesions)}, slice {index}; window width {width:g}, level {level:g}"
        picture = draw_relation(
            title="\n".join([title, *said]),
            lesion=f"{shown[detector.classes.index(lesion.class_name)]} {round(lesion.score, 4):.2f}",
            phase=study.reference_phase,
            grey=case.images[study.reference_index, index],
            box=box,
            inside=inside,
            norm=relations.norm,
            others=related,
            cells=cells,
        )
        file = f"{FOLDER}/relation-{number:02d}.png"
        save_png(folder / file, picture)
        entry = dict(figure=4, file=file, lesion=number, slice=index, cells_in_box=int(inside.sum()))
        where = f"where lesion {number} looks in the other phases, slice {index}"
        entry["note"] = "; ".join([where, *said])
        entry["relation"] = detector.config.network.relation
        entry["map_norm_in_box"] = round(float(relations.norm[inside].mean()), 4)
        entry["phases"] = [_describe(name, one, inside, cells) for name, one in related.items()]
        entries.append(entry)
    return entries


def _describe(phase: str, one: Optional[Related], inside: np.ndarray, cells: Cells) -> Dict[str, Any]:
    if one is None:
        return {"phase": phase, "present": False}
    row, column = np.unravel_index(one.row.argmax(), one.row.shape)
    return {
        "phase": phase,
        "present": True,
        "peak_share": round(float(one.row[row, column]), 6),
        "even_share": round(1 / one.row.size, 6),
        "peak_xy_px": [round(float(edge), 1) for edge in cells.pixel(int(row), int(column))],
        "share_in_box": round(float(one.row[inside].sum()), 4),
        "response_norm_in_box": round(float(one.response[inside].mean()), 4),
    }


def _write_examples(
    folder: Path,
    case: OpenCase,
    detections: Sequence[Detections],
    labels: Dict[int, CTLabel],
    *,
    classes: Sequence[str],
) -> Dict[str, Any]:
    """Fig. 5: slices without a false positive above, slices with one below; of a study without labels, one row."""
    entry: Dict[str, Any] = {"figure": 5, "file": FOLDER + "/examples.png", "labelled": bool(labels)}
    if labels:
        good, false, counts = _sort_out(detections, labels)
        rows = [(GOOD, good), (FALSE, false)]
        entry.update(counts, note=COUNTED.format(**counts))
    else:
        best = [(float(one.scores.max()), index) for index, one in enumerate(detections) if len(one)]
        seen = [(score, index, f"slice {index}: best {score:.2f}") for score, index in best]
        rows = [("Not labelled: nothing here can be called right or wrong", seen)]
        entry["note"] = "detections of a study without labels: nothing can be called right or wrong"
    drawn, entry["rows"] = [], []
    scale = max(1, round(TILE_SIDE / max(case.images.shape[2:])))
    for title, slices in rows:
        shown = sorted(slices, key=lambda item: (-item[0], item[1]))[:TILES]
        tiles = []
        for _, index, caption in shown:
            truth: Optional[Boxes] = labels.get(index)  # None of a slice that nobody labelled
            grey = case.images[case.study.reference_index, index]
            picture = draw_overlay(grey, detections[index], truth=truth, classes=classes, scale=scale)
            tiles.append(Tile(caption, picture))
        title = f"{title}. {len(shown)} of {len(slices)} slices"
        drawn.append((title, tiles))
        entry["rows"].append({"title": title, "slices": [index for _, index, _ in shown]})
    save_png(folder / entry["file"], draw_examples(drawn))
    return entry


def _sort_out(
    detections: Sequence[Detections], labels: Dict[int, CTLabel]
) -> Tuple[List[Tuple[float, int, str]], List[Tuple[float, int, str]], Dict[str, int]]:
    """Labelled slices with hits alone, those with false positives, as (best score, slice, caption), and counts."""
    good: List[Tuple[float, int, str]] = []
    false: List[Tuple[float, int, str]] = []
    counts = {"labelled_slices": len(labels), "hits": 0, "false_positives": 0, "misses": 0}
    for index, label in sorted(labels.items()):
        scores = detections[index].scores
        hits = class_hits(detections[index], label.boxes, label.labels, iou_threshold=IOU)
        right = int(hits.sum())
        wrong, missed = len(hits) - right, len(label.boxes) - right
        for key, count in (("hits", right), ("false_positives", wrong), ("misses", missed)):
            counts[key] += count
        if len(hits):
            row, kind, best = (false, "false positive", scores[~hits].max()) if wrong else (good, "hit", scores.max())
            caption = f"slice {index}: {kind} {best:.2f}; {right} right, {wrong} false, {missed} missed"
            row.append((float(best), index, caption))
    return good, false, counts
