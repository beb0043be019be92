"""The commands that pages mark with ``<!-- run -->`` run as they stand, with sizes made tiny.

The tutorial's come first; what they make stands in for the folders that the other pages name (FOLDER, DATA, RUN ...).
"""

import shutil

import pytest

from gluon_liver.commands import COMMANDS, main

from .pages import HAND_WRITTEN, ROOT, blocks_of

TUTORIAL = ROOT / "docs" / "tutorial.md"
# what the tutorial says -> what is run in its place
TINY = {
    "--studies 1 --seed 7": "--studies 1 --seed 7 --matrix 64 --slices 6 6 --spacing-mm 7.5",
    "--studies 40 --seed 3": "--studies 6 --seed 3 --matrix 64 --slices 8 8 --spacing-mm 10 --jobs 1",
    "--min-box-pixels 40": "--min-box-pixels 4",
    "--set train.epochs=6": "--set train.epochs=1 --set data.size=64 --set network.width=0.0625",
}
RUNS = "RUN OTHER_RUN RUN_A RUN_B A1 A2 B1 B2".split()
ULTRASOUND = ROOT / "docs" / "guides" / "ultrasound.md"
OTHERS = sorted(
    {page for page in HAND_WRITTEN for block in blocks_of(page) if block.mark == "run"} - {TUTORIAL, ULTRASOUND}
)

pytestmark = pytest.mark.slow


def commands_of(page):
    """The words of each command of the program that the page marks to be run."""
    for block in blocks_of(page):
        if block.mark == "run":
            text = block.text
            for printed, tiny in TINY.items() if page == TUTORIAL else ():
                text = text.replace(printed, tiny)
            yield from (words for words in block._replace(text=text).commands() if words[0] == "gluon-liver")


@pytest.fixture(scope="module")
def stage(tiny_run, tmp_path_factory):
    """The folder in which the tutorial's commands have run."""
    folder = tmp_path_factory.mktemp("stage")
    shutil.copytree(str(tiny_run.folder), str(folder / "demo" / "run"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in commands_of(TUTORIAL):
            # data check warns of the one study that there is no test split
            assert main(words[1:]) == (1 if words[1:3] == ["data", "check"] else 0), words
    return folder


def test_the_tutorial_says_what_is_made_tiny():
    text = "".join(block.text for block in blocks_of(TUTORIAL))
    assert all(printed in text for printed in TINY)
    assert {"look", "import", "data", "detect", "train", "evaluate"} <= {words[1] for words in commands_of(TUTORIAL)}


def test_the_tutorial_runs(stage):
    for (
        name
    ) in "look/index.html look/phases.yaml study.html found/lesions.json run/report.html found-own/overlays".split():
        assert (stage / "tutorial" / name).exists(), name


@pytest.mark.parametrize("page", OTHERS, ids=lambda page: page.stem)
def test_the_page_runs(page, stage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FOLDER").symlink_to(stage / "tutorial" / "phantom" / "dicom")
    for name in ("DATA", "many-data"):  # as the page calls them, and as the run remembers them
        (tmp_path / name).symlink_to(stage / "tutorial" / "many-data")
    (case,) = [path.name for path in sorted((tmp_path / "DATA" / "studies").iterdir())[:1]]
    for name in RUNS:
        shutil.copytree(str(stage / "tutorial" / "run"), str(tmp_path / name))
    commands = [[case if word == "CASE" else word for word in words[1:]] for words in commands_of(page)]
    assert commands
    for words in commands:
        assert tuple(words[:1]) in COMMANDS or tuple(words[:2]) in COMMANDS
        # data check ends with 1 where it finds something
        assert main(words) in ((0, 1) if words[:2] == ["data", "check"] else (0,)), words


def test_the_page_of_ultrasound_runs(us_data, us_runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recordings = us_data.folder.parent
    (tmp_path / "FOLDER").symlink_to(recordings / "in")
    shutil.copy(str(recordings / "labels.json"), str(tmp_path))
    shutil.copy(str(recordings / "in" / "0.dcm"), str(tmp_path / "VIDEO"))
    shutil.copytree(str(us_runs["us-flow"].folder), str(tmp_path / "RUN"))
    shutil.copytree(str(us_runs["us-faster-rcnn"].folder), str(tmp_path / "OTHER_RUN"))
    for words in commands_of(ULTRASOUND):
        if words[1] == "evaluate" and "--run" in words:
            words += ["--data", str(us_data.folder)]
        assert main(words[1:]) == 0, words
    assert (tmp_path / "annotated.mp4").is_file()
