"""The package as a library: trained detectors on arrays, and networks. Importing this module loads MXNet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Callable, List, Optional, Sequence, Tuple, Union

import numpy as np

from gluon_liver.config.load import load_config
from gluon_liver.config.schema import Config
from gluon_liver.data.ct_dataset import input_phases, phases_to_match
from gluon_liver.data.ct_loader import OpenCase
from gluon_liver.data.open import TASKS
from gluon_liver.data.study import Study, as_array, as_names
from gluon_liver.errors import InputError, RunError
from gluon_liver.inference.choice import MXNET, EngineChoice
from gluon_liver.inference.frame_step import trained_step
from gluon_liver.inference.slices import detect_slices
from gluon_liver.inference.stream import StreamDetector
from gluon_liver.nn.build import make_detector
from gluon_liver.nn.nets import DetectionNet
from gluon_liver.phases.rules import DEFAULT_ORDER
from gluon_liver.runs.devices import parse_device
from gluon_liver.runs.run import Run
from gluon_liver.structures.detections import Detections
from gluon_liver.structures.lesions import Lesion, find_lesions
from gluon_liver.structures.modality import CT


@dataclass(frozen=True, eq=False)
class VolumeResult:
    """What a detector says of a CT study.

    detections: one :class:`Detections` for each slice, from the feet up, whatever their scores.
    lesions: boxes of neighbouring slices joined, the best score first.
    """

    detections: List[Detections]
    lesions: List[Lesion]


class Detector:
    """A trained run, ready to detect; made by :func:`load_detector`, also where it is pickled or copied.

    classes: names by label. checkpoint: the name of the checkpoint that was read. step: of a run with optical flow, how
    many frames the previous frame lies before the current one, as in its training; 1 of others.
    """

    def __init__(self, run: Run, *, device: str = "cpu", engine: str = MXNET):
        self._run, self._device, self._engine = run, device, engine
        self._detector, self.checkpoint = EngineChoice(engine, device).open(run)
        self.classes = tuple(self._detector.classes)
        self.step = trained_step(run.environment)
        in_frames = TASKS[run.config.task].dataset.in_frames
        self._stream = StreamDetector(self._detector, step=self.step) if in_frames else None

    def __reduce__(self) -> Tuple[Callable[..., Detector], Tuple[Path]]:
        return partial(load_detector, device=self._device, engine=self._engine), (self._run.folder.resolve(),)

    def detect_volume(
        self,
        hu: np.ndarray,
        *,
        spacing: Sequence[float],
        phases: Optional[Sequence[str]] = None,
        present: Optional[np.ndarray] = None,
        origin: Sequence[float] = (0.0, 0.0, 0.0),
        direction: Optional[np.ndarray] = None,
        score_threshold: float = 0.5,
        dense: bool = False,
    ) -> VolumeResult:
        """Boxes in every slice of a CT volume (MRI for a run on MRI), and the lesions that they join to.

        hu: (Z, Y, X) of the run's reference phase, or (P, Z, Y, X) of several phases on one grid; HU, z rising to the
            head, rows to the back, columns to the patient's left. Of a run on MRI each phase as
            :func:`gluon_liver.mri_volume` makes it.
        spacing: (dz, dy, dx) in mm.
        phases: the names of the P phases in their order, the run's reference phase among them; a run that relates
            phases takes those that are not given as absent.
        present: bool (P, Z), which slices a phase has; all by default.
        origin, direction: where the volume lies in the patient (see :meth:`Study.from_arrays`), for the centres of
            lesions.
        score_threshold: 0 to 1, of boxes that lesions are made of.
        dense: read along the study what neighbouring windows of nine slices share, about twice as fast; boxes then
            differ a little from those of windows (docs/evaluation.md).

        Boxes are in pixels of the slices. Raises :class:`RunError` for a run on ultrasound, for ``dense`` with a
        network of other than nine slices and for one that computes no numbers, :class:`InputError` for arrays that do
        not fit together, and ``DatasetError`` for phases that the run was not trained on.
        """
        reference = self._reference_phase()
        study = Study.from_arrays(
            hu,
            spacing=spacing,
            phases=(reference,) if phases is None else phases,
            reference_phase=reference,
            present=present,
            origin=origin,
            direction=direction,
            modality=self._run.environment.get("modality", CT),
        )
        trained = self._run.environment["phases"]
        if self._run.config.network.multi_modal and set(study.phases) <= set(trained):
            study = study.in_phases(trained)
        return self.detect_study(study, score_threshold=score_threshold, dense=dense)

    def detect_study(self, study: Study, *, score_threshold: float = 0.5, dense: bool = False) -> VolumeResult:
        """:meth:`detect_volume` of a study, as :func:`gluon_liver.read_study` gives it."""
        self._reference_phase()
        if not isinstance(study, Study):
            raise InputError(f"a Study is needed, as read_study gives it, not {type(study).__name__}")
        if not isinstance(score_threshold, Real) or not 0 <= score_threshold <= 1:
            raise InputError(f"score_threshold is {score_threshold!r}; a number from 0 to 1 is needed")
        own = phases_to_match(self._run.config, study.phases, study.reference_phase, study.modality)
        self._run.check_match(own)
        case = OpenCase.in_memory(study, self._run.config.data)
        detections = list(detect_slices(self._detector, case, dense=dense, progress=False))
        lesions = find_lesions(
            detections, geometry=study.geometry, classes=self.classes, score_threshold=score_threshold
        )
        return VolumeResult(detections, lesions)

    def detect_frame(self, frame: np.ndarray) -> Detections:
        """Boxes in the next frame of an ultrasound recording, in pixels of the frame.

        ``frame`` is uint8 (H, W, 3) RGB. A network with optical flow also reads the frame of :attr:`step` calls before,
        so give it every frame of the recording; call :meth:`restart` where another scene begins. Raises
        :class:`RunError` for a run on CT and for a network that computes no numbers, :class:`InputError` for another
        array.
        """
        stream = self._open_stream()
        frame = as_array(frame, "the frame")
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or not frame.size:
            raise InputError(f"the frame is {frame.dtype} {frame.shape}; uint8 (H, W, 3) is needed")
        return stream.detect(frame).detections

    def restart(self, *, step: Optional[int] = None) -> None:
        """Forget the frames before. step: another :attr:`step`, for frames at another rate than the training's; copies
        of the detector begin with the training's.

        Raises :class:`RunError` for a run on CT, :class:`InputError` for a step below 1.
        """
        stream = self._open_stream()
        if step is not None and not (isinstance(step, int) and step >= 1):
            raise InputError(f"step is {step!r}; a whole number of 1 or more is needed")
        self.step = stream.step = self.step if step is None else step
        stream.restart()

    def _reference_phase(self) -> str:
        if self._stream is not None:
            raise RunError(f"{self._run.folder} is an ultrasound run: it reads frames, with detect_frame")
        return self._run.environment["reference_phase"]

    def _open_stream(self) -> StreamDetector:
        if self._stream is None:
            raise RunError(f"{self._run.folder} is a CT run: it reads volumes, with detect_volume and detect_study")
        return self._stream


def load_detector(run: Union[str, Path], *, device: str = "cpu", engine: str = MXNET) -> Detector:
    """The best or else the newest checkpoint of a run folder, on ``cpu`` or ``gpu:N``.

    engine: ``mxnet``; ``onnx`` for onnxruntime, which the checkpoint is converted for; or a folder that ``export
    --onnx`` made of it.

    Raises :class:`RunError` for a folder that is no run or has no checkpoint, ``ConfigError`` for a device that
    is not there.
    """
    return Detector(Run.open(run), device=device, engine=engine)


def build_network(
    config: Union[str, Path, Config],
    *,
    classes: Optional[Sequence[str]] = None,
    phases: Sequence[str] = DEFAULT_ORDER,
    device: str = "cpu",
) -> DetectionNet:
    """The network of a configuration, a HybridBlock with random weights.

    config: a configuration, the name of one of the package, ``r101-fusion`` say, or a path to a YAML file.
    classes: names by label; those of the papers by default.
    phases: the CT phases of the data, of which a network with ``network.relation`` takes all and, with it off, one.
    device: ``cpu`` or ``gpu:N``.

    The network takes float32 (B, P, 1, D, H, W) of a CT configuration, as ``data.images.normalise`` makes
    it, or (B, F, 3, H, W) from 0 to 1 of frames, and gives rows (B, K, 6) of class, score and box and a check value,
    see :class:`DetectionNet`. Its parts are ``network.detector``. Raises ``ConfigError`` for an unknown
    configuration and for phases that it cannot relate, :class:`InputError` for what are no names.
    """
    config = config if isinstance(config, Config) else load_config(config)
    classes = as_names(TASKS[config.task].dataset.paper_classes if classes is None else classes, "classes")
    count = input_phases(config, as_names(phases, "phases"))
    return DetectionNet(make_detector(config, classes=classes, phases=count, context=parse_device(device)))
