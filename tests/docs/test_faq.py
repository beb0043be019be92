"""docs/faq.md quotes messages that the program still has."""

import ast
import re

import pytest

from .pages import ROOT

FAQ = (ROOT / "docs" / "faq.md").read_text(encoding="utf-8")
QUOTES = [
    quote for heading in re.findall(r"^### (.*)", FAQ, re.MULTILINE) for quote in re.findall(r"`([^`]+)`", heading)
]


def texts():
    """The texts of the program, each as one: what is put into them is a dot."""
    for path in (ROOT / "gluon_liver").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                yield "".join(part.value if isinstance(part, ast.Constant) else "..." for part in node.values)


TEXTS = "\n".join(texts())


@pytest.mark.parametrize("quote", QUOTES)
def test_quoted_messages_are_there(quote):
    parts = [re.escape(part.strip()) for part in quote.split("...")]
    assert re.search(r"[^\n]*".join(parts), TEXTS)


def test_the_page_quotes_enough():
    assert len(QUOTES) >= 15
