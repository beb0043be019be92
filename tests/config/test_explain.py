"""What the schema says of its keys, in words for users."""

import pytest

from gluon_liver.config.differences import flat
from gluon_liver.config.explain import KEYS, SECTIONS, as_yaml, matching, suggestion
from gluon_liver.config.load import build_config, load_config
from gluon_liver.errors import ConfigError
from gluon_liver.files.typed import meanings


def test_every_key_has_a_meaning():
    assert list(KEYS) == list(flat(build_config({})))
    without = [key for key, told in KEYS.items() if len(told.meaning) < 10]
    assert not without, "say what it means: limited(default, limit, meaning) or meant(default, meaning) in the schema"
    assert [key for key, told in KEYS.items() if told.meaning.endswith(".") or told.meaning[0].isspace()] == []


def test_type_limit_default_and_whose_a_key_is():
    assert KEYS["train.batch_size"][1:] == ("whole number", "1 or more", 2, "")
    assert KEYS["data.slice_step_mm"][1:] == ("number, or null", "above 0 mm", None, "CT")
    assert KEYS["network.rpn.anchor_ratios"].type == "list of numbers"
    assert KEYS["data.window"].type == "text, or list of 2 numbers"
    assert KEYS["flow.train"].type == "true or false" and KEYS["row"].type == "text, or null"
    assert (KEYS["network.aggregation"].only, KEYS["data.augment.erase_frames"].only) == ("us-flow", "ultrasound")


@pytest.mark.parametrize(
    "value, text",
    [(None, "null"), (False, "false"), (1e-4, "0.0001"), (14.0, "14"), ((14.0, 0.5), "[14, 0.5]"), ("raw", "raw")],
)
def test_a_value_as_yaml(value, text):
    assert as_yaml(value) == text


def test_the_defaults_are_what_a_configuration_without_keys_has():
    plain = flat(build_config({}))
    assert {key: as_yaml(value) for key, value in plain.items()} == {key: k.shown_default for key, k in KEYS.items()}


def test_a_word_names_a_key_a_section_or_a_beginning():
    assert matching(["train.epochs"]) == ["train.epochs"]
    assert matching(["network.rpn"])[0] == "network.rpn.channels" and len(matching(["network.rpn"])) == 13
    assert matching(["train.warmup"]) == ["train.warmup_steps", "train.warmup_from"]
    assert matching(["epochs"]) == ["train.epochs"]
    assert matching(["seed", "train.seed", "row"]) == ["train.seed", "row"]
    assert matching([]) == list(KEYS)


@pytest.mark.parametrize(
    "word, near",
    [
        ("train.epoch_s", "train.epochs?"),
        ("train.epoch", "train.epochs?"),
        ("network.strid", "network.stride?"),
        ("batchsize", "train.batch_size?"),
        ("train.size", "data.size?"),
        ("trian.epochs", "train.epochs?"),
        ("rpn.min_size", "network.rpn.min_size?"),
        ("netwrok", "network?"),
        ("netwrok.strid", "network.stride?"),
        ("zzz", ""),
        ("train.zzz", ""),
    ],
)
def test_a_misspelt_key_is_told_what_is_like_it(word, near):
    assert (near in suggestion(word)) and bool(suggestion(word)) == bool(near)


def test_a_word_that_no_key_begins_with():
    with pytest.raises(ConfigError, match=r"no key 'batchsize'; did you mean train.batch_size\?"):
        matching(["batchsize"])


def test_an_unknown_key_of_a_configuration_is_told_what_is_like_it():
    with pytest.raises(ConfigError, match=r"^unknown key 'network.strid'; did you mean network.stride\?"):
        load_config("r50", overrides=["network.strid=8"])
    with pytest.raises(ConfigError, match=r"'train.lr'; unknown key 'train.size'; did you mean data.size\?"):
        build_config({"train": {"lr": 1, "size": 3, "seed": 1}})
    with pytest.raises(ConfigError, match="unknown key 'train.lr'; train has: optimizer, learning_rate"):
        build_config({"train": {"lr": 1}})


def test_sections_are_those_of_the_keys():
    assert set(SECTIONS) == {key.rpartition(".")[0] for key in KEYS}


def test_a_field_without_words_has_no_meaning():
    assert "rpn" not in meanings(type(load_config("r50").network))
