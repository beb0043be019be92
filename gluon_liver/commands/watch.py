"""Detect tumors and vessels, or whatever classes the run knows, in a video, a DICOM recording, a folder of frames, a
camera or a stream of the network, frame by frame.

Writes an annotated video, shows it in a browser of this machine, or both: boxes at probability 0.5 and more, tumors
light blue and vessels red, other classes in colours of their own, and with us-flow the optical flow beside them, where
the run estimates one. Recordings are read whole; of cameras and streams the newest frame is taken each time, and a
stream that breaks is opened again. Ctrl-C or SIGTERM ends the stream and keeps what was
annotated.

Research software: not a medical device, not for diagnosis.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Callable, List, Optional

from gluon_liver.errors import InputError
from gluon_liver.files.typed import above, at_least, at_most, within

from .options import add_flag, add_options, add_path, check, prepare_engine

if TYPE_CHECKING:
    from gluon_liver.inference.annotate_video import Watched
    from gluon_liver.inference.choice import EngineChoice
    from gluon_liver.inference.stream import StreamDetector
    from gluon_liver.live.server import PageServer
    from gluon_liver.live.source import Source
    from gluon_liver.runs.run import Run
    from gluon_liver.structures.arrays import Array

FRAMES_PER_SECOND = 25.0
RATE_SECONDS = 8.0  # that the rate of a live source is waited for
OTHER_RATE = 1.25  # times as fast or slow, from which on it is told
PORT = 8765
SCREENS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")  # one of them says where windows go on Linux

EXAMPLES = (
    ("annotate a recording", "liver.mp4 --run demo-us/seed-1/us-flow --out annotated.mp4"),
    (
        "the first camera, every second frame, in a window",
        "0 --run demo-us/seed-1/us-faster-rcnn --every 2 --show --out live.mp4",
    ),
    (
        "a stream of the network, in a browser of this machine",
        "rtsp://scanner.example/live --run demo-us/seed-1/us-faster-rcnn --serve",
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = "a video, DICOM file or folder of frames, a camera's number, or the address of a stream: rtsp(s), http(s)"
    parser.add_argument("source", metavar="SOURCE", help=what)
    add_options(parser, "--run", required=True)
    add_path(parser, "--out", "FILE.mp4", "annotated video to write (needed without --serve)")
    text = f"show the pictures in a browser of this machine, at this port ({PORT} where none is given, 0: any free one)"
    parser.add_argument("--serve", type=_port, nargs="?", const=PORT, metavar="PORT", help=text)
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
    rate = f"the recording's or stream's own, {FRAMES_PER_SECOND:g} where it is not known, divided by --every"
    text = f"frames a second of the written video, and of a recording that is served (default: {rate})"
    parser.add_argument("--fps", type=float, metavar="N", help=text)
    place = "the picture in the frames, in pixels, X2 and Y2 exclusive; all of it by default"
    add_options(parser, "--region", help=f"{place}; not for DICOM that tells its tissue region, which is taken")
    add_flag(parser, "--show", "show the pictures in a window too; q ends it")
    add_options(parser, "--engine", "--device")


def _port(text: str) -> int:
    if not text.isdecimal():
        # not repeated: it may be an address with a password
        raise argparse.ArgumentTypeError(
            "a port is a number; with --serve last, or before another option, none is needed"
        )
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Watch; prints frames, frames a second, and where the video and the page are."""
    from gluon_liver.files.output_folder import check_new
    from gluon_liver.runs.checkpoint_folder import chosen_checkpoint
    from gluon_liver.runs.run import Run
    from gluon_liver.structures.frame_source import MAX_RATE

    check(args, "score", within(0, 1))
    check(args, "fps", above(0) & at_most(MAX_RATE))
    for name in "proposals", "step", "every":
        check(args, name, at_least(1))
    if args.out is None and args.serve is None:
        raise InputError("say where the pictures go: --out FILE.mp4 writes a video, --serve shows them in a browser")
    if args.show:
        _check_screen()
    trained = Run.open(args.run)
    if args.out is not None:
        check_new(args.out, what="name")
    trained.check_frames()
    chosen_checkpoint(trained)
    with ExitStack() as closing:
        server = None
        if args.serve is not None:
            from gluon_liver.live.server import PageServer

            server = closing.enter_context(PageServer(args.serve))
        source = closing.enter_context(_open(args))
        return _watch(args, trained, source, server, prepare_engine(args))


def _open(args: argparse.Namespace) -> Source:
    from gluon_liver.live.source import open_source

    def tell(text: str) -> None:
        print(f"note: {text}", file=sys.stderr)

    region = tuple(args.region) if args.region else None
    return open_source(args.source, every=args.every, region=region, one_size=args.out is not None, tell=tell)


