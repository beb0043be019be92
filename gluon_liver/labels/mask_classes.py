"""Names of what masks mark -> the classes of the data: by a class map, or as they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple, Union

from gluon_liver.data.faults import Faults
from gluon_liver.errors import AnnotationError
from gluon_liver.structures.class_names import class_key
from gluon_liver.structures.enumerations import all_of

from .class_map import IGNORE, LEAVE_OUT, Categories, ClassMap, choose_classes, load_class_map

ORGANS = frozenset("liver body background organ parenchyma".split())
HINT = "say with --classes FILE which names are which class, and which are ignored (ignore: [liver])"


@dataclass(frozen=True)
class MaskClasses:
    """classes: of the data. of: of each name list that was asked for, index of the class, IGNORE or LEAVE_OUT."""

    classes: Tuple[str, ...]
    of: Dict[Tuple[str, ...], Union[int, str]]
    notes: List[str] = field(default_factory=list)


def mask_classes(
    names: Sequence[Tuple[str, ...]], usual: Sequence[str], class_map: Union[None, str, Path]
) -> MaskClasses:
    """The classes of what masks hold. names: of each marked value what it may be called, the likeliest first.

    With a class map the first name counts that it has. Without one a value's first name counts, or the same without
    the number behind it, and these names are the classes where they are not all among ``usual``. Raises
    :class:`AnnotationError` that lists names which nothing is said of, and for an organ that would be a class.
    """
    mapped = load_class_map(str(class_map)) if class_map is not None else None
    chosen = {one: _first_known(one, mapped, usual) for one in names}
    used = list(dict.fromkeys(chosen[one] for one in names))
    if mapped is None and not {class_key(name) for name in used} <= {class_key(name) for name in usual}:
        organs = [name for name in used if class_key(name) in ORGANS]
        if organs:
            raise AnnotationError(f"the masks mark {all_of(used)}: {all_of(organs)} is no lesion; {HINT}")
    if mapped is not None:
        unknown = [name for name in used if class_key(name) not in mapped.names]
        if unknown:
            raise AnnotationError(f"the masks mark {all_of(unknown)}, which {mapped.path} does not name; {HINT}")
    faults = Faults()
    numbered = dict(enumerate(used, 1))
    choice = choose_classes([Categories("the masks", numbered, sorted(numbered))], usual, mapped, faults)
    faults.raise_any()
    index = {name: place for place, name in enumerate(choice.classes)}
    of: Dict[Tuple[str, ...], Union[int, str]] = {}
    for one, name in chosen.items():
        target = choice.names[class_key(name)]
        of[one] = target if target in (IGNORE, LEAVE_OUT) else index[target]
    return MaskClasses(choice.classes, of, choice.notes)


def _first_known(names: Tuple[str, ...], mapped: Optional[ClassMap], usual: Sequence[str]) -> str:
    """The name of a value that counts."""
    known = mapped.names if mapped is not None else {class_key(name): name for name in usual}
    found = [name for name in names if class_key(name) in known]
    if found:
        return found[0]
    return names[0] if mapped is not None or len(names) == 1 or not names[0].startswith(names[1]) else names[1]
