"""The table of deliberate faults fits the code: each can be put in, and the tests that it names are there."""

import re

import pytest

from .faults import ROOT, Fault, load_faults

FAULTS = load_faults()


@pytest.mark.parametrize("fault", FAULTS, ids=[one.what for one in FAULTS])
def test_a_fault_can_be_put_in_and_names_tests_that_are_there(fault):
    changed = fault.apply((ROOT / fault.file).read_text(encoding="utf-8"))
    compile(changed, fault.file, "exec") if fault.file.endswith(".py") else None
    for name in fault.tests:
        path, _, test = name.partition("::")
        assert (ROOT / path).exists(), name
        function = re.sub(r"\[.*", "", test)
        assert not test or f"def {function}(" in (ROOT / path).read_text(encoding="utf-8"), name


def test_no_fault_is_there_twice():
    assert len({one.what for one in FAULTS}) == len(FAULTS) == len({(one.file, one.old, one.new) for one in FAULTS})


def test_text_that_is_not_there_once_is_named():
    for text in ("", "a a"):
        with pytest.raises(ValueError, match=f"'what': 'a' occurs {text.count('a')} times, not once in file"):
            Fault("what", "file", "a", "b", ()).apply(text)
    with pytest.raises(ValueError, match="is what it is replaced with"):
        Fault("what", "file", "a", "a", ()).apply("a")
