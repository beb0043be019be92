"""Batches of a record file for the Module API, with the targets of the proposal network.

Everything random comes from ``numpy.random.RandomState`` seeded with the seed, the epoch and the image, whose stream is
the same in every version of NumPy: both Pythons make the same batches, however many workers share a step. The Gluon
side draws from NumPy's newer generators and so makes other batches, of the same distribution; of its augmentation this
has the flip alone.
"""

from __future__ import division

import mxnet as mx
import numpy as np

from .networks.catalogue import US_NETWORKS, network_of
from .parts import random_numbers
from .parts.anchors import assign_anchors

GREY_MEAN, GREY_STD = 0.449, 0.226  # of ImageNet, as gluon_liver.training.batches takes them
ORDER, IMAGE = 0, 1  # what a random number is for
DATA, LABELS = ("data", "present", random_numbers.INPUT), ("gt_boxes", "gt_labels", "rpn_labels", "rpn_targets")


def network_input(config, images):
    """uint8 of any shape -> float32 as the configuration's network takes it."""
    if config["model"] in US_NETWORKS:
        return images.astype(np.float32) / np.float32(255.0)
    return (images.astype(np.float32) / 255.0 - GREY_MEAN) / GREY_STD


def left_out(config):
    """Names of what ``data.augment`` and the like ask for and this iterator does not do."""
    kept = ("flip", "erase_frames")  # the latter says of which frames data.augment.erase is
    asked = ["data.augment." + name for name, value in config["data"]["augment"].items() if value and name not in kept]
    # files of earlier versions lack some
    asked += ["data." + name for name in ("slices_per_lesion", "class_balance") if config["data"].get(name)]
    more = ("clip_norm", "images_per_epoch", "warmup_steps")
    asked += ["train.schedule"] if config["train"].get("schedule", "steps") != "steps" else []
    return sorted(asked + ["train." + name for name in more if config["train"].get(name)])


class RecordIter(mx.io.DataIter):
    """Every image with boxes once an epoch, and background up to ``data.background_ratio``, chosen anew.

    Parameters
    ----------
    records: a :class:`symbols.records.RecordFile`.
    batch_size: images a step of this worker, of all its devices.
    epoch: the first one, for training that goes on.
    part_index, num_parts: this worker and how many share a step.
    """

    def __init__(self, records, batch_size, seed, epoch=0, part_index=0, num_parts=1):
        super(RecordIter, self).__init__(batch_size)
        self._records, self._config, self._seed = records, records.config, seed
        self._parts = part_index, num_parts
        network = network_of(self._config)
        self._anchors = network.constants(self._config)["rpn.anchors"][0]
        self._number_count = network.random_number_count(self._config)
        self._key_count = network.roi_key_count(self._config)
        shapes = network.train_inputs(self._config, batch_size)
        self.provide_data, self.provide_label = (
            [mx.io.DataDesc(name, shapes[name]) for name in names if name in shapes] for names in (DATA, LABELS)
        )
        most = max(records.boxes) if len(records) else 0
        if most > shapes["gt_labels"][1]:
            raise ValueError("an image has {} boxes, network.head.max_boxes is {}".format(most, shapes["gt_labels"][1]))
        self._start(epoch)

    def __len__(self):
        """Batches of an epoch, the last one filled from the epoch's beginning."""
        return len(self._order) // (self.batch_size * self._parts[1])

    def reset(self):
        self._start(self._epoch + 1)

    def next(self):
        if self._place == len(self):
            raise StopIteration
        first = (self._place * self._parts[1] + self._parts[0]) * self.batch_size
        self._place += 1
        images = [self.image(index) for index in self._order[first : first + self.batch_size]]
        data, labels = (
            [mx.nd.array(np.stack([image[item.name] for image in images])) for item in items]
            for items in (self.provide_data, self.provide_label)
        )
        return mx.io.DataBatch(data, labels, pad=0, provide_data=self.provide_data, provide_label=self.provide_label)

    def image(self, index):
        """Input name -> array of one image as this epoch has it."""
        record, config = self._records[index], self._config
        rng = np.random.RandomState([self._seed, IMAGE, self._epoch, index])
        size, most = config["data"]["size"], config["network"]["head"]["max_boxes"]
        image, boxes = record.image, record.boxes
        if config["data"]["augment"]["flip"] and rng.random_sample() < 0.5:
            image, boxes = image[..., ::-1], flipped(boxes, size)
        labels, offsets = assign_anchors(self._anchors, boxes, size, config["network"]["rpn"], rng)
        gt_boxes, gt_labels = -np.ones((most, 4), np.float32), -np.ones(most, np.float32)
        gt_boxes[: len(boxes)], gt_labels[: len(boxes)] = boxes, record.labels
        # 24 bits each: float32 holds them exactly, below 1
        numbers = np.floor(rng.random_sample(self._number_count) * 2**24) / 2**24
        # no two keys are equal: a sort by them leaves nothing to the order before
        numbers[: self._key_count] = rng.permutation(self._key_count) / self._key_count
        return {
            "data": network_input(config, image),
            "present": record.present,
            random_numbers.INPUT: numbers.astype(np.float32),
            "gt_boxes": gt_boxes,
            "gt_labels": gt_labels,
            "rpn_labels": labels,
            "rpn_targets": offsets,
        }

    def _start(self, epoch):
        rng = np.random.RandomState([self._seed, ORDER, epoch])
        counts = np.array(self._records.boxes)
        foreground, background = np.flatnonzero(counts), np.flatnonzero(counts == 0)
        if len(foreground):
            most = int(np.rint(self._config["data"]["background_ratio"] * len(foreground)))
            background = rng.permutation(background)[:most]
        order = rng.permutation(np.concatenate([foreground, background]))
        step = self.batch_size * self._parts[1]
        self._order = order[np.arange(-(-len(order) // step) * step) % len(order)].tolist()
        self._epoch, self._place = epoch, 0


def flipped(boxes, size):
    """Boxes of the image mirrored left-right."""
    result = boxes.copy()
    result[:, 0], result[:, 2] = size - boxes[:, 2], size - boxes[:, 0]
    return result
