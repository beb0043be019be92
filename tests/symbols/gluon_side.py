"""The Gluon networks in the parts that the symbols have, on seeded weights and inputs."""

import json

import mxnet as mx
import numpy as np
from mxnet import autograd

from gluon_liver.config.load import load_config
from gluon_liver.nn.build import make_detector
from gluon_liver.nn.layers.indexing import entry
from gluon_liver.nn.losses import detection_losses
from gluon_liver.nn.nets import TrainingNet, detect_regions
from gluon_liver.nn.regions.rpn_targets import assign_anchors
from gluon_liver.runs.checkpoint import load_checkpoint
from gluon_liver.runs.checkpoint_folder import newest_checkpoint
from symbols.networks.catalogue import network_of
from symbols.portable import portable_json

CONFIGS = "r50 r101 r50-2.5d r101-fusion r50-multimodal r101-multimodal us-faster-rcnn us-flow".split()
# name -> a configuration, and what another reading or a control changes in it
VARIANTS = {
    "r50-2.5d-1x7x7": ("r50-2.5d", "row=null", "network.stem=1x7x7"),
    "r50-frozen-stages": ("r50-2.5d", "network.frozen_stages=2"),
    "us-frozen-stages": ("us-faster-rcnn", "network.frozen_stages=4"),
    "r50-2.5d-centre": ("r50-2.5d", "row=null", "network.slice_fusion=centre"),
    "r101-2.5d-channels": ("r101-2.5d", "network.slice_fusion=channels"),
    "r50-multimodal-cell": ("r50-multimodal", "row=null", "network.relation=same_cell", "network.slice_fusion=centre"),
    "r101-multimodal-place": ("r101-multimodal", "row=null", "network.relation=position"),
    "r101-fusion-block3": ("r101-fusion", "row=null", "network.fusion_blocks=block3"),
    "us-flow-warp": ("us-flow", "network.aggregation=warp"),
    # two of its proposals pool the same cells with ROIPooling
    "us-flow-still": ("us-flow", "flow.estimate=zero", "network.roi_mode=align"),
}
PHASES = ["arterial", "noncontrast", "delayed"]
SIZE = 64
TINY = f"""
    data.size={SIZE} flow.width=0.25 network.width=0.125 network.roi_mode=pool
    network.rpn.channels=16 network.rpn.anchor_sizes=[8,16,24,32] network.rpn.samples=32
    network.rpn.test_pre_nms=200 network.rpn.test_post_nms=20
    network.rpn.train_pre_nms=200 network.rpn.train_post_nms=30
    network.head.roi_size=4 network.head.samples=16 network.head.max_boxes=4
    network.head.score_threshold=0.05 network.head.max_detections=20
""".split()
BATCH = 2
SEED = 2  # no two ROIs of it pool the same cells: MXNet 1.9's topk takes equal scores in any order


def tiny(name, overrides=()):
    """A configuration's network at a width and size that runs in a second: the Gluon object and the plain one."""
    config = load_config(name, overrides=TINY + list(overrides))
    plain = config.to_dict()
    plain["classes"] = ["cyst", "hemangioma", "hcc"] if config.task == "ct" else ["tumor", "vessel"]
    plain["phases"] = PHASES if config.network.multi_modal else PHASES[:1]
    return config, plain


def seeded_network(name, *overrides):
    """:func:`tiny` and :func:`seeded` of a configuration."""
    config, plain = tiny(name, overrides)
    return (config, plain, *seeded(config, plain))


