"""What archives write into SeriesDescription, and which of the paper's three phases it means.

The words are searched in lower case with "_" as a blank. "With and without" is said of an examination, so that it never
means the scan without contrast; a portal venous phase or a scout is none of the three, whatever else stands there.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Dict, Tuple

_LETTER = "a-z\u00df-\u00f6\u00f8-\u017f"  # of the words below; Chinese stands beside Latin without a blank
_START, _END = f"(?<![{_LETTER}])", f"(?![{_LETTER}])"  # they hold at digits and signs, too


def _words(*patterns: str) -> str:
    return f"{_START}(?:{'|'.join(patterns)}){_END}"


# Something else is missing there: "without oral contrast".
_NOT_ORAL = r"(?!\W*(?:oral|po|rectal|mip|recon)" + _END + ")"
_WITHOUT = (
    _words(
        r"w ?/ ?o(?:ut)?(?:con\w*|iv|c)?",
        r"wo(?:con\w*|iv|c)?",
        "w o",
        "with ?out",
        "ohne",
        "sans",
        "sin",
        "senza",
        "sem",
    )
    + _NOT_ORAL
    + f"|{_START}"
    + r"o\. ?(?=/|u|km|kontrast|i\.? ?v)"
)
_WITH = (
    f"{_START}(?:w(?! ?/? ?o(?:ut|con[{_LETTER}]*|iv|c)?{_END})|with(?! ?out)|mit|avec){_END}"
    f"|{_START}" + r"m\. ?(?=/|u|km|kontrast|i\.? ?v)"
)
_PLAIN = _words("nativ[eo]?", "plain", "nc", "ncct", "nect", "unenhanced", "non?[ -]?con(?:trast)?")
_DONE = (
    "op|tace|tare|rfa|mwa|tips|biops|bx|tx|treat|therap|trans|embol|ablat|interv|proc|surg|chemo|rt(?![a-z])|"
    "y ?90|sirt|load|lim|scan"
)
_SIGN = r"(?:c|ce|iv|km|kontrast|contrast)"
_BOTH = "|".join(
    [
        f"^(?=.*(?:{_WITHOUT}))(?=.*(?:{_WITH}))",
        _words("wwo", "wow", r"con ?(?:y|e|/|&|\+|,) ?(?:sin|senza|sem)", r"(?:sin|senza|sem) ?(?:y|e|/|&|\+|,) ?con"),
        # C+/C-, C-C+, C+-, C+/-, +/- C, IV-/IV+
        f"^(?=.*{_START}{_SIGN}" + r" ?-(?![a-z0-9]))" + f"(?=.*{_START}{_SIGN}" + r" ?\+)",
        f"{_START}c-c" + r"\+|" + f"{_START}{_SIGN}" + r" ?(?:\+ ?/? ?-|- ?/? ?\+|\u00b1)",
        r"(?:\+ ?/ ?-|- ?/ ?\+|\u00b1) ?" + f"{_SIGN}{_END}",
        f"^(?=.*{_words('pre', 'precon', 'precontrast')})(?=.*{_START}post(?:con|contrast)?{_END}"
        + r"(?!\W*(?:"
        + _DONE
        + ")))",
        f"{_PLAIN}.*"
        + _words("mit", "with", "avec", "post", "cect", "enhanced")
        + f"|{_PLAIN}.*{_START}{_SIGN}"
        + r" ?\+",
        f"{_PLAIN}" + r"\W*(?:and|und|et|&|\+|/|u\.|,)\W*" + _words(_SIGN, "con", "kontrastmittel"),
        # plain scan and enhanced, in one word
        "^(?=.*\u5e73[\u626b\u6383])(?=.*(?<![\u975e\u672a\u65e0\u7121])\u589e[\u5f3a\u5f37](?!\u524d))",
    ]
)
_PORTAL = "|".join(
    [
        f"{_START}port(?!able)|venous|ven(?:\u00f6|oe)s|venos[ao]|veineu|pfortader",
        _words(r"p\.?v\.?p?\.?", "hvp", "pvi", "ven", "vein", "porto"),
        "\u95e8[\u8109\u9759]|\u9580[\u8108\u8109\u975c\u9759]|\u9759\u8109|\u975c[\u8108\u8109]|[\u5b9e\u5be6][\u8d28\u8cea]\u671f",
        "\ubb38\ub9e5|\u0432\u0435\u043d\u043e\u0437|\u043f\u043e\u0440\u0442\u0430\u043b",
    ]
)
_VIEWS = r"(?:ap|pa)\W*(?:lat|pa|ll)\w*"
_SCOUT = _words("scouts?", "topo(?:gram)?s?", "locali[sz]er", "surview", "scano(?:gram)?", "lokali[sz]ator", _VIEWS)
_MONITORING = _words("(?:pre[ -]?)?monitoring", r"bolus(?:ing|track\w*)?", "smart ?prep", "sure ?start", "care ?bolus")

# what a description says that tells nothing about the three phases -> pattern, in the order in which they are tried
NONE_OF_THE_PHASES: Dict[str, str] = {
    "a scout": _SCOUT + "|\u5b9a\u4f4d",
    "monitoring of the bolus": _MONITORING,
    "an image that was computed": _words(
        *("virtual", "virtuell[er]*", "vnc", "vue", "subtra[ck]t\\w*", "sub", "overlay", "z ?eff", "eff(?:ective)? ?z"),
        r"iod(?:ine)?(?: ?(?:map|density|overlay|image)| ?\((?:water|h2o)\))",
    ),
    "the portal venous phase, which is none of the three": _PORTAL,
}

# "AP" is the arterial phase, but also abdomen and pelvis (with or without contrast, CT AP, 3 PHASE LIVER (AP)), and a
# view.
_OTHER_AP = _words("chest", "thorax", "lat(?:eral)?", "view", "pa", "ct ?ap") + "|phas[ie]c|[0-9][ -]?phase"
_NOT_AP = f"^(?!.*(?:{_WITHOUT}|{_WITH}|{_OTHER_AP})).*?"
# A delay of less than two minutes is that of another phase: one minute is the portal venous one.
_NOT_SOON = r"^(?!.*(?<![\w.])(?:[1-9]\d|1[01]\d)[ .-]{0,2}s(?:ecs?|econds?|ek)?(?![a-z]))(?!.*(?<![\w.])1 ?-?min).*?"
_ARTICLE = (
    r"(?!\s+(?:abdom|addom|h[i\u00ed]g|t[o\u00f3]r|fegato|cuello|cr[a\u00e1]n|ri[n\u00f1]|p[a\u00e1]n|tronco|pelv))"
)

NON_CONTRAST = "non_contrast"
DEFAULT_PATTERNS: Dict[str, Tuple[str, ...]] = {
    NON_CONTRAST: (
        _words(r"(?:non?|un|pre)[ -]*(?:iv[ -]*)?(?:contrast\w*|con|cm|enhanced?|enh|inj\w*|ce|c|iv|km)"),
        _WITHOUT,
        _words(
            *(
                "plain",
                "nativ(?:e[ns]?|o|a)?",
                "nat",
                "ncct",
                "nect",
                "tnc",
                "ncp?",
                "leeraufnahme",
                "simple",
                "basale?",
            ),
            *("blanco", r"unverst(?:\u00e4|ae)rkt\w*", "unenh"),
        ),
        f"{_START}(?:c|ce|km|iv)" + r"-(?![\w+-])|(?:^|[\s(])- ?c" + _END,
        _words("pre") + r"(?!\W*(?:" + _DONE + "))",
        "\u5e73[\u626b\u6383]|[\u975e\u672a\u65e0\u7121]\u589e[\u5f3a\u5f37]|\u589e[\u5f3a\u5f37]\u524d|\u5358\u7d14|"
        "\uc870\uc601 ?\uc804|\u043d\u0430\u0442\u0438\u0432",
    ),
    "arterial": (
        _words(
            r"(?:[el]|sp(?:\u00e4|ae)t|fr(?:\u00fc|ue)h)?(?:art|arterial|arteri[e\u00eb]l\w*|art\u00e9riel\w*|arterios[ao]|artphase|hap)",
            "eap",
        ),
        _NOT_AP + _words("ap"),
        # not of the aorta, the lung, the neck, the heart or the head
        "(?<![\u4e3b\u80ba\u9888\u9838\u72b6\u72c0\u8111\u8166])[\u52a8\u52d5][\u8109\u8108]|\ub3d9\ub9e5|"
        "\u0430\u0440\u0442\u0435\u0440\u0438\u0430\u043b",
    ),
    "delayed": (
        _NOT_SOON
        + _words(
            "delay(?:s|ed)?", "dly", r"equil\w*", "eqp?", r"tard[i\u00ed]\w*", r"retard\w*", r"verz(?:\u00f6|oe)ger\w*"
        ),
        _NOT_SOON + _words("del") + _ARTICLE,
        _words("sp(?:\u00e4|ae)t(?:phase|e|ven\u00f6s)?") + r"(?!\W*art)",
        # Two minutes or more, or as many seconds.
        r"(?<![\d.])(?:[2-9]|[1-9]\d)[ .-]{0,2}" + f"min(?:s|n|ute[sn]?)?{_END}",
        r"(?<![\w.])(?:1[2-9]\d|[2-9]\d\d)[ .-]{0,2}" + f"s(?:ecs?|econds?|ek)?{_END}",
        _words("late") + r"(?!\W*(?:hepatic\W*)?(?:art|hap|ap" + _END + "))",
        "\u5ef6[\u8fdf\u9072\u65f6\u6642]|\u5e73\u8861[\u671f\u76f8]|\u9045\u5ef6|\u5f8c\u671f\u76f8|\uc9c0\uc5f0|"
        "\u043e\u0442\u0441\u0440\u043e\u0447|\u043e\u0442\u043b\u043e\u0436",
    ),
}


def plain_words(description: str) -> str:
    """A description as the default patterns are written: composed Unicode, lower case, "_" as a blank."""
    return " ".join(unicodedata.normalize("NFKC", description).replace("_", " ").casefold().split())


def with_and_without(description: str) -> str:
    """What a description of an examination with and without contrast says, "" for any other."""
    said = re.search(_BOTH, plain_words(description))
    return "with and without contrast, so of the examination and not of this series" if said else ""


def none_of_the_phases(description: str) -> str:
    """What a description says that makes the default patterns useless, "" for nothing."""
    words = plain_words(description)
    return next((what for what, pattern in NONE_OF_THE_PHASES.items() if re.search(pattern, words)), "")
