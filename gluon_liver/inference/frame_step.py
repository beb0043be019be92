"""Which frames of a stream are read, and which of them is the previous one of which."""

from __future__ import annotations

from typing import Any, Iterable, Iterator, List, Mapping, Optional, Tuple, TypeVar

from gluon_liver.data.us_pairs import STEP, seconds
from gluon_liver.errors import InputError

T = TypeVar("T")
SAME_TIME = 0.1  # times that differ by no more than this share of the longer one are the same


def trained_step(trained: Mapping[str, Any]) -> int:
    """Frames from the previous one to the current one in the training of a run. trained: its environment.json."""
    return int(trained.get("step", STEP))


def choose_step(trained: Mapping[str, Any], *, step: Optional[int], every: int) -> int:
    """The step of a stream of which each ``every``-th frame is read: ``step``, or where that is None the training's.

    Where the training's would ask for a frame that is not read, the one read before is the previous one. Raises
    :class:`InputError` for a ``step`` that would.
    """
    if step is None:
        own = trained_step(trained)
        return every if own % every else own
    if step % every:
        raise InputError(
            f"--step {step} with --every {every}: the frame {step} before is not read; give a multiple of {every} as "
            "--step, or leave one of them out"
        )
    return step


def step_notes(trained: Mapping[str, Any], *, step: int, every: int, rate: Optional[float]) -> List[str]:
    """Which frame is the previous one of a stream of us-flow, and whether that is as in training.

    step, every: see :func:`choose_step`. rate: frames a second of the stream, None where it is not known.
    """
    rates, own = trained.get("frames_per_second") or [], trained_step(trained)
    notes = [f"the previous frame is {step} before{seconds(step, [rate])}, as in training"]
    if step != own:
        there = f"{own} before{seconds(own, rates)}"
        notes = [f"the previous frame is {step} before{seconds(step, [rate])}; in training it was {there}"]
    if rate is None or not rates:
        whose = "this recording" if rate is None else "the training recordings"
        return [*notes, f"the rate of {whose} is not known, so neither is whether {step} frame(s) take the same time"]
    here = step / rate
    there_seconds = min((own / one for one in rates), key=lambda time: abs(time - here))
    if abs(there_seconds - here) > SAME_TIME * max(there_seconds, here):
        below = max(1, int(there_seconds * rate / every))  # steps are multiples of every
        best = min((step, below * every, (below + 1) * every), key=lambda one: abs(one / rate - there_seconds))
        advice = f"; --step {best} is nearest to that" if best != step else ""
        notes.append(
            f"the previous frame is {here:.3g} s before, in training it was {there_seconds:.3g} s: the network learned "
            f"other motion{advice}"
        )
    return notes


def every_nth(frames: Iterable[Tuple[int, T]], every: int) -> Iterator[Tuple[int, T]]:
    """Of numbered frames those whose numbers lie a multiple of ``every`` behind the first one's."""
    first: Optional[int] = None
    for number, frame in frames:
        first = number if first is None else first
        if (number - first) % every == 0:
            yield number, frame
