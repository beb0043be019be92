"""The command ``watch`` with a detector that finds one tumor in every frame."""

from types import SimpleNamespace

import pytest

from gluon_liver.commands import main
from gluon_liver.inference.stream import StreamDetector
from gluon_liver.runs.run import Run
from tests.inference.fake_stream import FakeStream


@pytest.fixture
def command(monkeypatch, tmp_path):
    """command(source, *options, stream): exit code of watch."""
    monkeypatch.chdir(tmp_path)

    def call(source, *options, stream=None):
        run = SimpleNamespace(environment={}, config=SimpleNamespace(controls=()), check_frames=lambda: None)
        stream = stream or FakeStream(flow=False)

        def from_run(run, *, step, **options):
            stream.step = step
            return stream, "step-00000007"

        monkeypatch.setattr(Run, "open", staticmethod(lambda folder: run))
        monkeypatch.setattr(StreamDetector, "from_run", from_run)
        return main(["watch", str(source), "--run", "RUN", *map(str, options)])

    return call
