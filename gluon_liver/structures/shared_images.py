"""The same images in two examinations, whatever their identifiers say: told by digests, kept on one side of the split.

Archives give an examination a second PatientID (a merge, another export, a public set that holds a patient twice), cut
it at other ends or lose a phase. What counts is therefore the single image.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import AbstractSet, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

import numpy as np

from .arrays import Array

LOOKED_AT = 64  # pixels a side that are looked at for values
FEW_VALUES = 16  # an image of fewer (air, a blank frame, a constant phantom) may be that of anybody
MIN_SHARED = 2  # images, so that no title page makes twins

Digests = Set[bytes]
Groups = List[Tuple[str, ...]]  # of what one split has to hold


@dataclass(frozen=True)
class Twins:
    """Two cases that share images."""

    cases: Tuple[str, str]
    images: int


def digest_of(image: Array) -> Optional[bytes]:
    """A digest of an image (rows, columns, ...), None where it holds too few values to tell one from another."""
    steps = (max(image.shape[0] // LOOKED_AT, 1), max(image.shape[1] // LOOKED_AT, 1))
    if len(np.unique(image[:: steps[0], :: steps[1]])) < FEW_VALUES:
        return None
    # every fourth row: noise makes them differ wherever images do
    return hashlib.blake2b(np.ascontiguousarray(image[::4]).data, digest_size=16).digest()


def find_twins(images: Mapping[str, AbstractSet[bytes]], fingerprints: Mapping[str, str]) -> List[Twins]:
    """Pairs of cases that share images or are equal as a whole; ``images``: digests of each case."""
    shared: Counter[Tuple[str, str]] = Counter()
    for cases in _cases_of(images).values():
        shared.update(combinations(sorted(cases), 2))
    twins = {
        pair: count for pair, count in shared.items() if count >= min(MIN_SHARED, *(len(images[case]) for case in pair))
    }
    for cases in _cases_of({case: {print_} for case, print_ in fingerprints.items()}).values():
        for pair in combinations(sorted(cases), 2):
            twins.setdefault(pair, 0)
    return [Twins(pair, count) for pair, count in sorted(twins.items())]


def joined(pairs: Iterable[Tuple[str, str]]) -> Groups:
    """Groups of names that pairs of different ones connect, each sorted."""
    group_of: Dict[str, Set[str]] = {}
    for one, other in pairs:
        if one != other:
            group = group_of.get(one, {one}) | group_of.get(other, {other})
            group_of.update(dict.fromkeys(group, group))
    return sorted({tuple(sorted(group)) for group in group_of.values()})


def twin_notes(twins: Sequence[Twins], patient_of: Mapping[str, str], what: str, split_by: str) -> List[str]:
    """What a reader of an import's report should know of them. what: "slices" or "frames"."""
    notes = []
    held = "they may be in several splits" if split_by == "image" else f"one split holds both {split_by}s"
    for one in twins:
        patients = sorted({patient_of[case] for case in one.cases})
        whose = f"under {' and '.join(patients)}: {held}" if len(patients) > 1 else "twice under one patient"
        much = f"{one.images} {what}" if one.images else f"all {what}"
        notes.append(f"{' and '.join(one.cases)} share {much}: the same examination {whose}")
    return notes


def _cases_of(images: Mapping[str, Iterable[object]]) -> Dict[object, List[str]]:
    cases: Dict[object, List[str]] = defaultdict(list)
    for case, digests in images.items():
        for digest in digests:
            cases[digest].append(case)
    return cases
