"""The best epoch of a run by COCO mAP, as the ultrasound paper chose it ("the best values in 400 epochs")."""

from __future__ import annotations

import shutil
from typing import Any, Dict, Optional

import mxnet as mx

from ..config import Config
from ..errors import DatasetError
from ..metrics.coco import coco_average_precision
from ..nn.regions import RegionDetector
from .checkpoint import BEST, save_checkpoint
from .detect import SliceDetector, detect_labelled
from .inputs import AnyDataset
from .run import Run, write_json


class BestEpoch:
    """Scores the network after epochs on the val split, or the test split where there is no val split.

    Raises :class:`DatasetError` when neither split has a labelled image.
    """

    def __init__(self, config: Config, dataset: AnyDataset, detector: RegionDetector, *, context: mx.Context):
        self._dataset = dataset
        self.split = "val" if dataset.labels_of("val") else "test"
        self._labels = dataset.labels_of(self.split)
        if not self._labels:
            raise DatasetError(
                "train.best_epoch is true, but the val and test splits of {} have no labelled image".format(
                    dataset.folder
                )
            )
        self._detector = SliceDetector(detector, config=config, context=context)
        self._best: Optional[Dict[str, Any]] = None

    def after_epoch(self, run: Run, *, step: int, epoch: int) -> float:
        """COCO mAP of the network as it is; a new best is saved and the one before it removed."""
        results = detect_labelled(self._detector, self._dataset, self._labels, progress=False)
        score = coco_average_precision(results, self._dataset.classes)["ap"]["mean"] or 0.0
        run.log("score", step=step, epoch=epoch, split=self.split, map=score)
        if self._best is None or score > self._best["map"]:
            path = save_checkpoint(run.checkpoints, self._detector.network, step=step, epoch=epoch)
            before, self._best = self._best, {
                "checkpoint": path.name, "step": step, "epoch": epoch, "map": score, "split": self.split
            }
            write_json(run.folder / BEST, self._best)
            if before:
                shutil.rmtree(str(run.checkpoints / before["checkpoint"]))
        return score
