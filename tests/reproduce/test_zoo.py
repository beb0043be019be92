"""The zoo at tiny size: nets made from seeds, twice the same, found by name, and compared with listed digests."""

import hashlib
import re

import pytest
import yaml

from gluon_liver.commands import main
from gluon_liver.commands.reproduce.inside import run_inside
from gluon_liver.config import zoo
from gluon_liver.errors import InputError, RunError
from gluon_liver.library import load_detector
from gluon_liver.reproduce.zoo import differing, verdict, with_flows, zoo_steps
from gluon_liver.runs.zoo import resolve_run

PHANTOMS = "--studies 3 --matrix 64 --slices 14 14 --spacing-mm 5 --lesions 1 1 --diameter-mm 30 50 --min-box-pixels 8"
TINY = {
    "task": "ct",
    "phantoms": PHANTOMS,
    "import": "--salt phantom --split-fractions 0.67 0 0.33",
    "config": ["demo-ct", "size-tiny"],
    "set": ["train.epochs=1", "train.images_per_epoch=2"],
    "seed": 3,
    "minutes": 1,
}


@pytest.fixture
def own_zoo(tmp_path, monkeypatch):
    """A function that makes a net named tiny with changed keys the only one of the zoo."""

    def write(**changes):
        tree = {"machine": yaml.safe_load(zoo.ZOO_FILE.read_text())["machine"], "nets": {"tiny": {**TINY, **changes}}}
        path = tmp_path / "zoo.yaml"
        path.write_text(yaml.safe_dump(tree))
        monkeypatch.setattr(zoo, "ZOO_FILE", path)
        zoo.read_zoo.cache_clear()

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("GLUON_LIVER_ZOO", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield write
    zoo.read_zoo.cache_clear()


@pytest.mark.slow
def test_a_net_is_made_twice_bit_for_bit_and_opened_by_its_name(own_zoo, tmp_path, capsys, monkeypatch):
    own_zoo()
    monkeypatch.setenv("GLUON_LIVER_ZOO", str(tmp_path / "a"))
    assert main(["weights", "tiny"]) == 0
    told = capsys.readouterr().out
    assert "the zoo has the recipe alone" in told
    sha256 = re.findall(r"SHA-256 (\w{64})", told)[0]
    (parameters,) = (tmp_path / "a" / "tiny").glob("checkpoints/*/net.params")
    assert hashlib.sha256(parameters.read_bytes()).hexdigest() == sha256
    own_zoo(sha256=sha256)
    assert main(["weights", "tiny", "--out", str(tmp_path / "b")]) == 0
    assert f"tiny: bit for bit as in the zoo, SHA-256 {sha256}" in capsys.readouterr().out

    assert resolve_run("zoo:tiny") == tmp_path / "a" / "tiny"
    assert load_detector("zoo:tiny").classes == ("cyst", "hemangioma", "hcc")
    (case, *_) = sorted((tmp_path / "a").glob("made-from/*/data/studies/*"))
    assert main(["detect", str(case), "--run", "zoo:tiny", "--out", str(tmp_path / "found")]) == 0
    capsys.readouterr()
    assert main(["weights"]) == 0 and "+ tiny" in capsys.readouterr().out

    own_zoo(sha256="0" * 64, revision="abc")
    assert main(["weights", "--check"]) == 4
    said = capsys.readouterr()
    assert f"tiny: OTHER BITS than in the zoo: SHA-256 {sha256}, there 000" in said.out
    assert "other bits are no fault of a net by themselves" in said.err
    for name in ("results.json", "environment.json", "report.html", "log.jsonl"):
        text = (tmp_path / "a" / "tiny" / name).read_text(encoding="utf-8")
        assert str(tmp_path) not in text and (name == "log.jsonl" or "tiny" in text), name
    (parameters.parent / "manifest.json").unlink()
    with pytest.raises(RunError):
        load_detector("zoo:tiny")


def test_what_is_not_there_says_where_it_was_looked_for_and_what_makes_it(own_zoo, tmp_path, capsys):
    own_zoo()
    assert main(["evaluate", "--run", "zoo:tiny"]) == 2
    error = capsys.readouterr().err
    assert f"looked in {tmp_path}/cache/gluon_liver/zoo/" in error and "`make weights ZOO=tiny`" in error
    assert "python -m gluon_liver weights tiny" in error and "about 1 minutes" in error
    assert main(["evaluate", "--run", "zoo:tinny"]) == 2
    assert "the zoo has no net 'tinny': it has tiny" in capsys.readouterr().err
    assert main(["weights", "tinny"]) == 2


def test_an_unfinished_net_is_not_taken(own_zoo, tmp_path, monkeypatch):
    own_zoo()
    monkeypatch.setenv("GLUON_LIVER_ZOO", str(tmp_path))
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.yaml").touch()
    with pytest.raises(RunError, match="not made yet"):
        resolve_run("zoo:tiny")
    assert verdict("tiny", tmp_path).text == f"tiny: not made in {tmp_path}"
    (tmp_path / "tiny" / "results.json").touch()
    assert resolve_run("zoo:tiny") == tmp_path / "tiny"
    own_zoo(task="flow")
    with pytest.raises(RunError, match="is a flow net and no run: give train.py --flow .*tiny/flow.params"):
        resolve_run("zoo:tiny")


def test_flow_nets_come_first_and_shared_phantoms_once(tmp_path):
    assert with_flows(["demo-us-flow", "demo-us-faster-rcnn"]) == ["demo-flow", "demo-us-flow", "demo-us-faster-rcnn"]
    names = [step.name for step in zoo_steps(["rows-r50", "rows-r101"], tmp_path, run_inside)]
    assert [name.partition("/")[0] for name in names] == "phantoms import train evaluate train evaluate".split()


def test_what_differs_here_is_told(monkeypatch):
    machine = zoo.zoo_machine()
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert "threads 7, there 1" in differing(machine)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert not [one for one in differing(machine) if one.startswith("threads")]


def test_every_net_is_complete_and_made_as_the_makefile_says():
    makefile = (zoo.ZOO_FILE.parents[2] / "Makefile").read_text().replace("\\\n", " ")
    makefile = " ".join(makefile.split())
    nets = zoo.read_zoo()
    for name, net in nets.items():
        assert net.title and net.minutes and net.phantoms, name
        assert net.flow is None or nets[net.flow].task == "flow"
    assert f"PHANTOMS := {nets['demo-ct'].phantoms}" in makefile
    rows = nets["rows-r101-fusion"]
    assert rows.phantoms.partition("--seed 1 ")[2] in makefile
    assert all(f"--set {one}" in makefile for one in rows.set)
    for name in ("demo-ct", "rows-r50", "demo-us-flow"):
        fractions = re.findall(r"--split-fractions [\d. ]+\d", nets[name].import_)
        assert fractions and fractions[0] in makefile, name
    assert nets["demo-us-flow"].phantoms.partition(" --seed")[0] in makefile
    assert nets["demo-flow"].phantoms in makefile and nets["demo-flow"].training in makefile


def test_a_command_inside_of_another_raises_what_it_raises(tmp_path):
    with pytest.raises(InputError):
        run_inside(["import", "ct", str(tmp_path), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit):
        run_inside(["table", "--nothing"])


def test_a_folder_that_cannot_be_made_is_told_with_what_to_give(own_zoo, tmp_path, capsys, monkeypatch):
    own_zoo()
    (tmp_path / "file").touch()
    monkeypatch.setenv("GLUON_LIVER_ZOO", str(tmp_path / "file" / "zoo"))
    assert main(["weights", "tiny"]) == 2
    error = capsys.readouterr().err
    assert f"{tmp_path}/file/zoo cannot be made: Not a directory; give --out DIR or $GLUON_LIVER_ZOO" in error
