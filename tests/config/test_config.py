"""Configurations: inheritance, typing, and the refusal of what the schema does not have."""

import pytest
import yaml

from gluon_liver.config.load import build_config, config_names, load_config, save_config
from gluon_liver.config.schema import Config
from gluon_liver.errors import ConfigError


def test_every_packaged_configuration_loads():
    assert {"r50", "demo-ct", "base-ct"} <= set(config_names())
    for name in config_names():
        load_config(name)


def test_r50_is_the_papers_row():
    config = load_config("r50")
    assert (config.row, config.network.depth, config.network.width, config.data.slices) == ("R-50", 50, 1.0, 1)
    assert (config.data.size, config.data.window, config.data.storage) == (800, "paper", "jpeg")


def test_demo_is_r50_at_another_size():
    demo = load_config("demo-ct")
    assert (demo.model, demo.row, demo.network.depth) == ("ct-faster-rcnn", "R-50", 50)


def test_a_resolved_configuration_reads_back_as_itself(tmp_path):
    config = load_config("demo-ct", overrides=["train.epochs=3", "data.augment.flip=false"])
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config
    assert config.train.epochs == 3 and not config.data.augment.flip


def test_base_is_merged_at_every_depth(tmp_path):
    (tmp_path / "base.yaml").write_text("network: {rpn: {channels: 7, samples: 9}}")
    (tmp_path / "top.yaml").write_text("BASE: base.yaml\nnetwork: {rpn: {samples: 11}}")
    rpn = load_config(tmp_path / "top.yaml").network.rpn
    assert (rpn.channels, rpn.samples) == (7, 11)


def test_a_packaged_base_is_found_from_anywhere(tmp_path):
    for base in ("r50.yaml", "r50"):
        (tmp_path / "mine.yaml").write_text(f"BASE: {base}\ntrain: {{epochs: 1}}")
        assert load_config(tmp_path / "mine.yaml").train.epochs == 1


def test_frozen_batch_norm_takes_one_image_and_no_row_any_depth():
    build_config({"network": {"batch_norm": "frozen"}, "train": {"batch_size": 1}})
    build_config({"row": None, "data": {"slices": 9}})


def test_exponents_without_a_point_are_numbers():
    assert build_config({"train": {"learning_rate": yaml.safe_load("1e-4")}}).train.learning_rate == 1e-4


@pytest.mark.parametrize(
    "tree, message",
    [
        ({"netwrok": {}}, "unknown key 'netwrok'"),
        ({"network": {"rpn": {"chanels": 3}}}, "unknown key 'network.rpn.chanels'"),
        ({"train": {"epochs": "ten"}}, "train.epochs: expected int, found 'ten'"),
        ({"train": {"epochs": True}}, "train.epochs: expected int, found True"),
        ({"data": 3}, "data: expected keys, found 3"),
        ({"network": {"rpn": {"anchor_sizes": 16}}}, "network.rpn.anchor_sizes: expected a list"),
        ({"network": {"rpn": {"train_post_nms": 10}}}, "network.head.samples is 128"),
        ({"network": {"rpn": {"anchor_sizes": [16, float("nan")]}}}, "network.rpn.anchor_sizes: expected float"),
        ({"network": {"rpn": {"anchor_sizes": [1000]}}}, "network.rpn.anchor_sizes is (1000.0,)"),
        ({"train": {"learning_rate": float("inf")}}, "train.learning_rate: expected float, found inf"),
    ],
)
def test_refusals_name_the_key_and_the_value(tree, message):
    with pytest.raises(ConfigError) as caught:
        build_config(tree)
    assert message in str(caught.value)


@pytest.mark.parametrize("override", ["train.epochs", "=3", "train.epochs.deep=3", "train.nothing=3", "train=[1"])
def test_bad_overrides(override):
    with pytest.raises(ConfigError):
        load_config("r50", overrides=[override])


def test_bad_files(tmp_path):
    with pytest.raises(ConfigError, match="one of"):
        load_config("no-such")
    (tmp_path / "number.yaml").write_text("BASE: 5")
    with pytest.raises(ConfigError, match="BASE: expected the name"):
        load_config(tmp_path / "number.yaml")
    for name, text in (("list.yaml", "[1, 2]"), ("broken.yaml", "a: [1"), ("loop.yaml", "BASE: loop.yaml")):
        (tmp_path / name).write_text(text)
        with pytest.raises(ConfigError, match=name):
            load_config(tmp_path / name)


def test_defaults_pass_their_own_checks():
    assert build_config({}) == Config()
