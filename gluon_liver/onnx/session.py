"""Sessions of onnxruntime: on the device that is asked for or not at all, with the threads that MXNet would have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

import numpy as np

from gluon_liver.errors import InputError
from gluon_liver.system.packages import why_unusable
from gluon_liver.system.runtime import compute_threads

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
FLOAT32 = "float32"
ERRORS_ALONE = 3  # severity of onnxruntime's log: what this module says itself is left out
EXTRA = "'gluon_liver[onnx]'"


def check_installed(option: str, *packages: str) -> None:
    """Raise :class:`InputError` where one of ``packages``, which ``option`` needs, cannot be imported."""
    unusable = why_unusable(packages or ("onnxruntime",), EXTRA)
    if unusable:
        raise InputError(f"{option} needs {unusable}")


def check_whole(*, dense: bool = False, explain: bool = False, precision: str = FLOAT32) -> None:
    """Raise :class:`InputError` for what a graph of a whole network cannot do."""
    for option, given in (("--dense", dense), ("--explain", explain)):
        if given:
            raise InputError(f"{option} computes parts of the network, which MXNet alone does here: leave out --engine")
    if precision != FLOAT32:
        why = "is MXNet's; onnxruntime computes as the graphs say, which export --onnx writes"
        raise InputError(f"--precision {precision} {why}: leave it out")


def providers_for(device: str) -> List[Union[str, Tuple[str, Dict[str, str]]]]:
    """What onnxruntime takes for ``cpu`` or ``gpu:N``. Raises :class:`InputError` where it has no such provider."""
    import onnxruntime

    if device == "cpu":
        return [CPU]
    match = re.fullmatch(r"gpu:(\d+)", device)
    if not match:
        raise InputError(f"--device {device!r}: expected cpu or gpu:N")
    there = onnxruntime.get_available_providers()
    if CUDA not in there:
        here = f"onnxruntime {onnxruntime.__version__} is here with {' and '.join(there)} alone"
        advice = "pip uninstall onnxruntime, then pip install onnxruntime-gpu; or leave --device out"
        raise InputError(f"--device {device}: {here}: {advice}")
    # TensorFloat-32 keeps 10 bits of a factor: scores would differ from those of CPUs in the third digit
    return [(CUDA, {"device_id": match.group(1), "use_tf32": "0"})]


class Session:
    """A graph that is ready to run.

    model: a file, or the bytes of one. device: ``cpu`` or ``gpu:N``; operators that CUDA has not run on the CPU, but
    a device that cannot be used is an error, where onnxruntime itself goes on with the CPU. threads: of the CPU, by
    default as many as MXNet takes, see :func:`gluon_liver.system.runtime.compute_threads`. what: the graph's name in
    errors.

    Attributes: provider, which computes; inputs and outputs: shapes by name.

    Raises :class:`InputError` for a device that is not there and for what is no graph.
    """

    def __init__(
        self,
        model: Union[Path, bytes],
        *,
        device: str = "cpu",
        threads: Optional[int] = None,
        what: Optional[str] = None,
    ):
        import onnxruntime

        self._name = what or (str(model) if isinstance(model, Path) else "the graph")
        wanted = providers_for(device)
        if device != "cpu" and hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()  # CUDA's libraries from wheels, where there are some
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or compute_threads()
        options.log_severity_level = ERRORS_ALONE
        try:
            source = str(model) if isinstance(model, Path) else model
            self._session = onnxruntime.InferenceSession(source, options, providers=wanted)
        except Exception as error:  # onnxruntime's own have no other base
            raise InputError(f"{self._name}: onnxruntime cannot load it: {first_line(error)}") from error
        self.provider = self._session.get_providers()[0]
        if device != "cpu" and self.provider != CUDA:
            advice = "it needs an Nvidia driver, CUDA and cuDNN of the versions that its documentation names"
            raise InputError(f"--device {device}: onnxruntime cannot use CUDA here ({advice}), and would take the CPU")
        self.inputs = {one.name: tuple(one.shape) for one in self._session.get_inputs()}
        self.outputs = {one.name: tuple(one.shape) for one in self._session.get_outputs()}

    def run(self, inputs: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
        """Outputs by name."""
        return dict(zip(self.outputs, self._session.run(list(self.outputs), dict(inputs))))

    def record(self) -> Dict[str, Any]:
        """Engine, its version and what it computes on, for results."""
        import onnxruntime

        return {"name": "onnxruntime", "version": onnxruntime.__version__, "provider": self.provider}

    def text(self) -> str:
        """The same in words."""
        return "{name} {version}, {provider}".format(**self.record())


def first_line(error: Exception) -> str:
    """Of what an exception says, without the blanks around it."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
