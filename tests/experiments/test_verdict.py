import dataclasses

import numpy as np
import pytest

from experiments.plan import Key
from experiments.records import RunRecord
from experiments.spec import Claim
from experiments.verdict import compare, values_of, verdict, without_mechanism
from gluon_liver.files.typed import build

SEEDS = (1, 2, 3, 4, 5)
BASE = np.array([0.50, 0.53, 0.48, 0.55, 0.52])


@pytest.fixture
def claim(tree):
    return dataclasses.replace(build(Claim, tree, refuse_unknown=True), seeds=SEEDS)


def record(condition, arm, seed, value):
    settings = dict(setting="s", config="c", revision=None, environment={}, counts={}, log=[], seconds={}, steps=1)
    results = {"sensitivity.tumor.mean": value, "ap50.mean": 0.5}
    return RunRecord(claim="tiny", condition=condition, arm=arm, seed=seed, results=results, **settings)


def study_of(on, off):
    """Records of five seeds whose new arm is above the old one by these."""
    records = [record(name, "old", seed, value) for name in ("on", "off") for seed, value in zip(SEEDS, BASE)]
    for name, gains in (("on", on), ("off", off)):
        records += [record(name, "new", seed, BASE[k] + gains[k]) for k, seed in enumerate(SEEDS[: len(gains)])]
    return {one.key: one for one in records}


NOTHING = [0.01, -0.02, 0.0, 0.02, -0.01]
GAIN = [0.11, 0.09, 0.10, 0.12, 0.08]


@pytest.mark.parametrize(
    ("on", "off", "word", "why"),
    [
        (GAIN, NOTHING, "agrees", "and not without it"),
        (GAIN, GAIN, "cannot tell", "a control gains too: new against old in off"),
        (GAIN, [gain - 0.03 + 0.01 * k for k, gain in enumerate(GAIN)], "cannot tell", "a control gains too"),
        ([gain + 0.2 for gain in GAIN], GAIN[::-1], "agrees", "larger than the one without it"),
        (GAIN, [-gain for gain in GAIN], "agrees", "and not without it"),
        (GAIN, [0.010, 0.012, 0.009, 0.011, 0.010], "agrees", "and not without it"),  # not worth speaking of
        (NOTHING, NOTHING, "disagrees", "a gain of 0.05 is excluded"),
        ([-gain for gain in GAIN], NOTHING, "disagrees", "new against old in on"),
        ([0.2, -0.1, 0.1, 0.3, -0.1], NOTHING, "cannot tell", "holds 0"),
        (GAIN[:4], NOTHING, "not finished", "4 of 5 seeds are in of new against old in on"),
        (GAIN, [], "not finished", "0 of 5 seeds are in of new against old in off"),
        (GAIN[:2], NOTHING[:2], "not finished", "2 of 5 seeds are in"),
        ([], [], "not run yet", "0 of 5 seeds are in"),
        # a control that is open says nothing: it may gain as much
        (GAIN, [0.2, -0.1, 0.1, 0.3, -0.1], "cannot tell", "is open: new against old in off"),
        (GAIN, [0.06, -0.02, 0.08, 0.03, 0.01], "agrees", "larger than the one without it: new against old in off"),
        ([gain + 0.5 for gain in GAIN], [0.2, -0.1, 0.1, 0.3, -0.1], "agrees", "larger than the one without it"),
        (GAIN, [0.0, -0.2, 0.0, -0.1, -0.1], "agrees", "and not without it"),  # a loss, however uncertain
        ([0.010, 0.012, 0.009, 0.011, 0.010], NOTHING, "agrees", "below what is worth speaking of"),
    ],
)
def test_the_rule(claim, on, off, word, why):
    records = study_of(on, off)
    said = verdict(claim, compare(claim, records), records)
    assert said.word == word and why in said.why


@pytest.mark.parametrize("level", [0.98, 0.0])
def test_where_there_is_no_room_nothing_is_refuted(claim, level):
    records = study_of(NOTHING, NOTHING)
    for key in records:
        records[key] = record(key.condition, key.arm, key.seed, level + 0.001 * key.seed)
    said = verdict(claim, compare(claim, records), records)
    assert said.word == "cannot tell" and "nothing was learned, or nothing left to gain" in said.why


