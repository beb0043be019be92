import dataclasses

import pytest

from experiments.caveats import caveats
from experiments.plan import Key
from experiments.spec import Claim
from experiments.verdict import compare
from gluon_liver.files.typed import build

from .test_verdict import BASE, GAIN, NOTHING, SEEDS, record, study_of


@pytest.fixture
def claim(tree):
    """With a simpler arm that the new one is compared with where the gain is claimed."""
    claim = dataclasses.replace(build(Claim, tree, refuse_unknown=True), seeds=SEEDS)
    simpler = dataclasses.replace(claim.comparisons[0], against="simple", role="secondary")
    arms = {**claim.arms, "simple": claim.arms["old"]}
    return dataclasses.replace(claim, arms=arms, comparisons=[*claim.comparisons, simpler])


def beside(claim, on, off, simple):
    records = study_of(on, off)
    for seed, gain in zip(SEEDS, simple):
        records[Key("tiny", "on", "simple", seed)] = record("on", "simple", seed, BASE[seed - 1] + gain)
    return caveats(claim, compare(claim, records), records)


def test_a_simpler_arm_is_named_unless_the_claims_arm_is_better(claim):
    assert beside(claim, GAIN, NOTHING, NOTHING) == []
    # by hand: GAIN minus itself the other way round is 0.03, -0.03, 0, 0.03, -0.03
    (said,) = beside(claim, GAIN, NOTHING, GAIN[::-1])
    assert said.startswith("new is not shown to be better than simple: +0.000 (-0.0")


def test_what_the_arms_do_elsewhere_or_at_another_endpoint_says_nothing_of_simpler_arms(claim):
    for change in ({"condition": "off"}, {"endpoint": "ap50.mean"}):
        other = dataclasses.replace(claim.comparisons[2], **change)
        records = study_of(GAIN, NOTHING)
        for seed in SEEDS:
            records[Key("tiny", "off", "simple", seed)] = record("off", "simple", seed, 0.9)
            records[Key("tiny", "on", "simple", seed)] = record("on", "simple", seed, 0.9)
        changed = dataclasses.replace(claim, comparisons=[*claim.comparisons[:2], other])
        assert caveats(changed, compare(changed, records), records) == []


def test_another_arm_that_is_compared_with_the_claims_arm_is_looked_at_from_its_side(claim):
    turned = dataclasses.replace(claim.comparisons[2], arm="simple", against="new")
    claim = dataclasses.replace(claim, comparisons=[*claim.comparisons[:2], turned])
    assert beside(claim, GAIN, NOTHING, NOTHING) == []
    better = [gain + 0.05 + 0.01 * (number % 2) for number, gain in enumerate(GAIN)]
    (said,) = beside(claim, GAIN, NOTHING, better)
    assert said.startswith("new is not shown to be better than simple: -0.054 (-0.0")  # by hand: 0.05 + 2 * 0.01 / 5


def test_a_gain_that_is_the_same_in_every_seed_is_a_gain_and_a_loss_a_loss(claim):
    records = study_of([0.1] * 5, [-0.1] * 5)
    for seed in SEEDS:
        records[Key("tiny", "on", "simple", seed)] = record("on", "simple", seed, BASE[seed - 1])
    compared = compare(claim, records)
    assert compared[0].difference.low is None
    assert caveats(claim, compared, records) == ["there is a loss without the mechanism (off, new minus old: -0.100)"]


def test_an_arm_with_too_few_seeds_says_nothing(claim):
    assert beside(claim, GAIN, NOTHING, GAIN[:4]) == []


def test_of_a_claim_that_expects_less_a_rise_is_the_loss(claim):
    lower = [dataclasses.replace(one, expects="lower") if one.role != "control" else one for one in claim.comparisons]
    claim = dataclasses.replace(claim, comparisons=lower)
    down = [-gain for gain in GAIN]
    assert beside(claim, down, NOTHING, NOTHING) == []
    said = beside(claim, down, GAIN, down[::-1])
    assert [one.split(" (")[0].split(":")[0] for one in said] == [
        "new is not shown to be better than simple",
        "there is a loss without the mechanism",
    ]


@pytest.mark.parametrize(
    ("off", "said"),
    [
        ([-gain for gain in GAIN], "there is a loss without the mechanism (off, new minus old: -0.100"),
        (
            [0.0, -0.2, 0.0, -0.1, -0.1],
            "a loss of 0.05 without the mechanism is not excluded (off, new minus old: -0.080",
        ),
        ([-0.010, -0.012, -0.009, -0.011, -0.010], "there is a loss without"),  # small, and said with its size
        # by hand: -0.018 -+ 2.776 * 0.0409 / sqrt(5)
        (
            [-0.03, 0.03, -0.06, 0.02, -0.05],
            "a loss of 0.05 without the mechanism is not excluded (off, new minus old: -0.018 (-0.069",
        ),
        (GAIN, None),
        (NOTHING, None),
    ],
)
def test_a_loss_in_a_control_is_said(claim, off, said):
    found = beside(claim, GAIN, off, NOTHING)
    assert [one[: len(said)] for one in found] == [said] if said else found == []


def test_nothing_is_said_before_the_seeds_are_in(claim):
    assert beside(claim, GAIN, [-gain for gain in GAIN][:4], GAIN) == []
