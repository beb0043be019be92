"""What a reader must know of a run's numbers: the data, the split, what the run was trained on and how far."""

from __future__ import annotations

from gluon_liver.data.dataset import Dataset
from gluon_liver.data.digests import differences
from gluon_liver.runs.checkpoint_folder import read_best
from gluon_liver.runs.run import DIGESTS, TRAINING, Run, data_digests

PHANTOM_NOTE = "phantom studies that this package generated"
REAL_NOTE = "patients of the given data; not the paper's patients, which are not public"


def run_note(run: Run, dataset: Dataset, split: str) -> str:
    """What a reader must know of the numbers."""
    notes = [PHANTOM_NOTE if dataset.phantom else REAL_NOTE]
    if split == "train":
        notes.insert(0, "TRAINING patients, so no result at all")
    best = read_best(run)
    if best is not None:
        favoured = ", which is scored here: the choice favours it" if best.split == split else ""
        notes.append(f"the best epoch of the run by COCO mAP on the {best.split} split{favoured}")
    labels = dataset.labels_of(split)
    notes += dataset.label_notes(labels) + dataset.run_notes(labels, run.config, run.environment)
    notes += filter(None, [dataset.changed_labels()])
    if _trained_on_other_labels(run, dataset):
        notes.append("the labels of the training patients have changed since the run was trained")
    if run.imported():
        notes.append("the weights were imported: that no scored patient trained them is the word of who imported them")
    notes += [*run.config.controls, *run.training_notes()]  # an imported run was never trained here
    if run.unfinished:
        notes.append(f"the run is unfinished: {run.unfinished}")
    return "; ".join(dict.fromkeys(notes))


def _trained_on_other_labels(run: Run, dataset: Dataset) -> bool:
    """Whether the data hold the studies that the run was trained on, with other labels than it was trained on."""
    same = run.environment["training_studies"] == dataset.training_record()["training_studies"]
    return same and TRAINING + "labels" in differences(run.environment.get(DIGESTS), data_digests(dataset))
