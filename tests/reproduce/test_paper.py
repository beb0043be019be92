"""`reproduce --paper` at tiny size on phantoms: from nothing to the manifest, whose commands give its values."""

import hashlib
import json
import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from gluon_liver.commands import main
from gluon_liver.commands.parser import parser_of
from gluon_liver.commands.reproduce.inside import run_inside
from gluon_liver.config.load import load_config
from gluon_liver.errors import InputError
from gluon_liver.reproduce.paper.cells import (
    AGREES,
    CANNOT_TELL,
)
from gluon_liver.reproduce.paper.job import PaperJob, members_of, rows_of
from gluon_liver.reproduce.paper.shared import data_steps, train_step

FEW = "--size tiny --no-measure --set train.epochs=1 --set train.images_per_epoch=4"


def reproduced(tmp_path_factory, paper, more=""):
    """The folder in which the command was typed; what it made is in its folder ``out``."""
    place, patch = tmp_path_factory.mktemp(paper), pytest.MonkeyPatch()
    patch.chdir(place)
    try:
        assert main(shlex.split(f"reproduce --paper {paper} --out out {FEW} {more}")) == 0
    finally:
        patch.undo()
    return place


@pytest.fixture(scope="module")
def ct(tmp_path_factory):
    return reproduced(tmp_path_factory, "ct", "--rows r50-multimodal")


@pytest.fixture(scope="module")
def us(tmp_path_factory):
    return reproduced(tmp_path_factory, "us")


def manifest_of(place):
    return json.loads((place / "out" / "manifest.json").read_text())


def check_files(place):
    """Every figure is there, and every file is what its digest says."""
    manifest = manifest_of(place)
    for name, one in manifest["files"].items():
        assert hashlib.sha256((place / "out" / name).read_bytes()).hexdigest() == one["sha256"], name
    made = [file for figure in manifest["figures"] for file in figure["files"]]
    assert made and set(made) <= set(manifest["files"])
    assert not [name for name in manifest["files"] if name.endswith(".lock")]
    page = (place / "out" / "manifest.md").read_text(encoding="utf-8")
    assert all(f"]({file})" in page for file in made)
    return page


def type_in(place, monkeypatch, capsys, command):
    """What a command of the manifest prints."""
    monkeypatch.chdir(place)
    capsys.readouterr()
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "gluon_liver"] and main(words[3:]) == 0
    return capsys.readouterr().out


@pytest.mark.slow
def test_what_is_made_of_ct_is_made_once_and_a_lost_figure_again(ct, monkeypatch, capsys):
    page = check_files(ct)
    assert (
        "Tables 2 and 3 list layers" in page
        and "**phantoms**" in page
        and "- r101 is not trained: not asked for (--rows)" in page
    )
    figures = {figure["name"]: figure for figure in manifest_of(ct)["figures"]}
    assert list(figures) == [f"Figure {number}" for number in range(1, 6)]
    assert "r50-multimodal" in figures["Figure 4"]["command"] and "--explain" in figures["Figure 4"]["command"]
    monkeypatch.chdir(ct)
    environment = json.loads((ct / "out" / "runs" / "r50-multimodal-seed0" / "environment.json").read_text())
    assert environment["command"][3:5] == ["train", "--config"]
    capsys.readouterr()
    command = f"reproduce --paper ct --out out {FEW} --rows r50-multimodal"
    assert main(shlex.split(command)) == 0 and capsys.readouterr().out.count("done before") == 10
    (ct / "out" / "printed" / "table-3.txt").unlink()
    assert main(shlex.split(command)) == 0 and capsys.readouterr().out.count("done before") == 9
    assert (ct / "out" / "printed" / "table-3.txt").is_file()


