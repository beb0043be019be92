"""`reproduce --on` at tiny size, on sets as tests write them: from files to tables, stopped and gone on with."""

import json
import shutil

import pytest

from gluon_liver.commands import main
from gluon_liver.config.load import load_config
from gluon_liver.errors import InputError
from gluon_liver.reproduce.recipe import RECIPES, Recipe
from gluon_liver.reproduce.source import import_source
from gluon_liver.runs.log import read_log
from gluon_liver.sets.registry import LAYOUTS
from gluon_liver.training import loop
from gluon_liver.training.signals import StopRequest
from tests.sets.deeplesion_set import small_set
from tests.sets.lits_set import write_lits, write_msd
from tests.sets.mct_ltdiag_set import write_mct_ltdiag
from tests.sets.us_aul_set import write_aul


class StopsLater(StopRequest):
    """Asked to stop after three steps."""

    name_asked = 0

    def __init__(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    @property
    def name(self):
        StopsLater.name_asked += 1
        return "SIGTERM" if StopsLater.name_asked > 3 else None


def reproduce(capsys, place, *more, on="aul"):
    """(exit code, standard output, standard error) of one call at tiny size."""
    capsys.readouterr()
    command = ["reproduce", "--on", on, "--data", place / "set", "--out", place / "out", "--size", "tiny"]
    code = main([*map(str, command), "--no-measure", *map(str, more)])
    told = capsys.readouterr()
    return code, told.out, told.err


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """AUL reproduced: stopped in training, gone on with to the end. The outputs of both calls."""
    place, patch = tmp_path_factory.mktemp("aul"), pytest.MonkeyPatch()
    write_aul(place / "set", pictures=6)
    command = [*"reproduce --on aul --size tiny --no-measure --data".split(), str(place / "set"), "--out"]
    command.append(str(place / "out"))
    patch.setattr(loop, "StopRequest", StopsLater)
    codes = [main(command)]
    patch.undo()
    return place, [*codes, main(command)]


def test_what_a_signal_stopped_ends_with_75_and_is_gone_on_with(stopped):
    place, codes = stopped
    assert codes == [75, 0]
    log = read_log(place / "out" / "runs" / "us-faster-rcnn-seed0" / "log.jsonl")
    assert [one["step"] for one in log if one["event"] == "resume"] == [3]
    assert [one["step"] for one in log if one["event"] == "end"] == [8]


def test_tables_and_manifest_say_what_was_done_and_what_not(stopped):
    out = stopped[0] / "out"
    text = (out / "tables.txt").read_text(encoding="utf-8")
    assert "us-faster-rcnn-seed0" in text and "benign" in text and "size tiny" in text
    assert "us-flow: not trained, its pictures have no frame before them" in text
    assert text.startswith("- size tiny: demo networks of an eighth of the width")
    assert "- The set does not tell patients" in text.partition("Table 1")[0]
    manifest = json.loads((out / "manifest.json").read_text())
    (run,) = manifest["runs"]
    results = json.loads((out / run["folder"] / "results.json").read_text())
    assert run["figures"]["ap50"] == results["summary"]["ap50"] and run["checkpoint"] == "step-00000008"
    assert (manifest["set"], manifest["size"], run["row"], run["seed"]) == ("aul", "tiny", "us-faster-rcnn", 0)
    assert manifest["source"]["files"] == len([path for path in (stopped[0] / "set").rglob("*") if path.is_file()])


def test_what_is_done_is_not_done_again_and_the_plan_says_so(stopped, capsys):
    run = stopped[0] / "out" / "runs" / "us-faster-rcnn-seed0"
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    code, text, _ = reproduce(capsys, stopped[0])
    assert code == 0 and text.count("done before") == 4 and "18 recordings in 66 files" in text
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before
    code, text, _ = reproduce(capsys, stopped[0], "--plan")
    assert code == 0 and text.count("; done") == 4 and " 8 " in text


def test_another_setting_is_told_and_done_again_only_when_asked(stopped, capsys):
    code, text, error = reproduce(capsys, stopped[0], "--set", "train.epochs=3")
    assert code == 2 and "step train/us-faster-rcnn/seed-0: config.train.epochs was 2 and is 3" in error
    assert "--redo" in error and "changed: config.train.epochs" in text
    code, _, _ = reproduce(capsys, stopped[0], "--set", "train.log_every=2", "--plan")  # of no effect on the result
    assert code == 0


def test_changed_files_of_the_set_are_noticed(stopped, capsys, tmp_path):
    place = tmp_path / "copy"
    shutil.copytree(stopped[0], place)
    outline = next((place / "set").rglob("segmentation/mass/1.json"))
    outline.write_text(outline.read_text().replace("10", "11"))  # as many bytes
    code, _, error = reproduce(capsys, place)
    assert code == 2 and "step import: files was" in error
    code, text, _ = reproduce(capsys, place, "--redo")
    assert code == 0 and "import aul: files was" in text and text.count("; again") == 4


def test_the_screen_says_what_the_import_took_and_what_not(capsys, tmp_path):
    write_aul(tmp_path / "set", pictures=6)
    damaged = next((tmp_path / "set").rglob("image/7.jpg"))
    damaged.write_bytes(damaged.read_bytes()[:-100])
    for _ in range(2):  # also where the data are there, and the command was killed before it said so
        import_source(RECIPES["aul"], tmp_path / "set", tmp_path / "data", jobs=1)
        text = capsys.readouterr().out
        assert "taken: 17 recording(s)" in text and "quarantined: file " in text
        assert "each counts as a patient of its own" in text


def test_tasks_of_the_decathlon_are_reproduced_as_lits_is(tmp_path, capsys):
    write_msd(tmp_path / "set", "Task03_Liver", "liver", {"1": "liver", "2": "cancer"}, numbers=(1, 2, 3))
    figures = import_source(RECIPES["msd-liver"], tmp_path / "set" / "Task03_Liver", tmp_path / "data", jobs=1)
    assert figures["studies"] == 3 and "3 of 3" in capsys.readouterr().out
    assert "r50-multimodal" in RECIPES["msd-hepatic-vessel"].left_out()


def test_a_plan_writes_nothing_and_measures_a_step(capsys, tmp_path):
    write_aul(tmp_path / "set", pictures=1)
    command = f"reproduce --on aul --data {tmp_path}/set --out {tmp_path}/out --size tiny --plan --seeds 2"
    assert main(command.split()) == 0
    text = capsys.readouterr().out
    assert not (tmp_path / "out").exists() and text.count("to do") == 6
    assert (
        "s an image of a step of us-faster-rcnn" in text and "ASSUMED" in text and "prepared data: known after" in text
    )


def test_deeplesion_ends_beside_the_published_rows_of_3dce(capsys, tmp_path):
    small_set(tmp_path / "set")
    code, text, _ = reproduce(capsys, tmp_path, "--rows", "r50-2.5d", on="deeplesion")
    assert code == 0 and "r50-multimodal is left out: it relates 2 to 4 phases; the set has one: CT" in text
    tables = (tmp_path / "out" / "tables.txt").read_text(encoding="utf-8")
    for words in ("3DCE, 27 slices", "62.48", "91.06", "its Faster R-CNN, 3 slices", "56.90", "NOT the same set"):
        assert words in tables
    (run,) = json.loads((tmp_path / "out" / "manifest.json").read_text())["runs"]
    published = run["figures"]["published"]
    (ours,) = [line for line in tables.splitlines() if line.startswith("r50-2.5d-seed0") and "  2  " in line]
    assert ours.split()[1:3] == [str(published["images"]), str(published["boxes"])]


SMALL_SETS = {"lits": (write_lits, "r50"), "mct-ltdiag": (write_mct_ltdiag, "r50-multimodal")}


@pytest.mark.parametrize("name", SMALL_SETS)
def test_other_sets_go_from_their_files_to_the_tables(capsys, tmp_path, name):
    write, row = SMALL_SETS[name]
    write(tmp_path / "set")
    code, text, _ = reproduce(capsys, tmp_path, "--rows", row, on=name)
    assert code == 0, text
    tables = (tmp_path / "out" / "tables.txt").read_text(encoding="utf-8")
    assert f"{row}-seed0" in tables and all(one in tables for one in LAYOUTS[name].classes)


def test_phases_are_those_of_the_layouts():
    for recipe in RECIPES.values():
        if recipe.task == "ct":
            assert recipe.phases == LAYOUTS[recipe.name].phases


BAD = {
    "--rows us-flow": "aul cannot train it: its pictures have no frame before them",
    "--rows r50": "the rows of aul are us-faster-rcnn, us-flow",
    "--seeds 0": "--seeds 0",
    "--jobs 0": "--jobs 0",
    "--set train.nothing=1": "unknown key",
    "--pretrained {}/none": "no such file of weights",
    "--data {}/nowhere": "there is no such folder",
    "--data {}/taken": "none of its 1 file(s) is Benign",
    "--out {}/set/out": "neither may lie in the other",
    "--out {}/taken": "holds files, and no reproduction was begun there",
}


@pytest.mark.parametrize("arguments", BAD)
def test_bad_input_is_told_before_any_work(capsys, tmp_path, arguments):
    write_aul(tmp_path / "set", pictures=1)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine")
    code, _, error = reproduce(capsys, tmp_path, *arguments.format(tmp_path).split())
    assert code == 2 and BAD[arguments] in error, error
    assert not (tmp_path / "out").exists() and len([*(tmp_path / "taken").iterdir()]) == 1


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("size", ["full", "tiny"])
def test_every_row_that_a_set_allows_has_a_configuration(name, size):
    recipe = RECIPES[name]
    assert recipe.rows() and not {*recipe.rows()} & {*recipe.left_out()}
    for row in recipe.rows():
        config = recipe.config(row, size=size, pretrained=False, overrides=["train.seed=3"])
        plain = load_config(recipe.config_names(row, size=size, pretrained=False)[0])
        assert (config.network.depth, config.data.slices, config.train.seed) == (*_knobs(plain), 3)


def _knobs(config):
    return config.network.depth, config.data.slices


def test_rows_that_relate_phases_need_several():
    one, four = Recipe("x", "ct", ("portal_venous",)), Recipe("x", "ct", ("a", "b", "c", "d"))
    assert one.rows() == ["r50", "r101", "r50-2.5d", "r101-fusion"]
    assert "the set has one: portal_venous" in one.left_out()["r50-multimodal"]
    assert len(four.rows()) == 6 and not four.left_out()
    assert four.rows(["r101", "r50"]) == ["r50", "r101"]
    with pytest.raises(InputError, match="r101-multimodal: x cannot train it: it relates 2 to 4 phases"):
        one.rows(["r101-multimodal"])
