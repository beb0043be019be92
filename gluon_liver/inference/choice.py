"""Which engine computes a run's network, on what, and in which precision."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Tuple

from gluon_liver.errors import InputError
from gluon_liver.nn.folding import FLOAT32, check_precision
from gluon_liver.nn.rcnn import RegionDetector
from gluon_liver.onnx.session import check_whole
from gluon_liver.runs.checkpoint import open_network
from gluon_liver.runs.checkpoint_folder import chosen_checkpoint
from gluon_liver.runs.devices import parse_device
from gluon_liver.runs.run import Run

from .detector import ImageDetector, SliceDetector
from .graph_source import ConvertedGraphs, ExportedGraphs, GraphSource
from .onnx_engine import OnnxEngine

MXNET, ONNX = "mxnet", "onnx"


@dataclass(frozen=True)
class EngineChoice:
    """engine: ``mxnet``; ``onnx`` for onnxruntime on the run's checkpoint, which is converted when it is opened; or a
    folder that ``export --onnx`` made of that checkpoint. device: ``cpu`` or ``gpu:N``. precision: with MXNet bfloat16
    for Block4 in it, see :func:`gluon_liver.nn.folding.folded`; onnxruntime computes as the graphs say.
    """

    engine: str = MXNET
    device: str = "cpu"
    precision: str = FLOAT32

    def check(self, *, dense: bool = False, explain: bool = False) -> None:
        """Raise :class:`InputError` for a precision that the device lacks, and for what MXNet alone does."""
        if self.engine == MXNET:
            check_precision(self.precision, parse_device(self.device))
        else:
            check_whole(dense=dense, explain=explain, precision=self.precision)

    def check_proposals(self) -> None:
        """Raise :class:`InputError` where how many proposals go on cannot be chosen."""
        if self.engine not in (MXNET, ONNX):
            raise InputError(f"--proposals: the graphs of {self.engine} keep as many as the run: leave it out")

    def open(self, run: Run) -> Tuple[ImageDetector, str]:
        """The best or else the newest checkpoint of a run, and its name.

        Raises :class:`RunError` when there is none or it does not fit, :class:`InputError` for a device, graphs or a
        precision that cannot be used, and ``ConfigError`` for a GPU that MXNet does not see.
        """
        if self.engine == MXNET:
            return SliceDetector.from_run(run, context=parse_device(self.device), precision=self.precision)
        checkpoint, classes = chosen_checkpoint(run), run.environment["classes"]

        def load() -> RegionDetector:
            return open_network(run, checkpoint)[0]

        graphs: GraphSource
        if self.engine == ONNX:
            graphs = ConvertedGraphs(load, device=self.device, what=f"{run.folder.name}/{checkpoint.name}")
        else:
            graphs = ExportedGraphs(Path(self.engine), checkpoint=checkpoint, device=self.device)
        engine = OnnxEngine(graphs)
        return ImageDetector(engine, config=run.config, classes=classes, phases=run.input_phases), checkpoint.name


MXNET_ON_CPU = EngineChoice()
