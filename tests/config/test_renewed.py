"""Configurations of earlier versions read as those of today."""

import pytest

from gluon_liver.config.load import build_config, load_config
from gluon_liver.errors import ConfigError


@pytest.mark.parametrize("former, relation", [(True, "full"), (False, "off")])
def test_multi_modal_is_relation_full_or_off(former, relation, tmp_path):
    config = build_config({"row": None, "network": {"multi_modal": former}})
    assert config.network.relation == relation and config.network.multi_modal is former
    assert "multi_modal" not in config.to_dict()["network"]
    (tmp_path / "own.yaml").write_text(f"BASE: r50-multimodal\nrow: null\nnetwork: {{multi_modal: {former}}}\n")
    assert load_config(tmp_path / "own.yaml").network.relation == relation  # over its base's network.relation


def test_both_names_or_no_truth_value_are_refused():
    with pytest.raises(ConfigError, match="network.multi_modal is the former name of network.relation"):
        load_config("r50-multimodal", overrides=["network.multi_modal=true"])
    with pytest.raises(ConfigError, match="network.multi_modal: expected bool, found 'full'"):
        build_config({"network": {"multi_modal": "full"}})


def test_off_need_not_be_quoted_in_yaml():
    config = load_config("r50-multimodal", overrides=["row=null", "network.relation=off"])
    assert config.network.relation == "off"
    with pytest.raises(ConfigError, match="network.relation: expected str, found True"):
        load_config("r50", overrides=["network.relation=on"])
