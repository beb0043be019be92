"""A trained run on MXNet 1.9.1 and, exported, on MXNet 1.0.0: the same detections and the same table?

    python scripts/measure_legacy.py RUN --legacy-python .venv-legacy/bin/python

Detects in the images of the run's test split in both, prints how far scores and corners are apart and both tables; 0 if
the tables are the same. What the other Python reads are the network's inputs, so preparing them is not compared.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import List, Sequence

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from gluon_liver.data.open import TASKS, open_dataset  # noqa: E402
from gluon_liver.evaluation.registry import EVALUATIONS  # noqa: E402
from gluon_liver.evaluation.task import Scored, ScoreSettings  # noqa: E402
from gluon_liver.inference.detector import SliceDetector, detect_labelled, stored_boxes  # noqa: E402
from gluon_liver.legacy.checkpoints import PREFIX, SCRIPT, export_legacy  # noqa: E402
from gluon_liver.runs.run import Run  # noqa: E402
from gluon_liver.structures.detections import Detections  # noqa: E402
from gluon_liver.structures.image_result import ImageResult  # noqa: E402

IMAGES = 64  # that are handed over at a time: they lie in memory, and each time another Python starts


class LegacyDetector:
    """Detects as :class:`SliceDetector` does, with another Python in an exported folder."""

    def __init__(self, python: str, folder: Path, run: Run):
        self.config, self._python, self._folder = run.config, os.path.abspath(python), folder

    def detect(self, images, present, *, scales: Sequence[float], shapes) -> List[Detections]:
        inputs = {"data": TASKS[self.config.task].dataset.network_input(images)}
        if self.config.network.multi_modal:
            inputs["present"] = present.astype(np.float32)
        np.savez(str(self._folder / "inputs.npz"), **inputs)
        subprocess.run(
            [self._python, SCRIPT, PREFIX, "inputs.npz", "outputs.npz"],
            cwd=str(self._folder),
            check=True,
            env={"OMP_NUM_THREADS": "1", "PATH": os.environ["PATH"]},
        )
        with np.load(str(self._folder / "outputs.npz")) as outputs:
            rows = outputs["detections"]
        return [stored_boxes(one, scale, shape) for one, scale, shape in zip(rows, scales, shapes)]


def apart(first: Sequence[ImageResult], second: Sequence[ImageResult]) -> List[float]:
    """Boxes that one side alone has, and the largest difference of scores and of corners (pixels) of the others.

    A box is the other side's nearest one of its class that is within a pixel and 0.01 of score.
    """
    alone, score, corner = 0, 0.0, 0.0
    for one, other in zip(first, second):
        left = list(range(len(other.boxes)))
        for box, value, label in zip(one.boxes, one.scores, one.labels):
            gaps = {
                row: np.abs(other.boxes[row] - box).max()
                for row in left
                if other.labels[row] == label and abs(other.scores[row] - value) < 0.01
            }
            row = min(gaps, key=gaps.get, default=None)
            if row is None or gaps[row] > 1:
                alone += 1
                continue
            left.remove(row)
            score, corner = max(score, abs(other.scores[row] - value)), max(corner, gaps[row])
        alone += len(left)
    return [alone, float(score), float(corner)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--legacy-python", required=True, help="Python 2.7 with MXNet 1.0.0, see make legacy")
    parser.add_argument("--data", type=Path, help="prepared data; the run's own by default")
    args = parser.parse_args()
    run = Run.open(args.run)
    dataset = open_dataset(args.data or run.data_folder)
    labels = dataset.labels_of("test")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "exported"
        export_legacy(run, out, batch_size=1)
        here = detect_labelled(SliceDetector.from_run(run)[0], dataset, labels, progress=False)
        there = detect_labelled(
            LegacyDetector(args.legacy_python, out, run), dataset, labels, batch_size=IMAGES, progress=False
        )
    task = EVALUATIONS[dataset.task]
    texts = []
    for results in (here, there):
        scored = Scored(run.config, dataset, "test", labels, results, "test split")
        texts.append(task.text(scored, task.summary(scored, ScoreSettings())))
    print(texts[0] if texts[0] == texts[1] else "\n".join(texts))
    alone, score, corner = apart(here, there)
    print(
        json.dumps(
            {
                "images": len(labels),
                "boxes": sum(len(one.boxes) for one in here),
                "boxes_of_one_side_alone": int(alone),
                "score_apart": score,
                "corner_apart_pixels": corner,
                "same_table": texts[0] == texts[1],
            }
        )
    )
    return int(texts[0] != texts[1])


if __name__ == "__main__":
    sys.exit(main())
