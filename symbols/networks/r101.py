"""R-101: one slice, the 101 layers of Table 3. Proposals and ROIs read Block3's map, Block4 is the head."""

from __future__ import division

from .r50 import R50


class R101(R50):
    row = (101, None, False, False)