def seeded(config, plain, *, batch_size=BATCH, seed=SEED):
    """A detector with weights that make every part matter, and its inputs."""
    phases = len(plain["phases"]) if config.network.multi_modal else 1
    detector = make_detector(config, classes=plain["classes"], phases=phases, context=mx.cpu())
    rng = np.random.default_rng(seed)
    for name, parameter in detector.collect_learned().items():
        shape = parameter.shape
        if name.startswith("flow.") and ("upsample_" in name or ".sum_" in name or ".distance." in name):
            continue
        if name.endswith("bn3.gamma"):
            value = rng.uniform(0.1, 0.3, shape)  # or maps double with every block, and scores saturate
        elif name.endswith(("gamma", "running_var")):
            value = rng.uniform(0.6, 1.2, shape)
        elif name.endswith(("bias", "beta", "running_mean")):
            value = rng.normal(0, 0.1, shape)
        else:
            deviation = 0.5 if name.startswith(("rpn.", "class_predictor", "box_predictor")) else 1.2
            value = rng.normal(0, deviation / np.prod(shape[1:]) ** 0.5, shape)
        parameter.set_data(mx.nd.array(value))
    size = config.data.size
    shape = (batch_size, phases, 1, config.data.slices, size, size)
    if config.task != "ct":
        shape = (batch_size, detector.frames, 3, size, size)
    coarse = rng.uniform(0, 1, shape[:-2] + (size // 8, size // 8))  # smooth, so that frames have a flow
    x = coarse.repeat(8, axis=-1).repeat(8, axis=-2) + rng.normal(0, 0.05, shape)
    inputs = {"data": x.clip(0, 1).astype(np.float32)}
    if phases > 1:
        inputs["present"] = np.array([[1, 1, 1], [1, 0, 1]], np.float32)[:batch_size]
    return detector, inputs


def parameters_of(detector):
    """As a Module's parameter file names them."""
    return {
        ("aux:" if ".running_" in name else "arg:") + name: parameter.data()
        for name, parameter in detector.collect_learned().items()
    }


def write_weights(run, path):
    """The newest checkpoint of a CT run of one phase as a Module's parameter file; returns its name."""
    detector = make_detector(run.config, classes=run.environment["classes"], phases=1, context=mx.cpu())
    load_checkpoint(newest_checkpoint(run.checkpoints), detector)
    mx.nd.save(str(path), parameters_of(detector))
    return str(path)


def gluon_parts(detector, inputs):
    """Name -> array of every part that ``Detector.test_parts`` of symbols/ has."""
    F, arrays = mx.nd, [mx.nd.array(inputs[name]) for name in ("data", "present") if name in inputs]
    found = detector.features(F, *arrays)
    parts = {f"map{stride}": level for stride, level in zip(detector.strides, found.maps)}
    if found.shallow is not None:
        parts["shallow"] = found.shallow
    head = getattr(detector.rpn, "rpn_head", detector.rpn)
    raw = [[], []]
    for level in found.maps:
        x = head.conv1(level)
        for rows, layer, width in zip(raw, (head.score, head.loc), (1, 4)):
            rows.append(layer(x).transpose((0, 2, 3, 1)).reshape((0, -1, width)))
    parts["rpn_scores"], parts["rpn_offsets"] = (F.concat(*rows, dim=1) for rows in raw)
    scores, rois = detector.rpn(found.image, *found.maps)
    parts["proposal_scores"], parts["proposals"] = scores.reshape((0, -1)), rois
    said = detector.head(F, found, rois)
    count = rois.shape[1]
    parts["class_scores"] = detector.class_predictor(said.abstract).reshape((-4, -1, count, 0))
    parts["box_deltas"] = detector.box_predictor(said.abstract).reshape((-1, count, len(detector.classes), 4))
    if said.abnormal is not None:
        parts["abnormal"] = said.abnormal.reshape((-4, -1, count, 0))
    parts["detections"], parts["check"] = detect_regions(F, detector, found)
    if getattr(detector, "flow", None) is not None:
        frames = [entry(F, arrays[0], number, axis=1) for number in (0, 1)]
        parts["flow"] = detector.flow_between(F, *frames)
    return {name: part.asnumpy() for name, part in parts.items()}


def seeded_targets(detector, config):
    """True boxes, what the proposal network should say of the anchors, and random numbers, for BATCH images."""
    rng = np.random.default_rng(1)
    boxes, labels = -np.ones((BATCH, 4, 4), np.float32), -np.ones((BATCH, 4), np.float32)
    for image, count in enumerate((3, 1)):
        corners = rng.uniform(2, SIZE - 26, (count, 2))
        boxes[image, :count] = np.concatenate([corners, corners + rng.uniform(10, 24, (count, 2))], axis=1)
        labels[image, :count] = rng.integers(0, len(detector.classes), count)
    rpn, anchors = config.network.rpn, detector.anchors()
    truth = (image_boxes[kinds >= 0] for image_boxes, kinds in zip(boxes, labels))
    assigned = [assign_anchors(anchors, image_boxes, rpn, size=(SIZE, SIZE), rng=rng) for image_boxes in truth]
    rpn_labels, rpn_targets, _ = map(np.stack, zip(*assigned))
    numbers = rng.random((BATCH, detector.random_number_count), np.float32)
    return dict(gt_boxes=boxes, gt_labels=labels, draws=numbers, rpn_labels=rpn_labels, rpn_targets=rpn_targets)


def gluon_gradients(detector, inputs, targets):
    """Name -> gradient of the sum of the images' losses, and the running statistics after the step; with the losses,
    each (B,), as "loss.rpn_score" and so on."""
    net = TrainingNet(detector, batch_size=BATCH)
    net.targets.initialize()
    arrays = {name: mx.nd.array(array) for name, array in dict(inputs, **targets).items()}
    images = [arrays[key] for key in ("data", "gt_boxes", "gt_labels", "draws", "present") if key in arrays]
    with autograd.record():
        outputs = net(*images)
        losses = detection_losses(outputs, arrays["rpn_labels"], arrays["rpn_targets"])
        mx.nd.add_n(*losses.values()).backward()
    mx.nd.waitall()
    result = {"loss." + name: values.asnumpy() for name, values in losses.items()}
    for name, parameter in detector.collect_learned().items():
        if parameter.grad_req != "null":
            result[name] = parameter.grad().asnumpy()
        elif ".running_" in name:
            result[name] = parameter.data().asnumpy()
    return result


def write_folder(name, folder, overrides=()):
    """What ``python -m symbols.parity`` compares: a configuration's network, its inputs, outputs and gradients."""
    config, plain, detector, inputs = seeded_network(name, *overrides)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(plain), encoding="utf-8")
    mx.nd.save(str(folder / "weights.params"), parameters_of(detector))
    symbol = network_of(plain).get_symbol_test(plain, BATCH)
    (folder / "test-symbol.json").write_text(portable_json(symbol), encoding="utf-8")
    targets = seeded_targets(detector, config)
    np.savez(folder / "inputs.npz", **inputs)
    np.savez(folder / "train_inputs.npz", **inputs, **targets)
    np.savez(folder / "outputs.npz", **gluon_parts(detector, inputs))
    np.savez(folder / "gradients.npz", **gluon_gradients(detector, inputs, targets))  # changes statistics
    return folder
