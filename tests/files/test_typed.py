"""Plain values to dataclasses: every kind of type, limits, rules, and messages that name the place."""

from dataclasses import dataclass, field
from typing import Any, Dict, List, Literal, Optional, Tuple, Union

import pytest

from gluon_liver.errors import AnnotationError, InputError
from gluon_liver.files import typed
from gluon_liver.files.typed import above, at_least, at_most, below, build, each, limited, limits, within


@dataclass(frozen=True)
class Box:
    corners: Tuple[float, float, float, float]
    score: float = limited(1.0, within(0, 1))


@dataclass(frozen=True)
class Study:
    name: str
    slices: int = typed.required(at_least(1, "slices"))
    boxes: Tuple[Box, ...] = ()
    phases: Dict[str, Box] = field(default_factory=dict)
    classes: List[str] = field(default_factory=list)
    grid: Tuple[Tuple[int, ...], ...] = ()
    axial: bool = True
    kind: Literal["ct", "us"] = "ct"
    spacing: Optional[float] = limited(None, above(0, "mm"))
    window: Union[str, Tuple[float, float]] = "liver"
    extra: Any = None

    def rules(self):
        yield "slices", self.axial or self.slices == 1, "1 unless axial"
        yield "boxes", len(self.boxes) <= self.slices, f"at most as many as slices ({self.slices})"


LEAST = {"name": "A", "slices": 2}


def test_every_type_is_built():
    plain = dict(name="A", slices=1, classes=["cyst"], axial=False, kind="us", extra={"anything": [None]})
    boxes, phases = [{"corners": [1, 2, 3, 4.5], "score": 0}], {"ART": {"corners": [0, 0, 1, 1]}}
    study = build(Study, dict(plain, boxes=boxes, phases=phases, grid=[[1, 2], []], spacing=2))
    boxes, phases = (Box((1.0, 2.0, 3.0, 4.5), 0.0),), {"ART": Box((0.0, 0.0, 1.0, 1.0))}
    assert study == Study(**plain, boxes=boxes, phases=phases, grid=((1, 2), ()), spacing=2.0)
    assert type(study.spacing) is float and type(study.boxes[0].corners[0]) is float
    assert build(Study, {**LEAST, "spacing": None}) == Study(name="A", slices=2)
    for given, window in (("bone", "bone"), ([80, 40.5], (80.0, 40.5)), ((1, 2), (1.0, 2.0))):
        assert build(Study, {**LEAST, "window": given}).window == window


@pytest.mark.parametrize(
    "change, message",
    [
        ({"name": None}, "name: expected str, found None"),
        ({"slices": True}, "slices: expected int, found True"),
        ({"slices": 2.0}, "slices: expected int, found 2.0"),
        ({"slices": "2"}, "slices: expected int, found '2'"),
        ({"slices": "x" * 10000}, "slices: expected int, found 'xxx"),
        ({"axial": 1}, "axial: expected bool, found 1"),
        ({"spacing": "1e-4"}, "spacing: expected float, found '1e-4'"),
        ({"spacing": True}, "spacing: expected float, found True"),
        ({"spacing": float("nan")}, "spacing: expected float, found nan"),
        ({"spacing": 10**400}, "spacing: expected float, found 1000"),
        ({"spacing": 0}, "spacing is 0.0: it must be above 0 mm, or null"),
        ({"slices": 0}, "slices is 0: it must be 1 slices or more"),
        ({"window": 80}, "window: expected str, found 80"),
        ({"window": None}, "window: expected str, found None"),
        ({"window": [80]}, "window: expected a list of 2, found [80]"),
        ({"window": [80, "x"]}, "window: expected float, found 'x'"),
        ({"kind": "mr"}, "kind is 'mr': it must be one of ct, us"),
        ({"classes": "cyst"}, "classes: expected a list, found 'cyst'"),
        ({"classes": ["cyst", 3]}, "classes: expected str, found 3"),
        ({"grid": [[1], [0.5]]}, "grid[1]: expected int, found 0.5"),
        ({"grid": [1]}, "grid[0]: expected a list, found 1"),
        ({"boxes": [{}]}, "boxes[0].corners is missing"),
        ({"boxes": [3]}, "boxes[0]: expected keys, found 3"),
        ({"boxes": [{"corners": [1, 2, 3]}]}, "boxes[0].corners: expected a list of 4, found [1, 2, 3]"),
        ({"boxes": [{"corners": [1, 2, 3, 4], "score": 2}]}, "boxes[0].score is 2.0: it must be 0 to 1"),
        ({"phases": {"ART": {"corners": None}}}, "phases.ART.corners: expected a list, found None"),
        ({"phases": []}, "phases: expected keys, found []"),
        ({"phases": {1: {"corners": [0, 0, 1, 1]}}}, "phases: expected str, found 1"),
        ({"axial": False}, "slices is 2: it must be 1 unless axial"),
        ({"boxes": [{"corners": [0, 0, 1, 1]}] * 3}, "it must be at most as many as slices (2)"),
    ],
)
def test_refusals_name_the_place_the_value_and_what_is_wanted(change, message):
    with pytest.raises(AnnotationError) as caught:
        build(Study, {**LEAST, **change}, where="labels.json", error=AnnotationError)
    assert (
        str(caught.value).startswith("labels.json: ") and message in str(caught.value) and len(str(caught.value)) < 300
    )


