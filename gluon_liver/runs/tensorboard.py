"""Scalars and images of a run for TensorBoard: an event file for each part of it, written with tensorboardX's records.

tensorboardX's own writer names its files after the machine, which nothing that a run writes may tell.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping, Optional, Tuple

import numpy as np

from gluon_liver.errors import InputError
from gluon_liver.system.packages import why_unusable

FOLDER = "tensorboard"  # of a run folder
MODULES = ("tensorboardX.summary", "tensorboardX.proto.event_pb2", "tensorboardX.record_writer")
FILE = "events.out.tfevents"
# key of a record of steps -> the group that TensorBoard shows it in
GROUPS = {
    "learning_rate": "speed",
    "images_per_second": "speed",
    "waited_for_images": "speed",
    "rpn_recall": "learning",
    "positive_anchors": "learning",
    "positive_rois": "learning",
}


def check_installed() -> None:
    """Raise :class:`InputError` where the writer is not installed, or cannot be imported."""
    unusable = why_unusable(MODULES, "'tensorboardX>=2.6.2.2,<2.7'")
    if unusable:
        raise InputError(f"--tensorboard needs {unusable}; or leave the option out")


class Board:
    """Writes to ``folder``, which is made with the first value. A context manager that ends the file.

    after: TensorBoard drops what other files of the folder say of later steps: the run goes on from this one. By
    default nothing is dropped.

    Raises :class:`InputError` where tensorboardX cannot be used.
    """

    def __init__(self, folder: Path, *, after: Optional[int] = None):
        check_installed()
        self._folder, self._after = folder, after
        self._writer: Any = None

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.flush()
            self._writer.close()
            self._writer = None

    def record(self, event: str, values: Mapping[str, Any]) -> None:
        """The numbers of a record of the log, of steps or of a score; nothing of other events."""
        for tag, value in _numbers(event, values):
            self.scalar(tag, value, step=values["step"])
        if self._writer is not None:
            self._writer.flush()

    def scalar(self, tag: str, value: float, *, step: int) -> None:
        """One point of a curve."""
        from tensorboardX.summary import scalar

        self._write(step=step, summary=scalar(tag, value))

    def image(self, tag: str, picture: np.ndarray, *, step: int) -> None:
        """A picture (H, W, 3) uint8."""
        from tensorboardX.summary import image

        self._write(step=step, summary=image(tag, picture, dataformats="HWC"))

    def _write(self, **fields: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.record_writer import RecordWriter

        if self._writer is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._writer = RecordWriter(str(self._new_file()))
            self._write(file_version="brain.Event:2")
            if self._after is not None:
                self._write(step=self._after + 1, session_log=SessionLog(status=SessionLog.START))
        self._writer.write(Event(wall_time=time.time(), **fields).SerializeToString())

    def _new_file(self) -> Path:
        """TensorBoard reads the files of a folder by name: that of a later part has a later one."""
        number, start = 0, f"{FILE}.{int(time.time()):010d}"
        while (self._folder / f"{start}.{number}").exists():
            number += 1
        return self._folder / f"{start}.{number}"


def _numbers(event: str, values: Mapping[str, Any]) -> Iterator[Tuple[str, float]]:
    """Tag and value; a None of the log is no point of a curve."""
    found: Dict[str, Optional[float]] = {}
    if event == "step":
        found.update({f"loss/{name}": value for name, value in values["losses"].items()})
        found.update({f"{group}/{name}": values.get(name) for name, group in GROUPS.items()})
    elif event == "score":
        found.update({f"{values['split']}/{name}": values[name] for name in ("map", "ap50")})
    return ((tag, value) for tag, value in found.items() if value is not None)
