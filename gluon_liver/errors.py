"""The exceptions that this package raises on purpose.

Bad input is an :class:`InputError`: its message says what was found, where, and what to do. The command line prints
it without a traceback and exits with 2; a :class:`TrainingError` exits with 3. Everything else is a defect.
"""

from __future__ import annotations

from typing import Optional


class GluonLiverError(Exception):
    """Base of every error that the package raises on purpose."""


class InputError(GluonLiverError):
    """The user's input (a file, a folder, an option) cannot be used as it is."""


class DicomError(InputError):
    """A DICOM file or series cannot be turned into a volume.

    file: the number of the one file at fault, where there is one.
    """

    file: Optional[int] = None


class TruncatedFileError(DicomError):
    """A DICOM file ends before its pixel data does."""


class MissingTagError(DicomError):
    """A tag without which the pixel values or the geometry mean nothing is absent or empty."""


class NoPlaceError(MissingTagError):
    """An image does not say where it lies: a page of text, or a slice that lost its place."""


class UnreadableFileError(DicomError):
    """The file system does not give a file: a permission, or a drive that fails."""


class ConflictError(DicomError):
    """Files claim one identity (an image, a series, a study) and differ in what they hold or whose they are."""


class OversizeError(DicomError):
    """A header announces more pixels than a series of CT slices can hold."""


class PixelDataError(DicomError):
    """The pixel data are compressed or laid out in a way that cannot be decoded here."""


class GeometryError(DicomError):
    """The slices of a series do not form a regular grid."""


class MixedSeriesError(GeometryError):
    """The slices of several stacks stand in one series."""


class SliceGapError(GeometryError):
    """Slices are missing between two positions."""


class DuplicateSliceError(GeometryError):
    """Several different slices lie at one position."""


class SliceSpacingError(GeometryError):
    """Slice spacing varies by more than the tolerance."""


class GantryTiltError(GeometryError):
    """The slices are sheared: the gantry was tilted."""


class VolumeError(InputError):
    """A file of a volume (NIfTI, NRRD, MetaImage) cannot be turned into slices, or says not where these lie.

    path: of the file. reason: the message without it, for reports, which name no file.
    """

    def __init__(self, reason: str, path: object = ""):
        super().__init__(f"{path}: {reason}" if str(path) else reason)
        self.reason, self.path = reason, path


class PhaseError(InputError):
    """Which series is which contrast phase cannot be told, or the phases cannot share one grid."""


class AnnotationError(InputError):
    """A label file does not describe the images it is given with."""


class SplitError(InputError):
    """Training and evaluation would share patients, or a split names nobody."""


class DatasetError(InputError):
    """A prepared data folder is missing, incomplete or of another kind."""


class ConfigError(InputError):
    """A configuration has an unknown key, a wrong type or a value that cannot work."""


class RunError(InputError):
    """A run folder is missing, incomplete or of another kind."""


class TrainingError(GluonLiverError):
    """Training cannot go on (a loss is not finite)."""


def why(error: OSError) -> str:
    """The reason of the file system in words; some libraries give an OSError without one."""
    return error.strerror or str(error) or type(error).__name__
