"""docs/evidence.md, made of the archive and the claims' files alone.

python -m experiments.page            write the page and its pictures
python -m experiments.page --check    read the archive, compute the page anew, and fail where docs/ has another one
"""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple, TypeVar

from gluon_liver.errors import InputError
from gluon_liver.files.atomic import write_text
from gluon_liver.files.json_records import read_text

from .claim_section import claim_lines
from .patients import contradictions, other_patients
from .picture import OVERVIEW, overview_is_of, picture_is_of, picture_name, write_overview, write_picture
from .plan import Key, plan_runs
from .records import ARCHIVE, Failure, RunRecord, Runs, read_archive, read_failures
from .runs_section import METHOD, failed_lines, runs_lines
from .spec import FOLDER, Claim, load_claims
from .summary import summary_lines
from .tasks import ROOT
from .verdict import AllCompared, compare

DOCS = ROOT / "docs"
PAGE = "evidence.md"
INTRODUCTION = """# Evidence: what the papers claim, with the mechanism on and off

Written by `python -m experiments.page` from `experiments/archive`; do not edit. `make evidence` makes the runs that are
missing. `make evidence-check` computes this page anew and compares it, compares those endpoints of each run that counts
by patient make with these (top-1, recall, precision, AP50, sensitivity by scene), and asks whether all runs of a
condition were scored on the same patients and boxes.

Neither paper's data are public. Every figure below is of generated phantoms and of networks of an eighth of the
channels, trained for minutes from scratch: it tells whether a mechanism *can* do what the paper says of it where the
data hold what it rests on, and whether this code lets it. It says nothing about patients, and nothing about the papers'
own networks, which were larger, pretrained and trained for longer. Whatever came out is here.

A claim **agrees** where the gain is there with the mechanism, and its controls, where none belongs, do not gain or gain
less; it **disagrees** where a gain worth speaking of is excluded though there was room for it; else this study **cannot
tell**. It is asked for the gain alone: other arms that do as much, and a loss where the mechanism is off, stand behind
"also".
"""
INTERIM = 'There is no verdict before all seeds are in: what stands beside "not finished" is interim.\n'
Kept = TypeVar("Kept", RunRecord, Failure)


def page_text(
    claims: Mapping[str, Claim], archived: Sequence[RunRecord], failures: Sequence[Failure], compared: AllCompared
) -> str:
    """The page."""
    by_claim, failed = _current(claims, archived), _current(claims, failures)
    parts = [INTRODUCTION, *([INTERIM] if len(_together(by_claim)) < len(plan_runs(claims)) else [])]
    parts += summary_lines(claims, by_claim, compared)
    for name, claim in claims.items():
        parts += [*claim_lines(claim, by_claim[name], compared[name]), *failed_lines(failed[name].values())]
    parts += [METHOD, *runs_lines(archived, _together(by_claim))]
    return "\n".join(parts).rstrip() + "\n"


def _current(claims: Mapping[str, Claim], made: Sequence[Kept]) -> Dict[str, Dict[Key, Kept]]:
    """Claim -> what was made of it with the settings that the files have now."""
    setting = {run.key: run.setting for run in plan_runs(claims)}
    current = [one for one in made if setting.get(one.key) == one.setting]
    return {name: {one.key: one for one in current if one.claim == name} for name in claims}


def _compared(claims: Mapping[str, Claim], by_claim: Mapping[str, Runs]) -> Tuple[AllCompared, AllCompared]:
    """The comparisons of all claims, and of those alone that have runs."""
    compared = {name: compare(claim, by_claim[name]) for name, claim in claims.items()}
    return compared, {name: some for name, some in compared.items() if by_claim[name]}


def _together(by_claim: Mapping[str, Runs]) -> Runs:
    return {key: one for ours in by_claim.values() for key, one in ours.items()}


def write_page(claims: Mapping[str, Claim], archive: Path, docs: Path) -> None:
    """Write the page, and a picture of every claim that has runs."""
    records, failures = read_archive(archive), read_failures(archive)
    by_claim = _current(claims, records)
    compared, begun = _compared(claims, by_claim)
    for name in begun:
        write_picture(docs / picture_name(claims[name]), claims[name], by_claim[name])
    if begun:
        write_overview(docs / OVERVIEW, claims, begun)
    write_text(docs / PAGE, page_text(claims, records, failures, compared))


def check_page(claims: Mapping[str, Claim], archive: Path, docs: Path) -> List[str]:
    """What is wrong with the page in ``docs``: lines that differ, pictures of other runs; endpoints of runs that
    their counts by patient contradict; and runs that were scored on other patients than the rest of their condition.
    Empty where nothing is.
    """
    records, failures = read_archive(archive), read_failures(archive)
    by_claim = _current(claims, records)
    compared, begun = _compared(claims, by_claim)
    wanted = page_text(claims, records, failures, compared).splitlines()
    found = read_text(docs / PAGE, remedy="python -m experiments.page writes it").splitlines()
    wrong = list(difflib.unified_diff(found, wanted, PAGE, "of the archive", lineterm="", n=0))
    pictures = [
        (picture_name(claims[name]), picture_is_of(docs / picture_name(claims[name]), claims[name], by_claim[name]))
        for name in begun
    ]
    if begun:
        pictures.append((OVERVIEW, overview_is_of(docs / OVERVIEW, claims, begun)))
    for name, ours in by_claim.items():
        paths = [endpoint.path for endpoint in claims[name].endpoints]
        wrong += [line for record in ours.values() for line in contradictions(record, paths)]
        wrong += other_patients(ours.values())
    wrong += [f"{name} is missing or shows other runs than the archive holds" for name, right in pictures if not right]
    return wrong


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.page", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the page is another one")
    parser.add_argument("--specs", type=Path, default=FOLDER, help="folder of the claims' files")
    parser.add_argument("--archive", type=Path, default=ARCHIVE, help="folder of the archive")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the page")
    args = parser.parse_args(argv)
    try:
        claims = load_claims(args.specs)
        if not args.check:
            write_page(claims, args.archive, args.docs)
            print(args.docs / PAGE)
            return 0
        wrong = check_page(claims, args.archive, args.docs)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{PAGE}: {'NOT what the archive says' if wrong else 'is what the archive says'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
