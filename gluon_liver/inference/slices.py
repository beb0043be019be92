"""All slices of a CT study, each from a window of its own or, with a network of nine slices, along the study."""

from __future__ import annotations

from typing import Iterator, Optional

from tqdm import tqdm

from gluon_liver.data.ct_loader import OpenCase, ct_sample
from gluon_liver.structures.detections import Detections

from .dense import DenseDetector
from .detector import SliceDetector, detect_samples


def detect_slices(
    detector: SliceDetector,
    case: OpenCase,
    *,
    dense: bool = False,
    batch_size: Optional[int] = None,
    progress: bool = True,
) -> Iterator[Detections]:
    """Detections in every slice of a CT study, in pixels of its stored images.

    dense: read along the study instead of in windows (see :mod:`gluon_liver.nn.dense`), whatever ``batch_size``.

    Raises :class:`RunError` where the network has no such form.
    """
    _, count, height, width = case.images.shape
    if dense:
        found = DenseDetector(detector).detect(case, range(count))
        return iter(tqdm(found, total=count, desc="detecting", unit="image", disable=not progress))
    samples = (ct_sample(case, index, detector.config) for index in range(count))
    shapes = [(height, width)] * count
    return detect_samples(detector, samples, shapes=shapes, batch_size=batch_size, progress=progress)