def test_a_missing_key_and_a_tree_that_is_none():
    for tree, message in (({"name": "A"}, "^slices is missing$"), ([], r"^the top level: expected keys, found \[\]$")):
        with pytest.raises(InputError, match=message):
            build(Study, tree)


def test_unknown_keys_are_ignored_or_refused():
    tree = {**LEAST, "boxes": [{"corners": [0, 0, 1, 1], "colour": "red"}]}
    assert build(Study, tree).boxes[0].score == 1.0
    with pytest.raises(InputError, match=r"unknown key 'boxes\[0\].colour'; boxes\[0\] has: corners, score"):
        build(Study, tree, refuse_unknown=True)
    with pytest.raises(InputError, match="unknown key 'nmae'; the top level has: name, slices"):
        build(Study, {**LEAST, "nmae": 1}, refuse_unknown=True)


def test_floats_as_text_where_yaml_writes_them_so():
    assert build(Study, {**LEAST, "spacing": "1e-4"}, text_numbers=True).spacing == 1e-4
    for key, text, message in (("spacing", "inf", "float, found 'inf'"), ("slices", "2", "int, found '2'")):
        with pytest.raises(InputError, match=f"{key}: expected {message}"):
            build(Study, {**LEAST, key: text}, text_numbers=True)


@pytest.mark.parametrize(
    "limit, good, bad, wanted",
    [
        (at_least(1), [1, 9], [0.99, -1], "1 or more"),
        (at_most(0.5), [0.5, -9], [0.51], "at most 0.5"),
        (above(0), [0.01], [0, -1], "above 0"),
        (below(1), [0.99], [1, 2], "below 1"),
        (typed.between(0, 1), [0.01, 0.99], [0, 1], "above 0 and below 1"),
        (within(0, 45, "degrees"), [0, 45], [-0.1, 45.1], "0 to 45 degrees"),
        (typed.multiple_of(4), [4, 8], [0, -4, 6], "a multiple of 4"),
        (typed.one_of("jpeg", "raw"), ["jpeg", "raw"], ["png", ""], "one of jpeg, raw"),
        (typed.matching("a+", "letters a"), ["a", "aa"], ["", "ab", "a\n"], "letters a"),
        (each(above(0)), [(), (1, 2)], [(0,), (1, -1)], "each above 0"),
        (each(above(0), least=1), [(1,)], [(), (1, 0)], "1 or more values, each above 0"),
        (above(0) & at_most(1), [0.1, 1], [0, 1.1], "above 0 and at most 1"),
    ],
)
def test_limits(limit, good, bad, wanted):
    assert limit.wanted == wanted
    assert all(limit.holds(value) for value in good) and not any(limit.holds(value) for value in bad)


def test_limits_of_a_dataclass():
    wanted = {name: limit.wanted for name, limit in limits(Study).items()}
    assert wanted == {"slices": "1 slices or more", "spacing": "above 0 mm"}
