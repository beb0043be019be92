"""`python -m tests.fuzz`: random recipes for minutes, each format in a process of its own, which may crash.

Findings are written to --out, a folder each: the recipe, the traceback or how the process ended. `--atheris` lets
libFuzzer choose the recipes by the code that they reach (pip install '.[fuzz]').
"""

import argparse
import collections
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

LONGEST = 160  # bytes of a recipe


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of all formats together (default 10)")
    parser.add_argument("--targets", nargs="+", help="formats (default: all)")
    parser.add_argument("--seed", type=int, default=None, help="of the recipes (default: another one each time)")
    parser.add_argument("--out", type=Path, default=Path("fuzz-findings"), help="folder of findings")
    parser.add_argument("--atheris", action="store_true", help="choose recipes by the code that they reach")
    parser.add_argument("--replay", type=Path, metavar="RECIPE", help="run one recipe of the one format of --targets")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.replay:
        return _replay(args.targets[0], args.replay)
    if args.child:
        return _child(args)
    from .harness import all_targets

    names = args.targets or [target.name for target in all_targets()]
    findings = sum(_fuzz(name, args.minutes * 60 / len(names), args) for name in names)
    print(f"{findings} finding(s)" + (f" in {args.out}" if findings else ""))
    return 1 if findings else 0


def _fuzz(name, seconds, args):
    """Fuzz one format, in a new process after each crash; returns how many findings there were."""
    end, seed, crashes = time.monotonic() + seconds, args.seed or random.randrange(2**32), 0
    total, found = collections.Counter(), 0
    while time.monotonic() < end and crashes < 10:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "tests.fuzz", "--child", folder, "--targets", name, "--out", str(args.out)]
            command += ["--minutes", str((end - time.monotonic()) / 60), "--seed", str(seed + crashes)]
            ended = subprocess.run(command + ["--atheris"] * args.atheris, stderr=subprocess.PIPE)
            counts = Path(folder, "counts.json")
            record = json.loads(counts.read_text()) if counts.exists() else {"outcomes": {}, "found": 0}
            total.update(record["outcomes"])
            found += record["found"]
            if ended.returncode:
                crashes += 1
                text = ended.stderr.decode("utf-8", "replace")[-8000:]
                last = Path(folder, "recipe")
                recipe = last.read_bytes() if last.exists() else b""
                _keep(args.out, name, recipe, f"the process ended with {ended.returncode}\n{text}")
    listed = ", ".join(f"{count} {outcome or 'taken'}" for outcome, count in total.most_common())
    print(f"{name}: {sum(total.values())} inputs ({listed}), {found + crashes} finding(s)", flush=True)
    return found + crashes


def _child(args):
    with _instrumented() if args.atheris else contextlib.nullcontext():
        from .harness import Hang, all_targets, run

        (target,) = (one for one in all_targets() if one.name == args.targets[0])
    folder, end = Path(args.child), time.monotonic() + args.minutes * 60
    outcomes, seen = collections.Counter(), set()
    work = folder / "work"
    work.mkdir()
    noise = os.open(os.devnull, os.O_WRONLY)
    os.dup2(noise, 1)

    def one(recipe):
        (folder / "recipe").write_bytes(recipe)
        try:
            outcomes[run(target, recipe, work)] += 1
        except (Exception, Hang) as error:
            outcomes["finding"] += 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            if (type(error), where.filename, where.lineno) not in seen:
                seen.add((type(error), where.filename, where.lineno))
                _keep(args.out, target.name, recipe, traceback.format_exc())
        if sum(outcomes.values()) % 50 == 0:
            tell()

    def tell():
        (folder / "counts.json").write_text(json.dumps({"outcomes": outcomes, "found": len(seen)}))

    if args.atheris:
        _with_atheris(one, tell, args)
    choose = random.Random(args.seed)
    while time.monotonic() < end:
        count = choose.randrange(1, LONGEST)
        one(choose.getrandbits(8 * count).to_bytes(count, "big"))
    tell()
    return 0


def _instrumented():
    """A context in which modules of the package are imported so that atheris sees which code of them runs."""
    import atheris

    return atheris.instrument_imports(include=["gluon_liver"])


def _with_atheris(one, tell, args):
    """Recipes by libFuzzer, which ends the process."""
    import atexit

    import atheris

    atexit.register(tell)
    options = [
        f"-max_total_time={int(args.minutes * 60)}",
        f"-max_len={LONGEST}",
        "-rss_limit_mb=0",
        f"-seed={args.seed % 2**31}",
    ]
    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


def _keep(out, name, recipe, text):
    for number in range(1000):
        folder = out / f"{name}-{number:03d}"
        if not folder.exists():
            folder.mkdir(parents=True)
            (folder / "recipe").write_bytes(recipe)
            (folder / "finding.txt").write_text(text, encoding="utf-8", errors="backslashreplace")
            return


def _replay(name, path):
    from .harness import all_targets, run

    (target,) = (one for one in all_targets() if one.name == name)
    with tempfile.TemporaryDirectory() as folder:
        print(run(target, path.read_bytes(), Path(folder)) or "taken")
    return 0


if __name__ == "__main__":
    sys.exit(main())
