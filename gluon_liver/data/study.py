"""One study: its contrast phases on the grid of the reference phase."""

from __future__ import annotations

import hashlib
import tokenize
import warnings
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, Optional, Sequence, Tuple, Type, Union

import numpy as np

from gluon_liver.errors import DatasetError, GeometryError, InputError, why
from gluon_liver.files.atomic import whole_file, write_json
from gluon_liver.files.json_records import read_record
from gluon_liver.files.typed import Rules, limited, one_of
from gluon_liver.structures.geometry import Geometry
from gluon_liver.structures.modality import CT, MODALITIES
from gluon_liver.structures.slice_mapping import SliceHistory, SliceMapping

AIR_HU = -1024  # of what no scanner saw; in MRI the darkest grey value, see structures/modality.py
AGAIN = "import the study again"


class DamagedArrayError(DatasetError):
    """An .npy file that is none."""


@dataclass(frozen=True)
class StudySource:
    """Where a study came from, as its import has it; empty of a study made of arrays.

    images: of each phase how many slices its series has.
    history: of each phase what was done to its stored slices.
    mapping: from the slices and pixels of the reference phase's series to the stored ones, and back.
    modality: CT, whose pixels are HU, or MRI, whose pixels are the grey values of :mod:`..structures.modality`.
    """

    images: Dict[str, int] = field(default_factory=dict)
    history: Dict[str, SliceHistory] = field(default_factory=dict)
    mapping: Optional[SliceMapping] = None
    modality: str = limited(CT, one_of(*MODALITIES))

    def history_of(self, phase: str) -> SliceHistory:
        """What was done to the stored slices of a phase; nothing where the import does not say."""
        return self.history.get(phase, SliceHistory())

    def rules(self) -> Rules:
        """That the mapping speaks of as many moved slices as of slices."""
        mapping = self.mapping
        if mapping is not None:
            counts = len(mapping.shifts), len(mapping.slices)
            yield "mapping", counts[0] in (0, counts[1]), "with no shifts, or one of a slice"


@dataclass(frozen=True)
class _Stored:
    """``study.json`` as it is written."""

    case: str
    patient: str
    phases: Tuple[str, ...]
    reference_phase: str
    present: Tuple[Tuple[bool, ...], ...]
    geometry: Geometry
    source: StudySource = StudySource()

    def rules(self) -> Rules:
        """That it describes a grid, and all slices of all phases on it."""
        yield "reference_phase", self.reference_phase in self.phases, f"one of {', '.join(self.phases)}"
        for key, values in ("spacing", self.geometry.spacing), ("size", self.geometry.size):
            yield f"geometry.{key}", min(values) > 0, "above 0"
        phases, slices = len(self.phases), self.geometry.size[0]
        yield "present", [*map(len, self.present)] == [slices] * phases, f"{phases} lists of {slices}, one of a phase"


@dataclass(frozen=True, eq=False)
class StudyRecord:
    """What ``study.json`` says of a stored study; the fields are those of :class:`Study`."""

    case: str
    patient: str
    phases: Tuple[str, ...]
    reference_phase: str
    present: np.ndarray
    geometry: Geometry
    source: StudySource

    @property
    def reference_index(self) -> int:
        """Where the reference phase stands among the phases."""
        return self.phases.index(self.reference_phase)

    @property
    def modality(self) -> str:
        """CT, or MRI, whose pixels are no HU."""
        return self.source.modality

    @classmethod
    def load(cls, folder: Union[str, Path]) -> StudyRecord:
        """Read ``folder``/study.json without opening the volume. Raises :class:`DatasetError`."""
        stored = read_record(_Stored, Path(folder) / "study.json", error=DatasetError, remedy=AGAIN)
        return StudyRecord(**{**vars(stored), "present": np.array(stored.present)})

    def save_record(self, folder: Union[str, Path]) -> None:
        """Write ``folder``/study.json."""
        present, geometry = np.asarray(self.present, dtype=bool).tolist(), self.geometry.to_json()
        record = {name: value for name, value in vars(self).items() if name != "hu"}
        record.update(phases=list(self.phases), present=present, geometry=geometry, source=asdict(self.source))
        write_json(Path(folder) / "study.json", record, indent=None)


