"""NIfTI files, plain and compressed, by nibabel."""

from __future__ import annotations

import math
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Tuple

import numpy as np

from gluon_liver.errors import VolumeError, why
from gluon_liver.files.planes import MOST_SHRUNK
from gluon_liver.structures.arrays import Array, FloatArray

from .file_volume import FileVolume
from .grid import FROM_RAS

FORMS = ("sform", "qform")
CUT_SHORT = "it is cut short or damaged: it ends before its voxels do, or cannot be unpacked"
CHOOSE_FORM = "Choose with --affine sform or --affine qform, after a look at both"
MOST_APART = 0.1  # of a voxel's shortest side: corners that lie further apart by the two forms contradict each other


def open_nifti(path: Path, *, form: Optional[str] = None) -> FileVolume:
    """Read the header of a NIfTI file. form: which of :data:`FORMS` counts where the two contradict each other.

    Raises :class:`VolumeError` for what is no volume of numbers, says not where it lies, or says it twice and
    differently.
    """
    import nibabel

    with _file_errors(path):
        # a compressed file is read on from slice to slice, not from its beginning for each
        image: Any = nibabel.load(path, mmap="r", keep_file_open=True)
        if not isinstance(image, nibabel.Nifti1Pair):
            raise VolumeError(f"it is no NIfTI file but {type(image).__name__}", path)
        header, shape = image.header, tuple(int(n) for n in image.shape)
        while len(shape) > 3 and shape[-1] == 1:
            shape = shape[:-1]
        if len(shape) > 3:
            raise VolumeError(
                f"it holds {int(np.prod(shape[3:], dtype=np.int64))} volumes ({'x'.join(map(str, shape))}), and "
                "nothing says which phase each is: split it (fslsplit, or nibabel.four_to_three) into a file a phase",
                path,
            )
        if len(shape) < 3:
            raise VolumeError(f"it is a picture of {'x'.join(map(str, shape))}, no volume of slices", path)
        kind = header.get_data_dtype().kind
        if kind not in "iuf":
            what = {"V": "colours", "c": "complex numbers"}.get(kind, f"values of kind {kind}")
            raise VolumeError(f"it holds {what}, no values of one number a voxel", path)
        units = header.get_xyzt_units()[0]
        if units not in ("mm", "unknown"):
            raise VolumeError(f"its header says that lengths are in {units}; write it in mm", path)
        _check_offset(path, image)
        affine = FROM_RAS @ _affine(header, shape, form, path)
    return FileVolume(path, shape, affine, lambda axis: _planes(path, image, shape, axis))


def _check_offset(path: Path, image: Any) -> None:
    """Raise :class:`VolumeError` where voxels are said to begin inside the header, whose bytes would be voxels then."""
    least, offset = int(image.header.sizeof_hdr) + 4, float(image.dataobj.offset)
    if image.header.is_single and not least <= offset < np.inf:
        raise VolumeError(f"its voxels begin at byte {offset:g} by its header, which is {least} bytes long", path)


def _check_bytes(path: Path, header: Any, shape: Tuple[int, ...]) -> None:
    """Raise :class:`VolumeError` where a file cannot hold what it announces: room is made for that first."""
    size = path.stat().st_size
    wanted = math.prod(shape) * header.get_data_dtype().itemsize
    if wanted > (size if path.suffix.lower() != ".gz" else MOST_SHRUNK * size):
        raise VolumeError(f"{CUT_SHORT}; its {size} bytes cannot hold the {wanted} that are announced", path)


def _affine(header: Any, shape: Tuple[int, ...], form: Optional[str], path: Path) -> FloatArray:
    """Index -> RAS mm, by the form that the header gives, or by ``form`` where it gives both and they differ."""
    known: Dict[str, FloatArray] = {}
    for name in FORMS:
        if int(header[f"{name}_code"]) > 0:
            try:
                matrix = header.get_sform() if name == "sform" else header.get_qform()
                known[name] = np.asarray(matrix, dtype=np.float64)
            except (ValueError, ArithmeticError, np.linalg.LinAlgError):
                known[name] = np.full((4, 4), np.nan)
    if not known:
        raise VolumeError(
            "its header says nothing of its place (sform_code and qform_code are 0): which side is left, and which end "
            "is the head's, cannot be told. Write it again with an orientation that is known",
            path,
        )
    if len(known) == 1 or _apart(known["sform"], known["qform"], shape) <= MOST_APART:
        return next(iter(known.values()))
    if form is not None:
        return known[form]
    said = "; ".join(f"{name} {_words(matrix)}" for name, matrix in known.items())
    raise VolumeError(f"its header gives two places that contradict each other: {said}. {CHOOSE_FORM}", path)


def _apart(one: FloatArray, other: FloatArray, shape: Tuple[int, ...]) -> float:
    """By how many voxels' shortest sides two forms put a corner apart."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1)
    moved = np.abs((one - other)[:3, :3] @ corners + (one - other)[:3, 3:])
    side = min(np.linalg.norm(matrix[:3, :3], axis=0).min() for matrix in (one, other))
    apart = float(moved.max() / side) if side > 0 else np.inf
    return apart if np.isfinite(apart) else np.inf


def _words(matrix: FloatArray) -> str:
    """Axes, spacing and origin of a form, for a message."""
    import nibabel

    if not np.isfinite(matrix).all():
        return "cannot be read"
    axes = "".join(code or "?" for code in nibabel.aff2axcodes(matrix))
    spacing = " x ".join(f"{side:.4g}" for side in np.linalg.norm(matrix[:3, :3], axis=0))
    origin = ", ".join(f"{at:.1f}" for at in matrix[:3, 3])
    return f"has axes {axes}, {spacing} mm, origin ({origin})"


def _planes(path: Path, image: Any, shape: Tuple[int, ...], axis: int) -> Iterator[Array]:
    """See :class:`FileVolume`.

    Across the last axis one plane is in memory; across others the volume, where the file is compressed, and else a map
    of it.
    """
    with _file_errors(path, voxels=True):
        _check_bytes(path, image.header, shape)
        proxy, place = image.dataobj, [slice(None)] * 3 + [0] * (len(image.shape) - 3)
        if axis < 2:
            # stored numbers: scaling the whole would make 8 bytes of each
            stored = proxy.get_unscaled().reshape(shape, order="F")
            slope, inter = float(proxy.slope), float(proxy.inter)
            for index in range(shape[axis]):
                plane = np.take(stored, index, axis=axis).T
                yield plane if (slope, inter) == (1.0, 0.0) else plane * slope + inter
            return
        for index in range(shape[axis]):
            place[axis] = index  # type: ignore[call-overload]
            yield np.asarray(proxy[tuple(place)]).T


@contextmanager
def _file_errors(path: Path, *, voxels: bool = False) -> Iterator[None]:
    """What nibabel and the file system raise of a file that is damaged -> :class:`VolumeError`."""
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        yield
    except VolumeError:
        raise
    except FileNotFoundError as error:
        raise VolumeError("there is no such file", path) from error
    except PermissionError as error:
        raise VolumeError(f"it cannot be read: {why(error)}", path) from error
    except (EOFError, zlib.error, OSError) as error:
        raise VolumeError(CUT_SHORT, path) from error
    except (ImageFileError, HeaderDataError, ArithmeticError, KeyError, TypeError, ValueError) as error:
        # of a plain file that ends too early nibabel says ValueError when its voxels are read
        raise VolumeError(CUT_SHORT if voxels else "it is no NIfTI file, or its header is damaged", path) from error
