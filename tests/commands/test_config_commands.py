"""``config list``, ``show``, ``explain`` and ``diff``; ``--set`` with several keys."""

import pytest
import yaml

from gluon_liver.commands import main, parser_of
from gluon_liver.config.catalogue import by_kind, described
from gluon_liver.config.explain import KEYS
from gluon_liver.config.load import build_config, load_config


def printed(capsys, line):
    capsys.readouterr()
    assert main(line.split()) == 0
    return capsys.readouterr().out


def test_list_tells_experiments_and_fragments_apart(capsys):
    parts = printed(capsys, "config list").split("\n\n")
    assert [part.split(":")[0].split(",")[0] for part in parts] == ["experiments", "fragments", "bases"]
    for part, names in zip(parts, by_kind().values()):
        assert [line.split()[0] for line in part.splitlines()[1:]] == names
    assert f"  recipe-scratch  {described('recipe-scratch')}".split() == parts[1].splitlines()[3].split()
    assert printed(capsys, "config list --kind base") == parts[2]


def test_show_prints_every_key_as_yaml_that_is_the_configuration(capsys):
    out = printed(capsys, "config show r50 recipe-scratch --set train.epochs=5 data.size=512 --set train.seed=3")
    config = load_config("r50", "recipe-scratch", overrides=["train.epochs=5", "data.size=512", "train.seed=3"])
    assert build_config(yaml.safe_load(out)) == config and config.train.epochs == 5


def test_show_takes_runs_and_names_behind_set(capsys, tiny_run):
    assert build_config(yaml.safe_load(printed(capsys, f"config show {tiny_run.folder}"))) == tiny_run.config
    out = printed(capsys, f"config show --set train.epochs=5 train.seed=3 {tiny_run.folder}")
    assert build_config(yaml.safe_load(out)).train.epochs == 5


def test_explain_tells_meaning_type_limit_and_default(capsys):
    out = printed(capsys, "config explain train.batch_size network.slice_fusion")
    first, second = out.split("\n\n")
    assert first.splitlines() == [
        "train.batch_size: 2",
        f"    {KEYS['train.batch_size'].meaning}",
        "    whole number; 1 or more",
    ]
    assert "networks of CT alone have it" in second and max(map(len, second.splitlines())) <= 104
    assert printed(capsys, "config explain").count("\n\n") == len(KEYS) - 1


def test_diff_prints_keys_with_both_values(capsys, tiny_run):
    lines = printed(capsys, "config diff r50 r101-fusion").splitlines()
    assert lines[0].split() == ["r50", "r101-fusion"]
    assert [line.split() for line in lines[2:4]] == [["data.slices", "1", "9"], ["network.depth", "50", "101"]]
    assert len({line.index(value) for line, value in zip(lines[2:5], ["1", "50", "false"])}) == 1
    assert "are the same" in printed(capsys, f"config diff {tiny_run.folder} {tiny_run.folder}/config.yaml")


@pytest.mark.parametrize(
    "line, wanted",
    [
        ("config explain train.epoch_s", "no key 'train.epoch_s'; did you mean train.epochs"),
        ("config show r5", "no configuration 'r5'; did you mean r50"),
        ("config show {}", "is no run folder: it has no config.yaml"),
        ("config diff r50 nope", "no configuration 'nope'"),
        ("config show r50 --set train.epoch=1", "unknown key 'train.epoch'"),
    ],
)
def test_what_is_not_there_is_refused(capsys, tmp_path, line, wanted):
    assert main([word.format(tmp_path) for word in line.split()]) == 2
    assert wanted in capsys.readouterr().err


def test_set_takes_several_keys_and_may_be_repeated():
    args = parser_of(("train",)).parse_args("--config r50 --set a=1 b=2 --data D --set c=3 --out R".split())
    assert args.set == ["a=1", "b=2", "c=3"]
    args = parser_of(("memory",)).parse_args("--set a=1 b=2 r50 r101".split())
    assert (args.configs, args.set) == (["r50", "r101"], ["a=1", "b=2"])
    launched = parser_of(("launch",)).parse_args("--workers 2 -- train.py --set a=1 b=2".split())
    assert launched.command == ["train.py", "--set", "a=1", "b=2"]
    assert parser_of(("train",)).parse_args("--config r50 --data D --out R".split()).set == []
