"""The rules by which a series is told to be a contrast phase: a phase file, or the usual words.

DICOM has no tag that names the phase, so it is told by SeriesInstanceUID (exact) or by folder, both from a phase file,
or by patterns searched in SeriesDescription.
"""

from __future__ import annotations

import fnmatch
import re
import signal
import threading
import time
import unicodedata
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple, Union

from gluon_liver.errors import PhaseError
from gluon_liver.files.json_records import read_yaml
from gluon_liver.files.typed import Rules, build, each, limited, matching
from gluon_liver.readers.dicom.series import SeriesFiles

from .words import DEFAULT_PATTERNS, NON_CONTRAST, none_of_the_phases, plain_words, with_and_without

DEFAULT_ORDER = ("non_contrast", "arterial", "delayed")
DEFAULT_REFERENCE = "arterial"
UNLIKE = ("", "ARTERIAL", "nativ", "x 1")  # descriptions that no pattern of a phase is found in alike
MOST_SECONDS = 5.0  # for a pattern of a phase file; the usual ones take microseconds


@dataclass(frozen=True)
class PhaseRules:
    """How phases are told.

    order, reference: phases in order, and the one on whose grid the others are put.
    series: "UID", "UID part 2" or "UID acquisition 2" -> phase, as :attr:`SeriesFiles.address` has it.
    folders: glob of a folder below the one that is imported -> phase.
    patterns: phase -> regular expressions.
    join: whether studies of one patient that share a frame of reference are one case.
    """

    order: Tuple[str, ...] = DEFAULT_ORDER
    reference: str = DEFAULT_REFERENCE
    series: Mapping[str, str] = field(default_factory=dict)
    patterns: Mapping[str, Tuple[str, ...]] = field(default_factory=lambda: dict(DEFAULT_PATTERNS))
    folders: Mapping[str, str] = field(default_factory=dict)
    join: bool = False

    @property
    def has_default_patterns(self) -> bool:
        """Whether the patterns are the usual words, which know what means none of the phases."""
        return bool(self.patterns) and all(DEFAULT_PATTERNS.get(key) == value for key, value in self.patterns.items())

    def with_reference(self, reference: Optional[str]) -> PhaseRules:
        """The same rules with another reference phase. Raises PhaseError where it is not in the order."""
        if reference is None:
            return self
        if reference not in self.order:
            raise PhaseError(f"--reference {reference}: the phases are {', '.join(self.order)}")
        return replace(self, reference=reference)


@dataclass(frozen=True)
class _PhaseFile:
    """A phase file. Entries are checked by their number: a UID or a folder belongs in no message."""

    order: Tuple[str, ...] = limited(
        DEFAULT_ORDER, each(matching("[A-Za-z0-9_-]+", "a name of letters, digits, '_' and '-'"), least=1)
    )
    reference: str = ""
    series: Optional[Dict[Any, Any]] = None
    folders: Optional[Dict[Any, Any]] = None
    patterns: Optional[Dict[Any, Any]] = None
    join: bool = False

    def rules(self) -> Rules:
        """That the phases differ and the reference is one of them."""
        yield "order", len(set(self.order)) == len(self.order), "different names"
        yield "reference", self.reference in ("", *self.order), f"one of {', '.join(self.order)}"


