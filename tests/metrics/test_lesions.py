"""Lesions over slices: by hand, and against a reference that shares no code with what is tested."""

import itertools
import json

import numpy as np
import pytest

from gluon_liver.errors import InputError
from gluon_liver.metrics.bootstrap import bootstrap_weights
from gluon_liver.metrics.intervals import score_interval
from gluon_liver.metrics.lesion_summary import LesionSettings, lesion_summary
from gluon_liver.metrics.lesions import Hit, Scan, drawn_lesions
from gluon_liver.structures.image_result import ImageResult

CLASSES = ("cyst", "hcc")
SPACING = (5.0, 1.0, 1.0)


def scan(slices, patient="p0", *, spacing=SPACING, depth=None, first_id=1):
    """slices: {index: (lesions (label, box), detections (label, score, box))}."""
    results = {}
    for index, (gt, found) in slices.items():
        gt_labels, gt_boxes = zip(*gt) if gt else ((), ())
        labels, scores, boxes = zip(*found) if found else ((), (), ())
        results[index] = ImageResult(first_id + index, patient, gt_boxes, gt_labels, boxes, scores, labels)
    return Scan(patient, spacing, results, depth or max(slices) + 1)


def summary(scans, **options):
    return lesion_summary(scans, classes=CLASSES, **{"replicates": 30, **options})


def values(entries):
    return {name: entry["value"] for name, entry in entries.items()}


BOX, BIG, FAR = (10, 10, 18, 18), (40, 40, 65, 60), (80, 80, 90, 95)
HAND = [
    # p0: a cyst of 8 mm on two slices, found on both; an HCC of 25 mm on three slices, called a cyst
    scan(
        {
            0: ([(0, BOX)], [(0, 0.9, BOX)]),
            1: ([(0, BOX), (1, BIG)], [(0, 0.6, BOX), (0, 0.8, BIG)]),
            2: ([(1, BIG)], [(0, 0.7, BIG)]),
            3: ([(1, BIG)], []),
            4: ([], [(1, 0.55, FAR)]),
        }
    ),
    # p1: an HCC that is found at 0.3 alone; p2: nothing, and nothing detected at 0.5
    scan({0: ([(1, BIG)], [(1, 0.3, BIG)]), 1: ([(1, BIG)], [])}, "p1", first_id=100),
    scan({0: ([], [(0, 0.2, FAR)]), 1: ([], [])}, "p2", first_id=200),
]


def test_numbers_of_lesions_join_boxes_instead_of_their_places():
    """Two touching lesions of one class that a guess would take for one, and one that a gap of slices would part."""
    boxes = {0: [BOX, BIG], 1: [BOX, BIG], 2: [BOX], 9: [BIG]}
    numbers = {0: [2, 7], 1: [2, 7], 2: [3], 9: [7]}

    def drawn(numbered):
        results = {
            place: ImageResult(place, "p", here, [0] * len(here), [], [], [], gt_lesions=numbers[place] * numbered)
            for place, here in boxes.items()
        }
        lesions = drawn_lesions(Scan("p", SPACING, results, 10), CLASSES)
        return sorted([box.slice for box in lesion] for lesion in lesions.boxes)

    assert drawn(True) == [[0, 1], [0, 1, 9], [2]]
    assert drawn(False) == [[0, 1], [0, 1, 2], [9]]
    some = {0: ImageResult(0, "p", [BOX, BIG], [0, 0], [], [], [], gt_lesions=[0, 4])}
    some[1] = ImageResult(1, "p", [BOX], [0], [], [], [])
    lesions = drawn_lesions(Scan("p", SPACING, some, 2), CLASSES)
    assert sorted([box.slice for box in lesion] for lesion in lesions.boxes) == [[0], [0, 1]]


