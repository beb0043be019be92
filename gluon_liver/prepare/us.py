"""Recordings and a label file -> a prepared data folder: every step of `python -m gluon_liver import us`."""

from __future__ import annotations

import hashlib
import shutil
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
from tqdm import tqdm

from gluon_liver.data.coco import save_labels
from gluon_liver.data.faults import Faults
from gluon_liver.data.splits import Splits, make_splits
from gluon_liver.data.us_dataset import SPLIT_BY, USDataset
from gluon_liver.data.us_labels import USLabel, scenes_of
from gluon_liver.data.us_pairs import STEP, frames_before
from gluon_liver.errors import AnnotationError, InputError, SplitError
from gluon_liver.files.digest import digest
from gluon_liver.files.output_folder import check_output
from gluon_liver.labels.boxes import size_hint
from gluon_liver.labels.source import AS_GIVEN, LabelOptions, label_paths
from gluon_liver.labels.tables import MIN_SIDE
from gluon_liver.labels.us import SourceLabel, SourceLabels, load_source_labels
from gluon_liver.readers.dicom.series import Rejection
from gluon_liver.readers.frames import read_frames
from gluon_liver.structures.frame_source import Box, FrameSource
from gluon_liver.structures.shared_images import Groups, digest_of

from .folder import describe, prepared_folder, write_records
from .pseudonyms import salt_notes, salt_or_random, salted_hash
from .us_file_numbers import stills_notes
from .us_recordings import list_recordings, match_recordings, not_named
from .us_report import RecordingResult, USImportLog, build_report, write_private

PathLike = Union[str, Path]


