"""Draw docs/pictures/demo.png and report.png again from what `make demo` left.

python -m scripts.make_pictures demo

demo.png shows a box that was found, one that is badly placed and one that was missed; report.png, by Chromium, the top
of the demo's report. What README.md, docs/index.md and docs/guides/report.md say of them has to be read again then.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path
from typing import Iterator, Sequence

import numpy as np
from PIL import Image

from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.windowed_images import windowed
from gluon_liver.files.json_records import read_json
from gluon_liver.report.figures.drawing import draw_overlay
from gluon_liver.runs.run import Run
from gluon_liver.structures.detections import SCORE_THRESHOLD, CocoDetection, Detections

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
SHOWN = (("hit", "hcc"), ("badly placed", "hemangioma"), ("miss", "hcc"))  # kind and class of demo.png's slices
AIR = 40  # grey values up to it are no body
GAP, MARGIN = 8, 10  # pixels between slices, and around the body
WIDTH = 1240  # of demo.png
SIZE = (1000, 700)  # of report.png


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("demo", type=Path, metavar="DEMO", help="folder of make demo: data and run")
    demo: Path = parser.parse_args().demo
    sheet = Image.fromarray(side_by_side(list(shown_slices(demo))))
    sheet.resize((WIDTH, round(sheet.height * WIDTH / sheet.width)), Image.Resampling.LANCZOS).save(
        PICTURES / "demo.png", optimize=True
    )
    page, width, height = (demo / "run" / "report.html").resolve(), *SIZE
    command = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={width},{height}"]
    subprocess.run(
        [*command, f"--screenshot={PICTURES / 'report.png'}", page.as_uri()], check=True, stderr=subprocess.DEVNULL
    )


def shown_slices(demo: Path) -> Iterator[np.ndarray]:
    """Of each kind of :data:`SHOWN` the first slice in the report's gallery, with all of its boxes."""
    dataset, run = CTDataset.open(demo / "data"), Run.open(demo / "run")
    rows = [CocoDetection(**row) for row in read_json(run.folder / "detections.json")]
    gallery = read_json(run.folder / "results.json")["gallery"]
    for shown in SHOWN:
        item = next(item for item in gallery if (item["kind"], item["class"]) == shown)
        label = dataset.labels_by_slice(item["case"])[item["place"]]
        hu = dataset.study(item["case"]).hu[dataset.reference_index, item["place"]]
        grey = windowed(hu, run.config.data.window, "raw")
        found = Detections.from_coco([row for row in rows if row.image_id == label.image_id])
        picture = draw_overlay(
            grey, found.at_score(SCORE_THRESHOLD), truth=label, classes=dataset.classes, legend=False
        )
        scale = len(picture) // len(grey)
        body = np.argwhere(grey > AIR)
        low, high = body.min(axis=0) * scale, (body.max(axis=0) + 1) * scale
        yield picture[max(0, low[0] - MARGIN) : high[0] + MARGIN, max(0, low[1] - MARGIN) : high[1] + MARGIN]


def side_by_side(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """On white with a gap between them, all as large as the largest."""
    height = max(len(one) for one in pictures)
    width = max(one.shape[1] for one in pictures)
    sheet = np.full((height, len(pictures) * (width + GAP) - GAP, 3), 255, np.uint8)
    for number, one in enumerate(pictures):
        left = number * (width + GAP)
        sheet[:, left : left + width] = 0
        sheet[: len(one), left : left + one.shape[1]] = one
    return sheet


if __name__ == "__main__":
    main()
