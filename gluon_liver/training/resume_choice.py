"""Which checkpoint a run is gone on with, and whether configuration and data are still those of the run.

All of it is known before MXNet is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from gluon_liver.config.schema import Config
from gluon_liver.data.dataset import Dataset
from gluon_liver.data.digests import differences
from gluon_liver.data.us_pairs import STEP
from gluon_liver.errors import ConfigError, DatasetError, RunError
from gluon_liver.runs.checkpoint_folder import checkpoints_of, newest_intact, resumable_files
from gluon_liver.runs.run import DIGESTS, TRAINING, Run, data_digests, has_checkpoint

AUTO = "auto"
UNTOLD = {"step": STEP}  # what it was in runs of older versions, which do not tell
# what may change from one part of a run to the next
CHANGEABLE = frozenset(
    "train." + name
    for name in (
        "learning_rate momentum weight_decay epochs schedule decay_epochs decay_factor warmup_steps warmup_from "
        "clip_norm mirror validate validate_every log_every checkpoint_every checkpoint_steps keep_checkpoints "
        "loader_workers"
    ).split()
)


@dataclass(frozen=True)
class Continuation:
    """A run and the checkpoint to go on from.

    passed_over: checkpoints that were not taken, and why. changed: values of the configuration, before and after.
    data_folder: of the data now. data: their digests. data_changed: those which are known to differ, before and after.
    """

    run: Run
    checkpoint: Path
    passed_over: List[str]
    changed: Dict[str, Tuple[Any, Any]]
    data_folder: Path
    data: Dict[str, Optional[str]]
    data_changed: Dict[str, List[str]]

    @property
    def data_unknown(self) -> List[str]:
        """What of the training patients a run of an older version does not keep, "labels" say, though the data do."""
        before = self.run.environment.get(DIGESTS, {})
        lacking = [name for name in self.data if name.startswith(TRAINING) and before.get(name) is None]
        return [name[len(TRAINING) :] for name in lacking] if any(self.data[name] for name in lacking) else []


def find_continuation(
    out: Path, choice: str, config: Config, dataset: Dataset, *, changed_data: bool = False
) -> Optional[Continuation]:
    """Where to go on: ``choice`` is ``auto`` or a checkpoint of the run ``out``; None where auto finds no run.

    With auto the newest checkpoint that agrees with its manifest is taken. Raises :class:`RunError` when none does,
    or the chosen one is damaged; :class:`ConfigError` for changes that the parameters do not survive and
    :class:`DatasetError` for other training data; ``changed_data`` lets other labels of the same studies pass, and
    other pixels in phases beside the reference.
    """
    if choice == AUTO and not has_checkpoint(out):
        return None
    run = Run.open(out)
    passed_over: List[str] = []
    if choice == AUTO:
        checkpoint, passed_over = newest_intact(run.checkpoints, resumable=True)
        if checkpoint is None:
            raise RunError(f"{run.checkpoints}: no checkpoint is intact: {'; '.join(passed_over)}")
    else:
        checkpoint = _chosen(run, choice)
        resumable_files(checkpoint)
    for key, value in dataset.training_record().items():
        there = run.environment.get(key, UNTOLD.get(key))
        unknown = key == "frames_per_second" and not (there and value)
        if there != value and not unknown:
            both = f" ({value} here, {there} there)" if key in ("classes", "step") else ""
            what = f"{key.replace('_', ' ')} from what {run.folder} was trained on{both}"
            raise DatasetError(f"{dataset.folder} differs in {what}: give the same --data, or start a new run")
    data, changed = data_digests(dataset), changes(run.config, config)
    data_changed = differences(run.environment.get(DIGESTS), data)
    trained = [name[len(TRAINING) :] for name in data_changed if name.startswith(TRAINING)]
    if trained and not changed_data:
        what = f"the {' and '.join(trained)} of the training patients are not what {run.folder} was trained on so far"
        raise DatasetError(f"{dataset.folder}: {what}: go on with --changed-data, or start a new run")
    return Continuation(run.with_config(config), checkpoint, passed_over, changed, dataset.folder, data, data_changed)


def changes(before: Config, after: Config) -> Dict[str, Tuple[Any, Any]]:
    """Keys that differ, with both values. Raises :class:`ConfigError` for those that may not."""
    old, new = _flat(before.to_dict()), _flat(after.to_dict())
    changed = {key: (old.get(key), new.get(key)) for key in sorted(set(old) | set(new)) if old.get(key) != new.get(key)}
    fixed = [key for key in changed if key not in CHANGEABLE and not key.startswith("parallel.")]
    why = f"; only parallel.* and {', '.join(sorted(CHANGEABLE))} may change"
    if not fixed and 0 in changed.get("train.momentum", ()):
        fixed, why = ["train.momentum"], ": without momentum the optimiser has no state to go on with, or to go to"
    if fixed:
        was, now = changed[fixed[0]]
        raise ConfigError(f"--resume: {fixed[0]} was {was} when the run was started and is {now} now{why}")
    return changed


def _chosen(run: Run, choice: str) -> Path:
    path = Path(choice)
    if not path.is_dir():
        path = run.checkpoints / choice
    if not path.is_dir():
        there = [one.name for one in checkpoints_of(run.checkpoints)]
        advice = f"it has {', '.join(there)}" if there else "it has none: start anew with another --out"
        raise RunError(f"--resume {choice}: neither a folder nor a checkpoint of {run.folder}; {advice}")
    if path.parent.resolve() != run.checkpoints.resolve():
        raise RunError(f"--resume {choice}: it is not a checkpoint of {run.folder}")
    return path


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Dict[str, Any]:
    flat: Dict[str, Any] = {}
    for key, value in tree.items():
        flat.update(_flat(value, prefix + key + ".") if isinstance(value, Mapping) else {prefix + key: value})
    return flat