@dataclass(frozen=True, eq=False)
class Study(StudyRecord):
    """One study in memory, whether it was read from DICOM, from prepared data or made of arrays.

    Attributes
    ----------
    case, patient: salted ids; of a study made of arrays the text "study" and "patient".
    phases: names of the contrast phases, the order of ``hu`` and ``present``.
    reference_phase: the phase whose grid all of them lie on and whose pixels boxes are in.
    present: bool (P, Z), which slices the phases have.
    geometry: where the voxels lie in the patient, spacing (dz, dy, dx) in mm.
    source: what the import did: see :class:`StudySource`.
    hu: int16 (P, Z, Y, X) in HU, z rising to the head, a read-only memory map where the study is stored; absent slices
        are -1024. Of MRI grey values without a unit, see :func:`gluon_liver.structures.modality.mri_volume`.
    """

    hu: np.ndarray

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
        modality: str = CT,
    ) -> Study:
        """A study from volumes that lie on one grid already.

        Parameters
        ----------
        hu: (Z, Y, X) of one phase or (P, Z, Y, X), whole or real numbers in HU, z rising to the head, rows to the
            back, columns to the patient's left; real numbers are rounded, values below -1024 raised to it, absent
            slices set to it.
        spacing: (dz, dy, dx) in mm.
        phases: the names of the P volumes.
        reference_phase: the phase that boxes are in, the first by default.
        present: bool (P, Z), which slices a phase has; all by default. The reference phase has all of them.
        origin: (x, y, z) in mm of the centre of voxel (0, 0, 0), DICOM patient coordinates (LPS).
        direction: 3x3, its columns the unit vectors of the index axes x, y and z in these coordinates; theirs by
            default.
        modality: "CT", or "MRI" for volumes as :func:`gluon_liver.mri_volume` makes them.

        Raises :class:`InputError` for shapes that do not fit together, an unknown reference phase, numbers that are
        not finite, and as :class:`GeometryError` for a grid that is none.
        """
        if modality not in MODALITIES:
            raise InputError(f"modality is {modality!r}; it is one of {', '.join(MODALITIES)}")
        hu, phases = as_array(hu, "hu"), as_names(phases, "phases")
        if hu.ndim == 3:
            hu = hu[None]
        reference_phase = reference_phase or phases[0]
        if hu.ndim != 4 or hu.dtype.kind not in "iuf":
            raise InputError(f"hu is {hu.dtype} {hu.shape}; numbers (Z, Y, X) or (P, Z, Y, X) are needed")
        if len(phases) != len(hu):
            raise InputError(f"hu has {len(hu)} phases, their names are {list(phases)}: one name each is needed")
        if reference_phase not in phases:
            raise InputError(f"the reference phase {reference_phase!r} is not one of the phases {', '.join(phases)}")
        if hu.dtype.kind == "f" and not np.isfinite(hu).all():
            raise InputError("hu holds values that are not finite")
        present = np.ones(hu.shape[:2], bool) if present is None else as_array(present, "present").astype(bool)
        if present.shape != hu.shape[:2] or not present[phases.index(reference_phase)].all():
            raise InputError(
                f"present has shape {present.shape}; {hu.shape[:2]} is needed, with every slice of the reference phase"
            )
        direction = np.eye(3) if direction is None else direction
        grid = Geometry.from_json(dict(origin=origin, spacing=spacing, direction=direction, size=hu.shape[1:]))
        axes = np.asarray(grid.direction)
        if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-3):
            raise GeometryError(f"direction is {axes.tolist()}: its columns must be unit vectors at right angles")
        if hu.dtype != np.int16 or hu.min(initial=0) < AIR_HU:
            hu = np.clip(np.rint(hu), AIR_HU, np.iinfo(np.int16).max).astype(np.int16)
        if not present.all():
            hu = np.where(present[:, :, None, None], hu, np.int16(AIR_HU))
        return cls("study", "patient", phases, reference_phase, present, grid, StudySource(modality=modality), hu)

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
        with new_volume(folder, self.hu.shape) as put:
            for phase, volume in enumerate(self.hu):
                for z, plane in enumerate(volume):
                    put(phase, z, plane)
        self.save_record(folder)

    @classmethod
    def load(cls, folder: Union[str, Path], *, record: Optional[StudyRecord] = None) -> Study:
        """Open a stored study; ``record`` is its study.json where that has been read already.

        Raises :class:`DatasetError` where the files do not fit together.
        """
        record, path = record or StudyRecord.load(folder), Path(folder) / "volume.npy"
        hu, shape = open_array(path, remedy=AGAIN), (len(record.phases), *record.geometry.size)
        if hu.shape != shape or hu.dtype != np.int16:
            raise DatasetError(
                f"{path} is damaged: it is {hu.dtype} {hu.shape}, study.json describes int16 {shape}; {AGAIN}"
            )
        return cls(hu=hu, **vars(record))


