"""Runs a network on saved inputs and parameters and says how far its parts are from saved ones.

    python -m symbols.parity FOLDER [FOLDER ...]

A folder holds config.json, weights.params ("arg:..." and "aux:..." as of a Module), inputs.npz, and outputs.npz with
an array for each name of ``Detector.test_parts``; where it holds them too, test-symbol.json of the network, and
train_inputs.npz and gradients.npz of a training step. Prints one line of JSON
for each folder; runs under Python 2.7 and 3.
"""

from __future__ import division, print_function

import io
import json
import os
import sys

import mxnet as mx
import numpy as np

from .networks.catalogue import network_of


def symbol_parts(config, arg_params, aux_params, inputs):
    """Name -> array of every part of the network that the configuration is of."""
    network, batch_size = network_of(config), len(inputs["data"])
    arg_params, aux_params = dict(arg_params), dict(aux_params)
    arg_params.update((name, mx.nd.array(array)) for name, array in network.constants(config).items())
    network.check_shapes(config, arg_params, aux_params)
    parts = network.test_parts(config, batch_size)
    arg_params.update((name, mx.nd.array(array)) for name, array in inputs.items())
    executor = mx.sym.Group(list(parts.values())).bind(mx.cpu(), arg_params, aux_states=aux_params, grad_req="null")
    outputs = executor.forward(is_train=False)
    return {name: output.asnumpy() for name, output in zip(parts, outputs)}


def symbol_gradients(config, arg_params, aux_params, inputs):
    """Name -> gradient of the sum of the images' losses at these weights, and the running statistics after the step;
    with the losses, each (B,), as "loss.rpn_score" and so on."""
    network, batch_size = network_of(config), len(inputs["data"])
    args, aux = dict(arg_params), {name: array.copy() for name, array in aux_params.items()}
    args.update((name, mx.nd.array(array)) for name, array in network.constants(config).items())
    args.update((name, mx.nd.array(array)) for name, array in inputs.items())
    fixed = set(network.fixed_names(config)).union(inputs)
    gradients = {name: mx.nd.zeros(array.shape) for name, array in args.items() if name not in fixed}
    symbol = network.get_symbol_train(config, batch_size)
    executor = symbol.bind(mx.cpu(), args, args_grad=gradients, aux_states=aux)
    losses = executor.forward(is_train=True)
    executor.backward()
    mx.nd.waitall()
    names = ["loss." + name[: -len("_output")] for name in symbol.list_outputs()]
    result = {name: array.asnumpy() for name, array in zip(names, losses)}
    result.update((name, array.asnumpy()) for name, array in gradients.items())
    result.update((name, array.asnumpy()) for name, array in aux.items())
    return result


def differences(found, wanted):
    """Name -> largest absolute difference, and that as a share of the largest absolute value wanted.

    What is not a number in one and a number in the other is as far away as can be.
    """
    result = {}
    for name in sorted(wanted):
        if found[name].shape != wanted[name].shape:
            raise ValueError("{} has shape {}, wanted {}".format(name, found[name].shape, wanted[name].shape))
        theirs = ordered(found[name], wanted[name]) if name == "detections" else found[name]
        apart = np.abs(theirs.astype(np.float64) - wanted[name])
        absolute = float(np.where(np.isnan(apart), np.inf, apart).max())
        result[name] = [absolute, absolute / max(float(np.abs(wanted[name]).max()), 1e-12)]
    return result


def ordered(found, wanted):
    """Detections (B, K, 6) in the order of those wanted: rows of almost the same score may be sorted otherwise."""
    result = np.empty_like(found)
    for image, (rows, targets) in enumerate(zip(found, wanted)):
        left = list(range(len(rows)))
        for place, target in enumerate(targets):
            nearest = min(left, key=lambda row: np.abs(rows[row] - target).max())
            left.remove(nearest)
            result[image, place] = rows[nearest]
    return result


def split_parameters(saved):
    """A Module's parameter file -> arguments and auxiliary states."""
    both = {"arg": {}, "aux": {}}
    for key, array in saved.items():
        kind, _, name = key.partition(":")
        both[kind][name] = array
    return both["arg"], both["aux"]


def loaded_outputs(folder, config, arg_params, aux_params, inputs):
    """Detections and check value of the symbol that the folder's test-symbol.json holds."""
    args = dict(arg_params)
    args.update((name, mx.nd.array(array)) for name, array in network_of(config).constants(config).items())
    args.update((name, mx.nd.array(array)) for name, array in inputs.items())
    symbol = mx.sym.load(os.path.join(folder, "test-symbol.json"))
    outputs = symbol.bind(mx.cpu(), args, aux_states=aux_params, grad_req="null").forward(is_train=False)
    return {"detections": outputs[0].asnumpy(), "check": outputs[1].asnumpy()}


def compare(folder):
    """Differences of one folder: of "outputs", of "loaded" if a symbol is saved, of "gradients" if they are."""
    with io.open(os.path.join(folder, "config.json"), encoding="utf-8") as handle:
        config = json.load(handle)
    weights = split_parameters(mx.nd.load(os.path.join(folder, "weights.params")))
    inputs, wanted = load_arrays(folder, "inputs"), load_arrays(folder, "outputs")
    result = {"outputs": differences(symbol_parts(config, weights[0], weights[1], inputs), wanted)}
    if os.path.exists(os.path.join(folder, "test-symbol.json")):
        found = loaded_outputs(folder, config, weights[0], weights[1], inputs)
        result["loaded"] = differences(found, {name: wanted[name] for name in found})
    if os.path.exists(os.path.join(folder, "gradients.npz")):
        found = symbol_gradients(config, weights[0], weights[1], load_arrays(folder, "train_inputs"))
        wanted = load_arrays(folder, "gradients")
        result["gradients"] = differences(found, wanted)
        result["gradients_apart"] = distance(found, wanted)
    return result


def distance(found, wanted):
    """Length of the difference of all arrays together, as a share of the length of those wanted."""
    apart, length = (
        sum(float(np.square(array.astype(np.float64)).sum()) for array in arrays) ** 0.5
        for arrays in ([found[name] - wanted[name] for name in wanted], wanted.values())
    )
    return apart / length


def load_arrays(folder, name):
    with np.load(os.path.join(folder, name + ".npz")) as saved:
        return {key: saved[key] for key in saved.files}


if __name__ == "__main__":
    for each in sys.argv[1:]:
        line = {"folder": os.path.basename(each), "mxnet": mx.__version__}
        line.update(compare(each))
        print(json.dumps(line, sort_keys=True))
        sys.stdout.flush()
