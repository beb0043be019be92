"""What each packaged configuration is, and what is laid over what."""

import pytest
import yaml

from gluon_liver.config.catalogue import (
    BASE,
    CONFIG_FOLDER,
    EXPERIMENT,
    FRAGMENT,
    SET_FOLDER,
    by_kind,
    check_experiment,
    choices_text,
    described,
    kind_of,
)
from gluon_liver.config.load import load_config
from gluon_liver.errors import ConfigError

FILES = sorted([*CONFIG_FOLDER.glob("*.yaml"), *SET_FOLDER.glob("*.yaml")])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_first_line_of_every_file_says_what_it_is(path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ") and first.endswith("."), f"{path.name}: begin it with a comment that says what it is"
    assert described(path.stem) == first[2:-1] and len(first) > 25
    if kind_of(path.stem) == FRAGMENT:
        assert "over" in first


def models(name):
    """The models that a file and its bases name."""
    path = next(path for path in FILES if path.stem == name)
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    bases = tree.get("BASE") or []
    below = [models(base.replace(".yaml", "")) for base in ([bases] if isinstance(bases, str) else bases)]
    return sum(below, [tree["model"]] if "model" in tree else [])


def test_experiments_name_a_model_and_fragments_none():
    kinds = by_kind()
    assert {*sum(kinds.values(), [])} == {path.stem for path in FILES}
    assert kinds[BASE] == ["base-ct", "base-us"]
    assert [name for name in kinds[EXPERIMENT] if not models(name)] == []
    assert [name for name in kinds[FRAGMENT] if models(name)] == []
    assert {"r50", "us-flow", "demo-ct", "deeplesion-r50"} <= {*kinds[EXPERIMENT]}
    assert {"recipe-scratch", "on-4-gtx1080", "on-3d-ircadb", "size-tiny"} <= {*kinds[FRAGMENT]}


def test_a_fragment_is_no_experiment():
    for name in ("r50", "deeplesion-r50", "base-us", "mine.yaml"):
        check_experiment(name)
    with pytest.raises(ConfigError, match="on-lits is laid over .*: name one first, e.g. --config r50 on-lits"):
        check_experiment("on-lits")


def test_the_choices_are_told_apart_and_short():
    experiments, fragments, where = choices_text().split("; ")
    assert "r101-multimodal" in experiments and "recipe-scratch" in fragments and "config list" in where
    shown = len(experiments.split(",")) + int(experiments.split(" and ")[1].split()[0])
    assert shown == len(by_kind()[EXPERIMENT]) and "r50-2.5d-centre" not in experiments


@pytest.mark.parametrize("name, said", [("r5O", "; did you mean r50"), ("demo_ct", "demo-ct"), ("zz", ": experiments")])
def test_an_unknown_name_is_told_what_there_is(name, said):
    with pytest.raises(ConfigError, match=f"no configuration '{name}'.*config list") as caught:
        load_config(name)
    assert said in str(caught.value)
