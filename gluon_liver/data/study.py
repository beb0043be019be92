"""One study: its contrast phases on the grid of the reference phase."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Sequence, Tuple, Union

import numpy as np

from gluon_liver.errors import DatasetError, GeometryError, InputError
from gluon_liver.files.atomic import whole_file, write_json
from gluon_liver.structures.geometry import Geometry

AIR_HU = -1024  # of what no scanner saw


@dataclass(frozen=True, eq=False)
class StudyRecord:
    """What ``study.json`` says of a stored study; the fields are those of :class:`Study`."""

    case: str
    patient: str
    phases: Tuple[str, ...]
    reference_phase: str
    present: np.ndarray
    geometry: Geometry
    source: Dict[str, Any]

    @classmethod
    def load(cls, folder: Union[str, Path]) -> StudyRecord:
        """Read ``folder``/study.json without opening the volume. Raises :class:`DatasetError`."""
        folder = Path(folder)
        with _study_errors(folder):
            record = json.loads((folder / "study.json").read_text(encoding="utf-8"))
            return cls(
                case=str(record["case"]),
                patient=str(record["patient"]),
                phases=tuple(record["phases"]),
                reference_phase=str(record["reference_phase"]),
                present=np.asarray(record["present"], dtype=bool),
                geometry=Geometry.from_json(record["geometry"]),
                source=dict(record.get("source") or {}),
            )


@dataclass(frozen=True, eq=False)
class Study:
    """One study in memory, whether it was read from DICOM, from prepared data or made of arrays.

    Attributes
    ----------
    case, patient: salted ids; of a study made of arrays the text "study" and "patient".
    phases: names of the contrast phases, the order of ``hu`` and ``present``.
    reference_phase: the phase whose grid all of them lie on and whose pixels boxes are in.
    hu: int16 (P, Z, Y, X) in HU, z rising to the head, a read-only memory map where the study is stored; absent slices
        are -1024.
    present: bool (P, Z), which slices the phases have.
    geometry: where the voxels lie in the patient, spacing (dz, dy, dx) in mm.
    source: counts of the import.
    """

    case: str
    patient: str
    phases: Tuple[str, ...]
    reference_phase: str
    hu: np.ndarray
    present: np.ndarray
    geometry: Geometry
    source: Dict[str, Any] = field(default_factory=dict)

    @property
    def reference_index(self) -> int:
        """Where the reference phase stands among the phases."""
        return self.phases.index(self.reference_phase)

    @classmethod
    def from_arrays(
        cls,
        hu: np.ndarray,
        *,
        spacing: Sequence[float],
        phases: Sequence[str],
        reference_phase: Optional[str] = None,
        present: Optional[np.ndarray] = None,
        origin: Sequence[float] = (0.0, 0.0, 0.0),
        direction: Optional[np.ndarray] = None,
    ) -> Study:
        """A study from volumes that lie on one grid already.

        Parameters
        ----------
        hu: (Z, Y, X) of one phase or (P, Z, Y, X), whole or real numbers in HU, z rising to the head, rows to the
            back, columns to the patient's left; real numbers are rounded, values below -1024 raised to it.
        spacing: (dz, dy, dx) in mm.
        phases: the names of the P volumes.
        reference_phase: the phase that boxes are in, the first by default.
        present: bool (P, Z), which slices a phase has; all by default. The reference phase has all of them.
        origin: (x, y, z) in mm of the centre of voxel (0, 0, 0), DICOM patient coordinates (LPS).
        direction: 3x3, its columns the unit vectors of the index axes x, y and z in these coordinates; theirs by
            default.

        Raises :class:`InputError` for shapes that do not fit together, an unknown reference phase, numbers that are
        not finite, and as :class:`GeometryError` for a grid that is none.
        """
        hu, phases = np.asarray(hu), tuple(phases)
        if hu.ndim == 3:
            hu = hu[None]
        reference_phase = reference_phase or (phases[0] if phases else None)
        if hu.ndim != 4 or hu.dtype.kind not in "iuf":
            raise InputError(f"hu is {hu.dtype} {hu.shape}; numbers (Z, Y, X) or (P, Z, Y, X) are needed")
        if len(set(phases)) != len(hu) or len(phases) != len(hu):
            raise InputError(f"hu has {len(hu)} phases, their names are {list(phases)}: one name each is needed")
        if reference_phase not in phases:
            raise InputError(f"the reference phase {reference_phase!r} is not one of the phases {', '.join(phases)}")
        if hu.dtype.kind == "f" and not np.isfinite(hu).all():
            raise InputError("hu holds values that are not finite")
        present = np.ones(hu.shape[:2], bool) if present is None else np.asarray(present, bool)
        if present.shape != hu.shape[:2] or not present[phases.index(reference_phase)].all():
            raise InputError(
                f"present has shape {present.shape}; {hu.shape[:2]} is needed, with every slice of the reference phase"
            )
        geometry = {
            "origin": origin,
            "spacing": spacing,
            "direction": np.eye(3) if direction is None else direction,
            "size": hu.shape[1:],
        }
        if hu.dtype != np.int16 or hu.min(initial=0) < AIR_HU:
            hu = np.clip(np.rint(hu), AIR_HU, np.iinfo(np.int16).max).astype(np.int16)
        return cls("study", "patient", phases, reference_phase, hu, present, Geometry.from_json(geometry))

    def in_phases(self, phases: Sequence[str]) -> Study:
        """The same study with its phases in the order of ``phases``; those that it lacks are absent."""
        hu = np.full((len(phases), *self.hu.shape[1:]), AIR_HU, np.int16)
        present = np.zeros(hu.shape[:2], bool)
        for index, phase in enumerate(phases):
            if phase in self.phases:
                hu[index] = self.hu[self.phases.index(phase)]
                present[index] = self.present[self.phases.index(phase)]
        return replace(self, phases=tuple(phases), hu=hu, present=present)

    def save(self, folder: Union[str, Path]) -> None:
        """Write volume.npy and study.json into ``folder``, which is made."""
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
    def load(cls, folder: Union[str, Path], *, record: Optional[StudyRecord] = None) -> Study:
        """Open a stored study; ``record`` is its study.json where that has been read already.

        Raises :class:`DatasetError` where the files do not fit together.
        """
        folder = Path(folder)
        record = record or StudyRecord.load(folder)
        with _study_errors(folder):
            hu = open_array(folder / "volume.npy")
        shape = (len(record.phases), *record.geometry.size)
        if hu.shape != shape or hu.dtype != np.int16 or record.present.shape != shape[:2]:
            raise DatasetError(
                f"study {_name(folder)} is damaged: volume.npy is {hu.dtype} {hu.shape}, "
                f"study.json describes int16 {shape}; import it again"
            )
        return cls(hu=hu, **vars(record))


def open_array(path: Union[str, Path]) -> np.ndarray:
    """Read-only memory map of an .npy file; nothing is unpickled. Raises OSError, and ValueError where the
    file is damaged, be it empty (for which np.load raises ValueError or EOFError, by the version of NumPy).
    """
    return np.lib.format.open_memmap(path, mode="r")


def fingerprint(volume: np.ndarray) -> str:
    """SHA-256 (hex) of HU (Z, Y, X) as little-endian int16 in C order.

    It has no salt: the same study imported twice has it twice, whatever the case ids.
    """
    return hashlib.sha256(np.ascontiguousarray(volume, dtype="<i2").data).hexdigest()


def _name(folder: Path) -> str:
    return Path(os.path.normpath(folder)).name


@contextmanager
def _study_errors(folder: Path) -> Iterator[None]:
    """What reading a study's files raises -> DatasetError."""
    case = _name(folder)
    try:
        yield
    except FileNotFoundError as error:
        name = Path(str(error.filename)).name
        raise DatasetError(f"study {case} has no {name}; import it again") from error
    except OSError as error:
        raise DatasetError(f"study {case} cannot be read: {error.strerror or error}") from error
    except RecursionError as error:
        raise DatasetError(f"study {case} is damaged (study.json is nested too deeply); import it again") from error
    except (ValueError, KeyError, TypeError, AttributeError, GeometryError) as error:
        raise DatasetError(f"study {case} is damaged ({error}); import it again") from error
