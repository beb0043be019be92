"""Boxes of stored slices in the slices and pixels that the series of the reference phase has itself."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

import numpy as np

from gluon_liver.data.study import Study
from gluon_liver.structures.detections import Detections
from gluon_liver.structures.slice_mapping import SliceMapping


def coco_rows(detections: Sequence[Detections], image_ids: Sequence[int], study: Study) -> List[Dict[str, Any]]:
    """What detections.json holds of the slices of a study: COCO results with ``slice``, in stored pixels.

    Where the import knows the way back, ``source`` has the same in the series: ``slice``, counted from 0 at the feet
    (None where --regrid interpolated the stored slice), and ``bbox`` in its pixels.
    """
    rows = []
    for z, (one, image_id) in enumerate(zip(detections, image_ids)):
        for row, box in zip(one.to_coco(image_id), one.boxes):
            row["slice"] = z
            if study.source.mapping is not None:
                index, (x1, y1, x2, y2) = _back(study.source.mapping, z, box)
                row["source"] = {"slice": index, "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)]}
            rows.append(row)
    return rows


def add_source(lesions: Sequence[Dict[str, Any]], study: Study) -> None:
    """Add ``source`` to every box of the entries of lesions.json: slice and corners in the series itself."""
    if study.source.mapping is not None:
        for lesion in lesions:
            for box in lesion["boxes"]:
                index, corners = _back(study.source.mapping, box["slice"], np.array(box["box_xyxy_px"]))
                box["source"] = {"slice": index, "box_xyxy_px": corners}


def source_record(study: Study) -> Dict[str, Any]:
    """What lesions.json says of the series: the size and the pixels of its slices, and what was done to them."""
    mapping = study.source.mapping
    if mapping is None:
        return {}
    (rows, columns), (dy, dx) = mapping.source_size, mapping.source_spacing
    history = study.source.history.get(study.reference_phase)
    changed = {} if history is None else {"interpolated_slices": [*history.interpolated]}
    return {"source": {"rows": rows, "columns": columns, "pixel_mm": {"row": dy, "column": dx}, **changed}}


def _back(mapping: SliceMapping, z: int, box: np.ndarray) -> Any:
    index, boxes = mapping.to_source(box[None], z)
    return index, [round(float(edge), 2) for edge in boxes[0]]
