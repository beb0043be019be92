"""docs/benchmarks.md: what was measured, as tables for people."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Union

from .pairs import BYTES, HERE, PAIRS, RATE, SECONDS, Goal, Pair
from .results import PairResults, Summary, met, ratio

NOTES = Path(__file__).with_name("notes.md")
BUSY = 0.05  # share of the cores that others took, from which a figure is marked
INTRODUCTION = """# Benchmarks

Written by `make bench`; do not edit. What holds a missed goal is in `scripts/bench/notes.md`.

**Only the ratios count.** Every time below is of one machine, and of that day. The sides of a pair took turns in one
session, each in a process of its own with all of the cores, and every second round in the other order; what is shown
are medians of all timed calls after a warm-up, with the fastest and the slowest, and the most memory that a process
held, its libraries included. Weights are random: how well a network detects is not the matter here.

PyTorch runs eagerly with all cores and channels_last weights, its faster layout in every pair; in training with
FrozenBatchNorm2d, in inference with BatchNorm2d, whichever was faster. Where both sides have the same weights, their
outputs are compared first, and a difference above 1e-5 of the largest value ends the measurement. torch.compile is left
out: torchvision's detectors are not usually run with it.
"""


def write_page(path: Path, results: Path, machine: Mapping[str, Any], *, notes: Path = NOTES) -> None:
    """Write the page of all pairs that have results."""
    texts = read_notes(notes)
    pairs = {name: PairResults(results, name) for name in PAIRS}
    lines = [INTRODUCTION, *machine_lines(machine, results, pairs), *goal_lines(pairs, texts)]
    for name, pair in PAIRS.items():
        lines += pair_lines(pair, pairs[name])
    lines += [texts[""]] if texts.get("") else []
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def read_notes(path: Path) -> Dict[str, str]:
    """The text under each heading ``## key``; what follows ``# Further`` has the key ""."""
    text, _, further = path.read_text(encoding="utf-8").partition("\n# Further\n")
    parts = re.split(r"^## (\S+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], (" ".join(part.split()) for part in parts[2::2])), **{"": further.strip()})


def machine_lines(machine: Mapping[str, Any], results: Path, pairs: Mapping[str, PairResults]) -> Iterator[str]:
    yield "## The machine\n"
    yield "| | |\n| --- | --- |"
    for name, value in machine.items():
        yield f"| {name} | {value} |"
    peak = PairResults(results, "machine").summary("peak")
    if peak and peak.records:
        best = max(record["work"] / min(record["seconds"]) for record in peak.records)
        yield f"| GEMM peak, float32, measured | {best / 1e9:.0f} GFLOP/s |"
    versions: Dict[str, Dict[str, None]] = {}
    for pair in pairs.values():
        for line in pair.lines:
            for package, version in line["record"].get("versions", {}).items():
                versions.setdefault(package, {})[version] = None
    for package, found in sorted(versions.items()):
        yield f"| {package} | {' and '.join(found)} |"
    revisions = dict.fromkeys(pair.revision for pair in pairs.values() if pair.revision)
    yield f"| revision of this project | {', '.join(revisions)} |\n"


def goal_lines(pairs: Mapping[str, PairResults], texts: Mapping[str, str]) -> Iterator[str]:
    """The table of goals, and what holds those that were missed."""
    yield "## Goals\n"
    yield "| work | here | beside | ratio | goal | |\n| --- | --- | --- | --- | --- | --- |"
    held: List[str] = []
    for name, pair in PAIRS.items():
        for goal in pair.goals:
            value = ratio(goal, pairs[name])
            ended = "not measured" if value is None else "met" if met(goal, value) else "**missed**"
            shown = "" if value is None else f"{value:.2f}"
            sign = "at least" if goal.at_least else "at most"
            here, beside = (cell(goal.figure, one, pairs[name]) for one in (goal.side, goal.peer))
            yield f"| {pair.title} | {here} | {beside} | {shown} | {sign} {goal.limit:g} | {ended} |"
            why = "" if ended == "met" else texts.get(goal.key) or why_not(goal, pairs[name])
            if why:
                held.append(f"- *{pair.title}*: {here} beside {beside}. {why}")
    yield ""
    if held:
        yield "### What holds those that are not met\n"
        yield "\n".join(held) + "\n"


def cell(figure: str, side: Union[str, float], results: PairResults) -> str:
    """A side's name and figure; of a number the number, of the sides here the figure alone."""
    if not isinstance(side, str):
        return amount(figure, side)
    summary = results.summary(side)
    value = summary.figure(figure) if summary else results.constant(side)
    name = "" if side == HERE and value is not None else side
    return ": ".join(filter(None, [name, amount(figure, value)]))


def why_not(goal: Goal, results: PairResults) -> str:
    """What to say of a goal that nobody has written a note about; nothing where it was not tried."""
    for name in (goal.side, goal.peer):
        summary = results.summary(name) if isinstance(name, str) else None
        if summary and not summary.records:
            return f"{name}: {summary.trouble}."
    return "Not found out yet." if ratio(goal, results) is not None else ""


def pair_lines(pair: Pair, results: PairResults) -> Iterator[str]:
    """The section of a pair; nothing where none of its sides was run."""
    summaries = {name: results.summary(name) for name in pair.sides}
    if not any(summaries.values()):
        return
    rated = {goal.side for goal in pair.goals if goal.figure == RATE}
    yield f"## {pair.title}\n"
    yield pair.text + "\n"
    yield "| side | median | fastest to slowest | calls | peak memory |" + (" a second |" if rated else "")
    yield "| --- | --- | --- | --- | --- |" + (" --- |" if rated else "")
    notes: List[str] = []
    for name, summary in summaries.items():
        if summary is None:
            continue
        yield side_row(name, summary, rated=bool(rated))
        if summary.others > BUSY:
            notes.append(f"While {name} ran, other processes took up to {summary.others:.0%} of the cores.")
        if summary.records:
            notes += [
                f"{name}: {what} {said}." for what, said in summary.records[-1]["checks"].items() if what != "loss"
            ]
    yield ""
    if notes:
        yield "\n".join(f"- {note}" for note in notes) + "\n"


def side_row(name: str, summary: Summary, *, rated: bool) -> str:
    if not summary.records:
        return f"| {name} | {summary.trouble} | | | |" + (" |" if rated else "")
    seconds = sorted(summary.seconds)
    cells = [
        amount(SECONDS, summary.figure(SECONDS)),
        f"{amount(SECONDS, seconds[0])} to {amount(SECONDS, seconds[-1])}",
        str(len(seconds)),
        amount(BYTES, summary.figure(BYTES)),
    ]
    if rated:
        cells.append(f"{summary.figure(RATE):.2f}")
    trouble = f"; one round failed: {summary.trouble}" if summary.trouble else ""
    return f"| {name}{trouble} | {' | '.join(cells)} |"


def amount(figure: str, value: Optional[float]) -> str:
    """A figure with its unit and three digits."""
    if value is None:
        return ""
    if figure == BYTES:
        return f"{value / 1e9:.3g} GB"
    if figure == RATE:
        return f"{value:.3g} a second"
    return f"{value:.3g} s" if value >= 0.9995 else f"{1000 * value:.3g} ms"
