"""Detect tumors and vessels, or whatever classes the run knows, in a video, a DICOM recording, a folder of frames or a
camera, frame by frame.

Writes an annotated video: boxes at probability 0.5 and more, tumors light blue and vessels red, other classes in
colours of their own, and with us-flow the optical flow beside them, where the run estimates one. Ctrl-C ends the stream
and keeps what was annotated.

Research software: not a medical device, not for diagnosis.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Optional

from gluon_liver.errors import InputError
from gluon_liver.files.typed import above, at_least, at_most, between

from .options import add_flag, add_options, add_path, check, prepare_device

if TYPE_CHECKING:
    from gluon_liver.structures.arrays import Array
    from gluon_liver.structures.frame_source import Box, FrameSource

FRAMES_PER_SECOND = 25.0

EXAMPLES = (
    ("annotate a recording", "liver.mp4 --run demo-us/seed-1/us-flow --out annotated.mp4"),
    (
        "the first camera, every second frame, in a window",
        "0 --run demo-us/seed-1/us-faster-rcnn --every 2 --show --out live.mp4",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="VIDEO", help="a video, DICOM file or folder of frames, or a camera's number")
    add_options(parser, "--run", required=True)
    add_path(parser, "--out", "FILE.mp4", "annotated video to write", required=True)
    parser.add_argument(
        "--score", type=float, default=0.5, metavar="SHARE", help="lowest probability that is drawn, 0 to 1"
    )
    text = (
        "classify the N likeliest proposals of a frame (default: as many as the run; docs/evaluation.md has the cost)"
    )
    parser.add_argument("--proposals", type=int, metavar="N", help=text)
    text = "us-flow compares with the frame K before, whose features are kept (default: as the run was trained)"
    parser.add_argument("--step", type=int, metavar="K", help=text)
    text = "detect in every N-th frame alone and write these, so that a live 25 Hz picture needs 25 / N frames a second"
    parser.add_argument("--every", type=int, default=1, metavar="N", help=text)
    rate = f"what the recording tells, {FRAMES_PER_SECOND:g} where it tells nothing, divided by --every"
    parser.add_argument(
        "--fps", type=float, metavar="N", help=f"frames a second of the written video (default: {rate})"
    )
    place = "the picture in the frames, in pixels, X2 and Y2 exclusive; all of it by default"
    add_options(parser, "--region", help=f"{place}; not for DICOM that tells its tissue region, which is taken")
    add_flag(parser, "--show", "show the pictures in a window too; q ends it")
    add_options(parser, "--device")


def run(args: argparse.Namespace) -> int:
    """Watch; prints frames, frames a second and where the video is."""
    from gluon_liver.files.output_folder import check_new
    from gluon_liver.runs.run import Run
    from gluon_liver.structures.frame_source import MAX_RATE

    check(args, "score", between(0, 1))
    check(args, "fps", above(0) & at_most(MAX_RATE))
    for name in "proposals", "step", "every":
        check(args, name, at_least(1))
    run = Run.open(args.run)
    check_new(args.out, what="name")
    run.check_frames()
    recording = None
    if not args.source.isdigit() or Path(args.source).exists():
        recording = _open(args.source, tuple(args.region) if args.region else None)
    prepare_device(args)
    from gluon_liver.inference.ahead import ahead
    from gluon_liver.inference.annotate_video import camera, watch
    from gluon_liver.inference.frame_step import choose_step, every_nth, step_notes
    from gluon_liver.inference.stream import StreamDetector
    from gluon_liver.report.figures.lettering import lettering
    from gluon_liver.runs.devices import parse_device

    context = parse_device(args.device)
    step = choose_step(run.environment, step=args.step, every=args.every)
    stream, _ = StreamDetector.from_run(run, context=context, proposals=args.proposals, step=step)
    if args.step is not None and not stream.needs_previous:
        raise InputError(
            f"--step is for runs of us-flow that see the frame before: that of {args.run} sees each frame by itself; "
            "leave --step out"
        )
    own_rate = recording.frames_per_second if recording else None
    rate = args.fps or (own_rate or FRAMES_PER_SECOND) / args.every
    # a camera is to show what is now
    source = ahead(every_nth(recording.numbered(), args.every)) if recording else camera(int(args.source), args.every)
    for note in (
        step_notes(run.environment, step=step, every=args.every, rate=own_rate) if stream.needs_previous else []
    ):
        print(f"note: {note}")
    show = _window() if args.show else None
    result = watch(source, stream, args.out, frames_per_second=rate, score_threshold=args.score, show=show)
    notes = [*run.config.controls, *(recording.notes if recording else [])]
    if stream.alone:
        notes.append(
            f"{stream.alone} of {result.frames} frames are their own previous frame: none is {step} before them"
        )
    for note in notes:
        print(f"note: {note}")
    for note in lettering(stream.classes).notes(stream.classes):
        print(f"note: in the video {note}")
    how = "interrupted after " if result.interrupted else ""
    speed = 1 / max(result.seconds_per_frame, 1e-9)
    print(f"{how}{result.frames} frames, {speed:.1f} frames/s in detection: {args.out}")
    return 0


def _open(source: str, region: Optional[Box]) -> FrameSource:
    from gluon_liver.readers.frames import read_frames

    recording = read_frames(source, region=region, whole_frame=region is None, text_stays=True, name=source)
    if region is not None and recording.own_region:
        own = " ".join(str(edge) for edge in recording.region)
        shown = f"{source} tells its own tissue region, {own}, which is what is shown"
        raise InputError(f"--region: {shown}; leave --region out")
    return recording


def _window() -> Callable[[Array], bool]:
    import cv2

    def show(picture: Array) -> bool:
        try:
            cv2.imshow("gluon_liver", picture[..., ::-1])
            return cv2.waitKey(1) & 0xFF != ord("q")
        except cv2.error as error:
            raise InputError("--show: no window can be opened here; leave it out") from error

    return show
