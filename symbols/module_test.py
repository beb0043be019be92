"""Detects lesions in a record file with the Module API and writes COCO results, as evaluate's detections.json.

    python -m symbols.module_test --records test.rec --prefix model/r50 --load-epoch 6 --out detections.json

`python -m gluon_liver score` makes the table of them. Runs under MXNet 1.0 on Python 2.7 and 1.9.1 on Python 3.
"""

from __future__ import division

import argparse
import json
import logging

import mxnet as mx
import numpy as np

from .module_params import load_weights
from .module_train import add_devices, checkpoint_path, contexts_of, positive
from .networks.catalogue import network_of
from .record_iter import network_input
from .records import RecordFile
from .whole_files import check_place, write_whole


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description="score a network of symbols/ with the Module API")
    parser.add_argument("--records", required=True, help="NAME.rec of `python -m gluon_liver records`")
    parser.add_argument("--prefix", help="of the checkpoints")
    parser.add_argument("--load-epoch", type=int, help="which checkpoint of PREFIX")
    parser.add_argument("--weights", help="a file of parameters, instead of PREFIX")
    add_devices(parser)
    parser.add_argument("--batch-size", type=positive, help="images at a time; one a device by default")
    parser.add_argument("--out", required=True, help="the JSON file to write")
    args = parser.parse_args(arguments)
    if (args.weights is None) != (args.prefix is not None and args.load_epoch is not None):
        parser.error("give --prefix and --load-epoch, or --weights")
    return args


def detect(args):
    """Write the detections; returns them."""
    check_place("--out", args.out)
    records, contexts = RecordFile(args.records), contexts_of(args)
    config, batch_size = records.config, args.batch_size or len(contexts)
    if batch_size % len(contexts):
        raise ValueError("{} images cannot be parted evenly among {} devices".format(batch_size, len(contexts)))
    network = network_of(config)
    path = args.weights if args.weights is not None else checkpoint_path(args.prefix, args.load_epoch)
    arg_params, aux_params = load_weights(path, network, config)
    shapes = network.inputs(config, batch_size)
    names = [name for name in ("data", "present") if name in shapes]
    module = mx.mod.Module(
        network.get_symbol_test(config, batch_size // len(contexts)),
        data_names=names,
        label_names=None,
        context=contexts,
    )
    module.bind([(name, shapes[name]) for name in names], for_training=False)
    module.set_params(arg_params, aux_params)
    found = []
    for first in range(0, len(records), batch_size):
        part = [records[index] for index in range(first, min(first + batch_size, len(records)))]
        rows, check = outputs(module, config, names, part + part[-1:] * (batch_size - len(part)))
        if not np.isfinite(check[: len(part)]).all():
            raise ValueError("the network's scores are not finite: its training diverged, it cannot detect anything")
        for record, image_rows in zip(part, rows):
            found.extend(results(record, image_rows))
        logging.info("%d of %d images", first + len(part), len(records))
    write_whole(args.out, json.dumps(found, indent=1, sort_keys=True) + "\n")
    return found


def outputs(module, config, names, part):
    """Rows (B, K, 6) and check values (B,) of a full batch."""
    arrays = {
        "data": network_input(config, np.stack([record.image for record in part])),
        "present": np.stack([record.present for record in part]),
    }
    module.forward(mx.io.DataBatch([mx.nd.array(arrays[name]) for name in names], None), is_train=False)
    return [output.asnumpy() for output in module.get_outputs()]


def results(record, rows):
    """Rows (K, 6) of an image in network pixels -> COCO results in pixels of the stored image, best first."""
    rows = rows[rows[:, 0] >= 0]
    rows = rows[np.argsort(-rows[:, 1], kind="mergesort")]
    edges = np.array([record.width, record.height, record.width, record.height], np.float32)
    boxes = np.clip(rows[:, 2:] / record.scale, 0, edges)
    found = []
    for label, score, box in zip(rows[:, 0], rows[:, 1], boxes):
        x1, y1, x2, y2 = (rounded(edge, 2) for edge in box)
        if (box[2:] > box[:2]).all():
            found.append(
                {
                    "image_id": record.image_id,
                    "category_id": int(label) + 1,
                    "score": rounded(score, 5),
                    "bbox": [x1, y1, rounded(x2 - x1, 2), rounded(y2 - y1, 2)],
                }
            )
    return found


def rounded(number, digits):
    """As Python 3 rounds."""
    return float("{:.{}f}".format(float(number), digits))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    detect(parse_arguments())