def _watch(
    args: argparse.Namespace, trained: Run, source: Source, server: Optional[PageServer], choice: EngineChoice
) -> int:
    from gluon_liver.inference.annotate_video import watch
    from gluon_liver.inference.frame_step import choose_step, step_notes
    from gluon_liver.inference.stream import StreamDetector
    from gluon_liver.live.show import shown, stay
    from gluon_liver.system.interrupts import terminate_as_interrupt

    step = choose_step(trained.environment, step=args.step, every=args.every)
    stream, checkpoint = StreamDetector.from_run(trained, choice=choice, proposals=args.proposals, step=step)
    if args.step is not None and not stream.needs_previous:
        raise InputError(
            f"--step is for runs of us-flow that see the frame before: that of {args.run} sees each frame by itself; "
            "leave --step out"
        )
    rate = _written_rate(args, source)
    if stream.needs_previous:
        for note in step_notes(trained.environment, step=step, every=args.every, rate=source.rate):
            print(f"note: {note}")
    with ExitStack() as closing:
        board = None
        if server is not None:
            facts = [f"run {Path(args.run).name}", checkpoint, f"probability {args.score:g} and more"]
            video = "" if args.out is None else args.out.name
            board = closing.enter_context(shown(server, source, stream, facts=facts, score=args.score, video=video))
        closing.enter_context(terminate_as_interrupt())
        result = watch(
            # what is looked at goes no faster than it was recorded
            source.frames(stream.restart, pace=rate if board is not None else None),
            stream,
            args.out,
            frames_per_second=rate,
            score_threshold=args.score,
            show=_window() if args.show else None,
            publish=None if board is None else board.publish,
        )
        notes = [*source.notes, *_notes(stream, result, source, args.every), *_rate_notes(args, source, rate)]
        for note in [*trained.config.controls, *notes]:
            print(f"note: {note}")
        if board is not None and board.summary():
            print(board.summary())
        how = "interrupted after " if result.interrupted else ""
        speed = 1 / max(result.seconds_per_frame, 1e-9)
        where = "" if args.out is None else f": {args.out}"
        print(f"{how}{result.frames} frames, {speed:.1f} frames/s in detection{where}", flush=True)
        if board is not None and not (result.interrupted or result.closed):
            stay(board, source)
    return 0


def _written_rate(args: argparse.Namespace, source: Source) -> float:
    """Pictures a second of the written video, and of a recording that is served; tells where it is guessed."""
    if args.fps is not None:
        return float(args.fps)
    if source.live is not None and args.out is not None:
        source.live.wait_for_rate(RATE_SECONDS)
    if source.rate is None and (args.out is not None or source.recording is not None):
        guess = f"taken for {FRAMES_PER_SECOND:g}; --fps N says how many pictures of the video are shown in a second"
        print(f"note: frames a second of {source.name} are not known, and {guess}", file=sys.stderr)
    return (source.rate or FRAMES_PER_SECOND) / args.every


def _rate_notes(args: argparse.Namespace, source: Source, rate: float) -> List[str]:
    """Whether a live source came at another rate in the end than was known when its video was begun."""
    came = None if source.live is None or args.out is None or args.fps is not None else source.rate
    if came is None or 1 / OTHER_RATE < came / args.every / rate < OTHER_RATE:
        return []
    return [f"{came / args.every:.3g} frames came a second in the end; the video shows {rate:.3g} a second"]


def _notes(stream: StreamDetector, result: Watched, source: Source, every: int) -> List[str]:
    """What is to be told of a stream that has ended."""
    from gluon_liver.report.figures.lettering import lettering

    notes: List[str] = []
    if stream.alone:
        note = (
            f"{stream.alone} of {result.frames} frames are their own previous frame: none is {stream.step} before them"
        )
        if source.live is not None and source.rate is not None and stream.alone > result.frames / 2:
            enough = int(source.rate * result.seconds_per_frame) + 1
            if enough > every:  # else they are alone because it broke, not because the detector is slow
                note += f"; with --every {enough} the detector keeps pace"
        notes.append(note)
    if result.repeated:
        notes.append(f"the video repeats {result.repeated} pictures for them, so that it is as long as the stream was")
    return [*notes, *(f"in the pictures {note}" for note in lettering(stream.classes).notes(stream.classes))]


def _check_screen() -> None:
    """Raise :class:`InputError` where Qt, which draws OpenCV's windows on Linux, would abort the process."""
    if sys.platform.startswith("linux") and not any(map(os.environ.get, SCREENS)):
        raise InputError("--show: there is no screen here (DISPLAY is not set): leave it out; --serve needs none")


def _window() -> Callable[[Array], bool]:
    import cv2

    def show(picture: Array) -> bool:
        try:
            cv2.imshow("gluon_liver", picture[..., ::-1])
            return cv2.waitKey(1) & 0xFF != ord("q")
        except cv2.error as error:
            raise InputError("--show: no window can be opened here; leave it out") from error

    return show
