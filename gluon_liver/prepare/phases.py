"""Which series of a study is which contrast phase. Nothing is guessed: what cannot be told is left out, with why.

DICOM has no tag that names the phase, so it is told by SeriesInstanceUID (exact, from a phase file) or by
patterns searched in SeriesDescription. The defaults know the three phases of the CT paper (non-contrast,
arterial, delayed); a portal venous series is a fourth phase and matches none of them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from gluon_liver.errors import PhaseError
from gluon_liver.files.json_records import read_yaml
from gluon_liver.files.typed import Rules, build, each, limited, matching
from gluon_liver.readers.dicom.series import Rejection, SeriesFiles

DEFAULT_ORDER = ("non_contrast", "arterial", "delayed")
DEFAULT_REFERENCE = "arterial"
NAME_IT = "name it under 'series' of a phase file"

# Word borders that also hold at "_" and digits, which descriptions use as separators.
_START, _END = r"(?<![a-z])", r"(?![a-z])"
# "W/WO", "with and without": an examination with both, so it says nothing about this series.
_NOT_BOTH = r"(?<!w/)(?<!w\+)(?<!w )(?<!w-)(?<!w&)(?<!w_)(?<!with/)(?<!with )(?<!and )(?<!& )"
# The default patterns say nothing about a series of the portal venous phase.
_NOT_PORTAL = rf"^(?!.*(?:{_START}port|venous|venosa|veineu|{_START}p\.?v\.?p?\.?{_END}|{_START}ven{_END})).*?"


def _words(pattern: str) -> str:
    return f"{_NOT_PORTAL}{_START}(?:{pattern}){_END}"


DEFAULT_PATTERNS: Dict[str, Tuple[str, ...]] = {
    "non_contrast": (
        _words(r"(non|no|un|pre)[ _-]*(iv[ _-]*)?(contrast|con|enhanced|enh|inj(ected|ection)?|ce|c)"),
        f"{_NOT_PORTAL}{_NOT_BOTH}{_START}(w/o|wo|without|sans|ohne){_END}",
        _words("plain|nativ(e|o|a)?|ncct|nect|nc"),
    ),
    "arterial": (_words("(e|l)?(art|arterial|arteriell|art[e\u00e9]rielle?|arteriosa|hap)"),),
    "delayed": (
        _words("delay(s|ed)?|del|dly|equilibrium|equil|tardi(f|ve|vo|va)|sp\u00e4t(phase)?"),
        # Two minutes or more; one minute is the portal venous phase.
        rf"{_NOT_PORTAL}(?<![\d.])([2-9]|[1-9]\d)[ _-]*min(s|ute|utes)?{_END}",
        rf"{_NOT_PORTAL}{_START}late{_END}(?![ _-]*(art|hap))",
    ),
}


@dataclass(frozen=True)
class PhaseRules:
    """phases in order, the reference phase, exact SeriesInstanceUID -> phase, and phase -> regular expressions."""

    order: Tuple[str, ...] = DEFAULT_ORDER
    reference: str = DEFAULT_REFERENCE
    series: Mapping[str, str] = field(default_factory=dict)
    patterns: Mapping[str, Tuple[str, ...]] = field(default_factory=lambda: dict(DEFAULT_PATTERNS))

    def with_reference(self, reference: Optional[str]) -> PhaseRules:
        """The same rules with another reference phase. Raises PhaseError where it is not in the order."""
        if reference is None:
            return self
        if reference not in self.order:
            raise PhaseError(f"--reference {reference}: the phases are {', '.join(self.order)}")
        return PhaseRules(self.order, reference, self.series, self.patterns)


@dataclass(frozen=True)
class _PhaseFile:
    """A phase file. Entries of series and patterns are checked by their number: a UID belongs in no message."""

    order: Tuple[str, ...] = limited(
        DEFAULT_ORDER, each(matching("[A-Za-z0-9_-]+", "a name of letters, digits, '_' and '-'"), least=1)
    )
    reference: str = ""
    series: Optional[Dict[Any, Any]] = None
    patterns: Optional[Dict[Any, Any]] = None

    def rules(self) -> Rules:
        """That the phases differ and the reference is one of them."""
        yield "order", len(set(self.order)) == len(self.order), "different names"
        yield "reference", self.reference in ("", *self.order), f"one of {', '.join(self.order)}"


@dataclass
class PhaseChoice:
    """The series taken for each phase and by which rule, and the series left out."""

    taken: Dict[str, SeriesFiles]
    rule: Dict[str, str]
    left_out: List[Rejection]


def load_phase_rules(path: Optional[Union[str, Path]], *, reference: Optional[str] = None) -> PhaseRules:
    """Read a phase file (YAML: order, reference, series, patterns); None gives the defaults.

    reference: counts instead of the file's own reference. Raises PhaseError that names the key.
    """
    if path is None:
        return PhaseRules().with_reference(reference)
    file = _read_phase_file(path)
    if reference is None and not file.reference and DEFAULT_REFERENCE not in file.order:
        raise PhaseError(
            f"{path}: key 'reference' is absent, and the default {DEFAULT_REFERENCE!r} is not one of "
            f"{', '.join(file.order)}: name the reference phase"
        )
    series = file.series or {}
    for place, (uid, phase) in enumerate(series.items(), 1):
        entry = f"{path}: entry {place} of 'series'"
        if not isinstance(uid, str) or not re.fullmatch(r"[0-9.]{1,64}( part \d+)?( acquisition \d+)?", uid):
            raise PhaseError(f"{entry} is no SeriesInstanceUID (write it in quotes)")
        if phase not in file.order:
            raise PhaseError(f"{entry} names the phase {phase!r}; order has {', '.join(file.order)}")
    patterns = {phase: _patterns(phase, value, file.order, path) for phase, value in (file.patterns or {}).items()}
    if not series and not patterns:
        raise PhaseError(f"the phase file {path} maps nothing: give 'series', 'patterns' or both")
    return PhaseRules(file.order, file.reference or DEFAULT_REFERENCE, series, patterns).with_reference(reference)


def reference_of(path: Union[str, Path]) -> Optional[str]:
    """The reference phase that a phase file names, None where it names none (the default does not count).

    Raises PhaseError where the file cannot be read and where its reference is not in its order.
    """
    return _read_phase_file(path).reference or None


def _read_phase_file(path: Union[str, Path]) -> _PhaseFile:
    return build(_PhaseFile, read_yaml(path, error=PhaseError), where=str(path), error=PhaseError, refuse_unknown=True)


def choose_phases(series: Sequence[SeriesFiles], rules: PhaseRules) -> PhaseChoice:
    """One series for each phase of one study.

    A series named in `rules.series` wins over patterns. A series that matches no phase or several, and series
    that compete for one phase, are left out with the reason and what to do.
    """
    candidates: Dict[str, List[Tuple[SeriesFiles, str]]] = defaultdict(list)
    choice = PhaseChoice({}, {}, [])
    for one in series:
        exact = rules.series.get(one.address) or rules.series.get(one.series_uid)
        matches = {exact: "named in the phase file"} if exact else match_description(one.description, rules)
        if one.kind and not exact:
            would = f" (its description says {', '.join(matches)})" if matches else ""
            reason = f"{one.kind_reason}{would}; if it is needed, {NAME_IT}"
            choice.left_out.append(one.rejection(reason, one.kind))
        elif len(matches) == 1:
            ((phase, rule),) = matches.items()
            candidates[phase].append((one, rule))
        elif matches:
            reason = f"its description matches several phases ({', '.join(matches)}); {NAME_IT}"
            choice.left_out.append(one.rejection(reason, "several-phases"))
        else:
            reason = f"no rule says which phase it is; if it is needed, {NAME_IT}"
            choice.left_out.append(one.rejection(reason, "no-phase"))
    for phase in rules.order:
        named = [pair for pair in candidates[phase] if pair[0].series_uid in rules.series]
        rivals = named or candidates[phase]
        for one, _ in candidates[phase]:
            if named and all(one is not other for other, _ in named):
                reason = f"the phase file names another series for {phase}"
                choice.left_out.append(one.rejection(reason, "other-series-named"))
        if len(rivals) == 1:
            choice.taken[phase], choice.rule[phase] = rivals[0]
        for one, _ in rivals if len(rivals) > 1 else ():
            others = ", ".join(other.name for other, _ in rivals if other is not one)
            reason = f"it competes with {others} for {phase}; name one of them under 'series' of a phase file"
            choice.left_out.append(one.rejection(reason, "competing-series"))
    return choice


def match_description(description: str, rules: PhaseRules) -> Dict[str, str]:
    """phase -> the rule by which a SeriesDescription matches it."""
    hits = {
        phase: [number for number, one in enumerate(patterns, 1) if re.search(one, description, re.IGNORECASE)]
        for phase, patterns in rules.patterns.items()
    }
    return {phase: f"description pattern {numbers[0]} of {phase}" for phase, numbers in hits.items() if numbers}


def phase_template(
    series: Sequence[SeriesFiles], rules: PhaseRules, remarks: Optional[Mapping[str, Sequence[str]]] = None
) -> str:
    """A phase file to fill in: every series with its number of images and what the present rules make of it.

    remarks: by the name of a series, lines of comment that stand above it instead. It holds identifiers and
    descriptions, so it belongs in a private place.
    """
    lines = [
        "# Write a phase behind the UID of each series that is to be taken, and delete the # before it.",
        f"order: [{', '.join(rules.order)}]",
        f"reference: {rules.reference}",
        "series:",
    ]
    studies: Dict[str, List[SeriesFiles]] = defaultdict(list)
    for one in series:
        studies[one.study_uid].append(one)
    choices = [choose_phases(group, rules).taken for group in studies.values()]
    phases = {one.name: phase for taken in choices for phase, one in taken.items()}
    for one in series:
        described = f"{len(one.slices)} images, described as {' '.join(one.description.split())!r}"
        lines += [f"  # {line}" for line in (remarks or {}).get(one.name, [f"{one.name}: {described}"])]
        lines.append(f"  '{one.address}': {phases[one.name]}" if one.name in phases else f"  # '{one.address}':")
    return "\n".join(lines) + "\n"


def _patterns(phase: Any, value: Any, order: Sequence[str], path: Union[str, Path]) -> Tuple[str, ...]:
    if phase not in order:
        raise PhaseError(f"{path}: 'patterns' names the phase {phase!r}; order has {', '.join(order)}")
    patterns = [value] if isinstance(value, str) else value
    if not isinstance(patterns, list) or not patterns or not all(isinstance(one, str) for one in patterns):
        raise PhaseError(f"{path}: 'patterns' of {phase} must be a list of regular expressions")
    for place, pattern in enumerate(patterns, 1):
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise PhaseError(f"{path}: pattern {place} of {phase} is no regular expression: {error}") from error
    return tuple(patterns)
