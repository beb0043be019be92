"""Nets of the zoo made again from their seeds, and whether they are bit for bit what they were."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from gluon_liver.config.zoo import Machine, Net, find_net, zoo_machine
from gluon_liver.files.digest import hash_file
from gluon_liver.runs.zoo import flow_file, is_made
from gluon_liver.system.environment import describe_environment
from gluon_liver.system.runtime import cpu_flags, openblas_core_type

from .commands import RunCommand, Words, command_step, words_of
from .steps import Step

WORK = "made-from"  # phantoms and prepared data, in the folder of the nets
CORE_TYPES = {"SkylakeX": "avx512", "Haswell": "avx2"}


def with_flows(names: Sequence[str]) -> List[str]:
    """The nets with those whose flow they are trained with before them. Raises :class:`InputError` for unknown ones."""
    found: List[str] = []
    for name in names:
        flow = find_net(name).flow
        found += [one for one in (flow, name) if one and one not in found]
    return found


def zoo_steps(names: Sequence[str], out: Path, run_command: RunCommand) -> List[Step]:
    """Phantoms, data, trainings and evaluations of nets, each of what they share once."""
    steps: Dict[str, Step] = {}
    for name in with_flows(names):
        for step in _steps(name, find_net(name), out, run_command):
            steps.setdefault(step.name, step)
    return list(steps.values())


def _steps(name: str, net: Net, out: Path, run_command: RunCommand) -> List[Step]:
    task = "ct" if net.task == "ct" else "us"
    work, run = out / WORK / _key(net), out / name
    phantoms, data, labels = work / "phantoms", work / "data", work / "phantoms" / "labels.json"

    def step(kind: str, words: Words, reads: str, *outputs: Path, **more: Any) -> Step:
        what = work.name if kind in ("phantoms", "import") else name
        options: Dict[str, Any] = dict(out=out, reads=reads, outputs=outputs, **more)
        return command_step(f"{kind}/{what}", f"{kind} {name}", lambda: words, run_command, **options)

    words = words_of(f"phantom {task} --out", phantoms, net.phantoms)
    steps = [step("phantoms", words, "nothing", labels, fresh=(phantoms,))]
    if net.task == "flow":
        words = words_of("train-flow --out", run, "--phantoms", phantoms, net.training)
        return [*steps, step("train", words, "phantoms", flow_file(run), run / "results.json", fresh=(run,))]
    words = words_of(
        f"import {task}", phantoms / "dicom", "--labels", labels, "--out", data, net.import_, "--overwrite"
    )
    steps.append(step("import", words, "phantoms", data / "dataset.json"))
    words = words_of("train --config", net.config, "--data", data, "--out", run, f"--resume auto --seed {net.seed}")
    words += words_of([word for one in net.set for word in ("--set", one)])
    words += words_of(["--flow", flow_file(out / net.flow)] if net.flow else [])
    steps.append(step("train", words, "data", run, costly=True))
    return [*steps, step("evaluate", words_of("evaluate --run", run), "test split", run / "results.json")]


def _key(net: Net) -> str:
    """Of what a net is made from: nets with the same phantoms and import share them."""
    said = "\0".join([net.task, net.phantoms, net.import_])
    return f"{net.task}-{hashlib.sha256(said.encode('utf-8')).hexdigest()[:8]}"


def parameters_of(folder: Path, net: Net) -> Path:
    """The file of parameters whose digest the zoo knows."""
    if net.task == "flow":
        return flow_file(folder)
    from gluon_liver.runs.checkpoint_folder import chosen_checkpoint
    from gluon_liver.runs.manifest import PARAMETERS
    from gluon_liver.runs.run import Run

    return chosen_checkpoint(Run.open(folder)) / PARAMETERS


class Verdict(NamedTuple):
    """One line on a net that was made; other_bits: whether it is not bit for bit that of the zoo."""

    text: str
    other_bits: bool = False


def verdict(name: str, out: Path) -> Verdict:
    """Whether a net that was made is bit for bit that of the zoo; where it is not, what differs here."""
    net, folder = find_net(name), out / name
    if not is_made(folder, net):
        return Verdict(f"{name}: not made in {out}")
    found = hash_file(parameters_of(folder, net))
    if net.sha256 is None:
        return Verdict(f"{name}: SHA-256 {found}; the zoo has the recipe alone and no digest to compare with")
    if found == net.sha256:
        return Verdict(f"{name}: bit for bit as in the zoo, SHA-256 {found}")
    other = differing(zoo_machine())
    why = (
        f"here differ: {'; '.join(other)}" if other else "nothing that is looked at differs here: has the code changed?"
    )
    told = f"{name}: OTHER BITS than in the zoo: SHA-256 {found}, there {net.sha256} (revision {net.revision}); {why}"
    return Verdict(told, other_bits=True)


def differing(machine: Machine) -> List[str]:
    """What of this machine and its packages is not as where the digests of the zoo were made."""
    here = describe_environment(0)
    pairs: Dict[str, List[Optional[str]]] = {
        "processor": [here["machine"]["processor"], machine.processor],
        "instructions": [CORE_TYPES.get(openblas_core_type(cpu_flags())[0] or "", "none"), machine.instructions],
        "threads": [os.environ.get("OMP_NUM_THREADS"), str(machine.threads)],
        **{name: [here["packages"].get(name), version] for name, version in machine.packages.items()},
    }
    return [f"{name} {found}, there {wanted}" for name, (found, wanted) in pairs.items() if found != wanted]
