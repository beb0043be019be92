"""Training and scoring with the Module API: batches, one step by hand, devices, checkpoints, and what evaluate says."""

import json
import logging

import mxnet as mx
import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.config.network import RPNConfig
from gluon_liver.data.open import TASKS
from gluon_liver.evaluation.run_folder import evaluate
from gluon_liver.evaluation.task import ScoreSettings
from gluon_liver.inference.detector import SliceDetector, detect_labelled
from gluon_liver.legacy.record_file import write_records
from gluon_liver.nn.regions.rpn_targets import assign_anchors
from gluon_liver.runs.run import Run
from gluon_liver.structures.image_result import detections_json
from symbols import module_train
from symbols.parity import differences, split_parameters, symbol_gradients
from symbols.parts import anchors as symbol_anchors
from symbols.record_iter import RecordIter, left_out
from symbols.records import RecordFile

from .test_module_refusals import one_step, run_test, run_train

pytestmark = pytest.mark.slow


def arrays_of(batch):
    named = zip(batch.provide_data + batch.provide_label, batch.data + batch.label)
    return {item.name: array.asnumpy() for item, array in named}


def parameters(path):
    return {name: array.asnumpy() for name, array in mx.nd.load(str(path)).items()}


@pytest.mark.parametrize("boxes", [0, 1, 5])
def test_anchors_are_assigned_as_on_the_gluon_side(boxes):
    rng = np.random.default_rng(boxes)
    corners, centres = rng.uniform(-10, 60, (400, 2)), rng.uniform(0, 40, (boxes, 2))
    anchors = np.concatenate([corners, corners + rng.uniform(8, 30, (400, 2))], axis=1).astype(np.float32)
    truth = np.concatenate([centres, centres + rng.uniform(8, 24, (boxes, 2))], axis=1).astype(np.float32)
    rpn = {"samples": 33, "positive_ratio": 0.5, "positive_iou": 0.6, "negative_iou": 0.3}
    found = symbol_anchors.assign_anchors(anchors, truth, 64, rpn, np.random.RandomState(0))
    wanted = assign_anchors(anchors, truth, RPNConfig(**rpn), size=(64, 64), rng=np.random.RandomState(0))
    assert np.array_equal(found[0], wanted[0]) and (found[0] >= 0).sum() == 33 and bool(boxes) == (found[0] == 1).any()
    assert np.allclose(found[1], wanted[1], atol=1e-6)


