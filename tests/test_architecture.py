"""The order of the rooms that docs/architecture.md draws: imports go downwards only, in no circle."""

import ast
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "gluon_liver"
READING = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS = re.findall(r"^ {2}(\w+)(?:/|\.py) ", READING, re.MULTILINE)  # from top to bottom
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).replace(".__init__", ""): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
FILES.update(  # the package's name for the folder at the top; in its place in the package is a file that leads there
    {
        ".".join((PACKAGE.name, *path.relative_to(ROOT).with_suffix("").parts)).replace(".__init__", ""): path
        for path in sorted((ROOT / "symbols").rglob("*.py"))
    }
)


def named(module):
    """The modules and names that import statements name, also inside functions.

    The package itself imports its public names when they are asked for; what it imports at once is what counts.
    """
    package = module if FILES[module].name == "__init__.py" else module.rpartition(".")[0]
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    for node in tree.body if module == PACKAGE.name else ast.walk(tree):
        if isinstance(node, ast.Import):  # without a name of its own it binds the whole package
            yield from (name for alias in node.names for name in (alias.name, f"{alias.name.split('.')[0]}.*"))
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            yield from (".".join([*above, *filter(None, [node.module]), alias.name]) for alias in node.names)


def imports(module):
    """The modules that a module imports, with the packages around them, whose ``__init__`` runs first.

    Who asks the package for a public name, or has all of it, imports library.py.
    """
    for name in named(module):
        base, _, last = name.rpartition(".")
        if base == PACKAGE.name and name not in FILES and last != "__version__":
            base = "gluon_liver.library"
        name = name if name in FILES else base
        around = {name[: dot.start()] for dot in re.finditer(r"\.", name)}
        yield from {name, *(package for package in around if not module.startswith(f"{package}."))} & FILES.keys()


IMPORTS = {module: set(imports(module)) - {module} for module in FILES}


def room(module):
    return (module.split(".") + [""])[1]


def folder(module):
    """The folder that a module is in; the package's own files are rooms, each by itself."""
    path = FILES[module]
    return path if path.parent == PACKAGE else path.parent


def circle(arrows):
    """What is left of {name: names that it imports} without those from which no way leads back."""
    while any(not others & arrows.keys() for others in arrows.values()):
        arrows = {name: others for name, others in arrows.items() if others & arrows.keys()}
    return arrows


def test_the_page_draws_every_room():
    assert sorted(ROOMS) == sorted({room(module) for module in FILES} - {"", "__main__", "symbols"})


def test_rooms_import_only_rooms_below_them():
    rank = {name: number for number, name in enumerate(["__main__", *ROOMS, "symbols"])}
    rank[""] = rank["system"]  # the package itself, which prepares MXNet
    arrows = [(module, other) for module in FILES for other in IMPORTS[module]]
    assert not [arrow for arrow in arrows if rank[room(arrow[1])] < rank[room(arrow[0])]]
    pairs = {(room(module), room(other)) for module, other in arrows}
    assert ("nn", "data") not in pairs
    assert {reader for reader, read in pairs if read == "phantoms"} <= {"commands", "flow", "phantoms"}


def test_no_circle_of_files_or_folders():
    assert not circle(IMPORTS)
    folders = defaultdict(set)
    for module in IMPORTS.keys() - {PACKAGE.name}:
        folders[folder(module)] |= {folder(other) for other in IMPORTS[module]} - {folder(module)}
    assert not circle(folders)


def test_no_room_is_too_big():
    lines, files = Counter(), Counter()
    for module, path in FILES.items():
        lines[room(module)] += len(path.read_text(encoding="utf-8").splitlines())
        files[path.parent] += path.name != "__init__.py"
    del lines["symbols"]
    assert max(files.values()) <= 20, files.most_common(1)
    assert max(lines.values()) <= sum(lines.values()) / 8, lines.most_common(1)


@pytest.mark.parametrize("module", ["gluon_liver", "gluon_liver.config.load", "gluon_liver.config.schema"])
def test_configuration_loads_no_heavy_library(module):
    code = f"import sys, {module}; sys.exit(' '.join({{'cv2', 'mxnet', 'gluoncv', 'scipy'}} & sys.modules.keys()) or 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr


PAGES = "docs/architecture.md CONTRIBUTING.md docs/fidelity.md docs/measurements.md".split()


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_exist(page):
    names = re.findall(r"`([a-z_]+(?:/[a-z_0-9]+)+\.(?:py|md))`", (ROOT / page).read_text(encoding="utf-8"))
    assert names and not [name for name in names if not any((base / name).exists() for base in (PACKAGE, ROOT))]