def import_us(
    source: PathLike,
    out: PathLike,
    *,
    labels: Union[PathLike, Sequence[PathLike]],
    label_options: LabelOptions = AS_GIVEN,
    region: Optional[Box] = None,
    whole_frame: bool = False,
    step: int = STEP,
    split_by: str = "patient",
    fractions: Sequence[float] = (0.7, 0.1, 0.2),
    test_images: Optional[int] = None,
    seed: int = 0,
    salt: Optional[str] = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Dict[str, Any]:
    """Store the labelled frames of the recordings in ``source``, and the frames ``step`` before them, in the new data
    folder ``out``; returns the report.

    source: one recording, or a folder that is searched at every depth. labels: COCO JSON, one file or several (see
    :func:`load_source_labels`), read as label_options say; it names recordings by their path below ``source``, with
    or without ending, and other recordings are not read. A folder of images is a recording of which they are the
    frames where the labels name the folder, and each image is a recording of one frame where they name the image.
    region, whole_frame: for recordings that do not tell where the picture lies. step: how many frames of the recording
    the previous frame, which us-flow sees too, lies before a labelled one in its scene. test_images: with split_by
    "image", how many images go to "test", the others to "train"; fractions then do not count. A recording that cannot
    be read is quarantined with its reason. Raises InputError, and writes nothing, where none is taken, where the label
    file does not fit, and for wrong options.
    """
    source, out = Path(source), Path(out)
    if region is not None and whole_frame:
        raise InputError("--region and --whole-frame exclude each other")
    if step < 1:
        raise InputError(f"--step is {step}; it must be 1 or more: frames from the previous one to the labelled one")
    _check_split(split_by, test_images)
    make_splits(["any"], fractions=fractions, seed=seed)
    salt = salt_or_random(salt)
    source_labels = load_source_labels(labels, options=label_options)
    path = ", ".join(label_paths(labels))
    recordings, notes = list_recordings(source)
    check_output(out, source, overwrite=overwrite)
    log = USImportLog(notes=salt_notes(salt) + notes, classes=source_labels.classes, step=step)
    matched = _match(source_labels, recordings, path, log)
    read = partial(read_frames, region=region, whole_frame=whole_frame)
    numbers, faults = {name: number for number, name in enumerate(recordings, 1)}, Faults()
    with prepared_folder(out, source, overwrite=overwrite) as temporary:
        for video in tqdm(sorted(matched), desc="recordings", disable=None if progress else True):
            name = f"file {numbers[video]:04d} of {len(recordings):04d}"
            result = RecordingResult(name=name, path=recordings[video], images=matched[video])
            with faults.gathered():
                if _import_recording(result, read, path, log, temporary, salt):
                    result.phantom = result.phantom or source_labels.phantom
                    log.taken.append(result)
        faults.raise_any()
        if not log.taken:
            raise InputError(log.refusal(f"no recording was taken of {log.files} file(s)"))
        log.taken.sort(key=lambda one: one.case)
        together = log.note_twins(split_by)
        splits = _split(log, split_by, fractions, test_images, seed, together)
        report = _write_data(log, temporary, splits, split_by, together)
        write_private(log, temporary / "private", salt, source)
    return report


def _match(
    labels: SourceLabels, recordings: Mapping[str, str], path: str, log: USImportLog
) -> Dict[str, List[SourceLabel]]:
    """Recording -> its images by frame; what is not among them is told in the log. path: of the label file."""
    missing: List[SourceLabel] = []
    notes: List[str] = []
    lost = missing if labels.allow_missing else None
    matched = match_recordings(labels.images, recordings, path, missing=lost, notes=notes)
    log.files = sum(not Path(place).is_dir() for place in recordings.values())
    log.notes += labels.changes.lines() + notes + stills_notes(matched, recordings)
    for item in labels.left_out:
        log.labels_not_taken.add(item.left_out, images=1, boxes=item.count)
    for image in missing:
        log.labels_not_taken.add("it names no recording of the input", images=1, boxes=len(image.boxes))
    if not matched:
        why = [f"{len(missing)} name no recording"] * bool(missing) + labels.changes.lines()
        raise AnnotationError("\n".join([f"{path}: no image can be taken", *why]))
    passed_over = not_named(recordings, matched)
    if passed_over:
        label = "label but of images that were left out" if labels.left_out else "label"
        log.notes.append(f"{passed_over} file(s) are named by no {label} and were not read")
    return matched


def crop_boxes(boxes: np.ndarray, region: Box) -> Tuple[np.ndarray, np.ndarray, int]:
    """Boxes (n, 4) of the whole frame -> (those of the region's crop, inside (n,) bool, how many were clipped).

    A box of which less than a pixel is left in one direction lies outside.
    """
    x1, y1, x2, y2 = region
    moved: np.ndarray = boxes - np.array([x1, y1, x1, y1], np.float32)
    clipped: np.ndarray = np.clip(moved, 0, np.array([x2 - x1, y2 - y1] * 2, np.float32))
    inside = (clipped[:, 2:] - clipped[:, :2] >= MIN_SIDE).all(axis=1)
    return clipped[inside], inside, int((np.abs(clipped - moved).max(axis=1, initial=0)[inside] > 0).sum())


def _import_recording(
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
    result.region = "of the file" if source.own_region else "whole frame" if whole else "as given"
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


def _write_data(log: USImportLog, temporary: Path, splits: Splits, split_by: str, together: Groups) -> Dict[str, Any]:
    """Everything of the data folder beside studies/ and private/."""
    save_labels(log.labels, log.classes, temporary / "labels.json")
    report = build_report(log, splits, split_by)
    own = {"classes": list(log.classes), "split_by": split_by, "step": log.step}
    fields = "case patient frames height width fingerprint unlabelled frames_per_second"
    description = describe(USDataset, own, log.taken, fields, together)
    write_records(temporary, splits, report, description)
    return report


def _check_split(by: str, test_images: Optional[int]) -> None:
    if by not in SPLIT_BY:
        raise InputError(f"--split-by is {by!r}; it is one of {', '.join(SPLIT_BY)}")
    if test_images is not None and (by != "image" or test_images < 1):
        raise InputError("--test-images takes a number of 1 or more and needs --split-by image")


def _split(
    log: USImportLog,
    by: str,
    fractions: Sequence[float],
    test_images: Optional[int],
    seed: int,
    together: Groups,
) -> Splits:
    units = {
        "image": [label.name for label in log.labels],
        "scene": [scene.name for scene in scenes_of(log.labels)],
        "patient": [one.patient for one in log.taken],
    }[by]
    count = len(set(units)) - sum(len(group) - 1 for group in together)
    if test_images is not None:
        if test_images >= count:
            raise SplitError(f"--test-images {test_images} leaves none of the {count} images for training")
        fractions = ((count - test_images) / count, 0.0, test_images / count)
    parts = sum(share > 0 for share in fractions)
    if count < parts:
        finer = {"patient": "scene", "scene": "image"}.get(by)
        advice = f"split by {finer} (--split-by {finer}; the report says what that means), or " if finer else ""
        one = f", {len(set(units))} of which some share a recording," if together else ""
        raise SplitError(
            f"there are {count} {by}(s){one} for {parts} splits: {advice}set the fractions of the others to 0"
        )
    return make_splits(units, fractions=fractions, seed=seed, together=together)
