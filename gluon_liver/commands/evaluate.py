"""Score a run on held-out patients, print its row of the paper's table beside the paper's, and write report.html.

With --compare, set two runs of either paper side by side that were scored on the same images: every figure's
difference with its interval and P by patient, by class, by size and lesion by lesion; of two ultrasound runs also the
ultrasound paper's Tables 1 and 2 with the paired t-test over scenes. Several runs of two arms, which differ in their
seed: --compare A1 A2 A3 --with B1 B2 B3. The page, with the images where they differ most, goes to
RUN/comparisons/OTHER_RUN.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from gluon_liver.config.dense_reading import check_dense
from gluon_liver.errors import InputError
from gluon_liver.files.output_folder import why_not_written
from gluon_liver.files.typed import at_least

from .options import (
    add_flag,
    add_options,
    add_path,
    add_scoring,
    add_tensorboard,
    board_folder,
    check,
    chosen,
    given_settings,
    open_run,
    prepare_cache,
    prepare_engine,
    score_settings,
)

EXAMPLES = (
    ("score a run on the test patients of its data", "--run demo/run"),
    ("on other data that were prepared, writing elsewhere", "--run demo/run --data other --out scored"),
    ("two runs beside each other, as a page", "--compare run-a run-b --out compared"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, "--run")
    text = "compare two runs that were scored already, A - B; or the runs of one arm, which differ in their seed, with "
    text += (
        "those of --with. Takes --out, --data and --cache (of the pictures), --bootstrap, --froc-rates, --lesion-hit "
    )
    text += "and --lesion-bins (of ultrasound pixels: 32 96)"
    parser.add_argument("--compare", type=Path, nargs="+", metavar="RUN", help=text)
    parser.add_argument("--with", dest="others", type=Path, nargs="+", metavar="RUN", help="the runs of the other arm")
    add_options(parser, "--data")
    text = "which patients to score; train is refused unless --allow-train is given"
    parser.add_argument("--split", choices=("test", "val", "train"), default="test", help=text)
    add_flag(parser, "--allow-train", "score the training patients; the report says so, it is no result")
    text = "read networks of nine slices along the studies: faster, boxes differ a little; the report says so"
    add_flag(parser, "--dense", text)
    add_options(parser, "--engine", "--precision", "--batch-size", "--device", "--cache", "--no-lock")
    text = "write results and report to this folder instead of the run's, for runs that are read-only; with --compare "
    text += "comparison.html, comparison.json, figures and tables (default: RUN/comparisons/OTHER_RUN)"
    add_path(parser, "--out", "DIR", text)
    add_tensorboard(parser, "RUN or --out DIR")
    add_scoring(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate or compare; prints the tables and, of an evaluation, where the report is."""
    if args.compare is not None:
        return _compare(args)
    if args.others is not None:
        raise InputError("--with names the other arm of a comparison: give the first with --compare")
    if args.run is None:
        raise InputError("give --run RUN to score a run, or --compare RUN_A RUN_B to compare two that were scored")
    if args.split == "train" and not args.allow_train:
        raise InputError("--split train scores what the run was trained on: give --allow-train if that is meant")
    check(args, "batch_size", at_least(1))
    board = board_folder(args, args.out or args.run)
    given_settings(args)
    opened, dataset = open_run(args)
    from gluon_liver.evaluation.place import check_out
    from gluon_liver.evaluation.split import split_labels
    from gluon_liver.runs.checkpoint_folder import chosen_checkpoint

    if args.dense:
        check_dense(opened.config)
    if args.out is not None:
        check_out(opened, args.out)
    split_labels(opened, dataset, args.split)
    chosen_checkpoint(opened)
    choice = prepare_engine(args)
    from gluon_liver.evaluation.run_folder import evaluate

    prepare_cache(args)
    options = dict(chosen(args, "split", "batch_size", "dense", "out"), choice=choice)
    text, report = evaluate(opened, dataset, **options, settings=score_settings(args, opened))
    print(text)
    if board is not None:
        from gluon_liver.evaluation.board import write_evaluation
        from gluon_liver.runs.tensorboard import Board

        with Board(board) as written:
            write_evaluation(report.parent, written)
        print(f"tensorboard --logdir {board}")
    print(f"report: {report}")
    return 0


