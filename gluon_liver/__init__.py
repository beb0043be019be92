"""Liver lesion detection in CT and ultrasound with MXNet Gluon.

Import this package before MXNet: see :mod:`gluon_liver.system.runtime`. The names below are imported when they are
asked for, so that importing the package stays fast and MXNet is loaded by what needs it alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, List

from gluon_liver.system.interrupts import end_quiet_start
from gluon_liver.system.runtime import prepare_start

if TYPE_CHECKING:
    from gluon_liver.config.load import load_config as load_config
    from gluon_liver.config.schema import Config as Config
    from gluon_liver.data.dataset import Dataset as Dataset
    from gluon_liver.data.open import open_dataset as open_dataset
    from gluon_liver.data.study import Study as Study
    from gluon_liver.errors import ConfigError as ConfigError
    from gluon_liver.errors import DatasetError as DatasetError
    from gluon_liver.errors import GeometryError as GeometryError
    from gluon_liver.errors import GluonLiverError as GluonLiverError
    from gluon_liver.errors import InputError as InputError
    from gluon_liver.errors import RunError as RunError
    from gluon_liver.library import Detector as Detector
    from gluon_liver.library import VolumeResult as VolumeResult
    from gluon_liver.library import build_network as build_network
    from gluon_liver.library import load_detector as load_detector
    from gluon_liver.nn.nets import DetectionNet as DetectionNet
    from gluon_liver.prepare.ct_study import read_study as read_study
    from gluon_liver.structures.detections import Detections as Detections
    from gluon_liver.structures.geometry import Geometry as Geometry
    from gluon_liver.structures.lesions import Lesion as Lesion
    from gluon_liver.structures.modality import mri_volume as mri_volume

__version__ = "0.1.0"

# public name -> the module that has it
_PUBLIC = {
    "Config": "config.schema",
    "ConfigError": "errors",
    "Dataset": "data.dataset",
    "DatasetError": "errors",
    "DetectionNet": "nn.nets",
    "Detections": "structures.detections",
    "Detector": "library",
    "Geometry": "structures.geometry",
    "GeometryError": "errors",
    "GluonLiverError": "errors",
    "InputError": "errors",
    "Lesion": "structures.lesions",
    "RunError": "errors",
    "Study": "data.study",
    "VolumeResult": "library",
    "build_network": "library",
    "load_config": "config.load",
    "load_detector": "library",
    "open_dataset": "data.open",
    "mri_volume": "structures.modality",
    "read_study": "prepare.ct_study",
}
__all__ = [*_PUBLIC]

prepare_start()
end_quiet_start()  # __main__ begins anew: another program that is looked for may have other wishes

if not TYPE_CHECKING:  # which would take any name for granted

    def __getattr__(name: str) -> Any:
        if name not in _PUBLIC:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> List[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