def test_batches_of_an_epoch(records, make_config):
    data = RecordFile(records(**{"data.augment.flip": True}))
    batches = RecordIter(data, 2, seed=0)
    epochs = [[arrays_of(batch) for batch in batches]]
    batches.reset()
    epochs.append([arrays_of(batch) for batch in batches])
    # 6 images with boxes + 3 backgrounds in batches of 2, the last one filled up
    assert [len(epoch) for epoch in epochs] == [5, 5] == [len(batches)] * 2
    boxes = [sum((batch["gt_labels"] >= 0).sum() for batch in epoch) for epoch in epochs]
    assert 6 <= min(boxes) <= max(boxes) <= 7
    to_input, flips = TASKS[make_config().task].dataset.network_input, set()
    for batch in epochs[0]:
        for image, corners in zip(batch["data"], batch["gt_boxes"]):
            both = [to_input(record.image[..., :: 1 - 2 * flip]) for record in data for flip in (0, 1)]
            number = int(np.argmin([np.abs(one - image).max() for one in both]))
            assert np.array_equal(both[number], image)
            truth = data[number // 2].boxes
            flips.add(number % 2)
            if number % 2 and len(truth):
                truth = np.stack([64 - truth[:, 2], truth[:, 1], 64 - truth[:, 0], truth[:, 3]], axis=1)
            assert np.array_equal(corners[: len(truth)], truth) and (corners[len(truth) :] == -1).all()
        assert 0 <= batch["draws"].min() and batch["draws"].max() < 1 and (batch["rpn_labels"] >= 0).sum() == 64
    assert flips == {0, 1}
    assert not np.array_equal(epochs[0][0]["draws"], epochs[1][0]["draws"])
    resumed = RecordIter(data, 2, seed=0, epoch=1)
    assert np.array_equal(arrays_of(resumed.next())["draws"], epochs[1][0]["draws"])
    # two workers part each step
    parts = [RecordIter(data, 1, seed=0, part_index=part, num_parts=2) for part in (0, 1)]
    joined = [np.concatenate(pair) for pair in zip(*[[arrays_of(batch)["draws"] for batch in one] for one in parts])]
    assert np.array_equal(joined, [batch["draws"] for batch in epochs[0]])


def test_a_step_is_the_gradient_of_the_mean_and_decays_all(records, weights, tmp_path):
    path = records()
    data = RecordFile(path)
    one_step(path, tmp_path / "out/m", f"--weights {weights} --lr 0.1 --wd 0.01 --momentum 0")
    start, after = parameters(weights), parameters(tmp_path / "out/m-0001.params")
    batch = arrays_of(RecordIter(data, 2, seed=data.config["train"]["seed"]).next())
    args, aux = split_parameters(mx.nd.load(weights))
    gradients = symbol_gradients(data.config, args, aux, batch)
    assert set(after) == set(start)
    wanted = {name: start[name] * 0.999 - 0.05 * gradients[name[4:]] for name in start if name.startswith("arg:")}
    moves = ({name: start[name] - side[name] for name in wanted} for side in (after, wanted))
    assert differences(*moves)["arg:class_predictor.weight"][1] < 1e-3
    assert all(np.allclose(after[name], wanted[name], atol=1e-6) for name in wanted)
    assert not np.allclose(after["arg:backbone.stem.bn1.beta"], start["arg:backbone.stem.bn1.beta"], atol=1e-6)
    symbol = mx.sym.load(str(tmp_path / "out/m-symbol.json"))
    assert symbol.list_outputs()[0] == "rpn_score_output"


def test_two_devices_are_one(records, weights, tmp_path):
    path = records(**{"network.batch_norm": "frozen"})
    for cpus in (1, 2):
        options = f"--weights {weights} --epochs 1 --cpus {cpus} --kv-store device --lr 0.02"
        run_train(path, tmp_path / str(cpus), options)
    one, two = (parameters(tmp_path / f"{cpus}-0001.params") for cpus in (1, 2))
    start = parameters(weights)
    assert max(np.abs(one[name] - start[name]).max() for name in one) > 1e-3
    assert max(np.abs(one[name] - two[name]).max() for name in one) < 1e-5
    with pytest.raises(ValueError, match="2 images cannot be parted evenly among 3"):
        run_train(path, tmp_path / "x", "--cpus 3")


def test_training_goes_on_where_it_was(records, weights, tmp_path, caplog):
    path = records(**{"train.warmup_steps": 7})
    options = "--momentum 0 --lr 0.01 --lr-steps 1 --epochs 2"
    run_train(path, tmp_path / "m", f"{options} --weights {weights}")
    assert "train.warmup_steps is not 0" in caplog.text
    wanted = parameters(tmp_path / "m-0002.params")
    (tmp_path / "m-0002.params").unlink()
    with caplog.at_level(logging.INFO):
        run_train(path, tmp_path / "m", options + " --load-epoch 1")  # the same images, at the lower rate
    assert "Epoch[1] Train-texture" not in caplog.text and "Epoch[1] Train-rcnn_score" in caplog.text
    found = parameters(tmp_path / "m-0002.params")
    assert all(np.allclose(found[name], wanted[name], atol=1e-6) for name in wanted)


def test_rates_are_the_configurations(records):
    config = RecordFile(records()).config
    config["train"].update(decay_epochs=[2.0, 4.5], decay_factor=0.1, learning_rate=0.5, optimizer="sgd", momentum=0.7)
    args = module_train.parse_arguments(["--records", "x", "--prefix", "x"])
    made = module_train.optimizer_of(args, config, images=4, steps=10, begin=0)
    rates = [made.lr_scheduler(step) for step in (20, 21, 45, 46)]
    assert np.allclose(rates, [2.0, 0.2, 0.2, 0.02]) and made.rescale_grad == 0.25
    later = module_train.optimizer_of(args, config, images=4, steps=10, begin=3)
    assert np.allclose([later.lr_scheduler(step) for step in (15, 16)], [0.2, 0.02])
    assert made.momentum == 0.7
    config["train"].update(optimizer="adam", clip_norm=10.0)
    assert left_out(config) == ["train.clip_norm"]
    asked = dict(config, data=dict(config["data"], slices_per_lesion=3, class_balance=0.5))
    asked["train"] = dict(config["train"], clip_norm=None, images_per_epoch=8, schedule="cosine")
    wanted = ["data.class_balance", "data.slices_per_lesion", "train.images_per_epoch", "train.schedule"]
    assert left_out(asked) == wanted
    with pytest.raises(ValueError, match="its rate is Adam's: give --lr"):
        module_train.optimizer_of(args, config, images=4, steps=10, begin=0)


def test_weights_of_another_network_and_a_loss_that_is_no_number_stop_it(records, weights, tmp_path):
    path = records(**{"network.depth": 101, "row": "R-101"})
    for options, message in (
        (f"--weights {weights}", "do not fit the network"),
        ("--load-epoch 3 --epochs 4", "no such file of parameters"),
        ("--lr 1e20 --epochs 3", "not finite: lower --lr"),
    ):
        with pytest.raises(ValueError, match=message):
            run_train(path, tmp_path / "m", options)


def test_detections_and_table_are_those_of_evaluate(tiny_run, tiny_dataset, weights, records, tmp_path, capsys):
    out, path = tmp_path / "detections.json", tmp_path / "test.rec"
    write_records(tiny_run.config, tiny_dataset, "test", path)
    run_test(path, out, weights)
    detector, _ = SliceDetector.from_run(tiny_run)
    wanted = detections_json(detect_labelled(detector, tiny_dataset, tiny_dataset.labels_of("test"), progress=False))
    found = json.loads(out.read_text())
    assert len(found) == len(wanted) > 10
    for ours, theirs in zip(found, wanted):
        assert (ours["image_id"], ours["category_id"]) == (theirs["image_id"], theirs["category_id"])
        assert np.allclose(ours["bbox"], theirs["bbox"], atol=0.02) and abs(ours["score"] - theirs["score"]) < 2e-5
    assert main(["score", "--run", str(tiny_run.folder), "--detections", str(out), "--bootstrap", "20"]) == 0
    table = capsys.readouterr().out
    run = Run.open(tiny_run.folder)
    run.folder = tmp_path  # evaluate leaves its report there
    for name in ("config.yaml", "environment.json", "log.jsonl", "checkpoints"):
        (tmp_path / name).symlink_to(tiny_run.folder / name)
    assert evaluate(run, tiny_dataset, settings=ScoreSettings(20), progress=False)[0].strip() == table.strip()


def test_what_cannot_be_scored_is_told(tiny_run, tmp_path, capsys):
    row = '[{"image_id": 1, "bbox": [0, 0, 1, 1%s], "score": 1, "category_id": %s}]'
    path = tmp_path / "d.json"
    for text, message in (
        ("{", "not JSON"),
        ('[{"image_id": 1}]', "holds no COCO results"),
        ("{}", "a list of them is wanted"),
        (row % (", 1", 1), "holds no COCO results"),
        ("[" * 10**6, "nested too deeply; give a file of COCO results"),
        (row % ("", "1e999"), "holds no COCO results"),
        (row % ("", 1), "image 1, which is not in the split"),
    ):
        path.write_text(text)
        assert main(["score", "--run", str(tiny_run.folder), "--detections", str(path)]) == 2
        assert message in capsys.readouterr().err
