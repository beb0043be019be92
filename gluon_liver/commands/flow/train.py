"""Train LiteFlowNet on pairs with exact ground truth: moving textured shapes, and ultrasound phantoms where given.

FLOW_DIR gets flow.params and flow.json (for detectors), results.json (end-point errors on held-out pairs, beside no
flow and OpenCV's DIS) and log.jsonl, all of them at the end. Of the phantoms' patients the last fifth is held out.
"""

from __future__ import annotations

import argparse

from gluon_liver.commands.options import add_options, add_path, chosen, prepare_device

EXAMPLES = (
    ("on moving shapes and phantoms, as make demo-us does", "--out flow --phantoms us-phantoms --steps 8400"),
    ("the paper's network on a GPU", "--out flow --width 1 --device gpu:0"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_path(parser, "--out", "FLOW_DIR", "new folder to make", required=True)
    add_path(parser, "--phantoms", "DIR", "folder that `phantom us` wrote")
    text = "fraction of the channels, 1 for the paper's network (default 0.25)"
    parser.add_argument("--width", type=float, metavar="SHARE", help=text)
    parser.add_argument(
        "--size", type=int, metavar="PIXELS", help="side of the training pictures, a multiple of 32 (default 64)"
    )
    parser.add_argument("--steps", type=int, metavar="N", help="steps of the whole network (default 2400)")
    parser.add_argument(
        "--matching-steps", type=int, metavar="N", help="steps of the features alone before them (default 600)"
    )
    parser.add_argument("--batch-size", type=int, metavar="N", help="pairs of a step (default 4)")
    parser.add_argument("--learning-rate", type=float, metavar="RATE", help="Adam's, at its highest (default 0.002)")
    parser.add_argument("--seed", type=int, metavar="N", help="of weights and pictures (default 0)")
    add_options(parser, "--device")


def run(args: argparse.Namespace) -> int:
    """Train; prints the end-point errors and where the files are."""
    from gluon_liver.errors import InputError
    from gluon_liver.files.output_folder import check_new
    from gluon_liver.flow.options import FlowTraining

    check_new(args.out)
    if args.phantoms is not None and not (args.phantoms / "us-phantom.json").is_file():
        raise InputError(f"{args.phantoms} is no folder of `phantom us`: it has no us-phantom.json")
    names = ("width", "size", "steps", "matching_steps", "batch_size", "learning_rate", "seed")
    options = FlowTraining(**{name: value for name, value in chosen(args, *names).items() if value is not None})
    prepare_device(args)
    from gluon_liver.flow.scores import score_table
    from gluon_liver.flow.training import train_flow
    from gluon_liver.runs.devices import parse_device

    scores = train_flow(options, args.out, phantoms=args.phantoms, context=parse_device(args.device))
    print(score_table(scores))
    print(f"flow: {args.out}")
    return 0