@pytest.mark.parametrize(
    ("old", "new", "on_new", "word"),
    [
        (0.98, 0.98, 0.7, "cannot tell"),  # nothing left to gain
        (0.98, 0.80, 0.7, "cannot tell"),
        (0.94, 0.94, 0.7, "agrees"),
        (0.0, 0.0, 0.7, "cannot tell"),  # nothing learned
        (0.0, 0.06, 0.7, "agrees"),  # a gain all the same
        (0.06, 0.06, 0.7, "agrees"),
    ],
)
def test_a_control_that_could_not_gain_excludes_no_gain(claim, old, new, on_new, word):
    records = study_of([on_new - 0.5 - 0.001 * seed for seed in SEEDS], NOTHING)
    for seed in SEEDS:
        for arm, level in (("old", old), ("new", new)):
            records[Key("tiny", "off", arm, seed)] = record("off", arm, seed, level + 0.001 * seed)
    said = verdict(claim, compare(claim, records), records)
    assert said.word == word and ("could have shown" in said.why) == (word == "cannot tell")


def test_arms_that_learn_show_that_others_of_their_condition_could(claim):
    arms = {**claim.arms, "third": claim.arms["old"]}
    other = dataclasses.replace(claim.comparisons[1], condition="on", arm="third")
    claim = dataclasses.replace(claim, arms=arms, comparisons=[claim.comparisons[0], other])
    records = study_of(GAIN, NOTHING)
    for seed in SEEDS:
        records[Key("tiny", "on", "old", seed)] = record("on", "old", seed, 0.01)
        records[Key("tiny", "on", "third", seed)] = record("on", "third", seed, 0.01 + 0.001 * seed)
    assert verdict(claim, compare(claim, records), records).word == "agrees"


def test_a_control_of_another_arm_or_endpoint_may_be_open_where_the_claim_gains_more(claim):
    other = dataclasses.replace(claim.comparisons[1], condition="on", endpoint="ap50.mean")
    claim = dataclasses.replace(claim, comparisons=[claim.comparisons[0], other])
    for gain, word in ((0.3, "agrees"), (0.1, "cannot tell")):
        records = study_of([gain + change for change in NOTHING], NOTHING)
        for seed, open_gain in zip(SEEDS, [0.1, -0.05, 0.05, 0.15, -0.05]):
            records[Key("tiny", "on", "new", seed)].results["ap50.mean"] = 0.5 + open_gain
        assert verdict(claim, compare(claim, records), records).word == word


def test_differences_are_taken_seed_by_seed_with_a_t_interval(claim):
    compared = compare(claim, study_of(GAIN, NOTHING))[0]
    # by hand: mean 0.1, SD sqrt(0.001 / 4) = 0.015811, t(0.975, 4) = 2.776445
    assert compared.difference.mean == pytest.approx(0.1) and compared.difference.n == 5
    assert compared.difference.low == pytest.approx(0.1 - 2.776445 * 0.0158114 / 5**0.5, abs=1e-6)
    assert compared.holm == pytest.approx(2 * compared.difference.p)


def test_what_was_added_afterwards_is_in_no_family_and_no_verdict(claim):
    records = study_of(GAIN, NOTHING)
    before = compare(claim, records)
    late = dataclasses.replace(claim.comparisons[0], role="afterwards", condition="off")
    claim = dataclasses.replace(claim, comparisons=[*claim.comparisons, late])
    *planned, added = compare(claim, records)
    assert [one.holm for one in planned] == [one.holm for one in before]
    assert added.holm is None and added.difference.p is not None and added.outcome == "refuted"
    assert verdict(claim, [*planned, added], records) == verdict(claim, planned, records)


def test_a_claim_that_expects_less_is_mirrored(claim):
    lower = dataclasses.replace(claim.comparisons[0], expects="lower")
    claim = dataclasses.replace(claim, comparisons=[lower])
    assert compare(claim, study_of([-gain for gain in GAIN], NOTHING))[0].outcome == "shown"
    assert compare(claim, study_of(GAIN, NOTHING))[0].outcome == "refuted"


@pytest.mark.parametrize(
    ("gains", "outcome"), [(NOTHING, "shown"), (GAIN, "refuted"), ([0.2, -0.1, 0.1, 0.3, -0.1], "open")]
)
def test_no_difference_is_shown_within_the_smallest_one(claim, gains, outcome):
    assert compare(claim, study_of(GAIN, gains))[1].outcome == outcome


def test_what_is_undefined_or_not_there_is_no_pair(claim):
    records = study_of(GAIN, NOTHING)
    records[Key("tiny", "on", "old", 2)] = record("on", "old", 2, None)
    assert sorted(values_of(claim, records, "on", "old")) == [1, 3, 4, 5]
    assert compare(claim, records)[0].difference.n == 4


def test_on_minus_off_is_paired_too(claim):
    ((_, _, difference),) = without_mechanism(claim, study_of(GAIN, NOTHING))
    assert difference.differences == pytest.approx(np.subtract(GAIN, NOTHING))
