"""Where onnxruntime has the graphs of a run from: converted from its checkpoint, or a folder that was exported."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Protocol

from gluon_liver.errors import InputError
from gluon_liver.nn.folding import FLOAT32
from gluon_liver.nn.rcnn import RegionDetector
from gluon_liver.onnx.manifest import check_of_run, read_manifest
from gluon_liver.onnx.session import Session
from gluon_liver.system.terminal import say


class GraphSource(Protocol):
    """Graphs by name: ``detector``, and of ultrasound ``frame`` and ``stream``."""

    def open(self, *names: str) -> List[Session]:
        """Ready to run, said on stderr. Raises :class:`InputError` where that cannot be."""

    def record(self) -> Dict[str, Any]:
        """What results say of those that are open, see :class:`gluon_liver.inference.engine.Engine`."""


class ConvertedGraphs:
    """Made of a network when they are asked for.

    load: makes the network, which is let go again: onnxruntime keeps what it needs. what: the network's name.
    """

    def __init__(self, load: Callable[[], RegionDetector], *, device: str, what: str):
        self._load, self._device, self._what = load, device, what
        self._record: Dict[str, Any] = {}

    def open(self, *names: str) -> List[Session]:
        from gluon_liver.onnx.graphs import GRAPHS

        began, network = time.monotonic(), self._load()
        sessions = []
        for name in names:
            model = GRAPHS[name](network).SerializeToString()
            sessions.append(Session(model, device=self._device, what=f"{self._what} as {name}.onnx"))
        seconds = time.monotonic() - began
        self._record = {**sessions[0].record(), "device": self._device, "precision": FLOAT32, "graphs": "converted"}
        say(f"engine: {sessions[0].text()}, {FLOAT32}; {self._what} was converted in {seconds:.1f} s")
        return sessions

    def record(self) -> Dict[str, Any]:
        return self._record


class ExportedGraphs:
    """Files of ``folder``, which ``export --onnx`` made of a run's ``checkpoint``.

    Raises :class:`InputError` where they are not, or no more what was exported.
    """

    def __init__(self, folder: Path, *, checkpoint: Path, device: str):
        self._folder, self._device = folder, device
        self._manifest = read_manifest(folder)
        check_of_run(self._manifest, checkpoint, folder=folder)
        self._record: Dict[str, Any] = {}

    def open(self, *names: str) -> List[Session]:
        files = [f"{name}.onnx" for name in names]
        lacking = [name for name in files if name not in self._manifest.files]
        if lacking:
            raise InputError(f"{self._folder} has no {lacking[0]}: it was exported from a run of another task")
        sessions = [Session(self._folder / name, device=self._device) for name in files]
        precision = self._manifest.precision
        self._record = {**sessions[0].record(), "device": self._device, "precision": precision, "graphs": "exported"}
        say(f"engine: {sessions[0].text()}, {precision}, graphs of {self._folder}")
        return sessions

    def record(self) -> Dict[str, Any]:
        return self._record
