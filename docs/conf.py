"""Sphinx makes the site of these pages: `make docs`. Fonts and scripts are files of the site; nothing is loaded."""

import inspect
import re
import sys
from pathlib import Path
from typing import Any, List

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import gluon_liver  # noqa: E402

project = "gluon_liver"
author = "The gluon_liver developers"
release = version = gluon_liver.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_static"]
myst_heading_anchors = 4  # links name headings as on the pages of a repository: data.md#what-an-epoch-shows
myst_enable_extensions = ["deflist"]

html_theme = "furo"
html_title = "gluon_liver"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = [("fold.js", {"defer": "defer"})]
html_show_sourcelink = False
html_show_copyright = False
html_show_sphinx = False
html_theme_options = {
    "footer_icons": [],
    "light_css_variables": {"color-brand-primary": "#0b5c8a", "color-brand-content": "#0b5c8a"},
    "dark_css_variables": {"color-brand-primary": "#7cc4ee", "color-brand-content": "#7cc4ee"},
}
pygments_style = "friendly"
copybutton_exclude = ".linenos, .gp, .go"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
maximum_signature_line_length = 80


def parameters_of(thing: Any) -> List[str]:
    """Names that a docstring may explain: the parameters of a function or class, and a class's annotated fields."""
    try:
        names = [*inspect.signature(thing).parameters]
    except (TypeError, ValueError):
        names = []
    return names + [*getattr(thing, "__annotations__", {})]


def explain_parameters(app: Any, what: str, name: str, thing: Any, options: Any, lines: List[str]) -> None:
    """Make a field list of lines that begin with a parameter's name and a colon, as the docstrings write them."""
    known = {*parameters_of(thing), "Raises"}
    result: List[str] = []
    within = False
    for line in lines:
        begins = re.match(r"(\w+(?:, \w+)*): (.*)", line)
        if begins and {*begins[1].split(", ")} <= known:
            result += [] if within or not result or not result[-1].strip() else [""]
            # of two words before the colon Sphinx takes the first for a type
            result.append(f":param {begins[1].replace(' ', '')}: {begins[2]}")
            within = True
        elif within and line.strip():
            result.append(f"    {line.strip()}")
        else:
            within = False
            result.append(line)
    lines[:] = result


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", explain_parameters)
