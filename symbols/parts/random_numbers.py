"""The random numbers of a training pass, an input of the symbol, as gluon_liver.nn.random_numbers hands them out: an
image's own, the same in every version of MXNet and on any number of devices."""

from __future__ import division

import mxnet as mx

INPUT = "draws"  # the symbol's input, which checkpoints name


class RandomNumbers(object):
    """Hands out an image's numbers, one part after the other: of a symbol (B, N), uniform from 0 to below 1."""

    def __init__(self, numbers, head):
        self._numbers, self._used = numbers, 0
        self._rate, self._samples = head["dropout"], head["samples"]

    def take(self, count):
        """The next (B, count) of them."""
        begin, self._used = self._used, self._used + count
        return mx.sym.slice_axis(self._numbers, axis=1, begin=begin, end=self._used)

    def apply_dropout(self, features, units):
        """Features (B * S, units) of sampled ROIs after dropout."""
        if self._rate == 0:
            return features
        numbers = mx.sym.reshape(self.take(self._samples * units), shape=(-1, units))
        return features * ((numbers >= self._rate) / (1.0 - self._rate))


def apply_dropout(features, units, numbers):
    """Features after dropout in training; as they are where ``numbers`` is None."""
    return features if numbers is None else numbers.apply_dropout(features, units)
