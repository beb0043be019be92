"""lesions.geojson: a polygon a box, in pixels of its slice; what else is known of it are its properties."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

from gluon_liver.files.atomic import write_json

from .found import NOTE, Found, corners_in_patient

FILE = "lesions.geojson"


def write_geojson(folder: Path, found: Found) -> List[str]:
    """Write the boxes of all lesions into ``folder``; the name of the file is returned.

    A FeatureCollection as of RFC 7946 but for its frame, which is no longitude and latitude: x rises with the columns
    and y with the rows of the stored slice, (0, 0) the outer corner of its first pixel. ``units`` says so.
    """
    features = [
        _feature(found, number, lesion, box)
        for number, lesion in enumerate(found.entries, 1)
        for box in lesion["boxes"]
    ]
    units = {"coordinates": "pixels of the stored slice", "corners_lps_mm": "mm in the patient's LPS frame"}
    write_json(
        folder / FILE,
        {"type": "FeatureCollection", "note": NOTE, "units": units, "case": found.study.case, "features": features},
    )
    return [FILE]


def _feature(found: Found, number: int, lesion: Dict[str, Any], box: Dict[str, Any]) -> Dict[str, Any]:
    x1, y1, x2, y2 = box["box_xyxy_px"]
    corners = corners_in_patient(found.study.geometry, box["slice"], box["box_xyxy_px"])
    properties = {"lesion": number, "lesion_class": lesion["class"], "class": box["class"], "score": box["score"]}
    properties.update(slice=box["slice"], corners_lps_mm=corners.round(2).tolist())
    if "source" in box:
        properties["source"] = box["source"]
    ring = [[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]]
    return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": properties}