@pytest.mark.slow
def test_commands_of_the_ct_manifest_give_its_values(ct, monkeypatch, capsys):
    manifest = manifest_of(ct)
    table4 = [cell for cell in manifest["cells"] if cell["table"] == "Table 4"]
    assert len(table4) == 18 and [cell["printed"] for cell in table4][:3] == ["69.23", "64.29", "70.96"]
    missing = [cell for cell in table4 if not cell["command"]]
    assert len(missing) == 15 and {cell["why"] for cell in missing} == {"not trained: not asked for (--rows)"}
    assert {cell["verdict"] for cell in table4} == {CANNOT_TELL} and manifest["phantom"]
    ours = [cell for cell in table4 if cell["command"]]
    results = json.loads((ct / "out" / "runs" / "r50-multimodal-seed0" / "results.json").read_text())
    for cell, entry in zip(ours, results["summary"]["top1"].values()):
        assert cell["value"] == (None if entry["value"] is None else 100 * entry["value"])
    printed = type_in(ct, monkeypatch, capsys, ours[0]["command"])
    (row,) = [line for line in printed.splitlines() if line.startswith("this run, top-1")]
    assert row.split()[3:] == " ".join(cell["text"] for cell in ours).split()

    table1 = [cell for cell in manifest["cells"] if cell["table"] == "Table 1"]
    assert len(table1) == 12 and {cell["why"].partition(":")[0] for cell in table1} == {"phantoms"}
    (row,) = [
        line
        for line in type_in(ct, monkeypatch, capsys, table1[0]["command"]).splitlines()
        if line.split()[:1] == ["cyst"]
    ]
    summary = json.loads((ct / "out" / "data-summary" / "summary.json").read_text())["splits"]
    text = {cell["cell"]: cell for cell in manifest["cells"] if cell["table"] == "Data, in the text"}
    assert [(one["printed"], one["verdict"]) for one in text.values()] == [("621", CANNOT_TELL), ("60", CANNOT_TELL)]
    assert text["patients of the test"]["text"] == str(summary["test"]["patients"])
    counts = [cell["text"] for cell in table1 if cell["cell"].startswith("Liver Cyst")]
    assert row.split()[1:3] + row.split()[4:6] == counts
    for table, depth in (("Table 2", 50), ("Table 3", 101)):
        cells = [cell for cell in manifest["cells"] if cell["table"] == table]
        told = type_in(ct, monkeypatch, capsys, cells[0]["command"])
        assert f"{depth}-layer" in told and all(cell["text"] in told for cell in cells)
        sizes = [cell for cell in cells if cell["cell"].endswith("feature size") and cell["text"] != "-"]
        assert len(sizes) == 7 and {cell["verdict"] for cell in sizes} == {AGREES}


@pytest.mark.slow
def test_commands_of_the_us_manifest_give_its_values(us, monkeypatch, capsys):
    check_files(us)
    manifest = manifest_of(us)
    cells = {(cell["table"], cell["cell"]): cell for cell in manifest["cells"]}
    first = cells["Table 1", "Mean AP, Our model"]
    assert first["printed"] == "0.549" and first["why"].startswith("phantoms")
    told = type_in(us, monkeypatch, capsys, first["command"])
    (row,) = [line for line in told.splitlines() if line.startswith("Mean AP ")]
    assert row.split()[-1] == first["text"]
    test = cells["Table 2", "Blood vessel, P value"]
    told = type_in(us, monkeypatch, capsys, test["command"])
    (row,) = [line for line in told.splitlines() if line.startswith("Blood vessel, A and B")]
    texts = [cells["Table 2", f"Blood vessel, {one}"]["text"] for one in ("Our model", "Faster R-CNN")]
    assert row.split()[5:7] == texts and row.split()[8] == test["text"]
    (row,) = [line for line in told.splitlines() if line.startswith("Mean AP")]
    gain = cells["Results, in the text", "Mean AP, our model better by"]
    assert (gain["printed"], gain["text"], gain["command"]) == ("0.019", row.split()[-1], test["command"])
    (row,) = [line for line in told.splitlines() if line.startswith("Tumor, A and B")]
    for where, printed in (("abstract", "0.146"), ("results", "0.171")):
        gain = cells["Results, in the text", f"Tumor sensitivity, our model better by, {where}"]
        assert (gain["printed"], gain["text"], gain["verdict"]) == (printed, row.split()[6], CANNOT_TELL)
    own = cells["Results, in the text", "Tumor sensitivity of our model, abstract"]
    assert (own["printed"], own["text"]) == ("0.623±0.385", cells["Table 2", "Tumor, Our model"]["text"])
    unlearned = cells["Data, in the text", "unlearned images"]
    assert (unlearned["printed"], unlearned["text"]) == ("169", "-")  # without a val split
    assert cells["Data, in the text", "images of the scenes"]["text"] == "9"
    names = [figure["name"] for figure in manifest["figures"] if figure["files"]]
    assert names == ["Figure 3", "Figure 4", "Figure S1"]
    assert (us / "out" / "flow" / "net" / "flow.params").is_file()


@pytest.mark.parametrize(("before", "after"), [("ct", "moved"), ("1", "2"), ("a/ct", "/b")])
def test_a_moved_folder_is_gone_on_with_whatever_its_name(before, after, tmp_path):
    """The name of a folder may be a word of the command, too."""
    shared = dict(task="ct", members=(), source=None, command="", run_command=run_inside, size="tiny")
    first, second = (data_steps(PaperJob(out=Path(name), **shared)) for name in (before, after))
    for one, other in zip(first, second):
        told = one.inputs()["command"]
        assert told == other.inputs()["command"] and " ct " in told and "OUT/phantoms" in told


