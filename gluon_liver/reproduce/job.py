"""What is reproduced on a set: which trainings, from which files, where to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, NamedTuple, Optional, Tuple

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


class Trainings:
    """Trainings of rows on prepared data: what their steps and their plan ask of a reproduction.

    data: where the prepared data are, or will be. members: the trainings, seed by seed. pretrained: weights that all of
    them begin with.
    """

    out: Path
    members: Tuple[Member, ...]
    size: str
    pretrained: Optional[Path]
    device: str

    @property
    def data(self) -> Path:
        raise NotImplementedError

    def headline(self) -> str:
        """What the plan begins with."""
        raise NotImplementedError

    def left_out(self) -> Dict[str, str]:
        """Rows that are not trained, with the reason."""
        raise NotImplementedError

    def classes_and_phases(self) -> Tuple[int, int]:
        """How many there will be, before the data are there."""
        raise NotImplementedError

    def dataset(self) -> Dataset:
        """The prepared data. Raises DatasetError where they are not there yet."""
        return open_dataset(self.data)

    def text_of(self, member: Member) -> Path:
        """The tables of one run, as evaluate prints them."""
        return self.out / "tables" / f"{member.folder.name}.txt"


@dataclass(frozen=True)
class Job(Trainings):
    """What is reproduced on a public set, from which files, where to and how.

    source: as the set was downloaded; listing: of it.
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
        return self.out / "data"

    def headline(self) -> str:
        return f"{self.recipe.name}, size {self.size}"

    def left_out(self) -> Dict[str, str]:
        return self.recipe.left_out()

    def classes_and_phases(self) -> Tuple[int, int]:
        if self.recipe.task == "us":
            from gluon_liver.sets.us.registry import US_LAYOUTS

            return len(US_LAYOUTS[self.recipe.name].classes), 1
        from gluon_liver.sets.registry import LAYOUTS

        layout = LAYOUTS[self.recipe.name]
        return len(layout.classes), len(layout.phases)
