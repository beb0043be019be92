"""The files of a set as they were downloaded: whether they are still the same, and how they become prepared data."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional

from gluon_liver.errors import InputError
from gluon_liver.files.digest import hash_file
from gluon_liver.files.json_records import read_json
from gluon_liver.files.listing import list_files
from gluon_liver.files.lock import LOCK_FILES

from .recipe import Recipe
from .steps import FOLDER

READ_WHOLE = (".csv", ".tab", ".json", ".txt", ".xml", ".tsv", ".xlsx")
SMALL = 2**24  # bytes of a table that is read whole


@dataclass(frozen=True)
class Listing:
    """The files below a folder: how many, their bytes, and a digest of names, sizes and the content of tables."""

    files: int
    bytes: int
    sha256: str


def list_source(source: Path) -> Listing:
    """What lies below ``source``; images are known by name and size alone, for a set has hundreds of gigabytes.

    Raises :class:`InputError` where there is no folder, or nothing in it.
    """
    if not source.is_dir():
        raise InputError(f"--data {source}: there is no such folder; it is where the files of the set were unpacked")
    digest, count, total = hashlib.sha256(), 0, 0
    for path in sorted(list_files(source).paths):
        size = path.stat().st_size
        whole = path.suffix.lower() in READ_WHOLE and size <= SMALL
        line = [path.relative_to(source).as_posix(), str(size), hash_file(path) if whole else ""]
        digest.update("\0".join(line).encode("utf-8", "surrogateescape") + b"\n")
        count, total = count + 1, total + size
    if not count:
        raise InputError(f"--data {source}: there is no file in it")
    return Listing(count, total, digest.hexdigest())


def check_apart(out: Path, source: Path) -> None:
    """Raise InputError where one of the folders lies in the other, or ``out`` is none of a reproduction."""
    real_out, real_source = Path(os.path.realpath(out)), Path(os.path.realpath(source))
    if real_out == real_source or real_source in real_out.parents or real_out in real_source.parents:
        raise InputError(f"--out {out} and --data {source}: neither may lie in the other; the set is never changed")
    check_out(out)


def check_out(out: Path) -> None:
    """Raise InputError for what is no folder, or none of a reproduction."""
    if os.path.lexists(out) and not out.is_dir():
        raise InputError(f"--out {out} exists and is no folder")
    if out.is_dir() and not (out / FOLDER).is_dir() and any(path.name not in LOCK_FILES for path in out.iterdir()):
        raise InputError(f"--out {out} holds files, and no reproduction was begun there: choose another folder")


def import_source(recipe: Recipe, source: Path, data: Path, *, jobs: int, seed: int = 0) -> Dict[str, Any]:
    """Prepared data of a set by its layout, or those that are there; prints the import's report, returns its counts."""
    if not (data / "dataset.json").is_file():  # it appears whole or not at all
        if recipe.task == "us":
            from gluon_liver.prepare.us import USOptions
            from gluon_liver.sets.us.import_set import import_us_set

            import_us_set(recipe.name, source, data, options=USOptions(seed=seed, progress=True))
        else:
            from gluon_liver.sets.import_ct import import_set
            from gluon_liver.sets.registry import LAYOUTS

            import_set(LAYOUTS[recipe.name](), source, data, jobs=jobs, seed=seed, progress=True)
    print("\n".join(_report_lines(recipe, read_json(data / "import-report.json"))), flush=True)
    from gluon_liver.data.open import open_dataset

    dataset = open_dataset(data)
    images = {split: len(dataset.labels_of(split)) for split in ("train", "val", "test")}
    return {"studies": len(dataset.cases), "classes": list(dataset.classes), "images": images}


def _report_lines(recipe: Recipe, report: Dict[str, Any]) -> List[str]:
    """What was taken and what was not, as the import says it."""
    if recipe.task == "us":
        from gluon_liver.prepare.us_report import report_lines
    else:
        from gluon_liver.sets.import_ct import report_lines
    lines = report_lines(report)
    if any("--accept" in line or "--affine" in line for line in lines):
        lines.append("note: --accept and --affine are options of `import ct --layout`; here such cases stay out")
    return lines


@dataclass(frozen=True)
class Cases:
    """What a layout finds. name: what it calls them. boxed: training images with boxes, None where it cannot tell."""

    count: int
    name: str
    boxed: Optional[int] = None

    def __str__(self) -> str:
        return f"{self.count} {self.name}"


def find_cases(recipe: Recipe, source: Path) -> Cases:
    """What the layout of a set finds, without decoding images. Raises :class:`InputError` where it finds none."""
    if recipe.task == "us":
        from gluon_liver.sets.us.import_set import find_set

        return Cases(len(find_set(recipe.name, source).recordings), "recordings")
    from gluon_liver.sets.layout import BoxLabels
    from gluon_liver.sets.registry import LAYOUTS

    cases = LAYOUTS[recipe.name]().find(source).cases
    labels = [case.labels for case in cases if case.split == "train"]
    boxes = [one.slices.values() for one in labels if isinstance(one, BoxLabels)]
    told = all(case.split for case in cases) and len(boxes) == len(labels)
    return Cases(len(cases), "cases", sum(bool(some) for slices in boxes for some in slices) if told else None)
