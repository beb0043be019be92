"""What differs between the configurations and the training data of two arms, read from their run folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from gluon_liver.config.differences import flat
from gluon_liver.errors import RunError
from gluon_liver.files.json_records import read_json
from gluon_liver.runs.config_file import read_config

SEED = "train.seed"
TRAINED_ON = ("training_studies", "training_patients")  # of environment.json
ABSENT = "-"  # a key of another task


def compared_configurations(folders_a: Sequence[Path], folders_b: Sequence[Path]) -> Dict[str, Any]:
    """What comparison.json says of them.

    differ: keys with other values in A than in B, {"key", "a", "b"}: the values of each arm, each once. vary: keys
    whose values are the same in both arms, but not in all runs. unread: why a configuration is not compared.
    """
    unread: List[str] = []
    arms: List[List[Dict[str, Any]]] = []
    for folders in (folders_a, folders_b):
        arms.append([])
        for folder in folders:
            try:
                arms[-1].append(flat(read_config(folder)))
            except RunError as error:
                unread.append(str(error).replace(str(folder), folder.resolve().name))  # no path on a page
    found: Dict[str, Any] = {"differ": [], "vary": [], "unread": unread}
    if unread:
        return found
    for key in dict.fromkeys(key for arm in arms for one in arm for key in one):
        values = [_once([one.get(key, ABSENT) for one in arm]) for arm in arms]
        if sorted(map(repr, values[0])) != sorted(map(repr, values[1])):
            found["differ"].append({"key": key, "a": values[0], "b": values[1]})
        elif len(values[0]) > 1:
            found["vary"].append({"key": key, "values": values[0]})
    return found


def compared_training(folders_a: Sequence[Path], folders_b: Sequence[Path]) -> List[str]:
    """Sentences: whether all runs were trained on the same patients and labels, by the same program."""
    records = [[_environment(folder) for folder in folders] for folders in (folders_a, folders_b)]
    sentences = [_training_data(*records)]
    for name in ("version", "revision"):
        sides = [_once([one.get(name) for one in arm]) for arm in records]
        if sides[0] != sides[1] and not any(value is None for side in sides for value in side):
            texts = (" and ".join(map(str, side)) for side in sides)
            sentences.append("A was trained by {} {}, B by {}.".format(name, *texts))
    return [one for one in sentences if one]


def only_seeds(configurations: Dict[str, Any]) -> bool:
    """Whether the arms are trainings of one configuration: nothing differs, or the seed alone does."""
    return not configurations["unread"] and {one["key"] for one in configurations["differ"]} <= {SEED}


def _environment(folder: Path) -> Dict[str, Any]:
    found = read_json(folder / "environment.json", error=RunError)
    return found if isinstance(found, dict) else {}


def _training_data(arm_a: Sequence[Dict[str, Any]], arm_b: Sequence[Dict[str, Any]]) -> str:
    known = [_record(one) for one in (*arm_a, *arm_b)]
    if any(one is None for one in known):
        return "Whether they were trained on the same patients is not known: a run does not say on which it was."
    sets = [(set(one[0]), set(one[1])) for one in known if one]
    labels = [one.get("digests", {}).get("training_labels") for one in (*arm_a, *arm_b)]
    studies, patients = (len(one) for one in sets[0])
    if all(one == sets[0] for one in sets):
        same = f"All were trained on the same {studies} studies of {patients} patients"
        if None in labels:
            return f"{same}; whether with the same labels is not known."
        return f"{same}, with " + ("the same labels." if len(set(labels)) == 1 else "OTHER LABELS: they are not alike.")
    other = next(one for one in sets if one != sets[0])
    shared = len(sets[0][0] & other[0])
    counts = (
        f"{studies} studies of {patients} patients and {len(other[0])} of {len(other[1])}, {shared} studies in both"
    )
    return f"They were NOT trained on the same data ({counts}): a difference may come from that."


def _record(environment: Dict[str, Any]) -> Optional[Tuple[List[str], List[str]]]:
    studies, patients = (environment.get(name) for name in TRAINED_ON)
    return (studies, patients) if isinstance(studies, list) and isinstance(patients, list) else None


def _once(values: Sequence[Any]) -> List[Any]:
    kept: List[Any] = []
    for value in values:
        if value not in kept:
            kept.append(value)
    return kept
