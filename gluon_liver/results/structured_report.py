"""lesions-sr.dcm: a DICOM structured report by TID 1500, a measurement group a box, those of a lesion tied together.

Each group is one by TID 1410, planar: 3D Slicer shows its polyline as a box, and OHIF takes the groups of one tracking
UID for one measurement and shows the first of them, which is that of the largest box and has the lesion's size.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Sequence

import numpy as np
from pydicom.dataset import Dataset

from gluon_liver import __version__
from gluon_liver.structures.lesions import Lesion, SliceBox

from . import codes
from .dicom_objects import (
    DEVICE_UID,
    MANUFACTURER,
    MODEL,
    SR_SERIES,
    WARNING,
    describe,
    network_name,
    tracking_id,
)
from .found import Found, new_uid
from .source_series import PlacedBox

FILE = "lesions-sr.dcm"


def write_report(folder: Path, found: Found) -> List[str]:
    """Write the report into ``folder``; the name of the file is returned, none where nothing was found.

    TID 1500 has no report without a measurement. Raises :class:`InputError` where an image of the study is gone.
    """
    import highdicom as hd

    series = found.series
    assert series is not None
    if not found.lesions:
        return []
    groups, shown = [], set()
    for number, lesion in enumerate(found.lesions, 1):
        for place, box in enumerate(largest_first(lesion)):
            placed = series.place(box.slice, box.box)
            shown.add(placed.source)
            groups.append(_group(found, number, box, placed, first=place == 0))
    images = series.headers(sorted(shown))
    content = hd.sr.MeasurementReport(
        observation_context=_observer(),
        procedure_reported=codes.CT_STUDY,
        imaging_measurements=groups,
        referenced_images=_library(found, images, sorted(shown)),
    )
    contains = hd.sr.RelationshipTypeValues.CONTAINS
    content[0].ContentSequence.append(hd.sr.TextContentItem(codes.COMMENT, WARNING, relationship_type=contains))
    report = hd.sr.ComprehensiveSR(
        evidence=images,
        content=content[0],
        series_instance_uid=new_uid(),
        series_number=SR_SERIES,
        sop_instance_uid=new_uid(),
        instance_number=1,
        manufacturer=MANUFACTURER,
    )
    describe(report)
    report.CodingSchemeIdentificationSequence = [_own_scheme()]
    report.save_as(folder / FILE)
    return [FILE]


def _library(found: Found, images: Sequence[Any], sources: Sequence[int]) -> List[Any]:
    """What the image library says of the images: also where a file has no thickness, or says it of frames alone."""
    assert found.series is not None
    slices, entries = {found.series.slices[source].path: found.series.slices[source] for source in sources}, []
    step = round(found.study.geometry.spacing[0], 6)
    for image, one in zip(images, slices.values()):
        entry = Dataset()
        entry.Modality, entry.SOPClassUID, entry.SOPInstanceUID = "CT", image.SOPClassUID, one.sop_instance_uid
        entry.FrameOfReferenceUID, entry.Rows, entry.Columns = one.frame_of_reference, one.rows, one.columns
        entry.PixelSpacing, entry.SpacingBetweenSlices = [*one.pixel_spacing], step
        entry.SliceThickness = image.get("SliceThickness") or step
        entry.ImagePositionPatient, entry.ImageOrientationPatient = [*one.position], [*one.orientation]
        entries.append(entry)
    return entries


def largest_first(lesion: Lesion) -> List[SliceBox]:
    """The boxes of a lesion: the largest, whose slice a viewer opens at, then the others, slices rising."""
    largest = max(lesion.boxes, key=lambda box: float(np.prod(box.box[2:] - box.box[:2])))
    return [largest, *(box for box in lesion.boxes if box is not largest)]


def _own_scheme() -> Any:
    """Who answers for the codes that are this program's own."""
    item = Dataset()
    item.CodingSchemeDesignator, item.CodingSchemeName = codes.OWN_SCHEME, f"Codes of {MODEL}"
    item.CodingSchemeResponsibleOrganization = MANUFACTURER
    return item


def _observer() -> Any:
    import highdicom as hd

    attributes = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=DEVICE_UID, name=f"{MODEL} {__version__}", manufacturer_name=MANUFACTURER, model_name=MODEL
    )
    return hd.sr.ObservationContext(
        observer_device_context=hd.sr.ObserverContext(hd.sr.CodedConcept.from_code(codes.DEVICE), attributes)
    )


def _group(found: Found, number: int, box: SliceBox, placed: PlacedBox, *, first: bool) -> Any:
    """The measurement group of a box: of the first of a lesion with the lesion's measurements, else its score alone."""
    import highdicom as hd

    lesion = found.lesions[number - 1]
    measurements = [_measurement(codes.CERTAINTY, 100 * (lesion if first else box).score, codes.PERCENT)]
    if first:
        sizes = (codes.LONG_AXIS, lesion.size_mm.in_plane), (codes.THROUGH_PLANE, lesion.size_mm.through_plane)
        measurements = [*(_measurement(code, mm, codes.MM) for code, mm in sizes), *measurements]
    nearest = [hd.sr.QualitativeEvaluation(codes.SLICE_OF_REGION, codes.INTERPOLATED)] if placed.nearest else None
    return hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(found.tracking_uids[number - 1], tracking_id(found, number)),
        referenced_region=_region(found, placed),
        finding_type=codes.finding(lesion.class_name),
        finding_category=codes.ABNORMAL,
        finding_sites=[hd.sr.FindingSite(codes.LIVER)],
        algorithm_id=hd.sr.AlgorithmIdentification(network_name(found), __version__),
        geometric_purpose=codes.BOUNDED_BY,
        measurements=measurements,
        qualitative_evaluations=nearest,
    )


def _measurement(name: Any, value: float, unit: Any) -> Any:
    import highdicom as hd

    return hd.sr.Measurement(name=name, value=round(float(value), 2), unit=unit)


def _region(found: Found, placed: PlacedBox) -> Any:
    """The outline of a box in its image, closed: column, row of the corners in the order of pixels' edges."""
    import highdicom as hd

    assert found.series is not None
    one, (x1, y1, x2, y2) = found.series.slices[placed.source], placed.edges.tolist()
    frames = None if one.frame is None else [one.frame + 1]
    sop_class = found.series.header(placed.source).SOPClassUID
    image = hd.sr.SourceImageForRegion(sop_class, one.sop_instance_uid, frames)
    outline = np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)])
    return hd.sr.ImageRegion(hd.sr.GraphicTypeValues.POLYLINE, outline, image)
