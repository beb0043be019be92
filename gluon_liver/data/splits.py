"""Training, validation and test patients: a patient is in one of them only, with all studies."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Dict, Iterable, List, Sequence, Tuple, Union

import numpy as np

from gluon_liver.errors import SplitError
from gluon_liver.files.atomic import write_json
from gluon_liver.files.json_records import read_record

SPLIT_NAMES = ("train", "val", "test")
MAX_SEED = 2**32 - 1  # of numpy.random.RandomState


@dataclass(frozen=True)
class Splits:
    """Patient ids of each split. Raises :class:`SplitError` where a patient is in two of them."""

    train: Tuple[str, ...]
    val: Tuple[str, ...]
    test: Tuple[str, ...]
    seed: int = 0

    def __post_init__(self) -> None:
        seen: Dict[str, str] = {}
        shared: List[str] = []
        for name in SPLIT_NAMES:
            for patient in getattr(self, name):
                if patient in seen:
                    shared.append(f"{patient} ({seen[patient]}, {name})")
                seen[patient] = name
        if shared:
            raise SplitError(f"patients are in more than one split, or listed twice: {', '.join(sorted(shared))}")

    def check_together(self, group: Sequence[str], folder: Path) -> None:
        """Raise :class:`SplitError` where names that share an examination are in several splits of ``folder``."""
        split_of = self._split_of
        places = [f"{one} ({name})" for name in SPLIT_NAMES for one in group if split_of.get(one) == name]
        if len({place.rpartition(" ")[2] for place in places}) > 1:
            raise SplitError(
                f"{folder}/splits.json parts {', '.join(places)}, who share an examination (key 'same_examination' of "
                "dataset.json): move them to one split"
            )

    @cached_property
    def _split_of(self) -> Dict[str, str]:
        return {patient: name for name in SPLIT_NAMES for patient in getattr(self, name)}

    def of(self, split_name: str) -> Tuple[str, ...]:
        """Patients of "train", "val" or "test"."""
        if split_name not in SPLIT_NAMES:
            raise SplitError(f"there is no split {split_name!r}; the splits are {', '.join(SPLIT_NAMES)}")
        return getattr(self, split_name)


def make_splits(
    patients: Iterable[str],
    *,
    fractions: Sequence[float] = (0.7, 0.1, 0.2),
    seed: int = 0,
    together: Iterable[Sequence[str]] = (),
) -> Splits:
    """Shuffle the patients with ``seed`` and cut them by ``fractions`` (train, val, test).

    A split whose fraction is above 0 gets at least one patient while there are enough. together: groups of patients
    that one split holds, each of which counts as one patient. Raises :class:`SplitError` for fractions that are no
    shares of 1 and where there is no patient.
    """
    share = np.asarray(list(fractions), dtype=np.float64)
    if share.shape != (3,) or not np.isfinite(share).all() or share.min() < 0 or abs(share.sum() - 1) > 1e-6:
        raise SplitError(f"split fractions must be three numbers of 0 or more that sum to 1, not {list(fractions)}")
    if not 0 <= seed <= MAX_SEED:
        raise SplitError(f"the split seed is {seed}; it must be a whole number from 0 to {MAX_SEED}")
    group_of = {patient: tuple(sorted(group)) for group in together for patient in group}
    names = sorted({group_of.get(patient, (patient,))[0] for patient in patients})
    if not names:
        raise SplitError("there is no patient to split")
    wanted = share * len(names)
    counts = np.floor(wanted + 1e-9).astype(int)
    for index in np.argsort(counts - wanted, kind="stable")[: len(names) - counts.sum()]:
        counts[index] += 1
    needed = np.flatnonzero(share > 0)
    if len(names) >= len(needed):
        for index in needed:
            if counts[index] == 0:
                counts[np.argmax(counts)] -= 1
                counts[index] = 1
    order = [names[i] for i in np.random.RandomState(seed).permutation(len(names))]
    first, second = int(counts[0]), int(counts[0] + counts[1])
    train, val, test = (
        tuple(sorted(one for name in part for one in group_of.get(name, (name,))))
        for part in (order[:first], order[first:second], order[second:])
    )
    return Splits(train, val, test, seed)


def load_splits(path: Union[str, Path]) -> Splits:
    """Read a split file: {"seed": int, "train": [...], "val": [...], "test": [...]}. Raises :class:`SplitError`."""
    splits = read_record(Splits, path, error=SplitError)
    if not splits.train + splits.val + splits.test:
        raise SplitError(f"{path} names no patient")
    return splits


def save_splits(splits: Splits, path: Union[str, Path]) -> None:
    """Write a split file whole or not at all."""
    write_json(path, {"seed": splits.seed, **asdict(splits)})
