"""What is kept of a run: one small JSON file, written whole; and the archive of all of them, a file a claim."""

from __future__ import annotations

import dataclasses
import json
import lzma
import re
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from gluon_liver.errors import InputError
from gluon_liver.files.atomic import whole_file, write_json
from gluon_liver.files.json_records import read_json, read_record
from gluon_liver.files.typed import at_least, build, required

from .plan import Key, PlannedRun
from .spec import NAME

ARCHIVE = Path(__file__).parent / "archive"
ENDING = ".jsonl.xz"
AGAIN = "remove the file: the run is made anew unless the archive has it"
FAILED = "failed.json"  # of the archive: runs that failed and were never finished
ABSOLUTE = re.compile(r"(?<![\w.:/-])/(?:[\w.+-]+/)+[\w.+-]*")  # a path of the machine


@dataclass(frozen=True)
class RunRecord:
    """One finished run.

    setting: :attr:`.plan.PlannedRun.setting`. config: digest of the resolved configuration without its seed, so that
    it tells whether defaults were others. revision: of the code. results: every value of the summary in results.json,
    by path; None where it is undefined. counts: by patient (CT) or scene, see :mod:`.counts`. log: training losses,
    thinned to a few steps. seconds: of the clock for "train" and "evaluate", of the processor for "cpu".
    """

    setting: str
    config: str
    revision: Optional[str]
    environment: Dict[str, Any]
    results: Dict[str, Optional[float]]
    counts: Dict[str, Any]
    log: List[Dict[str, Any]]
    seconds: Dict[str, float]
    claim: str = required(NAME)
    condition: str = required(NAME)
    arm: str = required(NAME)
    seed: int = required(at_least(1))
    steps: int = required(at_least(0))

    @property
    def key(self) -> Key:
        return Key(self.claim, self.condition, self.arm, self.seed)

    def value(self, path: str) -> Optional[float]:
        """An endpoint; of several paths with " + " between them the mean, None where one of them is undefined.

        Raises :class:`InputError` where the evaluation gave no such value.
        """
        values: List[float] = []
        for one in path.split(" + "):
            if one not in self.results:
                near = ", ".join(name for name in self.results if name.split(".")[0] == one.split(".")[0])
                raise InputError(f"{self.key}: results have no {one}; they have {near or ', '.join(self.results)}")
            value = self.results[one]
            if value is None:
                return None
            values.append(value)
        return sum(values) / len(values)


@dataclass(frozen=True)
class Failure:
    """A run that ended with an error: at which stage, with which code, what it said last, how often it was tried."""

    claim: str
    condition: str
    arm: str
    seed: int
    setting: str
    stage: str
    code: int
    said: str
    revision: Optional[str] = None
    attempts: int = 1

    @property
    def key(self) -> Key:
        return Key(self.claim, self.condition, self.arm, self.seed)


Runs = Mapping[Key, RunRecord]  # what is read of all that is kept


@dataclass(frozen=True)
class Records:
    """Records in a folder, a file a run: records/CLAIM/CONDITION/ARM/seed-N.json, and failures beside them."""

    folder: Path
    archive: Optional[Path] = None

    def path(self, key: Key, kind: str = "records") -> Path:
        """The file of a run."""
        return self.folder / kind / key.claim / key.condition / key.arm / f"seed-{key.seed}.json"

    def write(self, record: RunRecord) -> None:
        """Keep a finished run, and forget that it failed before."""
        path = self.path(record.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, json.loads(line_of(record)), indent=None)
        self.path(record.key, "failed").unlink(missing_ok=True)

    def fail(self, failure: Failure) -> Failure:
        """Keep a failure, counted on from the one of the same setting before it."""
        path, before = self.path(failure.key, "failed"), self.failures().get(failure.key)
        if before is not None and before.setting == failure.setting:
            failure = dataclasses.replace(failure, attempts=before.attempts + 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, dataclasses.asdict(failure))
        return failure

    def finished(self, planned: Mapping[Key, str] = MappingProxyType({})) -> Dict[Key, RunRecord]:
        """All records by key: those of the archive, and of the folder those that the archive has not, or not of the
        planned setting, which they are of. What else is archived stays: an old folder would undo an archive that came
        with the code.
        """
        found = {record.key: record for record in (read_archive(self.archive) if self.archive else [])}
        for record in self._in_folder():
            archived, wanted = found.get(record.key), planned.get(record.key)
            if archived is None or record.setting == wanted != archived.setting:
                found[record.key] = record
        return found

    def contested(self, finished: Runs) -> List[Key]:
        """Runs of the folder of which :meth:`finished` has the archive's record, of the same setting and unlike."""
        found = ((record, finished[record.key]) for record in self._in_folder())
        return [ours.key for ours, kept in found if kept.setting == ours.setting and kept != ours]

    def _in_folder(self) -> Iterator[RunRecord]:
        for path in sorted((self.folder / "records").rglob("seed-*.json")):
            yield read_record(RunRecord, path, refuse_unknown=True, remedy=AGAIN)

    def failures(self) -> Dict[Key, Failure]:
        """All failures by key."""
        paths = sorted((self.folder / "failed").rglob("seed-*.json"))
        found = (read_record(Failure, path, refuse_unknown=True, remedy=AGAIN) for path in paths)
        return {one.key: one for one in found}

    def done(self, runs: Iterable[PlannedRun]) -> Tuple[Dict[Key, RunRecord], List[RunRecord]]:
        """Of planned runs the records of their setting, and those that are of another one: of an older file, say."""
        planned = {run.key: run.setting for run in runs}
        found = self.finished(planned)
        ours = {key: one for key, one in found.items() if key in planned}
        current = {key: one for key, one in ours.items() if one.setting == planned[key]}
        return current, [one for key, one in ours.items() if key not in current]


