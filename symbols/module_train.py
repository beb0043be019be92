"""Trains a network with the Module API on a record file, under MXNet 1.0 on Python 2.7 or 1.9.1 on Python 3.

    python -m symbols.module_train --records train.rec --prefix model/r50 --cpus 2

The record file says which network (:mod:`symbols.records`). Leaves PREFIX-symbol.json and PREFIX-0001.params and so on,
one file an epoch. With --kv-store dist_sync it is one worker of a job, as MXNet's tools/launch.py starts them. Several
CPU contexts of MXNet 1.0 want OMP_NUM_THREADS=1.

Both versions make the same batches and take the same samples as long as no two scores or random numbers are equal: the
sort of 1.9.1 takes equal values in any order, that of 1.0 the first one first. Going on from a checkpoint starts with
no momentum, as it is not saved: MXNet pickles it.
"""

from __future__ import division

import argparse
import logging
import os

import mxnet as mx
import numpy as np

from .module_params import load_weights
from .networks.catalogue import network_of
from .networks.us_flow import estimated
from .portable import portable_json
from .record_iter import LABELS, RecordIter, left_out
from .records import RecordFile
from .whole_files import check_place, whole_file, write_whole


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description="train a network of symbols/ with the Module API")
    parser.add_argument("--records", required=True, help="NAME.rec of `python -m gluon_liver records`")
    parser.add_argument("--prefix", required=True, help="of the checkpoints")
    add_devices(parser)
    parser.add_argument("--kv-store", default="local", help="local, device or dist_sync")
    parser.add_argument("--batch-size", type=positive, help="images a step of this worker; else the configuration's")
    parser.add_argument("--epochs", type=positive, help="to train in all; the configuration's by default")
    parser.add_argument("--epoch-steps", type=positive, help="steps of an epoch, instead of one pass over the images")
    parser.add_argument("--lr", type=float, help="learning rate of a step; by default the configuration's, per image")
    parser.add_argument("--lr-factor", type=float, help="at each of --lr-steps; the configuration's by default")
    parser.add_argument("--lr-steps", help="epochs, as in 14,18; the configuration's by default")
    parser.add_argument("--momentum", type=float, help="the configuration's by default")
    parser.add_argument("--wd", type=float, help="weight decay; the configuration's by default")
    parser.add_argument("--load-epoch", "--resume-epoch", type=int, help="go on from PREFIX at this epoch")
    parser.add_argument("--weights", help="parameters to start from, as of a Module, instead of new ones")
    parser.add_argument("--seed", type=int, help="of new weights and of the batches; the configuration's by default")
    parser.add_argument("--frequent", type=positive, default=20, help="steps between two lines of the log")
    args = parser.parse_args(arguments)
    if args.load_epoch is not None and args.weights is not None:
        parser.error("--load-epoch goes on with PREFIX, --weights starts anew: give one of them")
    return args


def positive(text):
    """A count, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("{} is below 1".format(number))
    return number


def add_devices(parser):
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--gpus", help="numbers of GPUs, as in 0,1")
    group.add_argument("--cpus", type=positive, default=1, help="number of CPU contexts")


def contexts_of(args):
    if args.gpus:
        return [mx.gpu(int(number)) for number in args.gpus.split(",")]
    return [mx.cpu(number) for number in range(args.cpus)]


def train(args):
    """Train as the arguments say; returns the module."""
    records, kvstore, contexts = RecordFile(args.records), mx.kvstore.create(args.kv_store), contexts_of(args)
    config = records.config
    options = config["train"]
    begin, epochs = chosen(args.load_epoch, 0), chosen(args.epochs, options["epochs"])
    if records.split != "train":
        raise ValueError("{} holds the {} split: training takes the train split".format(args.records, records.split))
    if begin >= epochs:
        raise ValueError(
            "--load-epoch {} of {} epochs: nothing is left to train, give more --epochs".format(begin, epochs)
        )
    batch_size, seed = chosen(args.batch_size, options["batch_size"]), chosen(args.seed, options["seed"])
    if batch_size % len(contexts):
        raise ValueError("{} images cannot be parted evenly among {} devices".format(batch_size, len(contexts)))
    for name in left_out(config):
        logging.warning("%s is not 0, and not done here", name)
    network = network_of(config)
    symbol = network.get_symbol_train(config, batch_size // len(contexts))
    new = epochs if args.load_epoch is None else 0
    checkpoints = Checkpoints(args.prefix, network.constants(config), symbol, new)
    arg_params, aux_params = start_weights(args, network, config, seed)
    batches = RecordIter(records, batch_size, seed, begin, kvstore.rank, kvstore.num_workers)
    steps = chosen(args.epoch_steps, len(batches))
    inputs = [item.name for item in batches.provide_data]
    module = mx.mod.Module(
        symbol, data_names=inputs, label_names=LABELS, context=contexts, fixed_param_names=network.fixed_names(config)
    )
    module.fit(
        mx.io.ResizeIter(batches, steps) if args.epoch_steps else batches,
        eval_metric=mx.metric.CompositeEvalMetric([mean_loss(name) for name in symbol.list_outputs()]),
        kvstore=kvstore,
        optimizer=optimizer_of(args, config, batch_size * kvstore.num_workers, steps, begin),
        arg_params=arg_params,
        aux_params=aux_params,
        begin_epoch=begin,
        num_epoch=epochs,
        batch_end_callback=[stop_at_nan, mx.callback.Speedometer(batch_size, args.frequent)],
        epoch_end_callback=checkpoints if kvstore.rank == 0 else None,
    )
    return module


def chosen(given, default):
    return default if given is None else given


def start_weights(args, network, config, seed):
    """Arguments and auxiliary states, constants included; ValueError where they are another network's, and
    where new weights would be a flow network's that stays as it is."""
    path = args.weights
    if args.load_epoch is not None:
        path = checkpoint_path(args.prefix, args.load_epoch)
    if path is None:
        if config["model"] == "us-flow" and estimated(config) and not config["flow"]["train"]:
            raise ValueError("flow.train is false: give --weights that hold a LiteFlowNet, as of an exported run")
        arg_params, aux_params = {}, {}
        network.init_weights(config, arg_params, aux_params, seed)
        return arg_params, aux_params
    return load_weights(path, network, config)


