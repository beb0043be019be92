"""Boxes straight from the mask that a set was written from."""

import numpy as np


def mask_truth(mask):
    """Slice -> [(x1, y1, x2, y2, lesion number)] of a mask of lesion numbers (z, y, x), rising by number."""
    found = {}
    for z, plane in enumerate(mask):
        for number in np.unique(plane[plane > 0]).tolist():
            rows, columns = np.nonzero(plane == number)
            box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            found.setdefault(z, []).append((*map(int, box), number))
    return found
