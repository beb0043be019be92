"""A study of two runs, with the project's own commands."""

import json

import pytest

from experiments import archive, page, run


@pytest.mark.slow
def test_phantoms_are_made_trained_on_scored_archived_and_shown(study, tree, capsys):
    options = {
        "matrix": 64,
        "slices": [8, 8],
        "spacing-mm": [8],
        "diameter-mm": [30, 40],
        "background-fraction": 0,
        "breathing-mm": 0,
    }
    small = ["row=null", "data.size=64", "network.width=0.0625", "network.rpn.anchor_sizes=[8,16]"]
    tree["data"] = {
        "task": "ct",
        "train": 2,
        "test": 2,
        "phantom": {**options, "two-study-fraction": 0, "lesions": [1, 1]},
    }
    tree["set"] = [*small, "train.images_per_epoch=4", "train.epochs=1", "train.log_every=1"]
    tree["endpoint"] = {"path": "ap50.mean", "text": "AP50"}
    tree["secondary"] = [{"path": "lesions.by_size.1.sensitivity", "text": "sensitivity to lesions of 35 mm and more"}]
    tree["evaluate"] = {"lesion-bins": [35]}
    tree["conditions"] = {"on": {"text": "with", "mechanism": True}}
    tree["arms"] = {
        name: {"text": name, "config": "demo-ct", "set": ["network.depth=50", f"network.head.dropout={dropout}"]}
        for name, dropout in (("new", 0.1), ("old", 0.2))
    }
    tree["comparisons"] = tree["comparisons"][:1]
    tree.update(seeds=[1], flow_net=None)
    study.write(tree)
    assert run.main([*study.folders, "--jobs", "2"]) == 0, capsys.readouterr()
    records = [json.loads(path.read_text()) for path in study.records()]
    for record in records:
        assert record["steps"] == 1 and len(record["log"]) == 1 and record["seconds"]["cpu"] > 0
        counts = record["counts"]
        assert len(counts["patients"]) == len(counts["cyst"]["boxes"]) == 2
        assert all(0 <= one < 4 for name in ("cyst", "hemangioma", "hcc") for one in counts[name]["ranked"])
        boxes = sum(sum(counts[name]["boxes"]) for name in ("cyst", "hemangioma", "hcc"))
        assert boxes == sum(record["results"][f"boxes.{name}"] for name in ("cyst", "hemangioma", "hcc")) > 0
    assert records[0]["counts"]["patients"] == records[1]["counts"]["patients"]
    assert records[0]["config"] != records[1]["config"]
    folders = [word for name in ("specs", "archive", "docs") for word in (f"--{name}", str(getattr(study, name)))]
    assert archive.main(["--work", str(study.work), "--archive", str(study.archive)]) == 0
    assert page.main(folders) == 0 and page.main([*folders, "--check"]) == 0
