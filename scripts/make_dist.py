"""Build the source distribution and the wheel, and check both: `make dist`.

    python -m scripts.make_dist [--out dist] [--no-isolation]

The wheel is built from the source distribution, and once more from the checkout: both must hold the same files. Needs
the extra ``dist`` of setup.py. Uploads nothing.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Dict

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m scripts.make_dist", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("dist"), help="folder for both files (default: dist)")
    parser.add_argument("--no-isolation", action="store_true", help="build with the setuptools that is installed")
    args = parser.parse_args()
    isolation = ["--no-isolation"] if args.no_isolation else []
    shutil.rmtree(ROOT / "build" / "lib", ignore_errors=True)  # of a wheel before this: files that are gone since
    with tempfile.TemporaryDirectory() as folder:
        run("build", *isolation, "--outdir", str(Path(folder, "both")), str(ROOT))
        run("build", *isolation, "--wheel", "--outdir", str(Path(folder, "direct")), str(ROOT))
        both = sorted(Path(folder, "both").iterdir())
        wheel = next(path for path in both if path.suffix == ".whl")
        (direct,) = Path(folder, "direct").iterdir()
        if contents(wheel) != contents(direct):
            apart = contents(wheel).items() ^ contents(direct).items()
            names = ", ".join(sorted({name for name, _ in apart}))
            print(f"the wheels of the source distribution and of the checkout differ: {names}", file=sys.stderr)
            return 1
        run("twine", "check", "--strict", *map(str, both))
        run("check_wheel_contents", str(wheel))
        args.out.mkdir(parents=True, exist_ok=True)
        for path in both:
            (args.out / path.name).write_bytes(path.read_bytes())
            print(args.out / path.name)
    return 0


def run(module: str, *words: str) -> None:
    """Run a tool of this Python; what it says is shown where it fails."""
    done = subprocess.run([sys.executable, "-m", module, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = done.stdout.decode("utf-8", "replace")
    if done.returncode:
        sys.exit(f"{said}\n{module} {' '.join(words)} failed")
    print(said.strip().splitlines()[-1])


def contents(wheel: Path) -> Dict[str, int]:
    """Name -> checksum of the files in a wheel, but for its list of them."""
    with zipfile.ZipFile(wheel) as archive:
        return {each.filename: each.CRC for each in archive.infolist() if not each.filename.endswith("/RECORD")}


if __name__ == "__main__":
    sys.exit(main())
