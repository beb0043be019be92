"""A Module's parameter files, checked: what does not fit the network is told before anything runs."""

from __future__ import division

import os
import struct

import mxnet as mx
import numpy as np

from .parity import split_parameters

MXNET_MAGIC = struct.pack("<QQ", 0x112, 0)  # src/ndarray/ndarray.cc: kMXAPINDArrayListMagic, reserved
MXNET_NP_ARRAY = struct.pack("<I", 0xF993FACA)  # NDARRAY_V3_MAGIC: saved in NumPy mode
# constants are computed in float64 and rounded; NumPy's versions may differ in the last digit
CONSTANT_TOLERANCE = 1e-6


def load_weights(path, network, config):
    """Arguments and auxiliary states of a file, and the network's constants.

    ValueError where the file is none of a Module's parameters, is damaged, or of another network or configuration.
    """
    arg_params, aux_params = split_parameters(read_arrays(path))
    for name, array in network.constants(config).items():
        if name in arg_params and differs(arg_params[name], array):  # an export's file holds them, module_train's not
            raise ValueError(
                "{}: the constant {} differs: it is of another configuration than the records".format(path, name)
            )
        arg_params[name] = mx.nd.array(array)
    try:
        network.check_shapes(config, arg_params, aux_params)
    except ValueError as error:
        raise ValueError("{}: {}".format(path, error))  # noqa: B904  Python 2 has no "from"
    return arg_params, aux_params


def read_arrays(path):
    """ "arg:..." or "aux:..." -> NDArray, dense float32 and finite."""
    if not os.path.isfile(path):
        raise ValueError("{}: no such file of parameters".format(path))
    with open(path, "rb") as handle:
        head = handle.read(32)
    if not head.startswith(MXNET_MAGIC):
        raise ValueError("{} is no parameter file of MXNet: it begins with {!r}".format(path, head[:16]))
    if head[24:28] == MXNET_NP_ARRAY:  # MXNet 1.0 would end the process
        raise ValueError("{} was saved in NumPy mode: load it in that mode and save it again without".format(path))
    try:
        found = mx.nd.load(path)
    except (mx.base.MXNetError, ValueError):  # the latter where MXNet's message quotes bytes of the file
        raise ValueError("{} is damaged or cut: MXNet cannot load it".format(path))  # noqa: B904
    if not isinstance(found, dict):
        raise ValueError("{} holds {} arrays without names".format(path, len(found)))
    for name, array in sorted(found.items()):
        if not name.startswith(("arg:", "aux:")):
            raise ValueError("{}: {!r} begins with neither arg: nor aux:, so no Module saved it".format(path, name))
        if array.stype != "default" or array.dtype != np.float32:
            raise ValueError(
                "{}: {} is {}, {}; dense float32 is wanted".format(path, name, array.stype, np.dtype(array.dtype).name)
            )
        if not np.isfinite(array.asnumpy()).all():
            raise ValueError("{}: {} holds values that are not finite".format(path, name))
    return found


def differs(found, constant):
    """Whether an NDArray is another one than a constant."""
    if found.shape != constant.shape:
        return True
    return np.abs(found.asnumpy() - constant).max() > CONSTANT_TOLERANCE * max(1.0, float(np.abs(constant).max()))
