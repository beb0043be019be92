"""A split of prepared data as one record file, which MXNet 1.0 on Python 2.7 reads too (``symbols/records.py``).

NAME.rec is MXNet's RecordIO, NAME.idx says where each record begins. Record 0 is JSON: format, split, configuration,
and the number of boxes of each image. Every other record is an image: one line of JSON, then its uint8 pixels as the
network takes them, row by row. The header of each holds its number and the CRC-32 of the rest. Nothing is pickled.
"""

from __future__ import annotations

import itertools
import json
import zlib
from pathlib import Path
from typing import Iterable, List

import mxnet as mx

from gluon_liver.config.schema import Config
from gluon_liver.data.coco import Label
from gluon_liver.data.dataset import Dataset
from gluon_liver.data.open import check_task, make_loader
from gluon_liver.data.samples import Sample
from gluon_liver.errors import DatasetError, InputError
from gluon_liver.files.atomic import whole_path
from gluon_liver.system.terminal import progress_bar
from gluon_liver.training.inputs import training_labels

from .module_config import plain_config

FORMAT = 2


def write_records(config: Config, dataset: Dataset, split: str, out: Path, *, progress: bool = False) -> int:
    """Write the labelled images of a split to ``out`` (NAME.rec, beside it NAME.idx); returns how many.

    The files are read back before they bear their names. Raises :class:`InputError` for another name or where there is
    something, :class:`DatasetError` when the data do not fit the configuration or the disk is full.
    """
    index = out.with_suffix(".idx")
    if out.suffix != ".rec":
        raise InputError(f"--out {out}: the name of a record file ends in .rec")
    taken = [path for path in (out, index) if path.exists()]
    if taken:
        raise InputError(f"{taken[0]} exists: choose another name")
    check_task(config, dataset)
    labels = training_labels(config, dataset) if split == "train" else dataset.labels_of(split)
    if not labels:
        raise DatasetError(f"no labelled image in the {split} split of {dataset.folder}")
    head = {"format": FORMAT, "split": split, "config": plain_config(config, dataset.training_record())}
    head["boxes"] = [len(label.boxes) for label in labels]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        load = make_loader(config, dataset, cases=sorted({label.case for label in labels}), progress=progress)
        images = (_payload(load(label), label) for label in labels)
        records = itertools.chain([json.dumps(head).encode("ascii")], images)
        bar = progress_bar(records, text="writing", total=len(labels) + 1, unit="record", show=progress)
        # the index takes its name last: without it nobody reads the other
        with whole_path(index) as partial_index, whole_path(out) as partial:
            paths = [partial_index, partial]
            sums = _write(paths, bar)
            if _read_sums(paths, len(sums)) != sums:
                raise DatasetError(f"{out} reads back as something else: is the disk full?")
    except (mx.MXNetError, OSError) as error:
        reason = str(error).splitlines()[-1]  # MXNet begins with a traceback
        raise DatasetError(f"{out} cannot be written: {reason}") from error
    return len(labels)


def _write(paths: List[Path], records: Iterable[bytes]) -> List[int]:
    """CRC-32 of what each record holds."""
    writer = mx.recordio.MXIndexedRecordIO(*map(str, paths), "w")
    sums: List[int] = []
    try:
        for number, payload in enumerate(records):
            sums.append(zlib.crc32(payload))
            writer.write_idx(number, mx.recordio.pack(mx.recordio.IRHeader(0, 0.0, number, sums[-1]), payload))
    finally:
        writer.close()
    return sums


def _payload(sample: Sample, label: Label) -> bytes:
    fields = {name: getattr(label, name) for name in ("image_id", "case", "place", "width", "height")}
    fields.update(scale=sample.scale, shape=sample.image.shape, present=[int(there) for there in sample.present])
    fields.update(boxes=sample.boxes.tolist(), labels=sample.labels.tolist())
    return json.dumps(fields, allow_nan=False).encode("ascii") + b"\n" + sample.image.tobytes()


def _read_sums(paths: List[Path], count: int) -> List[int]:
    reader = mx.recordio.MXIndexedRecordIO(*map(str, paths), "r")
    try:
        return [zlib.crc32(mx.recordio.unpack(reader.read_idx(number))[1]) for number in range(count)]
    finally:
        reader.close()
