"""Trains a network with the Module API on a record file, under MXNet 1.0 on Python 2.7 or 1.9.1 on Python 3.

    python -m symbols.module_train --records train.rec --prefix model/r50 --cpus 2

The record file says which network (:mod:`symbols.records`). Leaves PREFIX-symbol.json and PREFIX-0001.params and so on,
one file an epoch. With --kv-store dist_sync it is one worker of a job, as MXNet's tools/launch.py starts them. Several
CPU contexts of MXNet 1.0 want OMP_NUM_THREADS=1.

Both versions make the same batches and draw the same samples as long as no two scores or random numbers are equal: the
sort of 1.9.1 takes equal values in any order, that of 1.0 the first one first. Going on from a checkpoint starts with
no momentum, as it is not saved: MXNet pickles it.
"""

from __future__ import division

import argparse
import io
import logging
import os

import mxnet as mx
import numpy as np

from .catalogue import network_of
from .parity import split_parameters
from .portable import portable_json
from .record_iter import LABELS, RecordIter, left_out
from .records import RecordFile


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description="train a network of symbols/ with the Module API")
    parser.add_argument("--records", required=True, help="NAME.rec of `python -m gluon_liver records`")
    parser.add_argument("--prefix", required=True, help="of the checkpoints")
    add_devices(parser)
    parser.add_argument("--kv-store", default="local", help="local, device or dist_sync")
    parser.add_argument("--batch-size", type=int, help="images a step of this worker; the configuration's by default")
    parser.add_argument("--epochs", type=int, help="to train in all; the configuration's by default")
    parser.add_argument("--epoch-steps", type=int, help="steps of an epoch, instead of one pass over the images")
    parser.add_argument("--lr", type=float, help="learning rate of a step; by default the configuration's, per image")
    parser.add_argument("--lr-factor", type=float, help="at each of --lr-steps; the configuration's by default")
    parser.add_argument("--lr-steps", help="epochs, as in 14,18; the configuration's by default")
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--wd", type=float, help="weight decay; the configuration's by default")
    parser.add_argument("--load-epoch", "--resume-epoch", type=int, help="go on from PREFIX at this epoch")
    parser.add_argument("--weights", help="parameters to start from, as of a Module, instead of new ones")
    parser.add_argument("--seed", type=int, help="of new weights and of the batches; the configuration's by default")
    parser.add_argument("--frequent", type=int, default=20, help="steps between two lines of the log")
    args = parser.parse_args(arguments)
    if args.load_epoch is not None and args.weights is not None:
        parser.error("--load-epoch goes on with PREFIX, --weights starts anew: give one of them")
    return args


def add_devices(parser):
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--gpus", help="numbers of GPUs, as in 0,1")
    group.add_argument("--cpus", type=int, default=1, help="number of CPU contexts")


def contexts_of(args):
    if args.gpus:
        return [mx.gpu(int(number)) for number in args.gpus.split(",")]
    return [mx.cpu(number) for number in range(args.cpus)]