def test_trainings_are_those_that_the_command_names(tmp_path):
    job = PaperJob("ct", tmp_path, (), None, "", run_inside, size="demo", settings=("train.epochs=3",))
    shared = dict(size="demo", settings=("train.epochs=3",), device="cpu:1")
    members = members_of("ct", ["r50", "r101-fusion"], tmp_path, seeds=2, pretrained=False, **shared)
    assert [(one.row, one.seed) for one in members] == [
        (row, seed) for seed in (0, 1) for row in ("r50", "r101-fusion")
    ]
    for member in members:
        words = PaperJob(**{**vars(job), "members": members, "device": "cpu:1"}).words_to_train(member)
        args = parser_of(("train",)).parse_args(list(words[1:]))
        shorthands = [f"train.seed={args.seed}", f"parallel.devices={args.devices}"]
        assert load_config(*args.config, overrides=args.set + shorthands) == member.config
        assert args.out == member.folder and args.data == tmp_path / "data"


def test_rows_that_the_data_do_not_allow_are_told(phase_data, tiny_dataset):
    assert rows_of("ct", None, phase_data)[1] == {}
    rows, refused = rows_of("ct", None, tiny_dataset)
    assert rows == ["r50", "r101", "r50-2.5d", "r101-fusion"] and "r50-multimodal" in refused
    with pytest.raises(InputError, match="--rows r50-multimodal"):
        rows_of("ct", ["r50-multimodal"], tiny_dataset)
    with pytest.raises(InputError, match="rows of this paper are us-faster-rcnn, us-flow"):
        rows_of("us", ["r50"], None)


@pytest.mark.parametrize("settings", [(), ("train.epochs=3",), ("network.width=0.5",), ("data.size=400",)])
def test_nothing_is_said_with_networks_that_settings_made_others(settings, tmp_path):
    shared = dict(size="full", settings=settings, device="cpu")
    members = members_of("us", ["us-faster-rcnn"], tmp_path, seeds=1, pretrained=False, **shared)
    told = PaperJob("us", tmp_path, members, tmp_path, "", run_inside, **shared).doubt(SimpleNamespace(phantom=False))
    key = "".join(settings).partition("=")[0]
    assert told == ("" if key in ("", "train.epochs") else f"networks that are not the paper's: {key} set otherwise")


def test_a_training_depends_on_which_cases_it_is_of(tmp_path, tiny_data):
    shared = dict(size="tiny", settings=(), device="cpu")
    data = shutil.copytree(tiny_data, tmp_path / "data")
    (member,) = members_of("ct", ["r50"], tmp_path / "out", seeds=1, pretrained=False, **shared)
    step = train_step(PaperJob("ct", tmp_path / "out", (member,), data, "", run_inside, **shared), member)
    before = step.inputs()
    splits = json.loads((data / "splits.json").read_text())
    splits["test"].append(splits["train"].pop())
    (data / "splits.json").write_text(json.dumps(splits))
    after = step.inputs()
    assert [key for key in after if after[key] != before[key]] == ["data.train"]


BAD = {
    "--paper ct": "give --data DIR, your prepared data; or --size demo or tiny",
    "--paper ct --data {}/nowhere": "there is no such folder",
    "--paper us --data {tiny}": "holds CT data",
    "--paper ct --data {tiny} --flow {tiny}/labels.json": "--flow is for us-flow",
    "--paper ct --size tiny --rows us-flow": "the rows of this paper are r50",
    "--paper ct --size tiny --seeds 0": "--seeds 0",
    "--paper ct --size tiny --set train.nothing=1": "unknown key",
    "--on lits --data {tiny} --size demo": "--size demo is of --paper",
    "--on lits": "--on takes --data DIR",
    "--on lits --data {tiny} --flow {tiny}/labels.json": "--flow is of --paper us",
}


@pytest.mark.parametrize("arguments", BAD)
def test_bad_input_is_told_before_any_work(capsys, tmp_path, tiny_data, arguments):
    words = arguments.format(tmp_path, tiny=tiny_data).split()
    assert main(["reproduce", "--out", str(tmp_path / "out"), *words]) == 2
    assert BAD[arguments] in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_plan_names_every_step_and_writes_nothing(capsys, tmp_path, tiny_data):
    words = f"reproduce --paper ct --data {tiny_data} --out {tmp_path}/out --size tiny --plan --no-measure --rows r50"
    assert main(words.split()) == 0
    told = capsys.readouterr().out
    assert "six rows of Table 4" in told and "train r50, seed 0: reads data" in told and told.count("; to do") == 8
    assert "r101-multimodal is left out: not asked for (--rows)" in told and not (tmp_path / "out").exists()
