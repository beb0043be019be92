"""The project's commands as a study calls them, in milliseconds: `fake.py train --out ...` and so on.

Beside the work folder, calls.txt has a line each call. A run's value is made of arm and seed. What is in the
environment variable FAKE_FAILS fails to train.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

STEPS = 10


def note(*words):
    with open(os.environ["FAKE_CALLS"], "a", encoding="utf-8") as stream:
        stream.write(" ".join(map(str, words)) + "\n")


def after(argv, name):
    return argv[argv.index(name) + 1]


def train(argv):
    out, seed = Path(after(argv, "--out")), int(after(argv, "--seed"))
    if os.environ.get("FAKE_FAILS", "nothing") in str(out):
        print(f"training: {out}/x\nerror: no such file {out}/weights.params")
        return 3
    for need in (after(argv, "--data"), *([after(argv, "--flow")] if "--flow" in argv else [])):
        assert Path(need).exists(), need
    out.mkdir(parents=True, exist_ok=True)
    step_file = out / "step"
    begin = step = int(step_file.read_text()) if step_file.exists() else 0
    note("train", "/".join(out.parts[-4:-1]), seed, begin)
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
    while step < STEPS:
        time.sleep(float(os.environ.get("FAKE_STEP", "0")))
        step += 1
        begun = step_file.with_name("step.new")
        begun.write_text(str(step))
        begun.replace(step_file)  # as a checkpoint appears: whole
        if stopped:
            return 75
    (out / "config.yaml").write_text(f"train: {{seed: {seed}}}\n")
    environment = {"python": "3", "packages": {"mxnet": "1.9.1"}, "machine": {"system": "Linux"}, "threads": "1"}
    (out / "environment.json").write_text(json.dumps({**environment, "revision": "abc"}))
    steps = [{"event": "step", "time": 1.0, "step": n, "losses": {"total": 1 / n}} for n in range(1, 101)]
    (out / "log.jsonl").write_text("".join(json.dumps(one) + "\n" for one in steps))
    return 0


def evaluate(argv):
    run = Path(after(argv, "--run"))
    _, arm, seed = run.parts[-3], run.parts[-2], int(run.name.split("-")[1])
    gain = {"new": 0.2, "old": 0.0}[arm] * ("on" in run.parts[-3])
    value = 0.5 + gain + 0.01 * seed + 0.001 * seed**2 * (arm == "new")
    scenes = [{"scene": "a", "found": round(1000 * value), "n": 1000, "sensitivity": value}]
    sensitivity = {"tumor": {"mean": value, "sd": None, "n": 1, "scenes": scenes}}
    summary = {"images": 2, "scenes": [{"scene": "a", "images": 2}, {"scene": "b", "images": 1}]}
    results = {"summary": {**summary, "ap50": {"mean": value}, "sensitivity": sensitivity, "settings": {"sd": "x"}}}
    (run / "results.json").write_text(json.dumps(results))
    note("evaluate", run.parts[-3], arm, seed)
    return 0


def others(argv):
    note(*argv[:2])
    out = Path(after(argv, "--out"))
    out.mkdir(parents=True)
    name = {"phantom": "labels.json", "import": "dataset.json", "train-flow": "flow.params"}[argv[0]]
    (out / name).write_text("{}")
    return 0


if __name__ == "__main__":
    sys.exit({"train": train, "evaluate": evaluate, "others": others}[sys.argv[1]](sys.argv[2:]))
