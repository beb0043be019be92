"""The answer of a comparison in a paragraph: which arm is better, by how much, and whether that is more than noise."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from gluon_liver.metrics.seeds import ALPHA

from .compare_runs import PER_LESION
from .configurations import SEED, only_seeds

LEADING = "AP50"  # it needs no threshold of scores, both tasks have it, and it is chosen before anything is looked at
_EQUAL = 5e-5  # what prints as 0.0 points

# what can be said of a difference
TOLD, HINT, NOISE, EQUAL, UNKNOWN = "told", "hint", "noise", "equal", "unknown"


def leading(document: Dict[str, Any]) -> Dict[str, Any]:
    """The figure that the answer rests on: AP50, or else the share of lesions found, or else the first."""
    overall = [entry for entry in document["figures"] if entry["family"] == "overall"]
    by_name = {entry["name"]: entry for entry in overall if entry["difference"] is not None}
    for name in (LEADING, PER_LESION[document["kind"]]):
        if name in by_name:
            return by_name[name]
    return next(iter(by_name.values()), overall[0])


def verdict(entry: Dict[str, Any]) -> str:
    """TOLD apart from noise, a HINT that does not outlast the correction, NOISE, EQUAL, or UNKNOWN."""
    if entry["difference"] is None:
        return UNKNOWN
    if entry["p"] is None:
        return EQUAL if abs(entry["difference"]) < _EQUAL and entry["patients"] > 1 else UNKNOWN
    if entry["p_holm"] is not None and entry["p_holm"] <= ALPHA:
        return TOLD
    return HINT if entry["p"] <= ALPHA else NOISE


def answer_text(document: Dict[str, Any]) -> str:
    """The paragraph."""
    phantom = "The data are phantoms: this says nothing about patients." if document["phantom"] else ""
    if document["differing"]["identical"]:
        same = f"A and B give the very same detections in all {document['images']} {_pictures(document)}: "
        return _joined([same + "there is nothing to tell between them.", _trainings(document), phantom])
    entry = leading(document)
    if not any(_found(document, who) for who in ("both", "a", "b")):
        threshold = document["settings"]["score_threshold"]
        nothing = f"Neither finds any of {_found(document, 'n')} {_objects(document)} at score {threshold:g}: "
        return _joined(
            [nothing + "there is little to compare.", _difference(entry, document), _trainings(document), phantom]
        )
    sentences = [_difference(entry, document), _noise(entry), _others(document, entry), _lesions(document)]
    return _joined([*sentences, _trainings(document), phantom])


def arm_name(document: Dict[str, Any], letter: str) -> str:
    """The run of an arm, or how many runs it has."""
    runs = document[letter]
    return str(runs[0]["name"]) if len(runs) == 1 else f"{len(runs)} runs"


def _difference(entry: Dict[str, Any], document: Dict[str, Any]) -> str:
    name, a, b, difference = (entry[key] for key in ("name", "a", "b", "difference"))
    if difference is None:
        return f"The two cannot be told apart by {name}: {entry['reason']}."
    interval = ""
    if entry["low"] is not None:
        interval = f", 95 % interval {_points(entry['low'], sign=True)} to {_points(entry['high'], sign=True)}"
    if abs(difference) < _EQUAL:
        return f"A and B have the same {name}, {_points(a)} % (difference 0{interval})."
    more, less, first, second = (a, b, "a", "b") if difference > 0 else (b, a, "b", "a")
    ahead, behind = (f"{letter.upper()} ({arm_name(document, letter)})" for letter in (first, second))
    by = f"A - B {_points(difference, sign=True)} percentage points{interval}"
    return f"{ahead} has a higher {name} than {behind}: {_points(more)} % against {_points(less)} % ({by})."


def _noise(entry: Dict[str, Any]) -> str:
    found, patients = verdict(entry), f"{entry['patients']} patient" + ("s" if entry["patients"] != 1 else "")
    if found == UNKNOWN:
        return f"Whether that is more than noise cannot be said: {entry['reason']}." if entry["reason"] else ""
    if found == EQUAL:
        return f"They are equal in each of {patients}."
    p = p_text(entry["p"])
    if found == TOLD:
        return f"That is more than noise over {patients} (P {p}; {p_text(entry['p_holm'])} after Holm's correction)."
    if found == HINT:
        corrected = f"but P is {p_text(entry['p_holm'])} after Holm's correction for all overall figures"
        return f"That hints at a difference (P {p} over {patients}), {corrected}: it may be noise."
    text = f"That cannot be told from noise (P {p} over {patients})"
    if entry["detectable"] is not None:
        text += f": a true difference of {_points(entry['detectable'])} points would show four times in five"
    elif entry["reason"]:
        text += f": {entry['reason']}"
    return text + "."


def _others(document: Dict[str, Any], lead: Dict[str, Any]) -> str:
    """What the other overall figures say."""
    others = [one for one in document["figures"] if one["family"] == "overall" and one is not lead]
    told = [one for one in others if verdict(one) == TOLD]
    if not others:
        return ""
    if not told:
        count = "Neither of the two others differs" if len(others) == 2 else f"None of the {len(others)} others differs"
        return f"{count} by more than noise." if len(others) > 1 else ""
    texts = [f"{one['name']} (better in {better_arm(one)})" for one in told]
    return f"Of the other overall figures these differ by more than noise: {', '.join(texts)}."


def better_arm(entry: Dict[str, Any]) -> str:
    """The letter of the arm that an entry's difference favours: fewer false positives are better, of all else more."""
    return "A" if (entry["difference"] > 0) == (entry["unit"] != "rate") else "B"


def _lesions(document: Dict[str, Any]) -> str:
    n, a, b, both = (_found(document, who) for who in ("n", "a", "b", "both"))
    return f"Of {n} {_objects(document)} both find {both}, A alone {a} and B alone {b}."


def _found(document: Dict[str, Any], who: str) -> int:
    """Of all lesions or boxes: how many ``who`` finds."""
    return int(document["lesions"]["groups"][0][who])


def _trainings(document: Dict[str, Any]) -> str:
    """What of trainings the answer holds for."""
    configurations, both = document["configuration"], [*document["a"], *document["b"]]
    if document["holds"] != "patients":
        counts = f"{len(document['a'])} and {len(document['b'])}"
        return f"The interval holds the variation over patients and over {counts} trainings."
    usual = "It holds for these trainings: others of the same configurations would differ too."
    if document["differing"]["identical"] or not only_seeds(configurations):
        return usual
    if any(one["key"] == SEED for one in configurations["differ"]):
        luck = "the seed of training alone: what lies between them is the luck of training, not a method"
        return f"Their configurations differ in {luck}."
    checkpoints = list(dict.fromkeys(run["checkpoint"] for run in both))
    if len(checkpoints) > 1 and len(both) == 2:
        return f"Their configurations do not differ; A was read at {checkpoints[0]}, B at {checkpoints[1]}."
    return f"Their configurations do not differ. {usual}"


def p_text(value: Optional[float]) -> str:
    """A P value with three digits."""
    return "-" if value is None else "below 0.001" if value < 0.001 else f"{value:.3f}"


def _pictures(document: Dict[str, Any]) -> str:
    return "slices" if document["kind"] == "ct" else "frames"


def _objects(document: Dict[str, Any]) -> str:
    return "lesions" if document["kind"] == "ct" else "boxes"


def _points(value: float, *, sign: bool = False) -> str:
    return f"{100 * value:+.1f}" if sign else f"{100 * value:.1f}"


def _joined(sentences: List[str]) -> str:
    return " ".join(one for one in sentences if one)
