"""Which examples a gallery shows, and that its kinds leave nothing out."""

from gluon_liver.metrics.errors.causes import DETECTION_CAUSES, FOUND, OBJECT_CAUSES
from gluon_liver.metrics.errors.examples import KINDS, examples
from gluon_liver.metrics.errors.summary import judge_all
from gluon_liver.metrics.errors.where import Where
from tests.metrics.images import BOX, CLASSES, ELSE, FAR, image, random_results


def chosen(results, where, most):
    return examples(results, where, judge_all(results, where), CLASSES, most=most)


def test_every_detection_is_of_one_kind():
    causes = [cause for what, some in KINDS.values() for cause in some if what == "detection"]
    assert sorted(causes) == sorted(DETECTION_CAUSES)
    results = random_results(1)
    where = [Where("case", number) for number in range(len(results))]
    found, totals = chosen(results, where, 1000)
    assert len(found) == sum(totals.values())
    detections = sum(totals[kind] for kind, (what, _) in KINDS.items() if what == "detection")
    assert detections == sum(int((one.scores >= 0.5).sum()) for one in results)


def test_what_no_detection_stands_for_is_a_miss():
    assert set(KINDS["miss"][1]) < set(OBJECT_CAUSES) - {FOUND}
    gt = [(0, BOX), (0, FAR), (0, ELSE)]
    found, totals = chosen([image(1, gt=gt, found=[(1, 0.9, BOX), (0, 0.4, FAR)])], [Where("a", 0)], 9)
    assert totals == {"hit": 0, "miss": 2, "badly placed": 0, "wrong class": 1, "false positive": 0}
    assert [(one.kind, one.verdict.cause, one.item["class"]) for one in found] == [
        ("miss", "missed", "cyst"),  # of one size, by place
        ("miss", "low score", "cyst"),
        ("wrong class", "wrong class", "hemangioma"),
    ]


def test_errors_are_the_worst_of_each_case_first():
    scores = {"a": (0.99, 0.98, 0.97), "b": (0.6, 0.55), "c": (0.7,)}
    results, where = [], []
    for case, some in scores.items():
        for place, score in enumerate(some):
            results.append(image(len(results) + 1, found=[(0, score, BOX)]))
            where.append(Where(case, place))
    found, totals = chosen(results, where, 4)
    assert totals["false positive"] == 6
    assert [(one.item["case"], one.item["score"]) for one in found] == [
        ("a", 0.99),
        ("c", 0.7),
        ("b", 0.6),
        ("a", 0.98),
    ]
    assert [results[one.image].scores[0] for one in found] == [one.item["score"] for one in found]


def test_hits_are_spread_over_the_scores():
    scores = (0.9, 0.5, 0.8, 0.6, 0.7)
    results = [image(number, gt=[(0, BOX)], found=[(0, score, BOX)]) for number, score in enumerate(scores)]
    where = [Where("a", number) for number in range(5)]
    assert [one.item["score"] for one in chosen(results, where, 3)[0]] == [0.9, 0.7, 0.5]
    assert [one.item["score"] for one in chosen(results, where, 1)[0]] == [0.9]
    assert len(chosen(results, where, 9)[0]) == 5
