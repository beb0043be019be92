"""One study: its contrast phases on the grid of the reference phase."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple, Union

import numpy as np

from gluon_liver.errors import DatasetError, GeometryError
from gluon_liver.files.atomic import whole_file, write_json
from gluon_liver.structures.geometry import Geometry


@dataclass
class Study:
    """hu: int16 (P, Z, Y, X), phases in the order of `phases`, absent slices -1024. present: bool (P, Z)."""

    case: str
    patient: str
    phases: Tuple[str, ...]
    reference_phase: str
    hu: np.ndarray
    present: np.ndarray
    geometry: Geometry
    source: Dict[str, Any] = field(default_factory=dict)

    def save(self, folder: Union[str, Path]) -> None:
        """Write volume.npy and study.json into `folder`, which is made."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        record = {
            "case": self.case,
            "patient": self.patient,
            "phases": list(self.phases),
            "reference_phase": self.reference_phase,
            "present": np.asarray(self.present, dtype=bool).tolist(),
            "geometry": self.geometry.to_json(),
            "source": self.source,
        }
        with whole_file(folder / "volume.npy", "wb") as stream:
            np.save(stream, np.ascontiguousarray(self.hu, dtype=np.int16))
        write_json(folder / "study.json", record, indent=None)

    @classmethod
    def load(cls, folder: Union[str, Path]) -> "Study":
        """Read a study; hu is a read-only memory map. Raises DatasetError where the files do not fit
        together.
        """
        case = os.path.basename(os.path.normpath(folder))
        with _study_errors(case):
            record = _read_record(folder)
            hu = open_array(os.path.join(folder, "volume.npy"))
            study = cls(
                case=str(record["case"]),
                patient=str(record["patient"]),
                phases=tuple(record["phases"]),
                reference_phase=str(record["reference_phase"]),
                hu=hu,
                present=np.asarray(record["present"], dtype=bool),
                geometry=Geometry.from_json(record["geometry"]),
                source=dict(record.get("source") or {}),
            )
        shape = (len(study.phases),) + tuple(study.geometry.size)
        if hu.shape != shape or hu.dtype != np.int16 or study.present.shape != shape[:2]:
            raise DatasetError(
                f"study {case} is damaged: volume.npy is {hu.dtype} {hu.shape}, "
                f"study.json describes int16 {shape}; import it again"
            )
        return study


def read_geometry(folder: Union[str, Path]) -> Geometry:
    """The grid of a stored study, without opening its volume. Raises DatasetError."""
    with _study_errors(os.path.basename(os.path.normpath(folder))):
        return Geometry.from_json(_read_record(folder)["geometry"])


def open_array(path: str) -> np.ndarray:
    """Read-only memory map of an .npy file; nothing is unpickled. Raises OSError, and ValueError where the
    file is damaged, be it empty (for which np.load raises ValueError or EOFError, by the version of NumPy).
    """
    return np.lib.format.open_memmap(path, mode="r")


def fingerprint(volume: np.ndarray) -> str:
    """SHA-256 (hex) of HU (Z, Y, X) as little-endian int16 in C order.

    It has no salt: the same study imported twice has it twice, whatever the case ids.
    """
    return hashlib.sha256(np.ascontiguousarray(volume, dtype="<i2").data).hexdigest()


def _read_record(folder: Union[str, Path]) -> Any:
    with open(os.path.join(folder, "study.json"), encoding="utf-8") as stream:
        return json.load(stream)


@contextmanager
def _study_errors(case: str) -> Iterator[None]:
    """What reading a study's files raises -> DatasetError."""
    try:
        yield
    except FileNotFoundError as error:
        name = os.path.basename(str(error.filename))
        raise DatasetError(f"study {case} has no {name}; import it again") from error
    except OSError as error:
        raise DatasetError(f"study {case} cannot be read: {error.strerror or error}") from error
    except RecursionError as error:
        raise DatasetError(f"study {case} is damaged (study.json is nested too deeply); import it again") from error
    except (ValueError, KeyError, TypeError, AttributeError, GeometryError) as error:
        raise DatasetError(f"study {case} is damaged ({error}); import it again") from error
