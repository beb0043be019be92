"""The steps of ``reproduce --on``: import, a training and an evaluation of each row and seed, the tables."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from gluon_liver.config.schema import Config
from gluon_liver.data.dataset import Dataset
from gluon_liver.data.open import open_dataset
from gluon_liver.files.digest import hash_file

from .recipe import Recipe, flat
from .source import Listing, import_source
from .steps import Step

# keys that change how fast a run is, what it keeps and what it says, and not its parameters on one device
WITHOUT_EFFECT = ("parallel.", "train.loader_workers", "train.log_every", "train.keep_checkpoints", "train.mirror")


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

    def steps(self) -> List[Step]:
        """All steps, in their order: the first seed of all rows before any second one."""
        steps = [self._import()]
        for member in self.members:
            steps += [self._train(member), self._evaluate(member)]
        return [*steps, self._tables()]

    def _import(self) -> Step:
        inputs = {"layout": self.recipe.name, "files": dataclasses.asdict(self.listing)}
        return Step(
            "import",
            f"import {self.recipe.name}",
            f"{self.listing.files:,} files of {self.source}",
            (self.data,),
            lambda: inputs,
            partial(import_source, self.recipe, self.source, self.data, jobs=self.jobs),
            costly=True,
        )

    def _train(self, member: Member) -> Step:
        read = "data" + (f", {self.pretrained.name}" if self.pretrained else "")
        title, inputs = f"train {member.row}, seed {member.seed}", partial(self._training_inputs, member)
        run = partial(self._run_training, member)
        return Step(f"train/{member.name}", title, read, (member.folder,), inputs, run, costly=True)

    def _training_inputs(self, member: Member) -> Dict[str, Any]:
        keys = {f"config.{key}": value for key, value in flat(member.config.to_dict()).items()}
        kept = {key: value for key, value in keys.items() if not key[len("config.") :].startswith(WITHOUT_EFFECT)}
        digests = {f"data.{name}": value for name, value in self.dataset().digests().items()}
        return {**kept, **digests, "pretrained": self._pretrained_digest()}

    def _pretrained_digest(self) -> Optional[str]:
        if self.pretrained is None:
            return None
        if self.pretrained.is_dir():  # a run
            from gluon_liver.runs.run import Run

            return _checkpoint_of(Run.open(self.pretrained))
        return hash_file(self.pretrained)

    def _run_training(self, member: Member) -> Optional[Dict[str, Any]]:
        from gluon_liver.training.train import train
        from gluon_liver.weights.pretrained import Pretrained

        weights = Pretrained(self.pretrained, None) if self.pretrained else None
        finished = train(member.config, self.dataset(), member.folder, pretrained=weights, resume="auto")
        if finished is None:
            return None
        steps, _, ended = finished.progress()
        return {"steps": steps} if ended else None

    def _evaluate(self, member: Member) -> Step:
        def inputs() -> Dict[str, Any]:
            from gluon_liver.runs.run import Run

            run, digests = Run.open(member.folder), self.dataset().digests("test")
            return {"checkpoint": _checkpoint_of(run), **{f"data.{name}": value for name, value in digests.items()}}

        results, text = member.folder / "results.json", self._text_of(member)
        run = partial(self._run_evaluation, member)
        title = f"evaluate {member.row}, seed {member.seed}"
        return Step(f"evaluate/{member.name}", title, "the run, test split", (results, text), inputs, run)

    def _text_of(self, member: Member) -> Path:
        return self.out / "tables" / f"{member.folder.name}.txt"

    def _run_evaluation(self, member: Member) -> Dict[str, Any]:
        from gluon_liver.evaluation.run_folder import evaluate
        from gluon_liver.files.atomic import write_text
        from gluon_liver.runs.devices import parse_device
        from gluon_liver.runs.run import Run

        device = self.device if self.device.startswith("gpu") else "cpu"
        text, _ = evaluate(Run.open(member.folder), self.dataset(), context=parse_device(device.split(",")[0]))
        self._text_of(member).parent.mkdir(exist_ok=True)
        write_text(self._text_of(member), text)
        return {}

    def _tables(self) -> Step:
        from .results import MANIFEST, TABLES, write_tables

        results = {member.name: member.folder / "results.json" for member in self.members}
        outputs = (self.out / TABLES, self.out / MANIFEST)
        return Step(
            "tables",
            "write the tables",
            f"results of {len(self.members)} run{'s' if len(self.members) > 1 else ''}",
            outputs,
            lambda: {name: hash_file(path) for name, path in results.items()},
            partial(write_tables, self),
        )


def _checkpoint_of(run: Any) -> str:
    """Digest of the checkpoint that an evaluation reads."""
    from gluon_liver.runs.checkpoint import chosen_checkpoint
    from gluon_liver.runs.manifest import MANIFEST

    return hash_file(chosen_checkpoint(run) / MANIFEST)
