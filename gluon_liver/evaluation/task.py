"""The contract of a task in evaluation: how detections are scored, tabulated and drawn."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Dict, Generic, List, NamedTuple, Optional, Sequence, Tuple, TypeVar

import numpy as np

from gluon_liver.config.schema import Config
from gluon_liver.data.coco import Label
from gluon_liver.data.dataset import Dataset
from gluon_liver.errors import InputError
from gluon_liver.metrics.errors.where import Where
from gluon_liver.metrics.lesions import Hit
from gluon_liver.metrics.sizes import BINS_MM
from gluon_liver.structures.image_result import ImageResult

if TYPE_CHECKING:  # settings are asked for before anything that draws is imported
    from gluon_liver.report.figures.drawing import Colour


@dataclass(frozen=True)
class ScoreSettings:
    """What may be chosen of the metrics of a task that has a bootstrap.

    fp_rates: false positives of FROC, an image and a patient; each metric's own by default. lesion_bins: edges of
    lesion sizes in mm. Raises :class:`InputError` for rates and edges that do not rise.
    """

    replicates: int = 1000  # of the bootstrap
    fp_rates: Optional[Tuple[float, ...]] = None
    lesion_hit: Hit = Hit()
    lesion_bins: Tuple[float, ...] = BINS_MM

    def __post_init__(self) -> None:
        for what, values in ("--froc-rates", self.fp_rates), ("--lesion-bins", self.lesion_bins):
            bounds = None if values is None else (0.0, *values, math.inf)
            if bounds and not (values and all(low < high for low, high in zip(bounds, bounds[1:]))):
                given = ", ".join(f"{one:g}" for one in values or ())
                raise InputError(f"{what} are {given}: numbers above 0 that rise are needed")


USUAL = ScoreSettings()
VIEWS_BESIDE = 2  # slices or frames to either side

D = TypeVar("D", bound=Dataset)
L = TypeVar("L", bound=Label)


@dataclass(frozen=True)
class Scored(Generic[D, L]):
    """What a network of ``config`` detected in a split: an :class:`ImageResult` for each of ``labels``.

    note: what a reader must know of the numbers. unfinished: of :attr:`Run.unfinished`.
    """

    config: Config
    dataset: D
    split: str
    labels: Sequence[L]
    results: Sequence[ImageResult]
    note: str
    unfinished: str = ""


class Places(NamedTuple):
    """Where images are from. of_images: study and slice, or scene and frame, of each label. cases: what is known of
    each study or scene: {"spacing" (dz, dy, dx) mm, "slices", "invented"} of studies, {} of scenes.
    """

    of_images: Sequence[Tuple[str, int]]
    cases: Dict[str, Dict[str, Any]]


class View(NamedTuple):
    """An image to look at beside a scored one.

    picture: (H, W) grey or (H, W, 3) RGB uint8 at stored size. phase: its name, None where there are none. offset:
    slices or frames from the scored image, 0 for that. scored: its number where it was scored too, which says what was
    annotated and detected on it; of another phase, what was so on the slice. label: what it is, in words.
    """

    picture: np.ndarray
    phase: Optional[str]
    offset: int
    scored: Optional[int]
    label: str


class Task(abc.ABC, Generic[D, L]):
    """How evaluation treats one task.

    A third task adds a module with a subclass, as ct.py and us.py are, and its name to
    :data:`gluon_liver.evaluation.registry.EVALUATIONS`. What was detected reaches the methods as a :class:`Scored`,
    whose dataset and labels are the task's own; what they return is printed and written to results.json, which alone
    :meth:`write_report` reads, so that a page shows what the file says.
    """

    no_bootstrap: ClassVar[str] = ""  # why runs of the task take no --bootstrap, after "RUN is "; "" where they do

    @abc.abstractmethod
    def summary(self, scored: Scored[D, L], settings: ScoreSettings) -> Dict[str, Any]:
        """The metrics, as plain JSON values."""

    @abc.abstractmethod
    def text(self, scored: Scored[D, L], summary: Dict[str, Any]) -> str:
        """The printed tables of a summary, beside the paper's."""

    @abc.abstractmethod
    def draw(self, scored: Scored[D, L], number: int) -> np.ndarray:
        """Image ``number`` with detections at the score threshold and ground truth, (h, w, 3) uint8 RGB."""

    @abc.abstractmethod
    def views(self, scored: Scored[D, L], number: int) -> List[View]:
        """Image ``number`` itself first, then those :data:`VIEWS_BESIDE` before and behind it, then other phases."""

    @abc.abstractmethod
    def colours(self, classes: Sequence[str]) -> Sequence[Colour]:
        """Of the boxes of each class."""

    @abc.abstractmethod
    def record(self, scored: Scored[D, L]) -> Dict[str, Any]:
        """What results.json holds of the task alone, as its :class:`gluon_liver.report.records.results.Kind` requires.

        What it has under data goes with the data's phantom and note.
        """

    @abc.abstractmethod
    def places(self, scored: Scored[D, L]) -> Places:
        """Where the scored images are from, for comparisons of runs lesion by lesion."""

    @abc.abstractmethod
    def where(self, scored: Scored[D, L]) -> List[Where]:
        """Where each image is from, for the causes of errors."""

    @abc.abstractmethod
    def size_edges(self, settings: ScoreSettings) -> Sequence[float]:
        """Rising edges of the groups of sizes, in mm or pixels as :meth:`where` tells spacings or none."""

    @abc.abstractmethod
    def write_report(self, folder: Path) -> None:
        """Write report.html from results.json and the other files of the folder."""
