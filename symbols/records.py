"""Reads the record files that ``python -m gluon_liver records`` writes.

NAME.rec is MXNet's RecordIO, NAME.idx says where each record begins. Record 0 is JSON: the format, the split, the
configuration and how many boxes each image has. Records 1 to n are images: one line of JSON (see :class:`Record`), then
the pixels. Nothing is pickled.
"""

from __future__ import division

import json
import os
import zlib
from collections import namedtuple

import mxnet as mx
import numpy as np

FORMAT = 1

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
        self._reader = mx.recordio.MXIndexedRecordIO(names[0], names[1], "r")
        head = self._parsed(0, self._payload(0))
        if head.get("format") != FORMAT:
            raise ValueError("{} has format {}, this reads {}: write it again".format(path, head.get("format"), FORMAT))
        self.config, self.split, self.boxes = head["config"], head["split"], head["boxes"]

    def __len__(self):
        return len(self.boxes)

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(index)
        line, _, pixels = self._payload(index + 1).partition(b"\n")
        fields = self._parsed(index + 1, line)
        if zlib.crc32(pixels) & 0xFFFFFFFF != fields["crc32"]:
            raise ValueError("{}: image {} is damaged: write the file again".format(self.path, index))
        return Record(
            image=np.frombuffer(pixels, np.uint8).reshape(fields["shape"]),
            boxes=np.array(fields["boxes"], np.float32).reshape(-1, 4), labels=np.array(fields["labels"], np.int32),
            present=np.array(fields["present"], np.float32),
            **{name: fields[name] for name in ("scale", "height", "width", "image_id", "case", "place")}
        )

    def _payload(self, number):
        return mx.recordio.unpack(self._reader.read_idx(number))[1]

    def _parsed(self, number, line):
        try:
            return json.loads(line.decode("utf-8"))
        except ValueError:
            raise ValueError(  # noqa: B904  Python 2 has no "from"
                "{}: record {} is damaged: write the file again".format(self.path, number)
            )
