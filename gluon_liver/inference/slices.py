"""All slices of a CT study, each from a window of its own or, with a network of nine slices, along the study."""

from __future__ import annotations

from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from gluon_liver.data.coco import Label
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.ct_loader import CTLoader, OpenCase, ct_sample
from gluon_liver.data.dataset import Dataset
from gluon_liver.structures.detections import Detections
from gluon_liver.system.terminal import progress_bar

from .dense import DenseDetector
from .detector import ImageDetector, detect_samples

SKIPPED = 2  # slices without a label that are read on the way to the next: to begin anew costs about as much


def detect_slices(
    detector: ImageDetector,
    case: OpenCase,
    *,
    dense: bool = False,
    batch_size: Optional[int] = None,
    progress: bool = True,
) -> Iterator[Detections]:
    """Detections in every slice of a CT study, in pixels of its stored images.

    dense: read along the study instead of in windows (see :mod:`gluon_liver.nn.dense`), whatever ``batch_size``.

    Raises :class:`RunError` where the network has no such form, or another engine than MXNet computes it.
    """
    _, count, height, width = case.images.shape
    if dense:
        found = DenseDetector(detector).detect(case, range(count))
        return iter(progress_bar(found, total=count, text="detecting", unit="image", show=progress))
    samples = (ct_sample(case, index, detector.config) for index in range(count))
    shapes = [(height, width)] * count
    return detect_samples(detector, samples, shapes=shapes, batch_size=batch_size, progress=progress)


def detect_labelled_dense(
    detector: ImageDetector, dataset: Dataset, labels: Sequence[Label], *, progress: bool = True
) -> List[Detections]:
    """Detections of labelled slices in their order, read along the studies where they are neighbours.

    Raises :class:`RunError` where the network has no such form.
    """
    assert isinstance(dataset, CTDataset)  # no other network reads nine slices
    dense, cases = DenseDetector(detector), sorted({label.case for label in labels})
    load = CTLoader(dataset, detector.config, cases=cases, progress=progress)
    found: Dict[Tuple[str, int], Detections] = {}
    with progress_bar(total=len(labels), text="detecting", unit="image", show=progress) as bar:
        for case in cases:
            wanted = sorted({label.place for label in labels if label.case == case})
            for part in neighbours(wanted):
                for place, one in zip(part, dense.detect(load.open(case), part)):
                    found[case, place] = one
                    bar.update(place in wanted)
    return [found[label.case, label.place] for label in labels]


def neighbours(slices: Sequence[int]) -> List[range]:
    """Rising ``slices`` as ranges that hold them, with at most :data:`SKIPPED` others in a row between two of them."""
    starts = [slices[0]] if slices else []
    ends = []
    for before, after in zip(slices, slices[1:]):
        if after - before - 1 > SKIPPED:
            ends.append(before)
            starts.append(after)
    return [range(first, last + 1) for first, last in zip(starts, [*ends, *slices[-1:]])]