def load_phase_rules(path: Optional[Union[str, Path]], *, reference: Optional[str] = None) -> PhaseRules:
    """Read a phase file (YAML: order, reference, series, folders, patterns, join); None gives the defaults.

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
    series, folders = _entries("series", file, path, _address), _entries("folders", file, path, _glob)
    patterns = {phase: _patterns(phase, value, file.order, path) for phase, value in (file.patterns or {}).items()}
    if file.join and not (series or folders or patterns):
        patterns = {phase: words for phase, words in DEFAULT_PATTERNS.items() if phase in file.order}
    if not (series or folders or patterns):
        raise PhaseError(f"the phase file {path} maps nothing: give 'series', 'folders' or 'patterns'")
    rules = PhaseRules(file.order, file.reference or DEFAULT_REFERENCE, series, patterns, folders, file.join)
    return rules.with_reference(reference)


def _entries(key: str, file: _PhaseFile, path: Union[str, Path], read: Callable[[Any, str], str]) -> Dict[str, str]:
    """What a key of the phase file names -> phase."""
    entries: Dict[str, str] = {}
    for place, (name, phase) in enumerate((getattr(file, key) or {}).items(), 1):
        where = f"{path}: entry {place} of '{key}'"
        if phase not in file.order:
            raise PhaseError(f"{where} names a phase that is not among {', '.join(file.order)}; add it to 'order'")
        entries[read(name, where)] = phase
        if len(entries) < place:
            raise PhaseError(f"{where} names what an entry before it does")
    return entries


def _address(value: Any, entry: str) -> str:
    words = " ".join(value.split()) if isinstance(value, str) else ""
    if not re.fullmatch(r"[0-9.]{1,64}( part [1-9]\d{0,3})?( acquisition [1-9]\d{0,8})?", words):
        raise PhaseError(
            f"{entry} is no SeriesInstanceUID (write it in quotes; 'UID part 2' and 'UID acquisition 2' mean a part or "
            "an acquisition of the series)"
        )
    return words


def _glob(value: Any, entry: str) -> str:
    glob = value.replace("\\", "/").strip("/") if isinstance(value, str) else ""
    if not glob or ".." in glob.split("/"):
        raise PhaseError(f"{entry} is no folder below the imported one (write 'P1/ART*', '*/ART*' or '**/ART*')")
    return glob


def reference_of(path: Union[str, Path]) -> Optional[str]:
    """The reference phase that a phase file names, None where it names none (the default does not count).

    Raises PhaseError where the file cannot be read and where its reference is not in its order.
    """
    return _read_phase_file(path).reference or None


def _read_phase_file(path: Union[str, Path]) -> _PhaseFile:
    options: Dict[str, Any] = dict(error=PhaseError, refuse_unknown=True, private=True)
    return build(_PhaseFile, read_yaml(path, error=PhaseError), where=str(path), **options)


def match_description(description: str, rules: PhaseRules) -> Dict[str, str]:
    """phase -> the rule by which a SeriesDescription matches it."""
    text, usual = description, rules.has_default_patterns
    if usual and none_of_the_phases(description):
        return {}
    if usual:
        text = plain_words(description)
    hits = {
        phase: [number for number, one in enumerate(patterns, 1) if _found(one, text, f"pattern {number} of {phase}")]
        for phase, patterns in rules.patterns.items()
        if not (usual and phase == NON_CONTRAST and with_and_without(description))
    }
    return {phase: f"description pattern {numbers[0]} of {phase}" for phase, numbers in hits.items() if numbers}


def match_folders(series: SeriesFiles, rules: PhaseRules) -> Dict[str, str]:
    """phase -> the rule by which all folders of a series match it."""
    found: Dict[str, str] = {}
    for number, (glob, phase) in enumerate(rules.folders.items(), 1):
        if series.folders and all(folder_matches(folder, glob) for folder in series.folders):
            found.setdefault(phase, f"entry {number} of 'folders'")
    return found


def folder_matches(folder: str, glob: str) -> bool:
    """Whether a folder, or one above it, matches a glob: "*" within one name, "**" any number of folders."""
    names, globs = (
        [part for part in unicodedata.normalize("NFC", text).casefold().split("/") if part not in ("", ".")]
        for text in (folder, glob)
    )
    return _match_parts(names, globs)


def _match_parts(names: Sequence[str], globs: Sequence[str]) -> bool:
    ends = {0}  # how many of the names the globs so far may have taken
    for glob in globs:
        if glob == "**":
            ends = set(range(min(ends), len(names) + 1)) if ends else ends
        else:  # a name may hold brackets
            ends = {
                end + 1
                for end in ends
                if end < len(names) and (names[end] == glob or fnmatch.fnmatchcase(names[end], glob))
            }
    return bool(ends)


def _found(pattern: str, text: str, what: str) -> bool:
    """Whether a pattern of a phase file is found in a description. Raises PhaseError where that takes too long.

    Repetitions inside of repetitions take Python for ever on some texts. In other threads than the main one, which
    alone takes signals, nothing ends the search.
    """
    if threading.current_thread() is not threading.main_thread():
        return re.search(pattern, text, re.IGNORECASE) is not None

    def late(*_: object) -> None:
        advice = "write it without a repetition inside of a repetition, as in (a+)+, or name the series in 'series'"
        raise PhaseError(f"{what} takes more than {MOST_SECONDS:g} s to be looked for in a description: {advice}")

    before, start = signal.signal(signal.SIGALRM, late), time.monotonic()
    left, interval = signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    try:
        return re.search(pattern, text, re.IGNORECASE) is not None
    finally:
        left = max(left - (time.monotonic() - start), 1e-6) if left else 0.0  # of somebody else's alarm
        signal.setitimer(signal.ITIMER_REAL, left, interval)
        signal.signal(signal.SIGALRM, before)


def _patterns(phase: Any, value: Any, order: Sequence[str], path: Union[str, Path]) -> Tuple[str, ...]:
    if phase not in order:
        raise PhaseError(f"{path}: 'patterns' names a phase that is not among {', '.join(order)}; add it to 'order'")
    patterns = [value] if isinstance(value, str) else value
    if not isinstance(patterns, list) or not patterns or not all(isinstance(one, str) for one in patterns):
        raise PhaseError(f"{path}: 'patterns' of {phase} must be a list of regular expressions")
    for place, pattern in enumerate(patterns, 1):
        try:
            everything = all(re.search(pattern, text, re.IGNORECASE) for text in UNLIKE)
        except (re.error, OverflowError, RecursionError) as error:
            raise PhaseError(f"{path}: pattern {place} of {phase} is no regular expression: {error}") from error
        if everything:
            what = "is found in every description, an empty one too"
            raise PhaseError(f"{path}: pattern {place} of {phase} {what}: it tells nothing; is there a '|' too many?")
    return tuple(patterns)
