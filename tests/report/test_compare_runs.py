"""Runs of one test set compared: what is read, computed, shown and refused."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.errors import InputError, RunError
from gluon_liver.files.atomic import write_json
from gluon_liver.metrics import ct_curves, ct_summary
from gluon_liver.metrics.lesion_summary import lesion_summary
from gluon_liver.metrics.lesions import Hit, Scan
from gluon_liver.report.comparison.compare_runs import CompareSettings, compare_runs
from gluon_liver.report.comparison.comparison_tables import comparison_text
from gluon_liver.report.comparison.place import TRUTH
from gluon_liver.report.comparison.scored import read_scored, truth_record
from gluon_liver.report.pages.compare_page import write_comparison
from gluon_liver.structures.image_result import detections_json

from .conftest import CLASSES, US_SCENES, evaluate_us, image_result, us_results

SPACING, SLICES = (5.0, 0.5, 0.5), 4
SIDES = (12, 30, 60)  # pixels: 6, 15 and 30 mm, by class


def scored(missed=(), patients=8, shift=0.0):
    """A study a patient: four slices, a lesion of each class in two of them; ``missed``: (patient, class)."""
    results = []
    for patient in range(patients):
        for place in range(SLICES):
            truth = [
                (label, (10 + 100 * label, 20, 10 + 100 * label + side, 20 + side))
                for label, side in enumerate(SIDES)
                if place in (1, 2)
            ]
            found = [
                (label, round(0.95 - 0.01 * patient - 0.1 * label, 5), tuple(np.add(box, shift)))
                for label, box in truth
                if (patient, label) not in missed
            ]
            found += [(2, 0.6, (300, 300, 330, 330))] if place == 0 and patient % 2 else []
            results.append(image_result(10 * patient + place, f"patient-{patient}", truth, found))
    return results


def places(results):
    return [(f"case-{one.image_id // 10}", one.image_id % 10) for one in results]


def ct_run(folder, results, *, seed=1, spacing=SPACING, **entries):
    """A run folder as evaluation leaves it."""
    folder.mkdir()
    where = places(results)
    cases = {case: {"spacing": list(spacing), "slices": SLICES, "invented": 0} for case, _ in where}
    scans = {}
    for (case, place), one in zip(where, results):
        scans.setdefault(case, Scan(one.patient, spacing, {}, SLICES, 0, case)).results[place] = one
    summary = ct_summary(results, classes=CLASSES, replicates=20)
    summary["lesions"] = lesion_summary(list(scans.values()), classes=CLASSES, replicates=20)
    data = dict(phantom=True, note="eight generated patients")
    found = dict(format=1, kind="ct", row="R-50", split="test", data=data, classes=CLASSES, summary=summary)
    found.update(curves=ct_curves(results, CLASSES), overlays=[], checkpoint="step-00000100", **entries)
    write_json(folder / "results.json", found)
    write_json(folder / TRUTH, truth_record(results, where, cases))
    write_json(folder / "detections.json", detections_json(results))
    write_json(folder / "environment.json", {"seed": seed})
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """a misses two small lesions, b six of them and a large one; c is a with another seed, d is b with it."""
    place = tmp_path_factory.mktemp("runs")
    missed = {(0, 0), (1, 0)}
    worse = {(patient, 0) for patient in range(6)} | {(7, 2)}
    ct_run(place / "a", scored(missed))
    ct_run(place / "b", scored(worse))
    ct_run(place / "c", scored({(0, 0)}), seed=2)
    ct_run(place / "d", scored(worse | {(6, 0)}), seed=2)
    return place


FEW = CompareSettings(replicates=50)


def compared(place, a="a", b="b", settings=FEW):
    return compare_runs([place / name for name in a], [place / name for name in b], settings)


def named(document, family="overall"):
    return {entry["name"]: entry for entry in document["figures"] if entry["family"] == family}


def counts(lesions):
    return {row["name"]: [row[key] for key in ("n", "both", "a", "b", "neither")] for row in lesions["groups"]}


def test_two_ct_runs(place):
    document = compared(place)
    json.dumps(document, allow_nan=False)
    overall = named(document)
    assert list(overall)[:4] == ["precision", "recall", "AP50", "AP"]  # no slice has one class alone: no top-1
    own = {name: json.loads((place / name / "results.json").read_text())["summary"] for name in "ab"}
    for name, key in (("precision", "precision"), ("recall", "recall")):
        assert (overall[name]["a"], overall[name]["b"]) == tuple(own[run][key]["all"]["value"] for run in "ab")
    assert overall["AP50"]["a"] == pytest.approx(own["a"]["ap50"]["mean"]["value"])
    for run in "ab":
        assert overall["lesion sensitivity"][run] == own[run]["lesions"]["sensitivity"]["all"]["value"]
        rate = own[run]["lesions"]["false_positives"]["all"]["value"]
        assert overall["false positives a patient"][run] == rate
    # 22 of 24 and 17 of 24 lesions
    found = overall["lesion sensitivity"]
    assert (found["a"], found["b"], found["patients"]) == (22 / 24, 17 / 24, 8)
    assert found["low"] < found["difference"] < found["high"] and found["difference"] == pytest.approx(5 / 24)
    # five patients differ, all in one direction: 2 of 2^5 sign patterns
    assert (found["p"], found["test"]) == (2 / 32, "permutation")
    small = named(document, "by size")["lesion sensitivity, small, below 10 mm"]
    assert (small["a"], small["b"]) == (6 / 8, 2 / 8) and small["p"] == 2 / 16
    assert small["p_holm"] == pytest.approx(3 * 2 / 16)
    assert named(document, "by class")["recall, hcc"]["difference"] == pytest.approx(1 / 8)


def test_lesions_are_counted_by_who_finds_them(place):
    lesions = compared(place)["lesions"]
    rows = counts(lesions)
    assert rows["all"] == [24, 17, 5, 0, 2] and rows["cyst"] == [8, 2, 4, 0, 2]
    assert rows["large, 20 mm or more"] == [8, 7, 1, 0, 0] and rows["medium, 10 to 20 mm"] == [8, 8, 0, 0, 0]
    single = [one for one in lesions["each"] if one["found_by"] == "a" and one["class"] == "hcc"]
    assert single == [{"case": "case-7", "place": 1, "class": "hcc", "size": 30.0, "found_by": "a"}]
    # bins and the criterion of a hit are the caller's
    bins = compared(place, settings=CompareSettings(50, (20,), Hit.parse("slice:0.5")))
    assert [row["name"] for row in bins["lesions"]["groups"]][-2:] == ["small, below 20 mm", "large, 20 mm or more"]
    assert bins["settings"]["lesion_hit"] == "slice:0.5"


def test_detections_of_other_images_are_refused(place, tmp_path):
    shutil.copytree(str(place / "a"), str(tmp_path / "odd"))
    rows = json.loads((tmp_path / "odd/detections.json").read_text())
    rows[0]["image_id"] = 999
    write_json(tmp_path / "odd/detections.json", rows)
    with pytest.raises(RunError, match="image 999 is not in truth.json"):
        compare_runs([place / "a"], [tmp_path / "odd"], FEW)


def test_seeds_are_paired_where_both_arms_have_them(place):
    document = compared(place, "ac", "db")
    assert document["paired_by_seed"] and [run["name"] for run in document["b"]] == ["b", "d"]
    found = named(document)["lesion sensitivity"]
    assert found["seeds"]["differences"] == pytest.approx([5 / 24, 7 / 24]) and found["test"] == "t"
    text = " ".join(comparison_text(document).split())
    assert "over patients and over trainings (2 and 2 runs; runs of one seed are pairs)" in text
    assert "By seed: A - B of the runs of one seed" in text
    single = compared(place, "ac", "b")
    assert not single["paired_by_seed"] and single["holds"] == "patients"
    assert "one run in one of the arms" in " ".join(comparison_text(single).split())


def test_the_text_and_the_page_say_the_same(place, tmp_path):
    document = compared(place)
    text = comparison_text(document)
    assert max(map(len, text.splitlines())) <= 130
    flat = " ".join(text.split())
    for said in (
        "A: a (seed 1); R-50. B: b (seed 1); R-50.",
        "other trainings of the same configurations would differ too",
        "lesion sensitivity 91.7 70.8 +20.8 [",
        "with 8 patients none is below 0.0078",
        "80 % power at",
        "phantom result",
    ):
        assert said in flat, said
    page = write_comparison(document, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "comparison.json").read_text()) == json.loads(json.dumps(document))
    html = page.read_text(encoding="utf-8")
    for said in ("a and b compared", "<svg", "+20.8", "case-7", "Phantom result"):
        assert said in html, said
    write_comparison(document, tmp_path / "out")  # may be written again
    (tmp_path / "out" / "mine.txt").write_text("x")
    with pytest.raises(InputError, match=r"mine\.txt"):
        write_comparison(document, tmp_path / "out")


def changed(place, target, name, change):
    shutil.copytree(str(place / "b"), str(target))
    content = json.loads((target / name).read_text())
    change(content)
    write_json(target / name, content)
    return target


def box(content):
    content["images"][1]["boxes"][0][2] += 1


REFUSED = {
    "other boxes": (TRUTH, box, "image 1 has other boxes"),
    "fewer images": (
        TRUTH,
        lambda content: content["images"].pop(),
        "1 images are in the first alone, 0 in the second",
    ),
    "patients": (TRUTH, lambda content: content["images"][0].update(patient="x"), "other patients or studies"),
    "spacing": (TRUTH, lambda content: content["cases"]["case-0"].update(spacing=[5, 1, 1]), "other spacings"),
    "split": ("results.json", lambda content: content.update(split="val"), "their split are test and val"),
    "score": (
        "results.json",
        lambda content: content["summary"]["settings"].update(score_threshold=0.3),
        "score_threshold is 0.5 and 0.3",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_truths_are_refused(place, tmp_path, name):
    file, change, message = REFUSED[name]
    other = changed(place, tmp_path / "other", file, change)
    with pytest.raises(RunError, match=message):
        compare_runs([place / "a"], [other], FEW)


def test_what_is_no_evaluated_run_is_refused(place, tmp_path, capsys):
    old = tmp_path / "old"
    shutil.copytree(str(place / "b"), str(old))
    (old / TRUTH).unlink()
    damaged = changed(place, tmp_path / "damaged", "detections.json", lambda rows: rows.append({"image_id": 1}))
    lines = {
        f"{place}/a {old}": "no truth.json: an older version evaluated it",
        f"{place}/a {damaged}": "detections.json: entry",
        f"{place}/a {place}/a": "a is given twice",
        f"{place}/a": "takes two runs, found 1 run;",
        f"{place}/a {place}/b {place}/c": "takes two runs, found 3 runs; give the runs of the other arm with --with",
        f"{place}/a {place}/b --lesion-bins 20 10": "--lesion-bins are 20, 10: numbers above 0 that rise",
        f"{place}/a {place}/b --bootstrap 0": "--bootstrap 0",
        f"{place}/a {place}/b --out {place}/a": "which no comparison wrote",
    }
    for line, message in lines.items():
        assert main(["evaluate", "--compare", *line.split()]) == 2
        assert message in capsys.readouterr().err, line
    assert main(["evaluate", "--with", f"{place}/b"]) == 2 and "--compare" in capsys.readouterr().err


def test_from_the_command_line(place, tmp_path, capsys):
    words = f"--compare {place}/a {place}/c --with {place}/b {place}/d --bootstrap 50 --out {tmp_path}/out"
    assert main(["evaluate", *words.split()]) == 0
    printed = capsys.readouterr().out
    assert "Overall: A - B by patient" in printed and f"page: {tmp_path}/out/comparison.html" in printed


def us_run(folder, missed):
    folder.mkdir()
    results = evaluate_us(missed)
    where = [(US_SCENES[one.image_id], one.image_id) for one in results]
    write_json(folder / "results.json", us_results(missed))
    write_json(folder / TRUTH, truth_record(results, where, {case: {} for case, _ in where}))
    write_json(folder / "detections.json", detections_json(results))
    write_json(folder / "environment.json", {"seed": 1})
    return folder


def test_two_ultrasound_runs(tmp_path, capsys):
    folders = us_run(tmp_path / "one", ()), us_run(tmp_path / "two", {(0, 0), (3, 1)})
    document = compare_runs([folders[0]], [folders[1]], FEW)
    rows = {
        row["name"]: [row[key] for key in ("n", "both", "a", "b", "neither")] for row in document["lesions"]["groups"]
    }
    assert rows["all"] == [22, 19, 3, 0, 0] and rows["small, below 32 pixels"] == [22, 19, 3, 0, 0]
    entry = named(document)["box sensitivity"]
    assert entry["low"] is None and "one patient" in entry["reason"]  # all frames are of one patient
    assert main(["evaluate", "--compare", *map(str, folders), "--bootstrap", "20"]) == 0
    printed = capsys.readouterr().out
    assert "paired t-test" in printed and "Boxes found" in printed
    assert main(["evaluate", "--compare", *map(str, folders), "--lesion-hit", "slice:0.3"]) == 2
    refused = capsys.readouterr()
    assert "--lesion-hit is of CT lesions" in refused.err and not refused.out


def test_numbers_of_lesions_are_written_and_must_agree(place, tmp_path):
    results = [
        dataclasses.replace(one, gt_lesions=np.arange(1, len(one.gt_boxes) + 1)) for one in scored({(0, 0), (1, 0)})
    ]
    ct_run(tmp_path / "numbered", results)
    back = read_scored(tmp_path / "numbered")
    assert [one.gt_lesions.tolist() for one in back.images] == [one.gt_lesions.tolist() for one in results]
    assert "lesions" not in json.loads((place / "a" / TRUTH).read_text())["images"][0]
    with pytest.raises(RunError, match="has other boxes"):
        compare_runs([place / "a"], [tmp_path / "numbered"], FEW)


def test_what_is_written_is_what_was_scored(place):
    run = read_scored(place / "a")
    for one, other in zip(run.images, scored({(0, 0), (1, 0)})):
        assert (one.image_id, one.patient) == (other.image_id, other.patient)
        assert one.gt_lesions.tolist() == []
        for name in ("gt_boxes", "gt_labels", "boxes", "labels", "scores"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-6)
    assert run.scans()[0].spacing == SPACING and run.scans()[0].slices == SLICES