def test_by_hand():
    found = summary(HAND)
    assert found["lesions"] == {"cyst": 1, "hcc": 2} and found["scans"] == found["patients"] == 3
    assert values(found["sensitivity"]) == {"cyst": 1.0, "hcc": 0.0, "all": 1 / 3, "any": 2 / 3}
    # p0: the HCC that is called a cyst, and FAR; whatever its name the first is none
    assert values(found["false_positives"]) == {"cyst": 1 / 3, "hcc": 1 / 3, "all": 2 / 3, "any": 1 / 3}
    assert values(found["patient_sensitivity"]) == {"cyst": 1.0, "hcc": 0.0, "all": 0.5, "any": 0.5}
    assert found["patient_specificity"]["value"] == 1.0 and found["patient_specificity"]["n"] == 1
    sizes = [(row["to_mm"], row["sensitivity"]["value"], row["sensitivity"]["n"]) for row in found["by_size"]]
    assert sizes == [(10.0, 1.0, 1), (20.0, None, 0), (None, 0.0, 2)]
    # with everything, p1's HCC is found too, at 0.3; the false positive of p2 is at 0.2
    assert values(found["froc"]["hcc"])["0.5"] == 0.5 and values(found["froc"]["any"])["0.5"] == 1.0
    assert values(found["froc"]["all"])["0.125"] == 1 / 3 and values(found["froc"]["all"])["1"] == 2 / 3
    assert found["slices"] == {"scored": 9, "in_scans": 9, "invented": 0}
    json.dumps(found, allow_nan=False)


def test_what_is_called_a_hit():
    lesion = {0: ([(0, (0, 0, 20, 20))], []), 1: ([(0, (0, 0, 20, 20))], []), 2: ([(0, (0, 0, 20, 20))], [])}
    lesion[1] = (lesion[1][0], [(0, 0.9, (0, 0, 20, 14))])  # one slice of three, 0.7 of it
    for hit, finds in (
        ("iou", True),  # 280 of 1200
        ("iou:0.3", False),
        ("iou:0.23", True),
        ("centre", True),  # 3 mm from the centre, of a radius of 10
        ("slice", True),
        ("slice:0.7", True),
        ("slice:0.75", False),
    ):
        found = summary([scan(lesion)], settings=LesionSettings(Hit.parse(hit)))
        assert found["sensitivity"]["cyst"]["value"] == float(finds), hit
        assert found["settings"]["hit"] == {"iou": "iou:0.1", "slice": "slice:0.5"}.get(hit, hit)
    away = {**lesion, 1: (lesion[1][0], []), 3: ([], [(0, 0.9, (0, 0, 20, 20))])}
    for hit, dz, finds in (("centre", 5.0, True), ("centre", 5.5, False), ("iou", 5.0, False), ("slice", 5.0, False)):
        found = summary([scan(away, spacing=(dz, 1.0, 1.0))], settings=LesionSettings(Hit.parse(hit)))
        assert found["sensitivity"]["cyst"]["value"] == float(finds), (hit, dz)  # 2 slices from the centre


@pytest.mark.parametrize("text", ["", "iou:", "iou:0", "iou:1.5", "iou:x", "iou:nan", "centre:2", "dice"])
def test_other_hits_are_refused(text):
    with pytest.raises(InputError, match="a hit of lesions cannot be"):
        Hit.parse(text)


def test_labels_on_some_slices_alone():
    """Slices 0, 4 and 8 of 12 are labelled: 15 mm between them are bridged by boxes of 25 mm, not by those of 8."""
    truth = [(0, BOX), (1, BIG)]
    sparse = scan({index: (truth, [(1, 0.9, BIG)]) for index in (0, 4, 8)}, depth=12)
    assert sorted(drawn_lesions(sparse, CLASSES).labels) == [0, 0, 0, 1]
    found = summary([sparse])
    assert found["lesions"] == {"cyst": 3, "hcc": 1} and found["slices"] == {"scored": 3, "in_scans": 12, "invented": 0}
    assert values(found["sensitivity"]) == {"cyst": 0.0, "hcc": 1.0, "all": 0.25, "any": 0.25}


def random_scans(seed, *, patients=5):
    rng = np.random.default_rng(seed)
    scans = []
    for number in range(patients + 1):  # the first patient has two scans
        slices = {}
        for index in range(6):
            gt, found = [], []
            for label, box in ((0, BOX), (1, BIG), (1, FAR)):
                if rng.random() < 0.6:
                    gt.append((label, box))
                if rng.random() < 0.6:
                    moved = np.array(box) + rng.integers(-3, 4, 4)
                    found.append((label if rng.random() < 0.8 else 1 - label, rng.integers(1, 8) / 8, moved))
            if rng.random() < 0.3:
                found.append((int(rng.integers(2)), rng.integers(1, 8) / 8, np.array([30, 5, 36, 12])))
            slices[index] = (gt, found)
        scans.append(scan(slices, f"p{max(number - 1, 0)}", first_id=100 * number))
    return scans