def _compare(args: argparse.Namespace) -> int:
    _refuse_others(args)
    arms = (args.compare, args.others) if args.others else (args.compare[:1], args.compare[1:])
    if not args.others and len(args.compare) != 2:
        given = f"{len(args.compare)} run" + ("s" if len(args.compare) > 1 else "")
        raise InputError(f"--compare takes two runs, found {given}; give the runs of the other arm with --with")
    check(args, "bootstrap", at_least(1))
    from gluon_liver.metrics.lesions import Hit
    from gluon_liver.report.comparison.compare_runs import CompareSettings, compare_runs
    from gluon_liver.report.comparison.comparison_tables import comparison_text
    from gluon_liver.report.comparison.place import TRUTH
    from gluon_liver.report.comparison.us_compare import us_tables_text
    from gluon_liver.report.pages.compare_page import check_out

    if args.out is not None:
        check_out(args.out)
    settings = CompareSettings(
        args.bootstrap or CompareSettings.replicates,
        tuple(args.lesion_bins) if args.lesion_bins else None,
        Hit.parse(args.lesion_hit) if args.lesion_hit else None,
        tuple(args.froc_rates) if args.froc_rates else CompareSettings.fp_rates,
    )
    papers = us_tables_text(*args.compare) if not args.others else None
    older = [folder.name for folder in args.compare if not (folder / TRUTH).is_file()]
    if papers and older and args.out is None:
        print(papers, end="")
        again = "evaluate again to compare by patient, by size and box by box"
        print(f"note: {' and '.join(older)}: no {TRUTH}, evaluated by an older version; {again}", file=sys.stderr)
        return 0
    document = compare_runs(*arms, settings)
    page = _write_page(args, document, arms)
    print(*filter(None, [papers, comparison_text(document)]), sep="\n", end="")
    if page is not None:
        print(f"\npage: {page}")
    return 0


def _write_page(args: argparse.Namespace, document: Dict[str, Any], arms: Tuple[List[Path], ...]) -> Optional[Path]:
    """The page's path; None where it was not asked for and cannot be written, which is said on stderr.

    Raises :class:`InputError` where ``--out`` cannot be written.
    """
    from gluon_liver.evaluation.compared_pictures import draw_compared
    from gluon_liver.report.comparison.place import default_folder
    from gluon_liver.report.comparison.us_compare import us_paper_tables
    from gluon_liver.report.pages.compare_page import write_comparison

    prepare_cache(args)
    pictures = draw_compared(document, [*arms[0], *arms[1]], data=args.data)
    if pictures.note:
        print(f"note: {pictures.note}", file=sys.stderr)
    out = args.out or default_folder(*arms)
    papers = us_paper_tables(*args.compare) if not args.others else {}
    try:
        of_image, note, colours = pictures
        return write_comparison(document, out, pictures=of_image, colours=colours, note=note, papers=papers)
    except OSError as error:
        why = why_not_written(error)
        if args.out is not None:
            raise InputError(f"--out {out} cannot be written: {why}") from error
        print(f"note: no page: {out} cannot be written: {why}; --out DIR writes it elsewhere", file=sys.stderr)
        return None


def _refuse_others(args: argparse.Namespace) -> None:
    """Raise :class:`InputError` for options that a comparison does not take."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    usual = vars(parser.parse_args([]))
    given = ["--" + name.replace("_", "-") for name in usual if getattr(args, name) != usual[name]]
    taken = ["--compare", "--others", "--out", "--data", "--cache"]
    taken += ["--bootstrap", "--froc-rates", "--lesion-hit", "--lesion-bins"]
    odd = [name for name in given if name not in taken]
    if odd:
        raise InputError(f"--compare reads what the runs were scored with and takes no {', '.join(odd)}")
