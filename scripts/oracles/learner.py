"""A strong learner on few features: a forest of regression trees, and how well it ranks studies that it did not see."""

from __future__ import annotations

from typing import Tuple

import cv2
import numpy as np
from scipy.stats import rankdata

TREES, LEAF = 60, 4


def area(scores: np.ndarray, truth: np.ndarray) -> float:
    """Area under the ROC curve: how often a true example scores above a false one."""
    positives = int(truth.sum())
    ranks = rankdata(scores)[truth].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * (len(truth) - positives)))


def held_out_scores(features: np.ndarray, truth: np.ndarray, groups: np.ndarray, *, folds: int = 5) -> np.ndarray:
    """Score of each example by a forest that saw no example of its group."""
    names = np.unique(groups)
    fold = np.random.default_rng(0).permutation(len(names)) % folds
    scores = np.zeros(len(truth))
    for number in range(folds):
        tested = np.isin(groups, names[fold == number])
        forest = cv2.ml.RTrees_create()
        forest.setMaxDepth(12)
        forest.setMinSampleCount(LEAF)
        forest.setActiveVarCount(max(1, features.shape[1] // 6))
        forest.setTermCriteria((cv2.TERM_CRITERIA_MAX_ITER, TREES, 0.0))
        cv2.setRNGSeed(number)
        forest.train(features[~tested].astype(np.float32), cv2.ml.ROW_SAMPLE, truth[~tested].astype(np.float32))
        scores[tested] = forest.predict(features[tested].astype(np.float32))[1][:, 0]
    return scores


def held_out_area(
    features: np.ndarray, truth: np.ndarray, groups: np.ndarray, *, replicates: int = 200
) -> Tuple[float, float]:
    """Area under the ROC curve of :func:`held_out_scores`, and its standard error by drawing groups anew."""
    scores, rng = held_out_scores(features, truth, groups), np.random.default_rng(1)
    rows = [np.flatnonzero(groups == name) for name in np.unique(groups)]
    areas = []
    for _ in range(replicates):
        drawn = np.concatenate([rows[k] for k in rng.integers(0, len(rows), len(rows))])
        if 0 < truth[drawn].sum() < len(drawn):
            areas.append(area(scores[drawn], truth[drawn]))
    return area(scores, truth), float(np.std(areas))
