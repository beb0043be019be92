"""Write docs/model-zoo.md from config/zoo.yaml.

python -m scripts.make_model_zoo            writes it
python -m scripts.make_model_zoo --check    1 where it is not current
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import List

from gluon_liver.config.zoo import Net, read_zoo, zoo_machine

PAGE = Path(__file__).resolve().parents[1] / "docs" / "model-zoo.md"
TEXT = """\
# Model zoo

<!-- Made by `python -m scripts.make_model_zoo` from gluon_liver/config/zoo.yaml; change that, not this file. -->

Small nets trained on generated phantoms. They show what the program does on data that anybody can make again; they say
nothing about patients, and none is a network of a paper's size. Nothing is downloaded: each is made from its seeds.

```sh
gluon-liver weights                                     # the nets, and which of them are there
gluon-liver weights demo-ct                             # make one, in ~/.cache/gluon_liver or $GLUON_LIVER_ZOO
gluon-liver detect STUDY --run zoo:demo-ct --out found  # detect, evaluate, watch and export open it by its name
```

`make weights` makes `demo-ct` and `demo-us-faster-rcnn` in the release folder `weights/` of a checkout, `make weights
ZOO=rows-r50` others. `--run zoo:NAME`, and `load_detector("zoo:NAME")` in Python, look in `$GLUON_LIVER_ZOO`, then in
the cache of this version, then in `weights/`, and where the net is nowhere name the command that makes it. A folder
`weights/NAME` is a run as training leaves it: `config.yaml`, `checkpoints/`, `environment.json` with the command,
`log.jsonl`, `results.json` and `report.html`; the phantoms and the prepared data are in `weights/made-from`.

## Bit for bit

The digest is the SHA-256 of the parameters, `net.params` of the checkpoint that `evaluate` reads (`flow.params` of a
flow net). `weights` compares it after making a net, `weights --check` later (exit code 4 where it differs); both tell
which of processor, threads and packages are not as where the digests were made: {processor} with {instructions},
{threads} thread, {packages}.

Measured there: with one thread a training repeated gives the same bytes (`demo-ct`'s first 40 steps, and every net
below that has a digest was made twice, from its phantoms on, on a busy machine of two cores). With two threads the
first 40 steps give other bytes, for sums are taken in another order; `weights` therefore computes with one, whatever
`OMP_NUM_THREADS` says. Another kind of processor was not tried; MXNet picks its kernels by it, so other bytes are to be
expected there.

## The nets

Metrics are of the phantoms' test split, as `evaluate` prints them. A net without a digest is listed as a recipe: nobody
has made it yet where the others were made.

"""


def page() -> str:
    """The text of the page."""
    machine = zoo_machine()
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    told = dict(processor=machine.processor, instructions=machine.instructions, threads=machine.threads)
    text = TEXT.replace("{packages}", packages)
    for name, value in told.items():
        text = text.replace("{" + name + "}", str(value))
    rows = ["| name | what it is | configuration | seed | minutes | metrics | SHA-256 |", "| --- " * 7 + "|"]
    rows += [_row(name, net) for name, net in read_zoo().items()]
    return text + "\n".join(rows) + "\n\n## How each is made\n\n" + "\n".join(_recipes()) + "\n"


def _row(name: str, net: Net) -> str:
    config = " ".join(net.config) or "train-flow"
    metrics = ", ".join(f"{key} {value}" for key, value in net.metrics.items()) or "-"
    digest = (
        f"`{net.sha256}`" + (f", revision {net.revision}" if net.revision else "") if net.sha256 else "recipe alone"
    )
    return f"| `{name}` | {net.title} | `{config}` | {net.seed} | {net.minutes} | {metrics} | {digest} |"


def _recipes() -> List[str]:
    lines = []
    for name, net in read_zoo().items():
        settings = "".join(f" --set {one}" for one in net.set)
        flow = f" --flow {net.flow}/flow.params" if net.flow else ""
        if net.task == "flow":
            steps = [f"phantom us {net.phantoms}", f"train-flow {net.training}"]
        else:
            train = f"train --config {' '.join(net.config)} --seed {net.seed}{settings}{flow}"
            steps = [f"phantom {net.task} {net.phantoms}", f"import {net.task} {net.import_}", train, "evaluate"]
        lines += [f"- `{name}`: " + "; ".join(f"`{step}`" for step in steps) + f". Log: `weights/{name}/log.jsonl`."]
    return lines


def main() -> int:
    """0 when the page is current, or was written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    if parser.parse_args().check:
        return int(not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