# the reference: plain loops


def area(box):
    return max(0.0, float(box[2]) - float(box[0])) * max(0.0, float(box[3]) - float(box[1]))


def meet(one, other):
    return area((max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])))


def iou(one, other):
    return meet(one, other) / (area(one) + area(other) - meet(one, other))


def linked(one, other):
    return iou(one, other) >= 0.3 or meet(one, other) >= 0.7 * min(area(one), area(other))


def reference_join(rows, *, by_class):
    """rows: (slice, label, score, box). Lesions as lists of rows; all slices are seen, 5 mm apart."""
    lesions = []
    for index in sorted({row[0] for row in rows}):
        here = []
        for row in sorted((row for row in rows if row[0] == index), key=lambda row: -row[2]):
            if by_class or all(iou(row[3], other[3]) < 0.5 for other in here):
                here.append(row)
        open_ones = [lesion for lesion in lesions if index - lesion[-1][0] <= 2]
        pairs = [
            (iou(row[3], lesion[-1][3]), row, lesion)
            for row in here
            for lesion in open_ones
            if (not by_class or row[1] == lesion[-1][1]) and linked(row[3], lesion[-1][3])
        ]
        taken, grown = [], []
        for overlap, row, lesion in sorted(pairs, key=lambda pair: -pair[0]):
            if overlap > 0 and not any(row is one for one in taken) and not any(lesion is one for one in grown):
                taken.append(row)
                grown.append(lesion)
                lesion.append(row)
        lesions += [[row] for row in here if not any(row is one for one in taken)]
    return lesions


def reference_counts(one, threshold, label):
    """Lesions of a label, found ones and false positives in a scan."""
    results = one.results.items()
    drawn = reference_join(
        [(index, kind, 1.0, box) for index, r in results for box, kind in zip(r.gt_boxes, r.gt_labels)], by_class=True
    )
    rows = [(i, k, s, b) for i, r in results for b, k, s in zip(r.boxes, r.labels, r.scores) if s >= threshold]
    rows.sort(key=lambda row: (-row[2], row[0], CLASSES[row[1]], list(row[3])))
    found = []
    for lesion in reference_join(rows, by_class=False):
        sums = [sum(row[2] for row in lesion if row[1] == kind) for kind in range(2)]
        kind = int(np.argmax(sums))
        found.append((max(row[2] for row in lesion if row[1] == kind), kind, lesion))
    wanted = [lesion for lesion in drawn if lesion[0][1] == label]
    free, false = list(range(len(wanted))), 0
    for _, kind, lesion in sorted(found, key=lambda item: -item[0]):
        if kind != label:
            continue
        overlaps = {}
        for number in free:
            common = sum(meet(a[3], b[3]) for a, b in itertools.product(lesion, wanted[number]) if a[0] == b[0])
            overlaps[number] = common / (sum(area(row[3]) for row in lesion + wanted[number]) - common)
        best = max(overlaps, key=lambda number: (overlaps[number], number), default=None)
        if best is not None and overlaps[best] >= 0.1:
            free.remove(best)
        else:
            false += 1
    return len(wanted), len(wanted) - len(free), false


@pytest.mark.parametrize("seed", range(6))
def test_against_plain_loops(seed):
    scans = random_scans(seed)
    found, patients = summary(scans), 5
    for label, name in enumerate(CLASSES):
        drawn, hits, false = np.sum([reference_counts(one, 0.5, label) for one in scans], axis=0)
        assert found["lesions"][name] == drawn and found["sensitivity"][name]["value"] == hits / drawn
        assert found["false_positives"][name]["value"] == false / patients
        curve = [np.sum([reference_counts(one, at / 8, label) for one in scans], axis=0) for at in range(1, 8)]
        for rate, entry in found["froc"][name].items():
            reached = [hits for _, hits, false in curve if false <= float(rate) * patients]
            assert entry["value"] == pytest.approx(max(reached, default=0) / drawn)


