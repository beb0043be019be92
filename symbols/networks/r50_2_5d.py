"""R-50-2.5D: as R-50, of a stack of adjacent slices (nine in the paper), which the stem and both pools look across."""

from __future__ import division

from .r50 import R50


class R50Slices(R50):
    row = (50, True, False, False)
