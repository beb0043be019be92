"""Configurations: inheritance, typing, and the refusal of what the schema does not have."""

import pytest
import yaml

from gluon_liver.config.catalogue import config_names, set_config_names
from gluon_liver.config.load import build_config, load_config, save_config
from gluon_liver.config.schema import Config
from gluon_liver.errors import ConfigError


def test_every_packaged_configuration_loads():
    assert {"r50", "demo-ct", "base-ct"} <= set(config_names())
    for name in config_names():
        load_config(name)


def test_r50_is_the_papers_row_and_the_demo_is_r50_at_another_size():
    config = load_config("r50")
    assert (config.row, config.network.depth, config.network.width, config.data.slices) == ("R-50", 50, 1.0, 1)
    assert (config.data.size, config.data.window, config.data.storage) == (800, "paper", "jpeg")
    demo = load_config("demo-ct")
    assert (demo.model, demo.row, demo.network.depth) == ("ct-faster-rcnn", "R-50", 50)


@pytest.mark.parametrize("model", ["us-faster-rcnn", "us-flow"])
def test_the_ultrasound_papers_recipe_is_as_printed(model):
    """400 epochs using Adam with learning rates starting at 1x10^-3, the best values in 400 epochs."""
    train = load_config(model).train
    assert (train.optimizer, train.epochs, train.best_epoch) == ("adam", 400, True)
    assert train.learning_rate * train.batch_size == pytest.approx(1e-3)  # the key is a rate an image
    assert not train.decay_epochs and train.weight_decay == 0


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


def test_exponents_without_a_point_are_numbers():
    assert build_config({"train": {"learning_rate": yaml.safe_load("1e-4")}}).train.learning_rate == 1e-4


@pytest.mark.parametrize("override", ["train.epochs", "=3", "train.epochs.deep=3", "train.nothing=3", "train=[1"])
def test_bad_overrides(override):
    with pytest.raises(ConfigError):
        load_config("r50", overrides=[override])


def test_bad_files(tmp_path):
    with pytest.raises(ConfigError, match="one of"):
        load_config("no-such")
    texts = {
        "BASE: 5": "BASE: expected the name",
        "[1, 2]": "a.yaml",
        "a: [1": "a.yaml",
        "BASE: a.yaml": "a.yaml: BASE",
    }
    for text, message in texts.items():
        (tmp_path / "a.yaml").write_text(text)
        with pytest.raises(ConfigError, match=message):
            load_config(tmp_path / "a.yaml")


def test_defaults_pass_their_own_checks():
    assert build_config({}) == Config()


@pytest.mark.parametrize("row", ["r50", "r101-multimodal", "demo-ct", "us-faster-rcnn"])
def test_recipes_are_laid_over_any_configuration(row):
    plain, scratch, weights = (load_config(row, *over) for over in ([], ["recipe-scratch"], ["recipe-imagenet"]))
    for recipe, norm, optimizer in ((scratch, "live", "adam"), (weights, "frozen", "sgd")):
        assert (recipe.network.batch_norm, recipe.train.optimizer) == (norm, optimizer)
        assert (recipe.train.schedule, recipe.train.batch_size) == ("cosine", 4)
        assert (recipe.row, recipe.data, recipe.train.epochs) == (plain.row, plain.data, plain.train.epochs)
    assert scratch.train.learning_rate * scratch.train.batch_size == 0.001


def test_every_configuration_of_a_public_set_loads_alone_or_over_a_row():
    assert "on-lits" in set_config_names() and not {*set_config_names()} & {*config_names()}
    for name in set_config_names():
        load_config(name)
        for row in ("r50", "us-flow"):
            if name.startswith("on-") and load_config(row).task == load_config(name).task:
                load_config(row, name)


def test_a_set_changes_what_its_data_ask_for_and_leaves_the_row_its_network():
    row, config = load_config("r101-fusion"), load_config("r101-fusion", "on-lits")
    assert (config.row, config.network) == (row.row, row.network)
    assert (config.data.window, config.data.size, config.data.slices) == ("liver", 800, 9)


def test_of_several_bases_each_is_laid_over_those_before_it(tmp_path):
    (tmp_path / "own.yaml").write_text("train: {epochs: 7}\nnetwork: {rpn: {channels: 7, samples: 9}}")
    (tmp_path / "mine.yaml").write_text("BASE: [r50-2.5d, on-lits.yaml, own]\nnetwork: {rpn: {samples: 11}}")
    (tmp_path / "own").write_text((tmp_path / "own.yaml").read_text())
    config = load_config(tmp_path / "mine.yaml")
    assert (config.row, config.data.slices, config.data.window, config.train.epochs) == ("R-50-2.5D", 9, "liver", 7)
    assert (config.network.rpn.channels, config.network.rpn.samples) == (7, 11)
    (tmp_path / "mine.yaml").write_text("BASE: [r50, [r101]]")
    with pytest.raises(ConfigError, match="BASE: expected the name"):
        load_config(tmp_path / "mine.yaml")


def test_deeplesion_is_read_as_its_nearest_peer_reads_it():
    config = load_config("deeplesion-r50-2.5d")
    assert config == load_config("r50-2.5d", "on-deeplesion") and config.data.slices == 9
    width, level = config.data.window
    assert (level - width / 2, level + width / 2, config.data.slice_step_mm) == (-1024, 3071, 2)
    assert config.network.head.score_threshold == 0 and config.network.head.max_detections > 16