def optimizer_of(args, config, images, steps, begin):
    """SGD with momentum on the mean over the images of a step of all workers.

    Made by hand because a Module spares names that do not end in _weight the weight decay, and ours end in .weight; the
    Gluon side decays all.
    """
    options = config["train"]
    epochs = [float(epoch) for epoch in args.lr_steps.split(",")] if args.lr_steps else options["decay_epochs"]
    factor, rate = chosen(args.lr_factor, options["decay_factor"]), args.lr
    if rate is None:
        if options["optimizer"] != "sgd":
            raise ValueError(
                "train.optimizer is {}, this trains with SGD: its rate is Adam's: give --lr".format(
                    options["optimizer"]
                )
            )
        rate = options["learning_rate"] * images
    rate *= factor ** sum(epoch <= begin for epoch in epochs)
    left = [int((epoch - begin) * steps) for epoch in epochs if epoch > begin]
    return mx.optimizer.create(
        "sgd",
        learning_rate=rate,
        momentum=chosen(args.momentum, options["momentum"]),
        wd=chosen(args.wd, options["weight_decay"]),
        rescale_grad=1.0 / images,
        lr_scheduler=mx.lr_scheduler.MultiFactorScheduler(left, factor) if left else None,
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
    """Saves the symbol, in a form that both versions of MXNet load, and each epoch's parameters without constants.

    Raises ValueError where the prefix's folder cannot be written to, where PREFIX-symbol.json is of something else, and
    where a file of the ``new`` epochs is there.
    """

    def __init__(self, prefix, constants, symbol, new=0):
        self._prefix, self._constants = prefix, constants
        path, folder = prefix + "-symbol.json", os.path.dirname(prefix)
        if folder and not os.path.isdir(folder):
            make_folders(folder)
        check_place("--prefix", path)
        if os.path.exists(path) and names_of(load_symbol(path)) != names_of(symbol):
            raise ValueError(
                "{} is of another network, or for inference as an export's: choose another --prefix, and "
                "start from its parameters with --weights".format(path)
            )
        taken = [epoch for epoch in range(1, new + 1) if os.path.exists(checkpoint_path(prefix, epoch))]
        if taken:
            last = taken[-1]
            more = " and more --epochs than {}".format(new) if last == new else ""
            raise ValueError(
                "{} exists: go on from it with --load-epoch {}{}, or choose another --prefix".format(
                    checkpoint_path(prefix, last), last, more
                )
            )

    def __call__(self, epoch, symbol, arg_params, aux_params):
        write_whole(self._prefix + "-symbol.json", portable_json(symbol))
        arrays = {"arg:" + name: array for name, array in arg_params.items() if name not in self._constants}
        arrays.update(("aux:" + name, array) for name, array in aux_params.items())
        path = checkpoint_path(self._prefix, epoch + 1)
        with whole_file(path) as partial:
            mx.nd.save(partial, arrays)
        logging.info("saved %s", path)


def make_folders(folder):
    try:
        os.makedirs(folder)
    except OSError as error:
        if not os.path.isdir(folder):  # another worker may have made it meanwhile
            raise ValueError("--prefix: {} cannot be made: {}".format(folder, error.strerror))  # noqa: B904


def load_symbol(path):
    try:
        return mx.sym.load(path)
    except (mx.base.MXNetError, ValueError):  # the latter where MXNet's message quotes bytes
        raise ValueError("{} is there and no symbol: choose another --prefix".format(path))  # noqa: B904


def names_of(symbol):
    """What tells two networks apart, whatever the batch and the version of MXNet."""
    return symbol.list_outputs(), sorted(symbol.list_arguments()), sorted(symbol.list_auxiliary_states())


def checkpoint_path(prefix, epoch):
    return "{}-{:04d}.params".format(prefix, epoch)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    train(parse_arguments())
