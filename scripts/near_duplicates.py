"""How far copies, neighbouring slices and other patients lie from each other: what `data check` tells duplicates by.

    python scripts/near_duplicates.py DATA [DATA ...]

Of each case a copy is made with noise, on another matrix, and on half the matrix with noise. Printed are the medians
that `data check` compares with its threshold, the largest of copies and the smallest of others.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Callable, Dict, List

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gluon_liver.data.open import open_dataset
from gluon_liver.data.us_dataset import USDataset
from gluon_liver.inspection.check.copies import MOST_DISTANCE, describe_frame, describe_slice, descriptors, distance


def smaller(picture: np.ndarray, share: float) -> np.ndarray:
    """Of ``share`` of the rows and columns."""
    return cv2.resize(picture.astype(np.float32), None, fx=share, fy=share, interpolation=cv2.INTER_AREA)


def main(folders: List[str]) -> None:
    """Print a table of all data together, CT and ultrasound apart."""
    rng = np.random.default_rng(0)

    def noisy(picture: np.ndarray) -> np.ndarray:
        return picture + rng.normal(0, 10, picture.shape)

    copies: Dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "noise of 10": noisy,
        "0.8 of the matrix": lambda picture: smaller(picture, 0.8),
        "1.1 times, 20 more": lambda picture: picture * 1.1 + 20,
        "half the matrix, noise of 10": lambda picture: noisy(smaller(picture, 0.5)),
    }
    for kind in ("CT", "ultrasound"):
        cases, found = [], {name: [] for name in (*copies, "neighbours", "patients")}
        for folder in folders:
            dataset = open_dataset(folder)
            frames = isinstance(dataset, USDataset)
            if frames != (kind == "ultrasound"):
                continue
            for info in dataset.cases:
                own = descriptors(dataset, info.case)
                pictures = dataset.frames(info.case) if frames else dataset.study(info.case).hu[dataset.reference_index]
                describe = describe_frame if frames else describe_slice
                for name, change in copies.items():
                    changed = [describe(change(np.asarray(one))) for one in pictures]
                    found[name].append(distance(own, np.array([one for one in changed if one is not None])))
                steps = np.sqrt(((own[1:] - own[:-1]) ** 2).mean(axis=1))
                found["neighbours"].append(float(np.median(steps)))
                cases.append((f"{folder}/{info.patient}", own))
        for at, (patient, own) in enumerate(cases):
            for other, theirs in cases[at + 1 :]:
                if other != patient:
                    found["patients"].append(min(distance(own, theirs), distance(theirs, own)))
        for name, values in found.items():
            if values:
                low, middle, high = np.percentile(values, (0, 50, 100))
                print(f"{kind}, {name}: {low:.4f} to {high:.4f}, median {middle:.4f} ({len(values)} medians)")
    print(f"duplicates at {MOST_DISTANCE:g} or less")


if __name__ == "__main__":
    main(sys.argv[1:])
