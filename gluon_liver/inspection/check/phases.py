"""Phases that look swapped: the aorta is brightest in the arterial phase, and dark before contrast medium comes."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Mapping, Tuple

from gluon_liver.inspection.organs import PhaseOrgans
from gluon_liver.prepare.look.organs import looks_like

from .findings import WARNING, Finding

BEFORE, ARTERIAL, LATER = "without contrast", "arterial", "venous or later"
WORDS: Tuple[Tuple[str, str], ...] = (
    (BEFORE, r"non|nc|noncon\w*|native?|plain|pre|unenhanced|without|c0"),
    (ARTERIAL, r"art|arterial|a|ap|hap|late_?arterial|early_?arterial"),
    (LATER, r"portal\w*|pv|pvp|venous|v|delay\w*|late|eq\w*|d|dp"),
)
MARGIN_HU = 30.0
MOST_BEFORE, LEAST_ARTERIAL = 110.0, 90.0  # HU of the aorta


def meaning_of(phase: str) -> str:
    """What the name of a phase says of the contrast medium, "" where that is not known."""
    words = re.split(r"[^a-z0-9]+", phase.lower())
    return next((meaning for meaning, form in WORDS if any(re.fullmatch(form, word) for word in words)), "")


def swapped(organs: Mapping[str, PhaseOrgans]) -> List[str]:
    """Sentences about phases of one study whose aorta contradicts their names."""
    aorta: Dict[str, List[Tuple[str, float]]] = {}
    for phase, one in organs.items():
        if one.aorta is not None and meaning_of(phase):
            aorta.setdefault(meaning_of(phase), []).append((phase, one.aorta))
    found = []
    for dark, bright in ((BEFORE, ARTERIAL), (BEFORE, LATER), (LATER, ARTERIAL)):
        for name, hu in aorta.get(dark, []):
            for other, other_hu in aorta.get(bright, []):
                if hu > other_hu + MARGIN_HU:
                    found.append(f"the aorta has {hu:.0f} HU in {name} and {other_hu:.0f} in {other}")
    if not found:
        bright_before = [pair for pair in aorta.get(BEFORE, []) if pair[1] > MOST_BEFORE]
        dim = [pair for pair in aorta.get(ARTERIAL, []) if pair[1] < LEAST_ARTERIAL]
        for name, hu in bright_before + dim:
            like = looks_like(hu, organs[name].liver) or "another phase"
            found.append(f"the aorta has {hu:.0f} HU in {name}, which looks {like}")
    return found


def findings_of_phases(found: Mapping[str, List[str]]) -> Iterator[Finding]:
    """found: case -> sentences."""
    places = [f"{case}: {sentences[0]}" for case, sentences in found.items() if sentences]
    if places:
        what = f"phases of {len(places)} study(s) look swapped or mistaken"
        advice = "look at them (data view DATA --case CASE, or look FOLDER), then name the series in the phase file"
        yield Finding(WARNING, "phases", places, what, advice)
