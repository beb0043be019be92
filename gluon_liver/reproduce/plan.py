"""The plan of a job as text: steps with what they read, write and where they stand; then hours, memory and disk."""

from __future__ import annotations

from typing import List, Mapping, Optional, Sequence

from gluon_liver.report.tables.table import Block, Notes, Table, as_text

from .estimate import DEVICES, RowEstimate
from .job import Trainings
from .steps import State, Step

GIB = 2**30


def plan_text(
    job: Trainings,
    steps: Sequence[Step],
    stand: Sequence[State],
    rows: Sequence[RowEstimate],
    *,
    cases: str,
    disk: Mapping[str, int],
    free: int,
) -> str:
    """All of it. cases: what there is to read, in words. disk, free: bytes."""
    names = [f"{job.headline()}: {cases}"]
    names += [f"{row} is left out: {reason}" for row, reason in job.left_out().items()]
    blocks: List[Block] = ["\n".join(names), _steps(job, steps, stand), _rows(job, rows)]
    return as_text(*blocks, Notes(_notes(job, rows, disk, free)))


def _steps(job: Trainings, steps: Sequence[Step], stand: Sequence[State]) -> str:
    lines = [f"Steps, in {job.out}:"]
    for number, (step, state) in enumerate(zip(steps, stand), start=1):
        writes = ", ".join(path.relative_to(job.out).as_posix() for path in step.outputs)
        lines.append(f"{number:3}. {step.title}: reads {step.reads}; writes {writes}; {state}")
    return "\n".join(lines)


def _rows(job: Trainings, rows: Sequence[RowEstimate]) -> Table:
    devices = [name for name, _, _ in DEVICES]
    lines = []
    for row in rows:
        others = [_hours(row.hours_on(peak, share)) for _, peak, share in DEVICES]
        steps = "after the import" if row.steps is None else f"{row.steps:,}"
        billions = f"{row.multiplications / 1e9:,.3g}"
        lines.append([row.row, steps, billions, _hours(row.hours_here()), *others, size_text(row.memory.total)])
    header = ("row", "steps", "10^9 mult. an image", f"hours, {job.device} here", *devices, "memory")
    return Table.of("One training of each row", header, lines)


def _notes(job: Trainings, rows: Sequence[RowEstimate], disk: Mapping[str, int], free: int) -> List[str]:
    seeds = len({member.seed for member in job.members})
    notes = []
    if rows[0].seconds is not None:
        notes.append(
            f"hours here: measured now, {rows[0].seconds:.3g} s an image of a step of {rows[0].row} on random images; "
            "other rows by their multiplications. Loading, evaluation and the import are not in it."
        )
    else:
        notes.append("hours here: not measured (--no-measure).")
    notes += [
        f"{name}: ASSUMED, {share:.0%} of {2 * peak / 1e12:.3g} TFLOP/s in float32; no such device was measured."
        for name, peak, share in DEVICES
    ]
    if seeds > 1:
        known = [row.hours_here() for row in rows]
        total = None if None in known else seeds * sum(hours for hours in known if hours is not None)
        notes.append(f"{seeds} seeds: each row is trained {seeds} times, {_hours(total)} hours here in all.")
    notes.append(
        "memory: MXNet's plan of a step on one device (python -m gluon_liver memory says what that leaves out)."
    )
    data = f"prepared data {size_text(disk['data'])}" if "data" in disk else "prepared data: known after the import"
    runs = size_text(disk["runs"])
    notes.append(f"disk: {data}, windowed images beside them up to half as much; runs {runs}; {size_text(free)} free.")
    return notes


def _hours(hours: Optional[float]) -> str:
    return "-" if hours is None else f"{hours:,.1f}" if hours >= 1 else f"{hours:.2g}"


def size_text(count: float) -> str:
    return f"{count / GIB:,.1f} GiB" if count >= GIB / 10 else f"{count / 2**20:,.1f} MiB"
