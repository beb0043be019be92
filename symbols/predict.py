"""Runs a Module checkpoint on saved inputs; needs MXNet and NumPy alone.

    python predict.py PREFIX INPUTS.npz OUTPUTS.npz

Reads PREFIX-symbol.json and PREFIX-0000.params. INPUTS.npz holds an array for each input of the network, any number of
images; OUTPUTS.npz gets the network's outputs: ``detections`` (images, K, 6), class, score, x1, y1, x2, y2 in pixels of
the input, class -1 for no box, and ``check`` (images,), finite where the scores are. Runs under Python 2.7 and 3.
"""

from __future__ import division, print_function

import ast
import os
import sys

import mxnet as mx
import numpy as np

OUTPUTS = ("detections", "check")


def load_module(prefix, epoch=0, context=None):
    """The checkpoint as a Module that is bound to the input shapes that its symbol names."""
    symbol, args, aux = mx.model.load_checkpoint(prefix, epoch)
    attributes = symbol.attr_dict()
    names = [name for name in symbol.list_arguments() if name not in args]
    shapes = [(name, ast.literal_eval(attributes[name]["__shape__"])) for name in names]
    module = mx.mod.Module(symbol, data_names=names, label_names=None, context=context or mx.cpu())
    module.bind(data_shapes=shapes, for_training=False)
    module.set_params(args, aux)
    return module


def predict(module, inputs):
    """Name -> array of all images in ``inputs``, name -> array; a last batch is filled with its last image.

    ValueError for inputs that are not the network's, and where they or ``check`` are not finite."""
    shapes = dict((each.name, each.shape) for each in module.data_shapes)
    unknown = sorted(set(inputs) - set(shapes))
    if unknown:
        raise ValueError("input {} is unknown: the network takes {}".format(unknown[0], ", ".join(sorted(shapes))))
    for name, shape in shapes.items():
        found = inputs[name].shape if name in inputs else None
        if found is None or found[1:] != tuple(shape[1:]) or not found[0]:
            raise ValueError("input {} is {}, wanted (images,) + {}".format(name, found, tuple(shape[1:])))
        if not np.isfinite(inputs[name]).all():  # the network's ReLUs can make zeros of them
            raise ValueError("input {} holds values that are not finite".format(name))
    counts = sorted((name, len(inputs[name])) for name in shapes)
    if len(set(count for _, count in counts)) > 1:
        raise ValueError(
            "the inputs are of different numbers of images: {}".format(
                ", ".join("{} of {}".format(*each) for each in counts)
            )
        )
    size, count = module.data_shapes[0].shape[0], len(inputs[module.data_names[0]])
    found = []
    for first in range(0, count, size):
        rows = np.minimum(np.arange(first, first + size), count - 1)
        batch = [mx.nd.array(inputs[name][rows]) for name in module.data_names]
        module.forward(mx.io.DataBatch(data=batch), is_train=False)
        found.append([output.asnumpy() for output in module.get_outputs()])
    found = dict((name, np.concatenate(parts)[:count]) for name, parts in zip(OUTPUTS, zip(*found)))
    broken = np.flatnonzero(~np.isfinite(found["check"]))
    if len(broken):
        raise ValueError("the scores of image {} are not finite: the training diverged".format(broken[0]))
    return found


def main(prefix, inputs, outputs):
    with np.load(inputs) as saved:
        found = predict(load_module(prefix), dict((name, saved[name]) for name in saved.files))
    partial = outputs + ".partial.npz"
    try:
        np.savez(partial, **found)
        os.rename(partial, outputs)
    finally:
        if os.path.exists(partial):
            os.remove(partial)
    print(
        "MXNet {}: {} images, {} boxes: {}".format(
            mx.__version__, len(found["check"]), int((found["detections"][:, :, 0] >= 0).sum()), outputs
        )
    )


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except ValueError as problem:
        sys.exit("{}".format(problem))
