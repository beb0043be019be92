"""The best epoch of a run by COCO mAP, as the ultrasound paper chose it ("the best values in 400 epochs")."""

from __future__ import annotations

from typing import Any, Dict, Optional

import mxnet as mx

from gluon_liver.config.schema import Config
from gluon_liver.data.dataset import Dataset
from gluon_liver.errors import DatasetError
from gluon_liver.inference.detector import SliceDetector, detect_labelled
from gluon_liver.metrics.coco import coco_average_precision
from gluon_liver.nn.rcnn import RegionDetector
from gluon_liver.runs.checkpoint import checkpoint_name
from gluon_liver.runs.run import Run


class BestEpoch:
    """Scores the network after epochs on the val split, or the test split where there is no val split.

    Raises :class:`DatasetError` when neither split has a labelled image.
    """

    def __init__(self, config: Config, dataset: Dataset, detector: RegionDetector, *, context: mx.Context):
        self._dataset = dataset
        self.split = "val" if dataset.labels_of("val") else "test"
        self._labels = dataset.labels_of(self.split)
        if not self._labels:
            raise DatasetError(
                f"train.best_epoch is true, but the val and test splits of {dataset.folder} have no labelled image"
            )
        self._config, self._network, self._context = config, detector, context
        self.record: Optional[Dict[str, Any]] = None  # of the best epoch, as best.json has it

    def score(self, run: Run, *, step: int, epoch: int) -> float:
        """COCO mAP of the network as it is; a best one changes ``record``, whose checkpoint the caller then saves."""
        detector = SliceDetector(self._network, config=self._config, context=self._context)
        results = detect_labelled(detector, self._dataset, self._labels, progress=False)
        score = coco_average_precision(results, self._dataset.classes)["ap"]["mean"] or 0.0
        run.log("score", step=step, epoch=epoch, split=self.split, map=score)
        if self.record is None or score > self.record["map"]:
            where = {"checkpoint": checkpoint_name(step), "step": step, "epoch": epoch}
            self.record = dict(where, map=score, split=self.split)
        return score