def line_of(record: RunRecord) -> str:
    """A record as one line of JSON, the same for the same record."""
    return json.dumps(dataclasses.asdict(record), sort_keys=True, allow_nan=False, separators=(",", ":"))


def write_archive(folder: Path, records: Iterable[RunRecord], failures: Iterable[Failure] = ()) -> List[Path]:
    """Write FOLDER/CLAIM.jsonl.xz for each claim, runs in order; the same bytes for the same records.

    Runs that failed are in FOLDER/failed.json, where there is one.

    Raises :class:`InputError` for a record that names a path of the machine.
    """
    by_claim: Dict[str, List[RunRecord]] = {}
    for record in sorted(records, key=lambda one: one.key):
        by_claim.setdefault(record.claim, []).append(record)
    folder.mkdir(parents=True, exist_ok=True)
    trees = [dataclasses.asdict(failure) for failure in sorted(failures, key=lambda one: one.key)]
    (folder / FAILED).unlink(missing_ok=True)
    if trees:
        write_json(folder / FAILED, trees)
    written = []
    for claim, ours in by_claim.items():
        lines = [line_of(record) for record in ours]
        for record, line in zip(ours, lines):
            path = ABSOLUTE.search(line)
            if path:
                raise InputError(f"{record.key}: the record names a path of this machine: {path.group()}")
        written.append(folder / (claim + ENDING))
        with whole_file(written[-1], "wb") as stream:
            stream.write(lzma.compress("".join(f"{line}\n" for line in lines).encode("utf-8"), preset=9))
    return written


def read_archive(folder: Path) -> List[RunRecord]:
    """All records of an archive, in order. Raises :class:`InputError` for a file that is damaged or in disorder."""
    records: List[RunRecord] = []
    for path in sorted(folder.glob("*" + ENDING)):
        try:
            lines = lzma.decompress(path.read_bytes()).decode("utf-8").splitlines()
            trees = [json.loads(line) for line in lines]
        except (lzma.LZMAError, ValueError, EOFError) as error:
            remedy = "take it from version control again, or remove it: python -m experiments.archive writes what the "
            raise InputError(f"{path.name} cannot be read: {error}; {remedy}work folder still has") from error
        for number, tree in enumerate(trees, 1):
            record = build(RunRecord, tree, where=f"{path.name}, line {number}", refuse_unknown=True)
            in_order = not records or records[-1].claim != record.claim or records[-1].key < record.key
            if record.claim != path.name[: -len(ENDING)] or not in_order:
                raise InputError(
                    f"{path.name}, line {number}: {record.key} is of another claim, double or out of order"
                )
            records.append(record)
    return records


def read_failures(folder: Path) -> List[Failure]:
    """The failures of an archive."""
    path = folder / FAILED
    trees = read_json(path) if path.exists() else []
    return [
        build(Failure, tree, where=f"{path.name}[{place}]", refuse_unknown=True) for place, tree in enumerate(trees)
    ]
