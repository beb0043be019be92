import re

import pytest

from gluon_liver.structures.class_names import class_key, same_classes, why_no_classes


@pytest.mark.parametrize(
    "names", [("lesion",), ("囊肿", "Karzinom", "a/b, c"), tuple(f"class {n}" for n in range(40)), ("_x", "$y$", "<b>")]
)
def test_names_in_any_language(names):
    assert why_no_classes(names) is None


@pytest.mark.parametrize(
    "names, wanted",
    [
        ((), "one or more"),
        (("cyst", ""), "names of one line .* which '' is not"),
        (("cyst ",), "spaces around"),
        (("a\nb",), "one line"),
        (("a\u2028b",), "one line"),
        (("a\ud800",), "one line"),
        (("Mean",), "rename 'Mean'"),
        (("cyst", "mixed"), "other names than all, any, mean, mixed"),
        (("Cyst", "hcc", "cyst"), "'cyst' is there twice"),
        (("u\u0308ber", "\u00fcber"), "twice"),
        (("liver  cyst", "liver cyst"), "twice"),
    ],
)
def test_names_that_would_be_taken_for_others(names, wanted):
    assert re.search(wanted, why_no_classes(names))


def test_sameness_is_of_the_names_and_not_of_their_order():
    assert same_classes(("a", "b"), ["b", "a"]) and not same_classes(("a",), ("a", "b"))
    assert class_key(" HCC  nodule") == class_key("hcc nodule")
