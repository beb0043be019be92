"""A CT series whole in memory, as tests look at it; the package reads it slice by slice."""

from dataclasses import dataclass
from typing import Any

from gluon_liver.readers.dicom.volume import SeriesStack, open_series


@dataclass(frozen=True, eq=False)
class Volume:
    """``hu`` int16 (z, y, x), z rising to the head, and what :class:`SeriesStack` says of it."""

    hu: Any
    stack: SeriesStack

    @property
    def geometry(self):
        return self.stack.geometry

    @property
    def sop_instance_uids(self):
        return self.stack.sop_instance_uids

    @property
    def mapping(self):
        return self.stack.mapping


def load_series(series, *, regrid=False):
    stack = open_series(series, regrid=regrid)
    return Volume(stack.read(), stack)
