"""One recording -> its frames: a video file, a DICOM ultrasound file or a folder of numbered images.

Frames are uint8 (H, W, 3) RGB and are read in order only: no video index can be trusted to seek by.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator, List, Optional, Tuple, Union

import cv2
import numpy as np

from ...errors import InputError, OversizeError, TruncatedFileError

Box = Tuple[int, int, int, int]
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg")
MAX_SIDE = 4096
MAX_RATE = 240.0  # frames a second; more is the clock of a container
JPEG_START, JPEG_END, PNG_START, PNG_END = b"\xff\xd8", b"\xff\xd9", b"\x89PNG", b"IEND"


@dataclass
class FrameSource:
    """One recording; iterating over it decodes it anew and yields frames cropped to ``region``.

    kind: "video", "dicom" or "folder". height, width: of the whole frame. region: (x1, y1, x2, y2) of the picture in
    the whole frame, x2 and y2 exclusive. own_region: the file itself tells the region (DICOM alone can).
    whole_frames: a function that yields whole frames. identity, patient_id: patient data, to be hashed with a salt
    and never shown; patient_id is "" where the recording tells none. phantom: the file says that it shows one.
    notes: what a user should know; reading to the end may add to it. frames_per_second: None where the recording does
    not tell.
    """

    kind: str
    height: int
    width: int
    region: Box
    whole_frames: Callable[[], Iterator[np.ndarray]]
    identity: str
    own_region: bool = False
    patient_id: str = ""
    phantom: bool = False
    notes: List[str] = field(default_factory=list)
    frames_per_second: Optional[float] = None

    def __iter__(self) -> Iterator[np.ndarray]:
        x1, y1, x2, y2 = self.region
        try:
            for frame in self.whole_frames():
                yield frame[y1:y2, x1:x2]
        except OSError as error:
            raise InputError(f"a recording cannot be read: {error.strerror or error}") from error


def read_frames(
    path: Union[str, Path], *, region: Optional[Box] = None, whole_frame: bool = False, name: str = "the recording"
) -> FrameSource:
    """Open the recording at ``path``: a folder of images, a DICOM file (by its magic bytes), or else a video file.

    The region of DICOM ultrasound is its 2D tissue region. A recording that tells none needs ``region`` or
    ``whole_frame``: what is burned in around the picture often names the patient. ``name`` stands for the path in
    messages. Raises InputError (DicomError for DICOM, TruncatedFileError for files that end early); iterating raises
    the same for what shows only in decoding.
    """
    path = str(path)
    try:
        if os.path.isdir(path):
            source = _folder(path, name)
        elif not os.path.isfile(path):
            raise InputError(f"{name}: there is no such file or folder")
        elif path.lower().endswith(IMAGE_ENDINGS):
            raise InputError(f"{name} is one image; give the folder that holds the frames")
        elif _is_dicom(path):
            from .dicom_us import open_dicom

            source = open_dicom(path, name)
        else:
            from .video import open_video

            source = open_video(path, name)
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or error}") from error
    if not source.own_region:
        if region is None and not whole_frame:
            raise InputError(
                f"{name} does not tell where the ultrasound picture lies in its frames of {source.width}x"
                f"{source.height} pixels, and text around it may name the patient: give the box with "
                "--region X1 Y1 X2 Y2, or take everything with --whole-frame"
            )
        if region is not None:
            source.region = check_region(region, source.height, source.width, f"{name}: --region")
        else:
            source.notes.append("whole frames were taken: text burned into them stays, patient names too")
    return source


def check_region(region: Box, height: int, width: int, where: str) -> Box:
    """The region itself. Raises InputError unless it has area and lies inside a frame of height x width."""
    x1, y1, x2, y2 = region
    if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
        raise InputError(f"{where} {x1} {y1} {x2} {y2} is no box inside its frames of {width}x{height} pixels")
    return region


def plausible_rate(frames_per_second: float) -> Optional[float]:
    """The rate itself, None unless it is above 0 and at most MAX_RATE."""
    return frames_per_second if 0 < frames_per_second <= MAX_RATE else None


def numeric_order(file_name: str) -> Tuple:
    """Sort key by which frame2 comes before frame10."""
    parts = re.split(r"([0-9]+)", file_name)
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part)


def list_images(folder: str) -> List[str]:
    """Paths of the images directly in a folder, in numeric order of their names."""
    names = [name for name in os.listdir(folder) if name.lower().endswith(IMAGE_ENDINGS) and name[0] != "."]
    return [os.path.join(folder, name) for name in sorted(names, key=numeric_order)]


def hash_files(paths: List[str]) -> str:
    """SHA-256 (hex) over the content of files: the identity of a recording that carries no identifier."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as stream:
            while piece := stream.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()


def _is_dicom(path: str) -> bool:
    with open(path, "rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _folder(folder: str, name: str) -> FrameSource:
    paths = list_images(folder)
    if not paths:
        raise InputError(f"{name} is a folder without PNG or JPEG images")
    height, width = _read_image(paths[0], f"{name}, frame 0").shape[:2]

    def whole_frames() -> Iterator[np.ndarray]:
        for index, path in enumerate(paths):
            frame = _read_image(path, f"{name}, frame {index}")
            if frame.shape[:2] != (height, width):
                raise InputError(
                    f"{name}, frame {index} has {frame.shape[1]}x{frame.shape[0]} pixels, the first {width}x{height}; "
                    "give recordings of different sizes as folders of their own"
                )
            yield frame

    return FrameSource("folder", height, width, (0, 0, width, height), whole_frames, hash_files(paths))


def _read_image(path: str, where: str) -> np.ndarray:
    with open(path, "rb") as stream:
        code = stream.read()
    # OpenCV fills what is missing of a cut JPEG with grey and says nothing.
    for start, end in ((JPEG_START, JPEG_END), (PNG_START, PNG_END)):
        if code.startswith(start) and end not in code[-64:]:
            raise TruncatedFileError(f"{where} is cut short: its image has no end")
    try:
        image = cv2.imdecode(np.frombuffer(code, np.uint8), cv2.IMREAD_COLOR) if code else None
    except cv2.error as error:
        raise OversizeError(f"{where} is an image that OpenCV refuses, for it announces too many pixels") from error
    if image is None:
        raise InputError(f"{where} is no image that can be decoded")
    if max(image.shape[:2]) > MAX_SIDE:
        raise OversizeError(f"{where} has {image.shape[1]}x{image.shape[0]} pixels; the bound is {MAX_SIDE} a side")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
