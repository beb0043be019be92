"""The cases of a public set, imported by several processes, and those that are done not again."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Sequence, Tuple

from gluon_liver.errors import InputError
from gluon_liver.files.unfinished import PARTS
from gluon_liver.prepare.pseudonyms import salted_hash
from gluon_liver.system.terminal import progress_bar

from .case_import import CaseRecord, CaseRules, case_key, import_case, read_case
from .layout import Found, SetCase


@dataclass(frozen=True)
class _Job:
    """One case on its way: the case, its ids, where its record stands, the digest of what it is made from."""

    case: SetCase
    whose: Tuple[str, str]
    record: Path
    key: str


def import_cases(
    found: Found, rules: CaseRules, salt: str, source: Path, folder: Path, jobs: int, progress: bool
) -> List[CaseRecord]:
    """Do what is not done, and return the records of all cases by their ids.

    Raises :class:`InputError` where the folder holds other cases, files change meanwhile, or a process is ended.
    """
    studies = folder / "studies"
    studies.mkdir(exist_ok=True)
    all_jobs: List[_Job] = []
    for case in found.cases:
        whose = salted_hash("case", salt, case.name), salted_hash("patient", salt, case.patient)
        record = folder / PARTS / f"{whose[0]}.json"
        all_jobs.append(_Job(case, whose, record, case_key(case, rules, whose, source)))
    all_jobs.sort(key=lambda job: job.whose)
    known = {job.whose[0] for job in all_jobs}
    for path in studies.iterdir():
        if path.name not in known:
            raise InputError(f"{folder} holds other cases (another salt, source or layout): delete it, or finish these")
    waiting = [job for job in all_jobs if read_case(job.record, job.key, studies) is None]
    again = sum(job.record.exists() for job in waiting)
    if len(waiting) < len(all_jobs) or again:
        what = f"{folder.name}: {len(all_jobs) - len(waiting)} case(s) are done"
        print(what + f", {again} again, for files or options changed" * bool(again), file=sys.stderr)
    for job in waiting:
        job.record.unlink(missing_ok=True)
    ready = len(all_jobs) - len(waiting)
    with progress_bar(total=len(all_jobs), done=ready, text="studies", unit="study", show=progress) as done:
        for _ in _run(waiting, rules, source, studies, jobs):
            done.update()
    records = [read_case(job.record, job.key, studies) for job in all_jobs]
    changed = sum(record is None for record in records)
    if changed:
        raise InputError(f"{changed} case(s) of the set changed while they were read: import again")
    return [record for record in records if record is not None]


def _run(waiting: Sequence[_Job], rules: CaseRules, source: Path, studies: Path, jobs: int) -> Iterator[None]:
    """Import cases, in this process or in several; yields as each is done."""
    own = [(job.case, rules, job.whose, source, studies, job.record) for job in waiting]
    if jobs == 1 or len(waiting) < 2:
        for args in own:
            import_case(*args)
            yield
        return
    context = multiprocessing.get_context("spawn")  # MXNet and ITK have threads, which a fork does not survive
    with ProcessPoolExecutor(min(jobs, len(waiting)), context, _end_with_parent) as pool:
        futures = [pool.submit(import_case, *args) for args in own]
        try:
            for future in as_completed(futures):
                future.result()
                yield
        except BrokenProcessPool as error:
            raise InputError(
                "a process of the import was ended by the system, for want of memory perhaps: import again with fewer "
                "--jobs; the cases that are done stay"
            ) from error
        except BaseException:
            for future in futures:
                future.cancel()
            raise


def _end_with_parent() -> None:
    """Have this process end when the one that started it does, however that ends."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
