"""The commands that pages mark with ``<!-- run -->`` run as they stand, with sizes made tiny."""

import shutil

import pytest

from gluon_liver.commands import main

from .pages import HAND_WRITTEN, ROOT, blocks_of

TUTORIAL = ROOT / "docs" / "tutorial.md"
# what the page says -> what is run in its place
TINY = {
    "--studies 1 --seed 7": "--studies 1 --seed 7 --matrix 64 --slices 6 6 --spacing-mm 7.5",
    "--studies 40 --seed 3": "--studies 6 --seed 3 --matrix 64 --slices 8 8 --spacing-mm 10 --jobs 1",
    "--min-box-pixels 40": "--min-box-pixels 4",
    "--set train.epochs=6": "--set train.epochs=1 --set data.size=64 --set network.width=0.0625",
}


def commands_of(page):
    """The words of each command that the page marks to be run."""
    for block in blocks_of(page):
        if block.mark == "run":
            text = block.text
            for printed, tiny in TINY.items():
                text = text.replace(printed, tiny)
            yield from block._replace(text=text).commands()


def test_pages_that_run_are_run_below():
    assert {block.page for page in HAND_WRITTEN for block in blocks_of(page) if block.mark == "run"} == {TUTORIAL}
    text = "".join(block.text for block in blocks_of(TUTORIAL))
    assert all(printed in text for printed in TINY)


@pytest.mark.slow
def test_the_tutorial_runs(tiny_run, tmp_path, monkeypatch):
    shutil.copytree(str(tiny_run.folder), str(tmp_path / "demo" / "run"))
    monkeypatch.chdir(tmp_path)
    for words in commands_of(TUTORIAL):
        assert words[0] == "gluon-liver"
        code = main(words[1:])
        # data check warns of the one study that there is no test split
        assert code == (1 if words[1:3] == ["data", "check"] else 0), words
    made = tmp_path / "tutorial"
    for (
        name
    ) in "look/index.html look/phases.yaml study.html found/lesions.json run/report.html found-own/overlays".split():
        assert (made / name).exists(), name
