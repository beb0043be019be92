"""What is reproduced on a set: which trainings, from which files, where to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Optional, Tuple

from gluon_liver.config.schema import Config
from gluon_liver.data.dataset import Dataset
from gluon_liver.data.open import open_dataset

from .recipe import Recipe
from .source import Listing


class Member(NamedTuple):
    """One training: a row with a seed."""

    row: str
    seed: int
    config: Config
    folder: Path

    @property
    def name(self) -> str:
        return f"{self.row}/seed-{self.seed}"


@dataclass(frozen=True)
class Job:
    """What is reproduced, from which files, where to and how.

    source: as the set was downloaded; listing: of it. members: the trainings, seed by seed. pretrained: weights that
    all of them begin with.
    """

    recipe: Recipe
    source: Path
    listing: Listing
    out: Path
    members: Tuple[Member, ...]
    size: str = "full"
    pretrained: Optional[Path] = None
    device: str = "cpu"
    jobs: int = 1

    @property
    def data(self) -> Path:
        """Where the prepared data are, or will be."""
        return self.out / "data"

    def dataset(self) -> Dataset:
        """The prepared data. Raises DatasetError where the import has not been done."""
        return open_dataset(self.data)

    def text_of(self, member: Member) -> Path:
        """The tables of one run, as evaluate prints them."""
        return self.out / "tables" / f"{member.folder.name}.txt"
