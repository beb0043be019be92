import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest
import yaml

from experiments.run import main
from experiments.tasks import ROOT

from .pretended import PROGRAM


def tiny_tree():
    """A claim of two arms, two conditions and two seeds, as YAML has it."""
    comparison = {"arm": "new", "against": "old", "expects": "higher"}
    return {
        "claim": "tiny",
        "title": "New is better",
        "paper": {"sentence": "It can be found that new is better.", "place": "a paper, Results"},
        "question": "Is it?",
        "data": {"task": "us", "train": 4, "test": 6, "phantom": {"frames": 4, "size": 64}},
        "set": ["train.epochs=1"],
        "endpoint": {"path": "sensitivity.tumor.mean", "text": "sensitivity to tumors"},
        "secondary": [{"path": "ap50.mean", "text": "mean AP50"}],
        "smallest": 0.05,
        "rule": "as all.",
        "conditions": {
            "on": {"text": "with", "mechanism": True},
            "off": {"text": "without", "mechanism": False, "phantom": {"hidden-fraction": 0.5}},
        },
        "arms": {
            "new": {"text": "the new one", "config": "demo-us-flow", "flow": True, "set": ["network.width=0.1"]},
            "old": {"text": "the old one", "config": "demo-us-faster-rcnn"},
        },
        "flow_net": {"scenes": 2, "frames": 3, "steps": 5},
        "comparisons": [
            {**comparison, "condition": "on", "role": "claim"},
            {**comparison, "condition": "off", "role": "control", "expects": "same"},
        ],
        "seeds": [1, 2],
    }


class Study:
    """A tiny study in a folder, made by commands that only pretend."""

    def __init__(self, folder, tree):
        self.folder, self.work, self.archive = folder, folder / "work", folder / "archive"
        self.specs, self.docs, self.calls_file = folder / "specs", folder / "docs", folder / "calls.txt"
        for path in (self.specs, self.docs, self.archive):
            path.mkdir()
        self.write(tree)

    def write(self, tree):
        (self.specs / f"{tree['claim']}.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))

    @property
    def folders(self):
        return ["--specs", str(self.specs), "--work", str(self.work), "--archive", str(self.archive)]

    def start(self, *words, **environment):
        return subprocess.Popen(
            [sys.executable, "-m", "tests.experiments.pretended", *self.folders, *words],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "FAKE_CALLS": str(self.calls_file), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words, code=0, **environment):
        """In this process; returns what was printed."""
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(said):
            for name, value in {"FAKE_CALLS": str(self.calls_file), **environment}.items():
                patch.setenv(name, value)
            ended = main([*self.folders, *words], program=PROGRAM)
        assert ended == code, said.getvalue()
        return said.getvalue()

    def calls(self, kind=""):
        lines = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        return [line for line in lines if line.startswith(kind)]

    def steps(self):
        """Of the runs that are being trained."""
        return [int(path.read_text() or 0) for path in (self.work / "runs").rglob("step")]

    def records(self):
        return sorted((self.work / "records").rglob("seed-*.json"))


@pytest.fixture
def tree():
    return tiny_tree()


@pytest.fixture
def study(tmp_path, tree):
    return Study(tmp_path, tree)