@pytest.mark.parametrize("seed", range(4))
def test_no_order_and_no_duplicate_changes_a_number(seed):
    rng, scans = np.random.default_rng(seed), random_scans(seed)

    def changed(one, change):
        results = {}
        for index, r in one.results.items():
            rows = change(np.arange(len(r.scores)))
            arrays = r.boxes[rows], r.scores[rows], r.labels[rows]
            results[index] = ImageResult(r.image_id, r.patient, r.gt_boxes, r.gt_labels, *arrays)
        return Scan(one.patient, one.spacing, results, one.slices)

    before = summary(scans)
    assert summary([changed(one, rng.permutation) for one in scans]) == before
    assert summary([changed(one, lambda rows: np.repeat(rows, 2)) for one in scans]) == before
    shuffled = [scans[place] for place in rng.permutation(len(scans))]
    assert summary(shuffled) == before


def test_a_second_detection_of_a_lesion_never_helps():
    """The same thing twice, too far apart to be a duplicate: found once, and a false positive."""
    once = {0: ([(1, (0, 0, 30, 30))], [(1, 0.9, (0, 0, 30, 14))])}
    twice = {0: (once[0][0], [*once[0][1], (1, 0.8, (0, 16, 30, 30))])}
    one, two = summary([scan(once)]), summary([scan(twice)])
    assert values(one["sensitivity"]) == values(two["sensitivity"])
    assert (one["false_positives"]["hcc"]["value"], two["false_positives"]["hcc"]["value"]) == (0.0, 1.0)


def test_more_patients_like_these_change_no_value_and_narrow_intervals():
    scans = random_scans(1)
    many = [Scan(f"{one.patient}-{copy}", one.spacing, one.results, one.slices) for copy in range(9) for one in scans]
    few, more = summary(scans, replicates=500), summary(many, replicates=500)
    assert values(few["sensitivity"]) == pytest.approx(values(more["sensitivity"]))
    assert values(few["false_positives"]) == pytest.approx(values(more["false_positives"]))
    widths = [one["sensitivity"]["all"]["high"] - one["sensitivity"]["all"]["low"] for one in (few, more)]
    assert widths[1] < 0.6 * widths[0]


def test_intervals_are_of_copied_patients():
    """A replicate's weights are the same as having the patients that often."""
    scans = random_scans(2)
    found = summary(scans, replicates=200)
    patients, replicated = sorted({one.patient for one in scans}), []
    for weights in bootstrap_weights(5, replicates=200, seed=0):
        drawn, hits, _ = np.sum(
            [np.multiply(reference_counts(one, 0.5, 1), weights[patients.index(one.patient)]) for one in scans],
            axis=0,
        )
        replicated.append(hits / drawn if drawn else np.nan)
    lesions = [sum(reference_counts(one, 0.5, 1)[0] for one in scans if one.patient == who) for who in patients]
    contributing = np.count_nonzero(lesions)
    entry = found["sensitivity"]["hcc"]
    error = np.nanstd(replicated) * np.sqrt(contributing / (contributing - 1))
    assert (entry["low"], entry["high"]) == pytest.approx(score_interval(entry["value"], error, np.array(lesions)))


def test_a_size_on_an_edge_that_a_label_file_rounded():
    one = scan({0: ([(0, (0, 0, 28.571, 5))], [])}, spacing=(5.0, 0.7, 0.7))  # 20 mm are 28.5714 pixels
    assert [row["sensitivity"]["n"] for row in summary([one])["by_size"]] == [0, 0, 1]


def test_many_weak_boxes_hide_no_good_threshold():
    """20 lesions are found before the first of 600 false positives, which lie at scores of their own."""
    scans = []
    for number in range(20):
        weak = [(0, 0.4 - 0.0006 * (number * 30 + place), (20 * place, 50, 20 * place + 9, 60)) for place in range(30)]
        lesion, found = [(0, BOX)], [(0, 0.9 - number / 1000, BOX)]
        scans.append(scan({0: (lesion, found), 2: ([], weak)}, f"p{number}", first_id=10 * number))
    found = summary(scans, replicates=5)
    assert set(values(found["froc"]["all"]).values()) == {1.0} and found["settings"]["thresholds"] <= 500
    rates = [point for point, sensitivity in zip(*(found["curve"]["cyst"][key] for key in ("fp", "sensitivity")))]
    assert rates[-1] == 0.0


def test_nothing_at_all():
    found = summary([scan({0: ([], [])})])
    assert found["sensitivity"]["all"]["value"] is None and found["false_positives"]["all"]["value"] == 0.0
    assert found["curve"]["all"] == {"fp": [], "sensitivity": [], "score": []}
    assert summary([])["patients"] == 0
