"""onnxruntime as an engine, on graphs that are converted here or that an export holds."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from gluon_liver.nn.cascade import check_numbers
from gluon_liver.onnx.session import Session

from .engine import StreamRows
from .graph_source import GraphSource


class OnnxEngine:
    """See :class:`gluon_liver.inference.engine.Engine`; graphs are opened with the first image or stream."""

    def __init__(self, graphs: GraphSource):
        self._graphs = graphs
        self._detector: Optional[Session] = None

    def detect(self, inputs: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        session = self._detector = self._detector or self._graphs.open("detector")[0]
        return list(_rows(session.run(dict(zip(session.inputs, inputs)))))

    def stream(self) -> OnnxStream:
        return OnnxStream(*self._graphs.open("frame", "stream"))

    def record(self) -> Dict[str, Any]:
        return self._graphs.record()


class ReadFrame(NamedTuple):
    """A frame (1, 3, H, W) and its map (1, C, h, w)."""

    frame: np.ndarray
    map: np.ndarray


class OnnxStream:
    """See :class:`gluon_liver.inference.engine.StreamEngine`."""

    def __init__(self, frame: Session, stream: Session):
        self._frame, self._stream = frame, stream
        self.frames = 2 if "previous_map" in stream.inputs else 1

    def read(self, frame: np.ndarray) -> ReadFrame:
        return ReadFrame(frame, self._frame.run({"frame": frame})["frame_map"])

    def detect(self, current: ReadFrame, previous: Optional[ReadFrame]) -> StreamRows:
        inputs = {"frame": current.frame, "frame_map": current.map}
        if previous is not None:
            inputs.update(previous=previous.frame, previous_map=previous.map)
        # a network may have an input that it does not read: no flow is estimated from frames with flow.estimate: zero
        outputs = self._stream.run({name: one for name, one in inputs.items() if name in self._stream.inputs})
        return StreamRows(_rows(outputs)[0], outputs["flow"][0] if "flow" in outputs else None)


def _rows(outputs: Dict[str, np.ndarray]) -> np.ndarray:
    """Rows (B, K, 6) of class, score and corners. Raises :class:`RunError` where no numbers come out."""
    check_numbers(outputs["check"])
    parts: List[np.ndarray] = [outputs["classes"][..., None], outputs["scores"][..., None], outputs["boxes"]]
    return np.concatenate([part.astype(np.float32) for part in parts], axis=2)
