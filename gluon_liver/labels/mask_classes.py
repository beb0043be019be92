"""Names of what masks mark -> the classes of the data: by a class map, or as they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from gluon_liver.data.faults import Faults
from gluon_liver.errors import AnnotationError
from gluon_liver.structures.class_names import class_key
from gluon_liver.structures.enumerations import all_of

from .class_map import IGNORE, LEAVE_OUT, Categories, choose_classes, load_class_map

ORGANS = frozenset("liver body background organ parenchyma".split())
HINT = "say with --classes FILE which names are which class, and which are ignored (ignore: [liver])"
MOST = 6  # that a message names


class MaskName(NamedTuple):
    """What one value of a mask may be called, the likeliest first; shown: how messages call it.

    own: whether the first is a name that the mask gives it, and may be a class by itself.
    """

    names: Tuple[str, ...]
    shown: str
    own: bool


@dataclass(frozen=True)
class MaskClasses:
    """classes: of the data. of: of each name that was asked for, index of the class, IGNORE or LEAVE_OUT."""

    classes: Tuple[str, ...]
    of: Dict[MaskName, Union[int, str]]
    notes: List[str] = field(default_factory=list)


def mask_classes(names: Sequence[MaskName], usual: Sequence[str], class_map: Union[None, str, Path]) -> MaskClasses:
    """The classes of what masks hold.

    Of a value the first name counts that the class map has, or ``usual`` where there is none. Without a class map a
    name that a mask gives itself may be a class, without the number behind it. Raises :class:`AnnotationError` that
    lists names which nothing is said of, and for an organ that would be a class.
    """
    mapped = load_class_map(str(class_map)) if class_map is not None else None
    known = mapped.names if mapped is not None else {class_key(name): name for name in usual}
    chosen: Dict[MaskName, str] = {}
    unknown: List[str] = []
    for one in names:
        name = next((name for name in one.names if class_key(name) in known), None)
        if name is None and (mapped is not None or not one.own):
            unknown.append(one.shown)
        chosen[one] = name or _without_number(one.names)
    if unknown:
        where = mapped.path if mapped is not None else f"the classes {', '.join(usual)}"
        raise AnnotationError(
            f"the masks mark {all_of(dict.fromkeys(unknown), MOST)}, which nothing in {where} names; {HINT}"
        )
    used = list(dict.fromkeys(chosen[one] for one in names))
    organs = [name for name in used if class_key(name) in ORGANS and class_key(name) not in known]
    if organs:
        raise AnnotationError(f"the masks mark {all_of(used)}: {all_of(organs)} is no lesion; {HINT}")
    faults = Faults()
    numbered = dict(enumerate(used, 1))
    choice = choose_classes([Categories("the masks", numbered, sorted(numbered))], usual, mapped, faults)
    faults.raise_any()
    index = {name: place for place, name in enumerate(choice.classes)}
    of: Dict[MaskName, Union[int, str]] = {}
    for one, name in chosen.items():
        target = choice.names[class_key(name)]
        of[one] = target if target in (IGNORE, LEAVE_OUT) else index[target]
    return MaskClasses(choice.classes, of, choice.notes)


def _without_number(names: Sequence[str]) -> str:
    """The first name, or the second where that is the same without what stands behind it."""
    second: Optional[str] = names[1] if len(names) > 1 else None
    return second if second is not None and names[0].startswith(second) else names[0]
