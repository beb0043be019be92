"""Reads the record files that ``python -m gluon_liver records`` writes.

NAME.rec is MXNet's RecordIO, NAME.idx says where each record begins. Record 0 is JSON: the format, the split, the
configuration and how many boxes each image has. Records 1 to n are images: one line of JSON (see :class:`Record`), then
the pixels. The header of each says its number (``id``) and the CRC-32 of all that it holds (``id2``). Nothing is
pickled.
"""

from __future__ import division

import json
import os
import struct
import zlib
from collections import namedtuple

import mxnet as mx
import numpy as np

FORMAT = 2
# what MXNet's reader raises where the index lacks a record or leads elsewhere, or the file ends before it
DAMAGE = (AttributeError, IndexError, KeyError, TypeError, ValueError, struct.error, mx.base.MXNetError)

# image: uint8 as the network takes it but for its scale, CT (phase, 1, slice, size, size) and ultrasound
# (frame, 3, size, size); boxes: float32 (n, 4) corners in its pixels; labels: int32 (n,) classes from 0; present:
# float32 (phase,), 1 where the phase is there; scale: its pixels per stored pixel; height, width: of the stored image;
# image_id, case, place: which image it is, the last its slice or frame
Record = namedtuple("Record", "image boxes labels present scale height width image_id case place")


class RecordFile(object):
    """One split of a prepared data set. Raises ValueError for a file that is damaged or of another format.

    Attributes: ``config``, the dictionary that :mod:`symbols` describes; ``split``; ``boxes``, a count for each image.
    """

    def __init__(self, path):
        self.path = path
        names = [os.path.splitext(path)[0] + end for end in (".idx", ".rec")]
        for name in names:
            if not os.path.isfile(name):
                raise ValueError("{}: no such file; `python -m gluon_liver records` writes it".format(name))
        try:
            self._reader = mx.recordio.MXIndexedRecordIO(names[0], names[1], "r")
        except DAMAGE:
            raise ValueError("{} is damaged: write the file again".format(names[0]))  # noqa: B904  Python 2: no "from"
        head = self._head()
        self.config, self.split, self.boxes = head["config"], head["split"], head["boxes"]

    def __len__(self):
        return len(self.boxes)

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(index)
        line, _, pixels = self._payload(index + 1).partition(b"\n")
        fields = json.loads(line.decode("utf-8"))
        return Record(
            image=np.frombuffer(pixels, np.uint8).reshape(fields["shape"]),
            boxes=np.array(fields["boxes"], np.float32).reshape(-1, 4),
            labels=np.array(fields["labels"], np.int32),
            present=np.array(fields["present"], np.float32),
            scale=fields["scale"],
            height=fields["height"],
            width=fields["width"],
            image_id=fields["image_id"],
            case=fields["case"],
            place=fields["place"],
        )

    def _head(self):
        """Record 0. Its format comes before its checksum, which is this format's."""
        try:
            head = json.loads(mx.recordio.unpack(self._reader.read_idx(0))[1].decode("utf-8"))
            found = head.get("format")
        except DAMAGE:
            raise self._damaged(0)  # noqa: B904
        if found != FORMAT:
            raise ValueError("{} has format {}, this reads {}: write it again".format(self.path, found, FORMAT))
        self._payload(0)
        return head

    def _payload(self, number):
        try:
            header, payload = mx.recordio.unpack(self._reader.read_idx(number))
        except DAMAGE:
            raise self._damaged(number)  # noqa: B904
        if (header.id, header.id2) != (number, zlib.crc32(payload) & 0xFFFFFFFF):
            raise self._damaged(number)
        return payload

    def _damaged(self, number):
        return ValueError("{}: record {} is damaged: write the file again".format(self.path, number))
