"""How time and memory grow with the size of the work: medians of --repeats processes, slopes in log-log.

    python scripts/measure_growth.py --out docs/growth            all series: docs/growth.json, .md and .png
    python scripts/measure_growth.py --out docs/growth open log   some; what the JSON has of the others stays

Everything is made here: manifests with the project's own writers, tiny volumes, networks with random weights. A slope
of 1 is linear; it is that of the upper half of the points, where what any start costs is least of it. The memory of a
point is what its process took beyond its imports and its input. Time is that of the processor, on one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.growth.series import SERIES, Series  # noqa: E402

LIMIT_SECONDS = 600
Point = Dict[str, Any]


def measured(name: str, value: int, *, repeats: int) -> Optional[Point]:
    """Medians of ``repeats`` processes, None where one was ended for its time."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "scripts.growth.point", name, str(value), folder]
        try:
            subprocess.run([*command, "--make"], cwd=ROOT, check=True, timeout=LIMIT_SECONDS)
            runs = [
                json.loads(
                    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1]
                )
                for _ in range(repeats)
            ]
        except subprocess.TimeoutExpired:
            return None
    return {"value": value, **{key: statistics.median(run[key] for run in runs) for key in ("seconds", "bytes")}}


def _run(command: Sequence[str]) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MXNET_ENGINE_TYPE": "NaiveEngine"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True, timeout=LIMIT_SECONDS
    )
    return done.stdout


def slope(points: Sequence[Point], key: str) -> float:
    """Of a line through the logarithms of the upper half of the points, two or more of them."""
    upper = points[len(points) - max(2, (len(points) + 1) // 2) :]
    x, y = (np.log([max(point[name], 1e-9) for point in upper]) for name in ("value", key))
    return float(np.polyfit(x, y, 1)[0])


def table(results: Dict[str, List[Point]]) -> str:
    """The rows of a Markdown table."""
    lines = [
        "| work | from | to | time | memory | slope of time | of memory | arithmetic | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, series in SERIES.items():
        points = results.get(name, [])
        if len(points) < 2:
            continue
        first, last = points[0], points[-1]
        seconds = " to ".join(f"{point['seconds']:.3g} s" for point in (first, last))
        size = f"{last['bytes'] / 1e6:,.0f} MB"
        slopes = [f"{slope(points, key):.2f}" for key in ("seconds", "bytes")]
        ends = [f"{point['value']:,}" for point in (first, last)]
        lines.append(
            f"| {series.title} | {ends[0]} | {ends[1]} {series.unit} | {seconds} | {size} | {slopes[0]} | {slopes[1]} "
            f"| {series.arithmetic} | {series.note} |"
        )
    return "\n".join(lines)


def plot(results: Dict[str, List[Point]], path: Path) -> None:
    """Time over size, a small picture a series, both axes logarithmic, and a dotted line of the arithmetic."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [(SERIES[name], results[name]) for name in SERIES if len(results.get(name, [])) > 1]
    columns, rows = 3, -(-len(shown) // 3)
    figure = Figure(figsize=(11, 2.6 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for number, (series, points) in enumerate(shown):
        axes = figure.add_subplot(rows, columns, number + 1)
        x, y = (np.array([point[key] for point in points], float) for key in ("value", "seconds"))
        axes.loglog(x, y, "o-", color="#0072B2", markersize=4)
        axes.loglog(x, y[-1] * (x / x[-1]) ** series.arithmetic, ":", color="#878778")
        axes.set_title(f"{series.title}: {slope(points, 'seconds'):.2f}", fontsize=9)
        axes.set_xlabel(series.unit, fontsize=8)
        axes.set_ylabel("s", fontsize=8)
        axes.tick_params(labelsize=7)
    figure.savefig(str(path), dpi=80)


def page(results: Dict[str, List[Point]], picture: str) -> str:
    """docs/growth.md."""
    return f"""# How time and memory grow

Written by `scripts/measure_growth.py`; do not edit. {" ".join(str(__doc__).split("    python")[0].split())}

A slope of 1 is linear: that of the upper half of the points, in log-log. *Arithmetic* is the slope that the work asks
for at its largest term. The memory is what the last point took beyond its imports and its input. Times are of one
machine; the slopes are what counts.

{table(results)}

![Time over size, both logarithmic, the arithmetic dotted]({picture})
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("series", nargs="*", metavar="SERIES", help=f"of {', '.join(SERIES)} (default: all)")
    parser.add_argument("--out", type=Path, required=True, metavar="STEM", help="STEM.json, STEM.md and STEM.png")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    unknown = sorted(set(args.series) - set(SERIES))
    if unknown:
        parser.error(f"no series {unknown[0]!r}: they are {', '.join(SERIES)}")
    stored = args.out.with_suffix(".json")
    results: Dict[str, List[Point]] = json.loads(stored.read_text()) if stored.exists() else {}
    for name in args.series or SERIES:
        series: Series = SERIES[name]
        points = (measured(name, value, repeats=args.repeats) for value in series.values)
        results[name] = [point for point in points if point is not None]
        for point in results[name]:
            print(f"{name} {point['value']}: {point['seconds']:.3f} s, {point['bytes'] / 1e6:.0f} MB", flush=True)
        stored.write_text(json.dumps(results, indent=1) + "\n")
    plot(results, args.out.with_suffix(".png"))
    args.out.with_suffix(".md").write_text(page(results, args.out.with_suffix(".png").name), encoding="utf-8")
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
