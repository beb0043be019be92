"""What is reproduced of a paper: which trainings, on which prepared data or phantoms, where to, by which commands."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from gluon_liver.config.load import load_config
from gluon_liver.config.network_title import other_keys
from gluon_liver.config.schema import Config
from gluon_liver.data.ct_dataset import input_phases
from gluon_liver.data.dataset import Dataset
from gluon_liver.errors import ConfigError, InputError
from gluon_liver.reproduce.commands import RunCommand, Words, words_of
from gluon_liver.reproduce.job import Member, Trainings
from gluon_liver.reproduce.recipe import ROWS

from .cells import PHANTOMS

TITLES = {
    "ct": "liver lesions in multi-phase CT (six rows of Table 4)",
    "us": "liver tumors in ultrasound (Faster R-CNN with and without optical flow)",
}


class Size(NamedTuple):
    """Options of phantom, import, of all trainings, and for ultrasound of the flow net's phantoms and its training."""

    phantoms: str
    imported: str
    settings: Tuple[str, ...] = ()
    flow_phantoms: str = ""
    flow: str = ""


_ROWS = "--matrix 192 --slices 20 20 --spacing-mm 3 --lesions 1 3 --diameter-mm-by-class 16 32 16 32 22 40 "
_ROWS += "--min-box-pixels 24 --one-class-fraction 0.8 --ambiguous-fraction 0.5 --breathing-mm 3 --steep-vessels 4 7 "
_ROWS += "--steep-vessel-mm 16 40"
_TINY = "--matrix 64 --slices 14 14 --spacing-mm 5 --lesions 1 2 --diameter-mm 25 50 --min-box-pixels 8"
_SALT = "--salt phantom --split-fractions"
_FLOW = "--scenes 30 --frames 8 --size 192 --seed 1000"
SIZES: Mapping[Tuple[str, str], Size] = {  # demo: as `make rows` and `make demo-us`
    ("ct", "full"): Size("", ""),
    ("ct", "demo"): Size(
        f"--studies 80 --seed 1 {_ROWS}",
        f"{_SALT} 0.75 0 0.25 --seed 1",
        ("data.size=192", "train.images_per_epoch=600", "train.epochs=6", "train.schedule=cosine"),
    ),
    ("ct", "tiny"): Size(f"--studies 6 --seed 1 {_TINY}", f"{_SALT} 0.67 0 0.33"),
    ("us", "full"): Size("", "", (), _FLOW, "--width 1 --steps 8400"),
    ("us", "demo"): Size(
        "--scenes 120 --frames 4 --size 192 --seed 1", f"{_SALT} 0.7 0.1 0.2 --seed 1", (), _FLOW, "--steps 8400"
    ),
    ("us", "tiny"): Size(
        "--scenes 6 --frames 3 --size 96 --seed 1",
        f"{_SALT} 0.5 0 0.5",
        (),
        "--scenes 3 --frames 3 --size 96 --seed 1000",
        "--steps 4 --matching-steps 2",
    ),
}


