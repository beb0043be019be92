"""Names of categories in label files -> the classes of the data, by a class map or as they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from gluon_liver.data.faults import Faults
from gluon_liver.errors import AnnotationError
from gluon_liver.files.json_records import read_yaml
from gluon_liver.structures.class_names import class_key, tidy_name, why_no_classes

IGNORE, LEAVE_OUT = "\0ignore", "\0leave_out"  # no names of classes
_KEYS = {"ignore": IGNORE, "leave_out": LEAVE_OUT}


@dataclass(frozen=True)
class ClassMap:
    """classes: of the data, in their order. names: of a category, by its key -> a class, IGNORE or LEAVE_OUT."""

    path: str
    classes: Tuple[str, ...]
    names: Mapping[str, str]


@dataclass(frozen=True)
class Categories:
    """The categories of one label file: path of the file, id -> name, and which have boxes."""

    path: str
    names: Mapping[int, str]
    used: Sequence[int]

    def listed(self) -> Dict[str, str]:
        """Key of a name -> the name, by id."""
        return {class_key(self.names[number]): tidy_name(self.names[number]) for number in sorted(self.names)}

    def with_boxes(self) -> Dict[str, str]:
        """The same of the categories with boxes."""
        return {class_key(self.names[number]): tidy_name(self.names[number]) for number in sorted(self.used)}


@dataclass
class Choice:
    """What became of the categories. classes, names: as in :class:`ClassMap`. notes: what a user should know."""

    classes: Tuple[str, ...] = ()
    names: Dict[str, str] = field(default_factory=dict)
    notes: List[str] = field(default_factory=list)


def load_class_map(path: str) -> ClassMap:
    """Read a class map: ``classes``, of each the names that are it; ``ignore`` and ``leave_out``, names that are none.

    Raises AnnotationError that names the key.
    """
    tree = read_yaml(path, error=AnnotationError)
    if not isinstance(tree, Mapping) or "classes" not in tree or set(tree) - {"classes", *_KEYS}:
        unknown = sorted(map(str, set(tree) - {"classes", *_KEYS})) if isinstance(tree, Mapping) else []
        found = f"; it has {', '.join(map(repr, unknown))}" if unknown else ""
        raise AnnotationError(
            f"{path}: a class map has the keys classes (each class with the names that are it), and if need be "
            f"ignore and leave_out (lists of names){found}"
        )
    given = tree["classes"]
    if given is None or isinstance(given, (list, str)):
        given = {name: None for name in _names(given, f"{path}: classes")}
    if not isinstance(given, Mapping):
        raise AnnotationError(f"{path}: classes must be keys, each with a name or a list of names")
    classes = tuple(_names(list(given), f"{path}: classes"))
    fault = why_no_classes(classes)
    if fault:
        raise AnnotationError(f"{path}: classes must be {fault}")
    meant = [(name, [name, *_names(names, f"{path}: classes.{name}")]) for name, names in zip(classes, given.values())]
    meant += [(target, _names(tree.get(key), f"{path}: {key}")) for key, target in _KEYS.items()]
    result: Dict[str, str] = {}
    for target, names in meant:
        for name in names:
            if result.setdefault(class_key(name), target) != target:
                both = " and under ".join(one.strip("\0") for one in (result[class_key(name)], target))
                raise AnnotationError(f"{path}: {name!r} is under {both}")
    return ClassMap(path, classes, result)


def choose_classes(
    files: Sequence[Categories], usual: Sequence[str], mapped: Optional[ClassMap], faults: Faults
) -> Choice:
    """The classes of what label files hold.

    Without a class map: ``usual`` where the files have boxes of no others, else their own names by id.
    """
    used = {key: name for one in files for key, name in one.with_boxes().items()}
    listed = {key: name for one in files for key, name in one.listed().items()}
    if mapped is not None:
        choice = Choice(mapped.classes, dict(mapped.names))
        known = choice.names.keys()
        for one in files:
            for key, name in one.with_boxes().items():
                if key not in known:
                    faults.add(f"{one.path}: boxes are of {name!r}, which {mapped.path} does not name")
        nowhere = sorted(known - listed.keys() - {class_key(name) for name in mapped.classes})
        empty = sorted(name for name in mapped.classes if not any(mapped.names.get(key) == name for key in used))
        if nowhere:
            choice.notes.append(f"names of the class map that no label file has: {', '.join(nowhere)}")
        if empty:
            choice.notes.append(f"classes of the class map without a box: {', '.join(empty)}")
    else:
        choice = Choice(tuple(usual), {class_key(name): name for name in usual})
        if not used.keys() <= choice.names.keys():
            _refuse_disagreement(files, faults)
            choice = Choice(tuple(used.values()), dict(used))
            fault = why_no_classes(choice.classes)
            if fault:
                faults.add(f"{files[0].path}: names of categories must be {fault} (--classes FILE renames them)")
    idle = sorted(name for key, name in listed.items() if key not in used and key not in choice.names)
    if idle:
        choice.notes.append(f"categories without boxes are no classes: {', '.join(idle)}")
    return choice


def _refuse_disagreement(files: Sequence[Categories], faults: Faults) -> None:
    """Names that stand in one file alone are other words for one class as likely as another class."""
    for one in files:
        for other in files:
            alone = [name for key, name in one.with_boxes().items() if key not in other.listed()]
            if alone:
                faults.add(
                    f"{one.path} has boxes of {', '.join(map(repr, alone))}, which {other.path} does not list: say "
                    "with --classes FILE which names are which class"
                )
                break


def _names(value: Any, where: str) -> List[str]:
    values = value if isinstance(value, list) else [] if value is None else [value]
    for one in values:
        if not isinstance(one, (str, int, float)) or isinstance(one, bool):
            raise AnnotationError(f"{where}: names are texts; put {one!r} in quotes")
    return [tidy_name(str(one)) for one in values]