# What NumPy before 1.24 says where rows differ in length, and makes objects; NumPy 2 keeps the name elsewhere.
RAGGED: Type[Warning] = getattr(np, "VisibleDeprecationWarning", DeprecationWarning)


def as_array(values: Any, name: str) -> np.ndarray:
    """``values`` as an array. Raises :class:`InputError`, which calls them ``name``, where rows differ in length."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RAGGED)
            return np.asarray(values)
    except (ValueError, RAGGED) as error:
        raise InputError(f"{name} is no array: {error}") from error


def as_names(values: Sequence[str], name: str) -> Tuple[str, ...]:
    """``values`` as a tuple. Raises :class:`InputError`, which calls them ``name``, unless all are names, each once."""
    try:
        names = () if isinstance(values, str) else tuple(values)
    except TypeError:
        names = ()
    if not names or len(set(names)) < len(names) or not all(isinstance(one, str) and one for one in names):
        raise InputError(f"{name} is {values!r}: a sequence of one name or more, each once, is needed")
    return names


def open_array(path: Path, *, remedy: str) -> np.ndarray:
    """Read-only memory map of an .npy file; nothing is unpickled. Raises :class:`DatasetError` that says ``remedy``.

    An empty file is damaged, for which np.load raises ValueError or EOFError, by the version of NumPy.
    """
    with stored_file(path, remedy=remedy):
        return np.lib.format.open_memmap(path, mode="r")


@contextmanager
def stored_file(path: Path, *, remedy: str) -> Iterator[None]:
    """Read a file of prepared data. Raises :class:`DatasetError` that says ``remedy`` for one that is missing or, where
    the reader raises ValueError or its like, damaged."""
    try:
        yield
    except FileNotFoundError as error:
        raise DatasetError(f"{path} is missing; {remedy}") from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {why(error)}") from error
    except (OverflowError, SyntaxError, TypeError, ValueError, tokenize.TokenError) as error:
        raise DamagedArrayError(f"{path} is damaged; {remedy}") from error


@contextmanager
def new_volume(folder: Union[str, Path], shape: Tuple[int, ...]) -> Iterator[Callable[[int, int, np.ndarray], None]]:
    """Write ``folder``/volume.npy, int16 HU (P, Z, Y, X) of ``shape``, slice by slice, whole or not at all.

    Yields the function that takes phase, place and the slice (Y, X), in any order; each slice has to come. Only one
    slice is in memory.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / "volume.npy", "wb") as stream:
        header = {"descr": "<i2", "fortran_order": False, "shape": tuple(int(n) for n in shape)}
        np.lib.format.write_array_header_1_0(stream, header)
        start, size = stream.tell(), 2 * shape[2] * shape[3]

        def put(phase: int, place: int, plane: np.ndarray) -> None:
            stream.seek(start + (phase * shape[1] + place) * size)
            stream.write(np.ascontiguousarray(plane, dtype="<i2").data)

        yield put


def stored_slices(folder: Union[str, Path], phase: int) -> Iterator[np.ndarray]:
    """The slices of one phase of ``folder``/volume.npy, one at a time in memory."""
    path = Path(folder) / "volume.npy"
    volume: Any = np.lib.format.open_memmap(path, mode="r")
    (_, slices, height, width), offset = volume.shape, volume.offset
    with open(path, "rb") as stream:
        stream.seek(offset + 2 * phase * slices * height * width)
        for _ in range(slices):
            yield np.fromfile(stream, volume.dtype, height * width).reshape(height, width)


def fingerprint(volume: Iterable[np.ndarray]) -> str:
    """SHA-256 (hex) of the slices of HU (Z, Y, X) as little-endian int16 in C order.

    It has no salt: the same study imported twice has it twice, whatever the case ids.
    """
    digest = hashlib.sha256()
    for plane in volume:
        digest.update(np.ascontiguousarray(plane, dtype="<i2").data)
    return digest.hexdigest()
