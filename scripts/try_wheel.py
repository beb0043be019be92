"""Install a wheel into an empty environment and run every command in it once, far from any checkout.

    python scripts/try_wheel.py dist/gluon_liver-0.1.0-py3-none-any.whl [--folder FOLDER] [--keep]

Says of each command what it returned, how long it took and its last line; ends with 1 where one returned something else
than it should, or where a command of the wheel is not in the list below. The data are phantoms of a few slices and the
nets learn nothing. Takes minutes, most of them pip's.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Dict, List, Set, Tuple

SMALL = "--set data.size=64 network.width=0.0625 train.epochs=1 train.images_per_epoch=8"
DIST = "--kvstore dist_sync"
FORMATS = "coco,csv,geojson,nifti,dicom-sr,dicom-seg"
# exit code -> the command as typed; 2 where the input is one that must be refused, 1 where phantoms make it warn
COMMANDS: List[Tuple[int, str]] = [
    (0, "doctor"),
    (0, "completion bash"),
    (0, "config list"),
    (0, "config show r50"),
    (0, "config explain train.epochs"),
    (0, "config diff r50 demo-ct"),
    (0, "memory demo-ct --classes 3"),
    (
        0,
        "phantom ct --out ct --studies 6 --seed 3 --matrix 64 --slices 8 8 --spacing-mm 10 --jobs 1 --min-box-pixels 4",
    ),
    (0, "phantom us --out us --scenes 6 --frames 3 --size 64 --jobs 1"),
    (0, "look ct/dicom --out look"),
    (0, "import ct ct/dicom --labels ct/labels.json --out data --salt s --split-fractions 0.6 0 0.4"),
    (0, "import us us/dicom --labels us/labels.json --out us-data --salt s --split-fractions 0.6 0 0.4"),
    (0, "data summary data"),
    (1, "data check data"),
    (0, "data view ct/dicom/study-0000 --out view.html"),
    (0, f"train --config demo-ct --data data --out run {SMALL}"),
    (0, "evaluate --run run --bootstrap 20"),
    (0, "detect ct/dicom/study-0000 --run run --out found --score 0.01"),
    (0, "score --run run --detections run/detections.json --bootstrap 20"),
    (0, "table run"),
    (0, "export run --legacy --out exported"),
    (0, "export run --safetensors --out run.safetensors"),
    (0, f"train --config demo-ct --data data --out begun --pretrained run.safetensors {SMALL}"),
    (0, "export run --onnx --out graphs"),
    (0, f"detect ct/dicom/study-0000 --run run --engine graphs --out by-graphs --score 0.01 --format {FORMATS}"),
    (0, "evaluate --run run --engine onnx --out scored --bootstrap 20"),
    (0, "import-legacy exported/detector --data data --out imported"),
    (0, "records --run run --split test --out test.rec"),
    (
        0,
        f"launch --workers 2 --servers 1 -- gluon-liver train --config demo-ct --data data --out job {DIST} {SMALL}",
    ),
    (0, "train-flow --out flow --phantoms us --steps 2 --matching-steps 1 --width 0.125 --size 64 --batch-size 1"),
    (2, "convert-flow flow/flow.params --out converted.params"),
    (0, f"train --config demo-us-flow --data us-data --out us-run --flow flow/flow.params {SMALL} flow.width=0.125"),
    (0, "evaluate --run us-run"),
    (0, f"train --config demo-us-faster-rcnn --data us-data --out us-plain {SMALL}"),
    (0, "evaluate --run us-plain"),
    (0, "evaluate --compare us-run us-plain"),
    (0, "watch us/video/scene-0000.mp4 --run us-run --out watched.mp4"),
    (0, "export us-run --onnx --out us-graphs"),
    (0, "watch us/video/scene-0000.mp4 --run us-run --engine us-graphs --out watched-by-graphs.mp4"),
    (2, "reproduce --on lits --data nowhere --out reproduced"),
    (2, "weights nothing-of-this-name --out weights"),
]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python scripts/try_wheel.py", description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--folder", type=Path, help="where the environment and the data go (default: a new one)")
    parser.add_argument("--keep", action="store_true", help="leave the folder there")
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="gluon_liver-wheel-"))
    program = install(args.wheel.resolve(), folder)
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    wrong = sum(not as_expected(program, work, code, words) for code, words in COMMANDS)
    left = commands_of(program, work) - {command(words) for _, words in COMMANDS}
    if left:
        print(f"not run: {', '.join(sorted(left))}")
    print(f"{len(COMMANDS) - wrong} passed, {wrong} failed")
    if not (args.keep or args.folder):
        shutil.rmtree(folder)
    return 1 if wrong or left else 0


def install(wheel: Path, folder: Path) -> Path:
    """The program of the wheel in the environment ``folder``/venv, which is made where it is not there."""
    python = folder / "venv" / "bin" / "python"
    if not python.exists():
        began = time.monotonic()
        venv.create(str(folder / "venv"), with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--only-binary=:all:"]
        subprocess.run([*pip, "pip>=23,<27"], check=True)
        subprocess.run([*pip, f"{wheel}[cpu,onnx,dicom]"], check=True)
        if sys.version_info >= (3, 13):  # whose NumPy MXNet's wheel does not name
            subprocess.run([*pip, "--no-deps", "mxnet==1.9.1"], check=True)
        print(f"installed {wheel.name} in {time.monotonic() - began:.0f} s", flush=True)
    return python.with_name("gluon-liver")


def outside(python: Path) -> Dict[str, str]:
    """The environment of a user: nothing leads to a checkout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "PATH": f"{python.parent}:{os.environ['PATH']}"}


def command(words: str) -> str:
    """The command that the words call: one word, or a group's two."""
    first, second = (words.split() + [""])[:2]
    return f"{first} {second}" if first in ("phantom", "import", "data", "config") else first


def commands_of(program: Path, work: Path) -> Set[str]:
    """All commands of the installed package."""
    code = "from gluon_liver.commands import COMMANDS; print(*map(' '.join, COMMANDS), sep='\\n')"
    python = program.with_name("python")
    done = subprocess.run([str(python), "-c", code], cwd=work, env=outside(program), check=True, stdout=-1, text=True)
    return set(done.stdout.split("\n")) - {""}


def as_expected(program: Path, work: Path, code: int, words: str) -> bool:
    """Run a command and say how it ended; whether as it should."""
    began = time.monotonic()
    done = subprocess.run(
        [str(program), *words.split()],
        cwd=work,
        env=outside(program),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = [line for line in done.stdout.splitlines() if line.strip()] or [""]
    mark = "ok   " if done.returncode == code else "WRONG"
    print(f"{mark} {done.returncode} {time.monotonic() - began:6.1f} s  gluon-liver {words}")
    print(f"          {said[-1].strip()[:160]}")
    if done.returncode != code:
        print("\n".join(f"          | {line}" for line in said[-12:]))
    sys.stdout.flush()
    return done.returncode == code


if __name__ == "__main__":
    sys.exit(main())
