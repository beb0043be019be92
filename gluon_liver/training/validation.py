"""Epochs scored on patients that are not trained on, and the best of them by COCO mAP, as the ultrasound paper chose it
("the best values in 400 epochs")."""

from __future__ import annotations

import time
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import mxnet as mx

from gluon_liver.config.schema import Config
from gluon_liver.data.coco import Label
from gluon_liver.data.dataset import Dataset
from gluon_liver.data.open import make_loader
from gluon_liver.data.samples import with_boxes
from gluon_liver.errors import DatasetError
from gluon_liver.evaluation.board import write_epoch
from gluon_liver.evaluation.task import Scored
from gluon_liver.inference.detector import SliceDetector, detect_labelled
from gluon_liver.metrics.coco import coco_average_precision
from gluon_liver.nn.rcnn import RegionDetector
from gluon_liver.runs.checkpoint_folder import checkpoint_name
from gluon_liver.runs.run import Run

from .sampler import spaced

NO_VAL = (
    "import with a share of patients for val (--split-fractions 0.7 0.1 0.2), or where the splits are a set's own move "
    "some in splits.json"
)


class Score(NamedTuple):
    """What an epoch scored, in words; the seconds that it took, and the share of the time that all scoring took."""

    text: str
    images: int
    seconds: float
    share: float


class Validation:
    """Scores the network after epochs.

    split: whose images are scored. record: what best.json says of the best epoch so far; None without
    ``train.best_epoch``, which alone chooses.

    Raises :class:`DatasetError` when nothing can be scored: see :func:`scored_labels`.
    """

    def __init__(
        self,
        config: Config,
        dataset: Dataset,
        detector: RegionDetector,
        *,
        context: mx.Context,
        progress: bool = False,
    ):
        self._config, self._dataset, self._network, self._context = config, dataset, detector, context
        self.split, self.labels = scored_labels(config, dataset)
        self._of = len(dataset.labels_of(self.split))
        # what cannot be read breaks here, not hours later
        make_loader(config, dataset, cases=sorted({label.case for label in self.labels}), progress=progress)
        self.record: Optional[Dict[str, Any]] = None
        self._began, self._seconds = time.monotonic(), 0.0

    def text(self) -> str:
        """What is scored, in a line."""
        scored, boxes, every = len(self.labels), len(with_boxes(self.labels)), self._config.train.validate_every
        which = "epochs are" if every in (None, 1) else f"every {every} epochs, and after the last, training is"
        text = f"{which} scored on {scored} of {self._of} images of the {self.split} split, {boxes} with boxes"
        if self.split == "test":
            text += ": the data have no val split, and results on test will be those of an epoch that was chosen on it"
        return text

    def score(self, run: Run, *, step: int, epoch: int) -> Score:
        """Log COCO mAP and AP50 of the network as it is, and how long it took to know them.

        With ``train.best_epoch`` a best one changes ``record``, whose checkpoint the caller then saves.
        """
        mx.nd.waitall()  # running statistics change in the backward pass
        began = time.monotonic()
        detector = SliceDetector(self._network, config=self._config, context=self._context)
        results = detect_labelled(detector, self._dataset, self.labels, progress=False)
        table = coco_average_precision(results, self._dataset.classes)
        score, ap50 = (table[name]["mean"] or 0.0 for name in ("ap", "ap50"))
        seconds = time.monotonic() - began
        self._seconds += seconds
        share = self._seconds / max(time.monotonic() - self._began, 1e-9)
        values = dict(map=score, ap50=ap50, seconds=round(seconds, 3), share_of_time=round(share, 4))
        run.log("score", step=step, epoch=epoch, split=self.split, images=len(self.labels), **values)
        if run.board is not None:
            write_epoch(run.board, Scored(self._config, self._dataset, self.split, self.labels, results, ""), step=step)
        if self._config.train.best_epoch and (self.record is None or score > self.record["map"]):
            where = {"checkpoint": checkpoint_name(step), "step": step, "epoch": epoch}
            self.record = dict(where, map=score, split=self.split)
        best = f", best in epoch {self.record['epoch']}" if self.record else ""
        text = f"{self.split} COCO mAP {score:.3f}, AP50 {ap50:.3f}{best}"
        return Score(text, len(self.labels), seconds, share)


def scored_labels(config: Config, dataset: Dataset) -> Tuple[str, List[Label]]:
    """The split that is scored, and which images of it.

    Raises :class:`DatasetError` when nothing can be scored: see :func:`scored_split`; or no image that is scored has a
    box.
    """
    split = scored_split(config, dataset)
    there = dataset.labels_of(split)
    labels = evenly(there, config.train.validation_images)
    if not with_boxes(labels):
        more = ", or raise train.validation_images" if len(labels) < len(there) else ""
        raise DatasetError(
            f"of the {len(there)} images of the {split} split {len(labels)} are scored, none with a box: "
            f"every epoch would score 0; label some{more}"
        )
    return split, labels


def scored_split(config: Config, dataset: Dataset) -> str:
    """``val`` where the data have it, always; ``test`` where they have none, to choose the best epoch alone.

    Raises :class:`DatasetError` for a val split without labelled images, which is no reason to choose on test, and for
    data that have nothing to score.
    """
    if dataset.labels_of("val"):
        return "val"
    if dataset.cases_of("val"):
        count = len(dataset.cases_of("val"))
        raise DatasetError(f"the val split of {dataset.folder} has {count} cases and no labelled image: {NO_VAL}")
    if not config.train.best_epoch:
        what = "train.validate is true, but " if config.train.validate else ""
        raise DatasetError(f"{what}{dataset.folder} has no val split: {NO_VAL}")
    if not dataset.labels_of("test"):
        raise DatasetError(
            f"train.best_epoch is true, but the val and test splits of {dataset.folder} have no labelled image"
        )
    return "test"


def evenly(labels: List[Label], most: Optional[int]) -> List[Label]:
    """At most so many of the images, evenly spaced over cases and slices; all with None."""
    count = len(labels) if most is None else most
    return [labels[place] for place in spaced(len(labels), count, turn=0, start=0)]
