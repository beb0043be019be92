"""The engine: what is done is not done again, what is cut off is gone on with, what has changed is noticed."""

import json
from pathlib import Path

import pytest

from gluon_liver.errors import InputError, RunError, TrainingError
from gluon_liver.reproduce.steps import BEGUN, CHANGED, DONE, TO_DO, Step, run_steps, state_of, states


class Work:
    """Two steps: one writes a, a costly one writes b of it. Each call is noted."""

    def __init__(self, out):
        self.out, self.called, self.settings, self.fail, self.stop = (
            out,
            [],
            {"rate": 1, "classes": ("x",)},
            None,
            False,
        )
        self.steps = [
            Step("one", "make a", "settings", (out / "a",), lambda: {"letter": "a"}, lambda: self.write("a")),
            Step("two/b", "make b", "a", (out / "b",), self.inputs, lambda: self.write("b"), costly=True),
        ]
        self.said = []

    def inputs(self):
        return {**self.settings, "a": (self.out / "a").read_text()}

    def write(self, name):
        self.called.append(name)
        if name == self.fail:
            raise TrainingError("a loss is not finite")
        if name == self.stop:
            return None
        (self.out / name).write_text(name)
        return {"letters": 1}

    def run(self, **options):
        return run_steps(self.steps, self.out, **{"redo": False, **options}, say=self.said.append)


@pytest.fixture
def work(tmp_path):
    return Work(tmp_path)


def kinds(work):
    return [state.kind for state in states(work.steps, work.out)]


def test_of_many_changed_inputs_some_are_named_and_all_counted(work):
    assert work.run()
    work.settings.update({f"file{number}": "new" for number in range(7)})
    assert str(state_of(work.steps[1], work.out)) == "changed: file0, file1, file2, file3, 3 more"
    with pytest.raises(InputError, match=r"file0 was None and is new \(and file1, file2, file3, file4, 2 more\) since"):
        work.run()


def test_steps_are_done_once_in_their_order(work):
    assert kinds(work) == [TO_DO, TO_DO]
    assert work.run() and work.called == ["a", "b"] and kinds(work) == [DONE, DONE]
    assert work.run() and work.called == ["a", "b"]
    assert work.said == ["[1/2] make a", "[2/2] make b", "[1/2] make a: done before", "[2/2] make b: done before"]
    record = json.loads((work.out / "steps" / "two-b.json").read_text())
    assert record["figures"] == {"letters": 1} and record["inputs"] == {"rate": 1, "classes": ["x"], "a": "a"}


@pytest.mark.parametrize("how", ["stopped", "failed", "killed"])
def test_what_was_cut_off_is_gone_on_with(work, how):
    if how == "stopped":
        work.stop = "b"
        assert not work.run()
    elif how == "failed":
        work.fail = "b"
        with pytest.raises(TrainingError, match="step two/b: a loss is not finite"):
            work.run()
    else:
        work.write = lambda name: (_ for _ in ()).throw(SystemExit(name)) if name == "b" else Work.write(work, name)
        with pytest.raises(SystemExit):
            work.run()
        del work.write
    assert kinds(work) == [DONE, BEGUN]
    work.fail = work.stop = None
    assert work.run() and work.called[0] == "a" and work.called.count("a") == 1 and kinds(work) == [DONE, DONE]


def test_an_output_that_is_gone_is_made_again(work):
    work.run()
    (work.out / "b").unlink()
    assert kinds(work) == [DONE, BEGUN]
    assert work.run() and work.called == ["a", "b", "b"]


def test_changed_inputs_of_a_costly_step_are_told_and_nothing_is_thrown_away_unasked(work):
    work.run()
    work.settings["rate"] = 2
    assert kinds(work) == [DONE, CHANGED] and state_of(work.steps[1], work.out).changed == ("rate",)
    with pytest.raises(InputError, match=r"step two/b: rate was 1 and is 2 since it was done\. --redo"):
        work.run()
    assert (work.out / "b").exists() and work.called == ["a", "b"]
    (work.out / "b").unlink()
    (work.out / "b").mkdir()  # a folder is taken away whole
    (work.out / "b" / "old").write_text("")
    assert work.run(redo=True) and work.called == ["a", "b", "b"] and (work.out / "b").is_file()


def test_changes_are_told_of_what_was_begun_alone_too(work):
    work.stop = "b"
    work.run()
    work.settings = {"rate": 3}
    with pytest.raises(InputError, match=r"\(and rate\) since it was begun"):
        work.run()


def test_a_cheap_step_is_done_again_where_its_inputs_have_changed(work):
    work.run()
    cheap = Step("one", "make a", "", work.steps[0].outputs, lambda: {"letter": "c"}, work.steps[0].run)
    assert run_steps([cheap], work.out, redo=False, say=work.said.append)
    assert work.said[-1] == "[1/1] make a: letter was a and is c since it was done; again"


def test_nothing_outside_the_output_folder_is_deleted(work, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    step = Step("far", "", "", (elsewhere,), lambda: {"n": work.settings["rate"]}, dict, costly=True)
    run_steps([step], work.out, redo=False, say=str)
    work.settings["rate"] = 2
    with pytest.raises(RunError, match="nothing there is deleted"):
        run_steps([step], work.out, redo=True, say=str)
    assert Path(elsewhere).is_dir()


def test_a_step_that_leaves_nothing_and_a_damaged_record_are_told(work):
    step = Step("none", "", "", (work.out / "no",), dict, dict)
    with pytest.raises(RunError, match="step none ended without .*no"):
        run_steps([step], work.out, redo=False, say=str)
    (work.out / "steps" / "none.json").write_text("{")
    with pytest.raises(RunError, match="delete it, and the step is looked at anew"):
        states([step], work.out)