def train(args):
    """Train as the arguments say; returns the module."""
    records, kvstore, contexts = RecordFile(args.records), mx.kvstore.create(args.kv_store), contexts_of(args)
    config = records.config
    options = config["train"]
    batch_size, seed = chosen(args.batch_size, options["batch_size"]), chosen(args.seed, options["seed"])
    if batch_size % len(contexts):
        raise ValueError("{} images cannot be parted evenly among {} devices".format(batch_size, len(contexts)))
    for name in left_out(config):
        logging.warning("%s is not 0, and not done here", name)
    begin = chosen(args.load_epoch, 0)
    network = network_of(config)
    batches = RecordIter(records, batch_size, seed, begin, kvstore.rank, kvstore.num_workers)
    steps = chosen(args.epoch_steps, len(batches))
    symbol = network.get_symbol_train(config, batch_size // len(contexts))
    arg_params, aux_params = start_weights(args, network, config, seed)
    inputs = [item.name for item in batches.provide_data]
    module = mx.mod.Module(
        symbol, data_names=inputs, label_names=LABELS, context=contexts, fixed_param_names=network.fixed_names(config)
    )
    module.fit(
        mx.io.ResizeIter(batches, steps) if args.epoch_steps else batches,
        eval_metric=mx.metric.CompositeEvalMetric([mean_loss(name) for name in symbol.list_outputs()]),
        kvstore=kvstore, optimizer=optimizer_of(args, config, batch_size * kvstore.num_workers, steps, begin),
        arg_params=arg_params, aux_params=aux_params, begin_epoch=begin,
        num_epoch=chosen(args.epochs, options["epochs"]),
        batch_end_callback=[stop_at_nan, mx.callback.Speedometer(batch_size, args.frequent)],
        epoch_end_callback=Checkpoints(args.prefix, network.constants(config)) if kvstore.rank == 0 else None,
    )
    return module


def chosen(given, default):
    return default if given is None else given


def start_weights(args, network, config, seed):
    """Arguments and auxiliary states, constants included; ValueError where they are another network's."""
    path = args.weights
    if args.load_epoch is not None:
        path = checkpoint_path(args.prefix, args.load_epoch)
    if path is None:
        arg_params, aux_params = {}, {}
        network.init_weights(config, arg_params, aux_params, seed)
        return arg_params, aux_params
    return load_weights(path, network, config)


def load_weights(path, network, config):
    """Arguments and auxiliary states of a file of a Module's parameters, and the network's constants."""
    if not os.path.isfile(path):
        raise ValueError("{}: no such file of parameters".format(path))
    arg_params, aux_params = split_parameters(mx.nd.load(path))
    arg_params.update((name, mx.nd.array(array)) for name, array in network.constants(config).items())
    network.check_shapes(config, arg_params, aux_params)
    return arg_params, aux_params


def optimizer_of(args, config, images, steps, begin):
    """SGD with momentum on the mean over the images of a step of all workers.

    Made by hand because a Module spares names that do not end in _weight the weight decay, and ours end in .weight; the
    Gluon side decays all.
    """
    options = config["train"]
    epochs = [float(epoch) for epoch in args.lr_steps.split(",")] if args.lr_steps else options["decay_epochs"]
    factor, rate = chosen(args.lr_factor, options["decay_factor"]), args.lr
    if rate is None:
        rate = options["learning_rate"] * images
    rate *= factor ** sum(epoch <= begin for epoch in epochs)
    left = [int((epoch - begin) * steps) for epoch in epochs if epoch > begin]
    return mx.optimizer.create(
        "sgd", learning_rate=rate, momentum=args.momentum, wd=chosen(args.wd, options["weight_decay"]),
        rescale_grad=1.0 / images, lr_scheduler=mx.lr_scheduler.MultiFactorScheduler(left, factor) if left else None,
    )


def mean_loss(output):
    """The metric of one output: its mean over images."""
    return mx.metric.Loss(output[: -len("_output")], output_names=[output], label_names=[])


def stop_at_nan(param):
    """ValueError where a loss is not finite: MXNet's sort ends the process when the proposals are not numbers."""
    broken = [name for name, value in param.eval_metric.get_name_value() if not np.isfinite(value)]
    if broken:
        raise ValueError(
            "epoch {}, step {}: {} is not finite: lower --lr".format(param.epoch, param.nbatch, ", ".join(broken))
        )


class Checkpoints(object):
    """Saves the symbol, in a form that both versions of MXNet load, and each epoch's parameters without constants."""

    def __init__(self, prefix, constants):
        self._prefix, self._constants = prefix, constants
        if os.path.dirname(prefix) and not os.path.isdir(os.path.dirname(prefix)):
            os.makedirs(os.path.dirname(prefix))

    def __call__(self, epoch, symbol, arg_params, aux_params):
        with io.open(self._prefix + "-symbol.json", "w", encoding="utf-8") as handle:
            handle.write(u"{}".format(portable_json(symbol)))
        arrays = {"arg:" + name: array for name, array in arg_params.items() if name not in self._constants}
        arrays.update(("aux:" + name, array) for name, array in aux_params.items())
        path = checkpoint_path(self._prefix, epoch + 1)
        mx.nd.save(path + ".partial", arrays)
        os.rename(path + ".partial", path)
        logging.info("saved %s", path)


def checkpoint_path(prefix, epoch):
    return "{}-{:04d}.params".format(prefix, epoch)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    train(parse_arguments())
