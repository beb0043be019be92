"""What every network of symbols/ does: a symbol for inference, one for training, weights, and a check of shapes."""

from __future__ import division

from collections import OrderedDict, namedtuple

import mxnet as mx

from ..parts import random_numbers
from ..parts.initialization import new_weight
from ..parts.layers import dense
from ..parts.losses import HEAD_HUBER, RPN_HUBER, binary_loss, box_loss, class_loss
from ..parts.random_numbers import RandomNumbers, apply_dropout
from ..parts.rcnn import detections
from ..parts.resnet import CHANNELS, frozen_parts, scaled
from ..parts.rois import pyramid_rois, with_area
from ..parts.rpn import anchors_of, count_anchors, count_proposals, levels_of, propose, rpn_head
from ..parts.targets import box_targets, candidate_keys, most_positives, sample_rois

# maps: (B, C, H / stride, W / stride) of each level; shallow: (B, 16, H / 4, W / 4), Block1's map as the texture stage
# reads it, or None; flow: (B, 2, H, W) in pixels, or None
Features = namedtuple("Features", "maps shallow flow")
Features.__new__.__defaults__ = (None, None)


class Detector(object):
    """Proposals, ROI head and predictors over maps that a subclass makes.

    ``config`` is the dictionary that :mod:`symbols` describes. Sizes are fixed in a symbol, the images of a batch too:
    MXNet 1.0 has few operators that read a shape.
    """

    def inputs(self, config, batch_size):
        """Name -> shape of what a batch of images is."""
        raise NotImplementedError

    def features(self, config, batch_size):
        """:class:`Features` of the network's input."""
        raise NotImplementedError

    def abstract(self, config, pooled, numbers=None):
        """Pooled ROIs (N, C, h, w) -> features (N, F); ``numbers`` in training."""
        raise NotImplementedError

    def head_units(self, config):
        """F of :meth:`abstract`."""
        return scaled(CHANNELS[3], config["network"]["width"])

    def abnormal(self, config, shallow, rois, count, batch_size, numbers=None):
        """Stage one's score of each ROI, (B * R, 1), or None without a texture stage."""
        return None

    def dropout_units(self, config):
        """Of all layers of the head that are followed by dropout."""
        return self.head_units(config)

    def roi_key_count(self, config):
        """Keys of the ROI sampler: of every anchor, then of every true box."""
        return count_anchors(config["network"], config["data"]["size"]) + config["network"]["head"]["max_boxes"]

    def random_number_count(self, config):
        """Random numbers of an image in training: keys of the ROI sampler, then what dropout takes."""
        head = config["network"]["head"]
        return self.roi_key_count(config) + (head["samples"] * self.dropout_units(config) if head["dropout"] else 0)

    def roi_size(self, config):
        """Cells of a pooled ROI."""
        return config["network"]["head"]["roi_size"]

    def constants(self, config):
        """Name -> float32 array of the arguments that follow from the configuration and are never trained."""
        return {"rpn.anchors": anchors_of(config["network"], config["data"]["size"])}

    def fixed_names(self, config):
        """Arguments that training leaves as they are (``fixed_param_names`` of a Module)."""
        kept = tuple(frozen_parts(config["network"]))
        names = self.get_symbol_test(config).list_arguments() if kept else []
        return sorted(set(self.constants(config)).union(name for name in names if name.startswith(kept)))

    def get_symbol_test(self, config, batch_size=1):
        """Symbol with two outputs: ``detections`` (B, K, 6) and ``check`` (B,), see ``rcnn.detections``."""
        parts = self.test_parts(config, batch_size)
        return mx.sym.Group([parts["detections"], parts["check"]])

    def test_parts(self, config, batch_size=1):
        """Name -> symbol of everything on the way, in order: maps by stride (map4, say), flow, shallow, rpn_scores,
        rpn_offsets, proposal_scores, proposals, class_scores, box_deltas, abnormal, detections, check."""
        self.require(config)
        network, size, classes = config["network"], config["data"]["size"], len(config["classes"])
        count = count_proposals(network, size, training=False)
        parts = OrderedDict()
        found = self.features(config, batch_size)
        strides = [stride for stride, _ in levels_of(network)]
        parts.update(("map{}".format(stride), level) for stride, level in zip(strides, found.maps))
        parts["flow"], parts["shallow"] = found.flow, found.shallow
        parts["rpn_scores"], parts["rpn_offsets"] = rpn_head(found.maps, network)
        scores, rois, _ = propose(parts["rpn_scores"], parts["rpn_offsets"], network, size, batch_size)
        parts["proposal_scores"], parts["proposals"] = scores, rois
        abstract, abnormal = self.head(config, found, rois, count, batch_size)
        class_scores, box_deltas = predictions(abstract, classes)
        parts["class_scores"] = mx.sym.reshape(class_scores, shape=(batch_size, count, classes + 1))
        parts["box_deltas"] = mx.sym.reshape(box_deltas, shape=(batch_size, count, classes, 4))
        parts["abnormal"] = None
        if abnormal is not None:
            parts["abnormal"] = mx.sym.reshape(abnormal, shape=(batch_size, count, 1))
        parts["detections"], parts["check"] = detections(
            scores,
            rois,
            parts["class_scores"],
            parts["box_deltas"],
            parts["abnormal"],
            count,
            classes,
            network["head"],
            batch_size,
        )
        return OrderedDict((name, named(part, name)) for name, part in parts.items() if part is not None)

    def train_inputs(self, config, batch_size):
        """:meth:`inputs`; random numbers, uniform from 0 to below 1; and the targets, all padded with -1: ground-truth
        corners in pixels and classes from 0, labels of anchors (1, 0, -1 for ignored) and offsets to the boxes of
        those that are 1."""
        network, boxes = config["network"], config["network"]["head"]["max_boxes"]
        anchors = count_anchors(network, config["data"]["size"])
        shapes = dict(self.inputs(config, batch_size))
        shapes[random_numbers.INPUT] = (batch_size, self.random_number_count(config))
        shapes.update(gt_boxes=(batch_size, boxes, 4), gt_labels=(batch_size, boxes))
        shapes.update(rpn_labels=(batch_size, anchors), rpn_targets=(batch_size, anchors, 4))
        return shapes

    def get_symbol_train(self, config, batch_size):
        """Symbol of the losses, for ``batch_size`` images a device; its inputs are :meth:`train_inputs`.

        Outputs, each (B,), a loss of each image: rpn_score, rpn_box, rcnn_score, rcnn_box, and with a texture stage
        texture. Gradients are of the sum of all: with a Module's default ``rescale_grad``, 1 / images of all devices
        and workers, those of the mean over the images.
        """
        self.require(config)
        network, head, size = config["network"], config["network"]["head"], config["data"]["size"]
        samples, classes = head["samples"], len(config["classes"])
        proposals, most = count_proposals(network, size, training=True), most_positives(head)
        numbers = RandomNumbers(mx.sym.Variable(random_numbers.INPUT), head)
        keys = numbers.take(self.roi_key_count(config))
        found = self.features(config, batch_size)
        rpn_scores, rpn_offsets = rpn_head(found.maps, network)
        scores, rois, anchors = propose(rpn_scores, rpn_offsets, network, size, batch_size, training=True)
        keys = candidate_keys(keys, anchors, count_anchors(network, size), head, batch_size)
        boxes, labels = mx.sym.Variable("gt_boxes"), mx.sym.Variable("gt_labels")
        rois, targets, boxes = sample_rois(scores, rois, boxes, labels, keys, proposals, head, batch_size)
        abstract, abnormal = self.head(config, found, rois, samples, batch_size, numbers)
        class_scores = dense(abstract, "class_predictor", classes + 1)
        # boxes are predicted for the ROIs that can be positive only
        abstract = mx.sym.reshape(abstract, shape=(batch_size, samples, -1))
        first = [mx.sym.slice_axis(part, axis=1, begin=0, end=most) for part in (abstract, rois, boxes, targets)]
        box_deltas = dense(mx.sym.reshape(first[0], shape=(-3, 0)), "box_predictor", classes * 4)
        box_deltas = mx.sym.reshape(box_deltas, shape=(batch_size, most, classes, 4))
        offsets, masks = box_targets(first[1], first[2], first[3], classes)
        class_scores = mx.sym.reshape(class_scores, shape=(batch_size, samples, classes + 1))
        losses = rpn_losses(rpn_scores, rpn_offsets)
        losses.append(("rcnn_score", class_loss(class_scores, targets)))
        losses.append(("rcnn_box", box_loss(mx.sym.broadcast_sub(box_deltas, offsets), masks, targets, HEAD_HUBER)))
        if abnormal is not None:
            losses.append(("texture", binary_loss(mx.sym.reshape(abnormal, shape=(batch_size, samples)), targets)))
        return mx.sym.Group([mx.sym.MakeLoss(loss, name=name) for name, loss in losses])

    def head(self, config, found, rois, count, batch_size, numbers=None):
        """ROIs (B, R, 4) in pixels -> abstract features (B * R, F), and stage one's score (B * R, 1) or None.

        With ``numbers``, in training, dropout takes from them layer by layer.
        """
        rois = with_area(rois)
        strides = [stride for stride, _ in levels_of(config["network"])]
        pooled = pyramid_rois(
            found.maps,
            rois,
            count,
            batch_size,
            strides,
            self.roi_size(config),
            config["data"]["size"],
            config["network"]["roi_mode"],
        )
        abstract = apply_dropout(self.abstract(config, pooled, numbers), self.head_units(config), numbers)
        return abstract, self.abnormal(config, found.shallow, rois, count, batch_size, numbers)

    def require(self, config):
        """ValueError for a configuration that is not this network's."""

    def init_weights(self, config, arg_params, aux_params, seed=0):
        """Add what is missing to two dictionaries of parameters, and the constants; what is there stays.

        New weights start as those of the Gluon networks do, from a NumPy generator of ``seed``: the same in every
        version of MXNet and NumPy.
        """
        symbol = self.get_symbol_test(config)
        shapes, _, aux_shapes = symbol.infer_shape(**self.inputs(config, 1))
        constants = self.constants(config)
        for name, shape in zip(symbol.list_arguments(), shapes):
            if name in constants:
                arg_params[name] = mx.nd.array(constants[name])
            elif name not in arg_params and name not in self.inputs(config, 1):
                arg_params[name] = mx.nd.array(new_weight(name, shape, seed))
        for name, shape in zip(symbol.list_auxiliary_states(), aux_shapes):
            if name not in aux_params:
                aux_params[name] = mx.nd.array(new_weight(name, shape, seed))

    def check_shapes(self, config, arg_params, aux_params):
        """ValueError that lists every parameter that is missing, unknown, or of another kind or shape than wanted."""
        symbol, inputs = self.get_symbol_test(config), self.inputs(config, 1)
        shapes, _, aux_shapes = symbol.infer_shape(**inputs)
        wanted = {"arg:" + name: shape for name, shape in zip(symbol.list_arguments(), shapes) if name not in inputs}
        wanted.update(("aux:" + name, shape) for name, shape in zip(symbol.list_auxiliary_states(), aux_shapes))
        found = {"arg:" + name: array.shape for name, array in arg_params.items() if name not in inputs}
        found.update(("aux:" + name, array.shape) for name, array in aux_params.items())
        odd = [
            "{}: {}, wanted {}".format(name, found.get(name, "missing"), wanted.get(name, "none"))
            for name in sorted(set(wanted) | set(found))
            if found.get(name) != wanted.get(name)
        ]
        if odd:
            raise ValueError("{} parameters do not fit the network:\n{}".format(len(odd), "\n".join(odd)))


def predictions(abstract, classes):
    """Features (N, F) -> class scores (N, C + 1) before the softmax and normalised offsets (N, C * 4)."""
    return dense(abstract, "class_predictor", classes + 1), dense(abstract, "box_predictor", classes * 4)


def rpn_losses(scores, offsets):
    """Scores (B, A, 1) and offsets (B, A, 4) -> names and losses (B,)."""
    labels = mx.sym.Variable("rpn_labels")
    positive = mx.sym.expand_dims(labels > 0, axis=2)
    error = offsets - mx.sym.Variable("rpn_targets")
    return [
        ("rpn_score", binary_loss(mx.sym.reshape(scores, shape=(0, -1)), labels)),
        ("rpn_box", box_loss(error, positive, labels, RPN_HUBER)),
    ]


def named(symbol, name):
    return mx.sym.identity(symbol, name=name)
