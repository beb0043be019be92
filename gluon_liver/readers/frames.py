"""One recording -> its frames: a video file, a DICOM ultrasound file, a folder of numbered images, one image.

Frames are uint8 (H, W, 3) RGB and are read in order only: no video index can be trusted to seek by.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Union

from gluon_liver.errors import InputError, why
from gluon_liver.structures.frame_source import IMAGE_ENDINGS, Box, FrameSource, check_region

from .image_folder import open_image, open_image_folder


def read_frames(
    path: Union[str, Path],
    *,
    region: Optional[Box] = None,
    whole_frame: bool = False,
    text_stays: bool = False,
    name: str = "the recording",
) -> FrameSource:
    """Open the recording at ``path``: a folder of images, an image, a DICOM file (by its magic bytes), or else a video.

    The region of DICOM ultrasound is its 2D tissue region. A recording that tells none needs ``region`` or
    ``whole_frame``: what is burned in around the picture often names the patient. ``whole_frame`` is refused where the
    file says that text is burned in, but for ``text_stays``. ``name`` stands for the path in
    messages. Raises :class:`InputError` (``DicomError`` for DICOM, ``TruncatedFileError`` for files that end
    early); iterating raises the same for what shows only in decoding.
    """
    path = Path(path)
    try:
        if path.is_dir():
            source = open_image_folder(path, name)
        elif not path.is_file():
            raise InputError(f"{name}: there is no such file or folder")
        elif path.suffix.lower() in IMAGE_ENDINGS:
            source = open_image(path, name)
        elif _is_dicom(path):
            from .dicom.ultrasound import open_dicom

            source = open_dicom(path, name)
        else:
            from .video import open_video

            source = open_video(path, name)
    except OSError as error:
        raise InputError(f"{name} cannot be read: {why(error)}") from error
    if not source.own_region:
        size = f"{source.width}x{source.height} pixels"
        if region is None and not whole_frame:
            unknown = f"{name} does not tell where the ultrasound picture lies in its frames of {size}"
            remedy = "give the box with --region X1 Y1 X2 Y2, or take everything with --whole-frame"
            raise InputError(f"{unknown}, and text around it may name the patient: {remedy}")
        if region is not None:
            check_region(region, width=source.width, height=source.height, name=name)
            source.region = region
        elif source.burned_in and not text_stays:
            says = f"{name} says that text is burned into its frames of {size}, or is a capture of a screen"
            raise InputError(f"{says}: it is not taken whole; give the box of the picture with --region X1 Y1 X2 Y2")
        else:
            source.notes.append("whole frames were taken: text burned into them stays, patient names too")
    return source


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"
