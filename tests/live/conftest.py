"""The command ``watch`` with a detector that finds one tumor in every frame."""

import pytest

from gluon_liver.commands import main
from gluon_liver.inference.stream import StreamDetector
from gluon_liver.runs.run import Run
from tests.inference.fake_stream import CHECKPOINT, FakeStream, fake_run


@pytest.fixture
def command(monkeypatch, tmp_path, tmp_path_factory):
    """command(source, *options, stream, checkpoint): exit code of watch."""
    monkeypatch.chdir(tmp_path)

    def call(source, *options, stream=None, checkpoint=CHECKPOINT):
        run = fake_run(tmp_path_factory.mktemp("run"), checkpoint=checkpoint)
        stream = stream or FakeStream(flow=False)

        def from_run(run, *, step, **options):
            stream.step = step
            return stream, checkpoint

        monkeypatch.setattr(Run, "open", staticmethod(lambda folder: run))
        monkeypatch.setattr(StreamDetector, "from_run", from_run)
        return main(["watch", str(source), "--run", "RUN", *map(str, options)])

    return call
