"""A phase file to fill in."""

from __future__ import annotations

from typing import Mapping, Optional, Sequence

from gluon_liver.readers.dicom.series import SeriesFiles

from .cases import find_cases
from .choice import choose_phases
from .rules import PhaseRules


def phase_template(
    series: Sequence[SeriesFiles], rules: PhaseRules, remarks: Optional[Mapping[str, Sequence[str]]] = None
) -> str:
    """A phase file to fill in: every series with its number of images and what the present rules make of it.

    remarks: by the name of a series, lines of comment that stand above it instead. It holds identifiers and
    descriptions, so it belongs in a private place.
    """
    choices = [choose_phases(case.series, rules).taken for case in find_cases(series, join=rules.join).values()]
    phases = {one.name: phase for taken in choices for phase, one in taken.items()}
    todo = "# Write a phase behind the UID of each series that is to be taken, and delete the # before it."
    if all(one.name in phases for one in series):
        todo = "# Every series was recognised: change a phase that is wrong, and put a # before a series to leave out."
    lines = [
        todo,
        f"order: [{', '.join(rules.order)}]",
        f"reference: {rules.reference}",
        *(["join: true"] * rules.join),
        "series:",
    ]
    written = set()
    for one in series:
        described = f"{len(one.slices)} images, described as {' '.join(one.description.split())!r}"
        lines += [f"  # {line}" for line in (remarks or {}).get(one.name, [f"{one.name}: {described}"])]
        # of two series that share a UID an entry would mean both, and stand there twice
        taken = one.name in phases and one.address not in written
        lines.append(f"  '{one.address}': {phases[one.name]}" if taken else f"  # '{one.address}':")
        written.add(one.address)
    return "\n".join(lines) + "\n"
