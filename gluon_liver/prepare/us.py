"""Recordings and labels -> a prepared data folder: every step of `python -m gluon_liver import us`."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from gluon_liver.data.coco import save_labels
from gluon_liver.data.faults import Faults
from gluon_liver.data.splits import SPLIT_NAMES, Splits, make_splits
from gluon_liver.data.us_dataset import SPLIT_BY, USDataset
from gluon_liver.data.us_labels import scenes_of
from gluon_liver.data.us_pairs import STEP
from gluon_liver.errors import AnnotationError, InputError, SplitError
from gluon_liver.files.output_folder import check_output
from gluon_liver.labels.source import AS_GIVEN, LabelOptions, label_paths
from gluon_liver.labels.us import SourceLabel, SourceLabels, load_source_labels
from gluon_liver.readers.frames import read_frames
from gluon_liver.structures.frame_source import Box, FrameSource
from gluon_liver.structures.shared_images import Groups
from gluon_liver.system.terminal import progress_bar

from .folder import describe, prepared_folder, write_records
from .pseudonyms import salt_notes, salt_or_random
from .us_file_numbers import AS_FRAMES, stills_notes
from .us_frames import import_recording
from .us_recordings import list_recordings, match_recordings, not_named
from .us_report import RecordingResult, USImportLog, build_report, write_private

PathLike = Union[str, Path]
FRACTIONS = (0.7, 0.1, 0.2)


@dataclass(frozen=True)
class USSource:
    """What an import is made of.

    folder: that of the recordings, or the one recording. labels: of ``where``, a file for messages. recordings: name
    below the folder -> path. read: opens the recording at a path, given a ``name`` for messages. splits: name of a
    recording -> its official split, where the set has such. left_out: (path below the folder, reason) of what cannot be
    taken, the path for the private listing alone. skip_copies: take a recording that is there twice once: nobody
    can mend a public set. stills: what to do where pictures with numbers are frames, "" where they are none. files: how
    many are below the folder, None where every one may be a recording.
    """

    folder: Path
    labels: SourceLabels
    where: str
    recordings: Mapping[str, str]
    read: Callable[..., FrameSource]
    notes: Sequence[str] = ()
    splits: Mapping[str, str] = field(default_factory=dict)
    left_out: Sequence[Tuple[str, str]] = ()
    skip_copies: bool = False
    stills: str = AS_FRAMES
    files: Optional[int] = None


@dataclass(frozen=True)
class USOptions:
    """How an import is made.

    step: how many frames of the recording the previous frame, which us-flow sees too, lies before a labelled one in its
    scene. test_images: with split_by "image", how many images go to "test", the others to "train"; fractions then do
    not count. public_salt: the salt is known to all, for ids that are public anyway.
    """

    step: int = STEP
    split_by: str = "patient"
    fractions: Sequence[float] = FRACTIONS
    test_images: Optional[int] = None
    seed: int = 0
    salt: Optional[str] = None
    public_salt: bool = False
    overwrite: bool = False
    progress: bool = False

    def check(self) -> None:
        """Raise :class:`InputError` for options that cannot be."""
        if self.step < 1:
            raise InputError(
                f"--step is {self.step}; it must be 1 or more: frames from the previous one to the labelled one"
            )
        if self.split_by not in SPLIT_BY:
            raise InputError(f"--split-by is {self.split_by!r}; it is one of {', '.join(SPLIT_BY)}")
        if self.test_images is not None and (self.split_by != "image" or self.test_images < 1):
            raise InputError("--test-images takes a number of 1 or more and needs --split-by image")
        make_splits(["any"], fractions=self.fractions, seed=self.seed)


def import_us(
    source: PathLike,
    out: PathLike,
    *,
    labels: Union[PathLike, Sequence[PathLike]],
    label_options: LabelOptions = AS_GIVEN,
    region: Optional[Box] = None,
    whole_frame: bool = False,
    **options: Any,
) -> Dict[str, Any]:
    """Store the labelled frames of the recordings in ``source``, and the frames a step before them, in the new data
    folder ``out``; returns the report.

    source: one recording, or a folder that is searched at every depth. labels: COCO JSON, one file or several (see
    :func:`load_source_labels`), read as label_options say; it names recordings by their path below ``source``, with
    or without ending, and other recordings are not read. A folder of images is a recording of which they are the
    frames where the labels name the folder, and each image is a recording of one frame where they name the image.
    region, whole_frame: for recordings that do not tell where the picture lies. options: of :class:`USOptions`. A
    recording that cannot be read is quarantined with its reason. Raises InputError, and writes nothing, where none is
    taken, where the label file does not fit, and for wrong options.
    """
    how = USOptions(**options)
    read = reader(region, whole_frame)
    how.check()
    salt_or_random(how.salt)
    source_labels = load_source_labels(labels, options=label_options)
    recordings, notes = list_recordings(Path(source))
    where = ", ".join(label_paths(labels))
    return import_recordings(USSource(Path(source), source_labels, where, recordings, read, notes), out, how)


def reader(region: Optional[Box], whole_frame: bool) -> Callable[..., FrameSource]:
    """Opens recordings, as :func:`read_frames` does with these. Raises :class:`InputError` where both are given."""
    if region is not None and whole_frame:
        raise InputError("--region and --whole-frame exclude each other")
    return partial(read_frames, region=region, whole_frame=whole_frame)


def import_recordings(source: USSource, out: PathLike, options: USOptions = USOptions()) -> Dict[str, Any]:
    """:func:`import_us` of recordings that are listed and labels that are read. Raises as that."""
    options.check()
    salt, out = salt_or_random(options.salt), Path(out)
    check_output(out, source.folder, overwrite=options.overwrite)
    log = USImportLog(classes=source.labels.classes, step=options.step, skip_copies=source.skip_copies)
    log.notes = [*source.notes]
    matched = match_labels(source, log)
    recordings, where = source.recordings, source.where
    numbers, faults = {name: number for number, name in enumerate(recordings, 1)}, Faults()
    with prepared_folder(out, source.folder, overwrite=options.overwrite) as temporary:
        for video in progress_bar(sorted(matched), text="recordings", show=options.progress):
            name = f"file {numbers[video]:04d} of {len(recordings):04d}"
            result = RecordingResult(name=name, path=recordings[video], images=matched[video])
            result.split = source.splits.get(video, "")
            with faults.gathered():
                if import_recording(result, source.read, where, log, temporary, salt):
                    result.phantom = result.phantom or source.labels.phantom
                    log.taken.append(result)
        faults.raise_any()
        if not log.taken:
            raise InputError(log.refusal(f"no recording was taken of {log.files} file(s)"))
        if not options.public_salt:
            log.notes += salt_notes(salt, phantoms=all(one.phantom for one in log.taken))
        log.taken.sort(key=lambda one: one.case)
        together = log.note_twins(options.split_by)
        splits = _official_splits(log, options) if source.splits else _split(log, options, together)
        report = _write_data(log, temporary, splits, options.split_by, together)
        write_private(log, temporary / "private", salt, source.folder, source.left_out)
    return report


def match_labels(source: USSource, log: USImportLog) -> Dict[str, List[SourceLabel]]:
    """Recording -> its images by frame; what is not among them is told in the log."""
    labels, recordings, path = source.labels, source.recordings, source.where
    missing: List[SourceLabel] = []
    notes: List[str] = []
    lost = missing if labels.allow_missing else None
    matched = match_recordings(labels.images, recordings, path, missing=lost, notes=notes)
    singles = sum(not Path(place).is_dir() for place in recordings.values())
    log.files = singles if source.files is None else source.files
    log.notes += labels.changes.lines() + notes + stills_notes(matched, recordings, source.stills)
    for item in labels.left_out:
        log.labels_not_taken.add(item.left_out, images=1, boxes=item.count)
    for image in missing:
        log.labels_not_taken.add("it names no recording of the input", images=1, boxes=len(image.boxes))
    for _, reason in source.left_out:
        log.labels_not_taken.add(reason, images=1)
    if not matched:
        why = [f"{len(missing)} name no recording"] * bool(missing) + labels.changes.lines()
        raise AnnotationError("\n".join([f"{path}: no image can be taken", *why]))
    passed_over = not_named(recordings, matched)
    if passed_over:
        label = "label but of images that were left out" if labels.left_out else "label"
        log.notes.append(f"{passed_over} file(s) are named by no {label} and were not read")
    return matched


def _write_data(log: USImportLog, temporary: Path, splits: Splits, split_by: str, together: Groups) -> Dict[str, Any]:
    """Everything of the data folder beside studies/ and private/."""
    save_labels(log.labels, log.classes, temporary / "labels.json")
    report = build_report(log, splits, split_by)
    own = {"classes": list(log.classes), "split_by": split_by, "step": log.step}
    fields = "case patient frames height width fingerprint unlabelled frames_per_second"
    description = describe(USDataset, own, log.taken, fields, together)
    write_records(temporary, splits, report, description)
    return report


def _units(log: USImportLog, by: str) -> List[Tuple[str, str]]:
    """(name in splits.json, official split of its recording) of every patient, scene or image, repeated."""
    split_of = {one.case: one.split for one in log.taken}
    if by == "patient":
        return [(one.patient, one.split) for one in log.taken]
    named = log.labels if by == "image" else scenes_of(log.labels)
    return [(one.name, split_of[one.case]) for one in named]


def _official_splits(log: USImportLog, options: USOptions) -> Splits:
    """Those that the set came with. Raises :class:`SplitError` where they part a patient, or leave one out."""
    units = sorted(set(_units(log, options.split_by)))
    of = {which: tuple(name for name, split in units if split == which) for which in SPLIT_NAMES}
    if sum(map(len, of.values())) < len(units):
        raise SplitError("the set's own splits do not name all of its recordings")
    log.notes.append("the splits are the set's own")
    return Splits(of["train"], of["val"], of["test"])


def _split(log: USImportLog, options: USOptions, together: Groups) -> Splits:
    by, fractions, test_images = options.split_by, options.fractions, options.test_images
    units = [name for name, _ in _units(log, by)]
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
    return make_splits(units, fractions=fractions, seed=options.seed, together=together)
