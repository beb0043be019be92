"""How far apart Gluon, the symbols on MXNet 1.9.1 and the symbols on MXNet 1.0.0 are, as docs/legacy.md prints it.

    python scripts/measure_parity.py --legacy-python .venv-legacy/bin/python

Every configuration, and other readings and controls, with seeded weights and inputs at the size of the tests, ROIs
pooled and aligned. Prints a Markdown
table: the largest absolute difference to Gluon, and that as a share of the largest value, the worse of both modes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, Tuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.symbols.gluon_side import CONFIGS, VARIANTS, write_folder  # noqa: E402

MODES = ("pool", "align")
NETWORKS = {**{name: (name,) for name in CONFIGS}, **VARIANTS}
# columns, and beginnings of the names of the parts (see symbols.networks.detector) that each is the worst of
COLUMNS = {
    "features": ("map", "shallow", "flow"),
    "RPN": ("rpn_",),
    "proposals": ("proposal",),
    "classes, texture": ("class_scores", "abnormal"),
    "boxes": ("box_deltas",),
    "detections": ("detections",),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--legacy-python", required=True, help="Python 2.7 with MXNet 1.0.0, see make legacy")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folders = [
            write_folder(config, Path(folder) / mode / name, ["network.roi_mode=" + mode, *changes])
            for mode in MODES
            for name, (config, *changes) in NETWORKS.items()
        ]
        sides = [compare(python, folders) for python in (sys.executable, args.legacy_python)]
    print("| network | MXNet |" + "".join(f" {column} |" for column in COLUMNS))
    print("| --- | --- |" + " --- |" * len(COLUMNS))
    for name in NETWORKS:
        for side in sides:
            lines = [line for line in side if line["folder"] == name]
            pairs = [worst(lines, parts) for parts in COLUMNS.values()]
            cells = "".join(f" {absolute:.0e} / {relative:.0e} |" for absolute, relative in pairs)
            print(f"| {name} | {lines[0]['mxnet']} |{cells}")
    return 0


def compare(python: str, folders: List[Path]) -> List[Dict]:
    """What symbols.parity says of each folder."""
    done = subprocess.run(
        [python, "-m", "symbols.parity"] + [str(folder) for folder in folders],
        cwd=str(ROOT),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={"OMP_NUM_THREADS": "1", "PATH": os.environ["PATH"]},
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def worst(lines: List[Dict], beginnings: Tuple[str, ...]) -> Tuple[float, float]:
    """The largest absolute and the largest relative difference of some parts."""
    differences = [pair for line in lines for part, pair in line["outputs"].items() if part.startswith(beginnings)]
    return max(absolute for absolute, _ in differences), max(relative for _, relative in differences)


if __name__ == "__main__":
    sys.exit(main())
