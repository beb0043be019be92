"""lesions-seg.dcm: a DICOM segmentation on the images of the true series, a segment a lesion."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import cv2
import numpy as np

from gluon_liver import __version__
from gluon_liver.errors import InputError
from gluon_liver.report.figures.drawing import class_colours
from gluon_liver.structures.arrays import Array, BoolArray

from . import codes
from .dicom_objects import (
    DESCRIPTION,
    DEVICE_UID,
    MANUFACTURER,
    MODEL,
    SEG_SERIES,
    WARNING,
    describe,
    network_name,
    tracking_id,
)
from .found import Found, new_uid
from .painting import painted
from .source_series import SourceSeries

FILE = "lesions-seg.dcm"
MOST_BYTES = 2 << 30  # of the masks of all lesions in memory


class Mark(NamedTuple):
    """What lesion ``number``, from 1, marks of a slice of the series: a mask (h, w) of a part of it."""

    number: int
    source: int
    part: Tuple[slice, slice]
    marked: BoolArray


def write_segmentation(folder: Path, found: Found) -> List[str]:
    """Write the segmentation into ``folder``; the name of the file is returned, none where nothing was found.

    DICOM has no segmentation without a segment. Raises :class:`InputError` for more lesions than fit into memory, and
    for a series whose frames lie in several multi-frame files.
    """
    import highdicom as hd

    series = found.series
    assert series is not None
    if not found.lesions:
        return []
    images, pixels = _stacked(series, _marks(found, series), len(found.lesions))
    step = round(found.study.geometry.spacing[0], 6)  # a decimal string has 16 characters
    for image in images:
        _complete(image, step)
    segmentation = hd.seg.Segmentation(
        source_images=images,
        pixel_array=pixels,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_segment(found, number) for number in range(1, len(found.lesions) + 1)],
        series_instance_uid=new_uid(),
        series_number=SEG_SERIES,
        sop_instance_uid=new_uid(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL,
        software_versions=__version__,
        device_serial_number=DEVICE_UID,
        content_label="LIVER_LESIONS",
        content_description=f"{found.shape.capitalize()}: {DESCRIPTION}",
    )
    describe(segmentation)
    # where frames lie unevenly, as with lesions of several places, readers make a volume of them by this
    segmentation.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = step
    segmentation.ImageComments = WARNING
    segmentation.save_as(folder / FILE)
    return [FILE]


def _marks(found: Found, series: SourceSeries) -> List[Mark]:
    """What the lesions mark of the slices of the series that show their boxes."""
    size, marks = series.mapping.source_size, []
    for number, lesion in enumerate(found.lesions, 1):
        for box in lesion.boxes:
            for source in series.shown_by(box.slice).tolist():
                edges = series.mapping.to_source_slice(box.box[None], source)[0]
                marks.append(Mark(number, source, *painted(edges, size, found.shape)))
    return marks


def _stacked(series: SourceSeries, marks: Sequence[Mark], lesions: int) -> Tuple[List[Any], Array]:
    """(images, what highdicom takes of their frames): numbers of segments (frames, rows, columns) where no two lesions
    overlap, else a mask of each, uint8 (frames, rows, columns, lesions)."""
    sources = sorted({mark.source for mark in marks})
    images = series.headers(sources)
    frames = _frames(series, sources, images)
    count = sum(int(image.get("NumberOfFrames") or 1) for image in images)
    shape = (count, *series.mapping.source_size)
    numbers, overlap = np.zeros(shape, np.uint8 if lesions < 256 else np.uint16), False
    for mark in marks:
        here = numbers[frames[mark.source]][mark.part]
        overlap = overlap or bool((mark.marked & (here > 0) & (here != mark.number)).any())
        here[mark.marked] = mark.number
    if not overlap:
        return images, numbers
    if numbers.size * lesions > MOST_BYTES:
        size = f"{lesions} lesions, some on one another, on {count} images"
        raise InputError(f"dicom-seg: {size} need too much memory; take fewer with a higher --score, or leave it out")
    masks = np.zeros((*shape, lesions), np.uint8)
    for mark in marks:
        masks[frames[mark.source], ..., mark.number - 1][mark.part] |= mark.marked
    return images, masks


def _frames(series: SourceSeries, sources: List[int], images: List[Any]) -> Dict[int, int]:
    """Where the slices lie among the frames of the images. Raises :class:`InputError` for several multi-frame files."""
    if series.slices[sources[0]].frame is None:
        return {source: place for place, source in enumerate(sources)}
    if len(images) > 1:
        raise InputError("dicom-seg: the series lies in several multi-frame files, which is not written; leave it out")
    return {source: series.slices[source].frame or 0 for source in sources}


def _complete(image: Any, step: float) -> None:
    """Have a header say once what highdicom copies: the measures of its frames, with a thickness, and how they lie."""
    measures = image
    if "PerFrameFunctionalGroupsSequence" in image:
        shared, first = image.SharedFunctionalGroupsSequence[0], image.PerFrameFunctionalGroupsSequence[0]
        for name in ("PixelMeasuresSequence", "PlaneOrientationSequence"):
            if name not in shared:  # the frames of a series have the same
                setattr(shared, name, first[name].value)
        measures = shared.PixelMeasuresSequence[0]
    if not measures.get("SliceThickness"):
        measures.SliceThickness = step


def _segment(found: Found, number: int) -> Any:
    import highdicom as hd

    name, label = found.lesions[number - 1].class_name, tracking_id(found, number)
    segment = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=codes.ABNORMAL,
        segmented_property_type=codes.finding(name),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=network_name(found), family=codes.NEURAL_NETWORK, version=__version__
        ),
        tracking_uid=found.tracking_uids[number - 1],
        tracking_id=label,
        anatomic_regions=[codes.LIVER],
    )
    segment.SegmentDescription = DESCRIPTION
    colours = class_colours(len(found.classes))
    segment.RecommendedDisplayCIELabValue = _lab(colours[[*found.classes].index(name)])
    return segment


def _lab(colour: Tuple[int, int, int]) -> List[int]:
    """A colour of sRGB as DICOM stores CIELab (PS3.3 C.10.7.1.1): three unsigned 16-bit numbers."""
    pixel = np.array(colour, np.float32).reshape(1, 1, 3) / 255
    lightness, a, b = cv2.cvtColor(pixel, cv2.COLOR_RGB2LAB).reshape(3).tolist()
    return [round(lightness / 100 * 65535), round((a + 128) / 255 * 65535), round((b + 128) / 255 * 65535)]