@dataclass(frozen=True)
class PaperJob(Trainings):
    """One paper on one set of prepared data.

    source: the data; None: phantoms are made below ``out``. settings: KEY=VALUE of all trainings, as typed. refused:
    rows that are not trained, with the reason. flow: weights of LiteFlowNet; None: they are trained. command: the whole
    as typed. run_command: runs a command of the program.
    """

    task: str
    out: Path
    members: Tuple[Member, ...]
    source: Optional[Path]
    command: str
    run_command: RunCommand
    size: str = "full"
    settings: Tuple[str, ...] = ()
    pretrained: Optional[Path] = None
    flow: Optional[Path] = None
    device: str = "cpu"
    cache: Optional[Path] = None
    refused: Dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.out / "data" if self.source is None else self.source

    @property
    def own(self) -> Size:
        """The options of this paper at this size."""
        return SIZES[self.task, self.size]

    @property
    def flow_weights(self) -> Path:
        """The parameters of LiteFlowNet, given or trained here."""
        return self.flow or self.out / "flow" / "net" / "flow.params"

    def headline(self) -> str:
        return f"{TITLES[self.task]}, size {self.size}"

    def left_out(self) -> Dict[str, str]:
        return self.refused

    def classes_and_phases(self) -> Tuple[int, int]:
        return (3, 3) if self.task == "ct" else (2, 1)

    def doubt(self, dataset: Dataset) -> str:
        """Why nothing can be said of a printed value, "" where something may."""
        if dataset.phantom:
            return PHANTOMS
        if self.size != "full":
            return f"size {self.size}: smaller networks than the paper's"
        other = dict.fromkeys(key for member in self.members for key in self._other_keys(member))
        return f"networks that are not the paper's: {', '.join(other)} set otherwise" if other else ""

    def _other_keys(self, member: Member) -> List[str]:
        """What ``settings`` make of the network of a row."""
        names = config_names(self.task, member.row, size=self.size, pretrained=self.pretrained is not None)
        return other_keys(member.config, load_config(*names))

    def trained(self, row: str) -> List[Member]:
        """The trainings of a row, one a seed."""
        return [member for member in self.members if member.row == row]

    def words_to_train(self, member: Member) -> Words:
        """The command that trains a member."""
        names = config_names(self.task, member.row, size=self.size, pretrained=self.pretrained is not None)
        settings = [word for one in self.settings for word in ("--set", one)]
        words = words_of("train --config", names, "--data", self.data, "--out", member.folder)
        words += words_of(f"--resume auto --seed {member.seed} --devices", self.device, settings)
        words += words_of(["--pretrained", self.pretrained] if self.pretrained else [])
        words += words_of(["--flow", self.flow_weights] if member.row == "us-flow" else [])
        return words + self._cache()

    def words_to_evaluate(self, member: Member) -> Words:
        """The command that scores a member and prints its tables."""
        device = self.device.split(",")[0] if self.device.startswith("gpu") else "cpu"
        more = [] if device == "cpu" else ["--device", device]
        return words_of("evaluate --run", member.folder, "--data", self.data, more) + self._cache()

    def _cache(self) -> Words:
        return words_of(["--cache", self.cache] if self.cache else [])


def config_names(task: str, row: str, *, size: str, pretrained: bool) -> List[str]:
    """The configurations that are laid over each other for a row."""
    if size == "full":
        start = [] if task == "us" else ["recipe-imagenet" if pretrained else "recipe-scratch"]
        return [row, *start]
    return ["demo-ct" if row == "r50" else f"demo-{row}", *(["size-tiny"] if size == "tiny" else [])]


def rows_of(task: str, wanted: Optional[Sequence[str]], dataset: Optional[Dataset]) -> Tuple[List[str], Dict[str, str]]:
    """The rows to train, in the order of the paper's table, and why the others are not. dataset: None of phantoms.

    Raises :class:`InputError` for a row that is none of the paper's, that was asked for and the data do not allow, and
    where none is left.
    """
    known = ROWS[task]
    for row in wanted or ():
        if row not in known:
            raise InputError(f"--rows {row}: the rows of this paper are {', '.join(known)}")
    refused = {row: "not asked for (--rows)" for row in known if wanted and row not in wanted}
    for row in known:
        if task == "ct" and dataset is not None and row not in refused:
            try:
                input_phases(load_config(row), getattr(dataset, "phases", ()))
            except ConfigError as error:
                if wanted:
                    raise InputError(f"--rows {row}: {error}") from error
                refused[row] = str(error)
    return [row for row in known if row not in refused], refused


def members_of(
    task: str,
    rows: Sequence[str],
    out: Path,
    *,
    size: str,
    seeds: int,
    settings: Sequence[str],
    pretrained: bool,
    device: str,
) -> Tuple[Member, ...]:
    """Every training, the first seed of all rows before any second one. Raises ConfigError for wrong settings."""

    def config(row: str, seed: int) -> Config:
        names = config_names(task, row, size=size, pretrained=pretrained)
        overrides = [*settings, f"train.seed={seed}", f"parallel.devices={device}"]
        return load_config(names[0], *names[1:], overrides=overrides)

    return tuple(
        Member(row, seed, config(row, seed), out / "runs" / f"{row}-seed{seed}")
        for seed in range(seeds)
        for row in rows
    )
