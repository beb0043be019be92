"""One recording -> its labelled frames on disk, with the frames before them, and its boxes in the crop."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Callable, Tuple

import numpy as np

from gluon_liver.data.us_labels import USLabel
from gluon_liver.data.us_pairs import frames_before
from gluon_liver.errors import AnnotationError, InputError
from gluon_liver.files.digest import digest
from gluon_liver.labels.boxes import size_hint
from gluon_liver.labels.tables import MIN_SIDE
from gluon_liver.readers.dicom.series import Rejection
from gluon_liver.structures.frame_source import Box, FrameSource
from gluon_liver.structures.shared_images import digest_of

from .pseudonyms import salted_hash
from .us_report import RecordingResult, USImportLog


def crop_boxes(boxes: np.ndarray, region: Box) -> Tuple[np.ndarray, np.ndarray, int]:
    """Boxes (n, 4) of the whole frame -> (those of the region's crop, inside (n,) bool, how many were clipped).

    A box of which less than a pixel is left in one direction lies outside.
    """
    x1, y1, x2, y2 = region
    moved: np.ndarray = boxes - np.array([x1, y1, x1, y1], np.float32)
    clipped: np.ndarray = np.clip(moved, 0, np.array([x2 - x1, y2 - y1] * 2, np.float32))
    inside = (clipped[:, 2:] - clipped[:, :2] >= MIN_SIDE).all(axis=1)
    return clipped[inside], inside, int((np.abs(clipped - moved).max(axis=1, initial=0)[inside] > 0).sum())


def import_recording(
    result: RecordingResult, read: Callable[..., FrameSource], path: str, log: USImportLog, out: Path, salt: str
) -> bool:
    """Store one recording, or quarantine it. Returns whether it was taken. path: of the label file, for messages."""
    named = len(result.images)
    try:
        _store(read(result.path, name=result.name), result, path, log, out, salt)
        return True
    except AnnotationError:
        raise
    except InputError as error:
        if result.case:
            shutil.rmtree(out / "studies" / result.case, ignore_errors=True)
        log.quarantined.append(Rejection(result.name, str(error), type(error).__name__, named))
        if result.images:  # the others have a reason of their own
            boxes = sum(len(image.boxes) for image in result.images)
            log.labels_not_taken.add("its recording was not taken", images=len(result.images), boxes=boxes)
        return False


def _store(source: FrameSource, result: RecordingResult, path: str, log: USImportLog, out: Path, salt: str) -> None:
    """Write the labelled frames of one recording, and their previous ones, and fill in its result."""
    x1, y1, x2, y2 = source.region
    wrong = [one for one in result.images if (one.width, one.height) != (source.width, source.height)]
    if wrong:
        image, more = wrong[0], f" (and of {len(wrong) - 1} more images of it)" if len(wrong) > 1 else ""
        hint = size_hint((image.width, image.height), (source.width, source.height))
        raise AnnotationError(
            f"{image.where}: 'width' and 'height'{more} are {image.width} and {image.height}, the "
            f"frames of its recording ({result.name}) have {source.width} columns and {source.height} rows{hint}"
        )
    _leave_slivers_out(source.region, result, log)
    result.case, result.kind = salted_hash("case", salt, source.identity), source.kind
    twin = next((one.name for one in log.taken if one.case == result.case), None)
    if twin and log.skip_copies:
        result.case = ""  # the folder of that case is the twin's
        raise InputError(f"{result.name} is a copy of {twin}, which was taken with its own labels")
    if twin:
        raise AnnotationError(f"{path}: {result.name} is a copy of {twin}, and both have labels; remove one")
    patients = {image.patient for image in result.images} - {""}
    if len(patients) > 1:
        raise AnnotationError(f"{path}: the images of one recording ({result.name}) name {len(patients)} patients")
    result.named_patient = bool(source.patient_id or patients)
    result.patient = salted_hash("patient", salt, source.patient_id or "".join(patients) or source.identity)
    result.phantom, result.frames_per_second = source.phantom, source.frames_per_second
    result.before = frames_before({image.frame: image.scene for image in result.images}, log.step)
    before = {*result.before.values()} - {image.frame for image in result.images}
    result.unlabelled = sorted(before if source.numbers is None else before & {*source.numbers})
    whole = source.region == (0, 0, source.width, source.height)
    usual = "of the file" if source.own_region else "whole frame" if whole else "as given"
    result.region = source.region_words or usual
    result.height, result.width = y2 - y1, x2 - x1
    folder = out / "studies" / result.case
    folder.mkdir(parents=True)
    _write_frames(source, result, folder / "frames.npy")
    result.stored = digest(folder / "frames.npy")
    result.notes = list(source.notes)
    _place_labels(source.region, result, log)


def _leave_slivers_out(region: Box, result: RecordingResult, log: USImportLog) -> None:
    """Drop images of which a box has less than a pixel in the picture: neither a lesion nor background."""
    for image in list(result.images):
        x1, y1, x2, y2 = region
        edges = np.clip(image.boxes, [x1, y1, x1, y1], [x2, y2, x2, y2])
        sides = (edges[:, 2:] - edges[:, :2]).min(axis=1)
        if ((0 < sides) & (sides < MIN_SIDE)).any():
            result.images.remove(image)
            reason = "less than a pixel of a box is inside the picture"
            log.labels_not_taken.add(reason, images=1, boxes=len(image.boxes))
    if not result.images:
        raise InputError("none of its labelled frames can be used: their boxes lie on the edge of the picture")


def _write_frames(source: FrameSource, result: RecordingResult, target: Path) -> None:
    """Stream the wanted frames to an .npy file: a long recording need not fit into memory."""
    labelled = {image.frame for image in result.images}
    wanted = {*labelled, *result.unlabelled}
    content_hash, number = hashlib.sha256(), -1
    header = dict(descr="|u1", fortran_order=False, shape=(len(wanted), result.height, result.width, 3))
    with open(target, "wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for number, frame in source.numbered():
            frame_digest = digest_of(frame)
            if frame_digest is not None:
                result.digests[number] = frame_digest
            if number in wanted:
                content = np.ascontiguousarray(frame).tobytes()
                if number in labelled:  # of the labels' own pictures, whatever the step
                    content_hash.update(content)
                stream.write(content)
                if number == result.images[-1].frame:
                    break
    missing = next((image for image in result.images if image.frame > number), None)
    if missing is not None:
        why = "".join(f"; {note}" for note in source.notes)
        if source.kind == "image":
            why += "; 'video' names a single image: name its folder where the images of it are frames of one recording"
        elif missing.frame == number + 1 and result.images[0].frame > 0:
            why += "; the labels may count from 1: subtract 1 from each 'frame'"
        raise AnnotationError(
            f"{missing.where}: key 'frame' is {missing.frame}; its recording ({result.name}) has "
            f"{number + 1} frames, counted from 0{why}"
        )
    result.fingerprint = content_hash.hexdigest()


def _place_labels(region: Box, result: RecordingResult, log: USImportLog) -> None:
    # Scenes are numbered by their first frame: their names may hold anything.
    result.scene_names = list(dict.fromkeys(image.scene for image in result.images))
    first_id, size = len(log.labels) + 1, (result.width, result.height)
    stored = sorted([*result.unlabelled, *(image.frame for image in result.images)])
    row_of = {frame: row for row, frame in enumerate(stored)}
    for place, image in enumerate(result.images):
        boxes, inside, clipped = crop_boxes(image.boxes, region)
        log.clipped += clipped
        log.outside += int((~inside).sum())
        scene, labels = result.scene_names.index(image.scene) + 1, image.labels[inside]
        row = row_of[image.frame]
        result.labels.append(USLabel(first_id + place, result.case, image.frame, *size, boxes, labels, scene, row))
