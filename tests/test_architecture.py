"""The order of the rooms that README.md draws under "Reading the code": imports go downwards only, in no circle."""

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "gluon_liver"
READING = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Reading the code\n")[2].partition("\n## ")[0]
ROOMS = re.findall(r"^ {6}(\w+)(?:/|\.py) ", READING, re.MULTILINE)  # from top to bottom
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).replace(".__init__", ""): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imports(module):
    """The modules of the package that a module imports, also inside its functions.

    The package itself imports its public names when they are asked for; what it imports at once is what counts.
    """
    package = module if FILES[module].name == "__init__.py" else module.rpartition(".")[0]
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    for node in tree.body if module == PACKAGE.name else ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
        if isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join(above + ([node.module] if node.module else []))
            names = [f"{base}.{name}" if f"{base}.{name}" in FILES else base for name in names]
        yield from (name for name in names if name in FILES)


IMPORTS = {module: set(imports(module)) - {module} for module in FILES}


def room(module):
    return (module.split(".") + [""])[1]


def test_readme_draws_every_room():
    assert sorted(ROOMS) == sorted({room(module) for module in FILES} - {"", "__main__"})


def test_rooms_import_only_rooms_below_them():
    rank = {name: number for number, name in enumerate(["__main__", *ROOMS])}
    upwards = [
        f"{module} imports {other}"
        for module in FILES
        for other in IMPORTS[module]
        if room(module) and room(other) and rank[room(other)] < rank[room(module)]
    ]
    assert not upwards


def test_no_circle_of_files():
    left = dict(IMPORTS)
    while any(not others & left.keys() for others in left.values()):
        left = {module: others for module, others in left.items() if others & left.keys()}
    assert not left


def test_no_room_is_too_big():
    lines, files = Counter(), Counter()
    for module, path in FILES.items():
        lines[room(module)] += len(path.read_text(encoding="utf-8").splitlines())
        files[path.parent] += path.name != "__init__.py"
    assert max(files.values()) <= 20, files.most_common(1)
    assert max(lines.values()) <= 0.135 * sum(lines.values()), lines.most_common(1)


@pytest.mark.parametrize("module", ["gluon_liver", "gluon_liver.config.load", "gluon_liver.config.schema"])
def test_configuration_loads_no_heavy_library(module):
    code = f"import sys, {module}; sys.exit(' '.join({{'cv2', 'mxnet', 'gluoncv', 'scipy'}} & sys.modules.keys()) or 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/fidelity.md"])
def test_files_that_a_page_names_exist(page):
    names = re.findall(r"`([a-z_]+(?:/[a-z_0-9]+)+\.(?:py|md))`", (ROOT / page).read_text(encoding="utf-8"))
    assert names and not [name for name in names if not any((base / name).exists() for base in (PACKAGE, ROOT))]
