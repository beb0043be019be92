"""The table of commands, in the order of use, and the groups that some of them stand in."""

from __future__ import annotations

from typing import Dict, List, Tuple

Words = Tuple[str, ...]

# words after the program's name -> (module, one-line help)
COMMANDS: Dict[Words, Tuple[str, str]] = {
    ("doctor",): ("doctor", "check Python, MXNet, threads, GPUs and shared libraries"),
    ("phantom", "ct"): ("phantom.ct", "write multi-phase CT phantoms as DICOM with labels"),
    ("phantom", "us"): ("phantom.us", "write ultrasound phantoms as DICOM and video with labels and flow"),
    ("look",): ("look", "show which CT series a folder holds, to tell their contrast phases"),
    ("import", "ct"): ("imports.ct", "turn a folder of CT series into prepared data"),
    ("import", "us"): ("imports.us", "turn ultrasound recordings and labels into prepared data"),
    ("data", "summary"): ("data.summary", "count patients, lesions and images of prepared data, and measure them"),
    ("data", "check"): ("data.check", "look for what is wrong with prepared data"),
    ("data", "view"): ("data.view", "write a page to scroll a study with its labels and detections"),
    ("config", "list"): ("config.names", "list the configurations, one line each"),
    ("config", "show"): ("config.show", "print a configuration with every key"),
    ("config", "explain"): ("config.keys", "say what keys of a configuration mean, their limits and defaults"),
    ("config", "diff"): ("config.diff", "print the keys in which two configurations differ"),
    ("memory",): ("memory", "print what a training step takes of a device's memory"),
    ("train",): ("train", "train a configuration on prepared data"),
    ("launch",): ("launch", "run a command as workers of a distributed job, with servers, ended as a whole"),
    ("evaluate",): ("evaluate", "score a run on held-out patients and write its report"),
    ("score",): ("score", "print the tables of detections that are in a file, as evaluate does"),
    ("table",): ("table", "print Table 4 with evaluated runs beside the printed rows"),
    ("detect",): ("detect", "find lesions in every slice of a study"),
    ("watch",): ("watch", "annotate an ultrasound video frame by frame"),
    ("reproduce",): ("reproduce.papers", "make the papers' tables and figures, on a public set or on your data"),
    ("weights",): ("reproduce.weights", "make trained nets again from their seeds, for --run zoo:NAME"),
    ("convert-flow",): ("flow.convert", "convert released weights of LiteFlowNet to MXNet parameters"),
    ("train-flow",): ("flow.train", "train LiteFlowNet on pairs with exact motion"),
    ("export",): ("export", "write a trained run for other programs"),
    ("import-legacy",): ("legacy.import_run", "turn a Module checkpoint into a run"),
    ("records",): ("legacy.record_file", "write a split of prepared data as a record file for symbols/"),
    ("completion",): ("completion", "print what makes a shell complete commands and options"),
}

# first word of several commands -> what they are about
GROUPS: Dict[str, str] = {
    "phantom": "generated data, to try everything without a patient",
    "import": "from files as scanners and label tools write them to prepared data",
    "data": "what prepared data hold",
    "config": "configurations: what there is, what it says, what its keys mean",
}


def commands_of(group: str) -> List[Words]:
    """The commands whose first word it is."""
    return [words for words in COMMANDS if len(words) > 1 and words[0] == group]
