import pytest

from experiments.plan import TEST_SEED, arguments, plan_runs
from experiments.run import check_configurations
from experiments.spec import CLAIMS, FOLDER, LEAST_SEEDS, load_claim, load_claims
from gluon_liver.errors import InputError


def test_the_claims_of_both_papers_are_there_with_five_seeds_and_sixty_patients():
    claims = load_claims()
    assert tuple(claims) == CLAIMS
    for claim in claims.values():
        assert len(claim.seeds) >= LEAST_SEEDS and claim.data.test == 60
        assert {condition.mechanism for condition in claim.conditions.values()} == {True, False}
        assert {one.role for one in claim.comparisons} >= {"claim", "control"}


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (["bogus"], 1, "unknown key 'bogus'"),
        (["arms", "new", "sett"], [], "unknown key 'arms.new.sett'"),
        (["endpoint"], {"path": "ap50.mean"}, "endpoint.text is missing"),
        (["comparisons", 0, "arm"], "newer", "two arms in a condition that has both"),
        (["comparisons", 0, "endpoint"], "ap75.mean", "endpoints that are named"),
        (["comparisons", 0, "role"], "secondary", "role claim"),
        (["conditions", "on", "arms"], ["newest"], "of arms that are there"),
        (["conditions", "on", "arms"], ["old"], "two arms in a condition that has both"),
        (["comparisons", 1, "expects"], "higher", "a control expects: same"),
        (["seeds"], [1, 1], "different, from 1"),
        (["flow_net"], None, "given where arms start with it"),
        (["claim"], "other", "the file's name"),
        (["data", "task"], "mr", "one of ct, us"),
        (["smallest"], 0, "above 0"),
    ],
)
def test_what_a_file_cannot_say_is_refused_with_its_name(study, tree, place, value, said):
    inner = tree
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    name = tree["claim"] = tree["claim"] if place != ["claim"] else "tiny"
    study.write(tree)
    if place == ["claim"]:
        (study.specs / "tiny.yaml").rename(study.specs / "other.yaml")
        name = "other"
    with pytest.raises(InputError, match="yaml") as error:
        load_claim(study.specs / f"{name}.yaml")
    assert said in str(error.value)


def test_an_endpoint_that_was_added_afterwards_decides_nothing(study, tree):
    tree["afterwards"] = [{"path": "ap75.mean", "text": "AP75"}]
    late = {**tree["comparisons"][0], "role": "afterwards", "endpoint": "ap75.mean"}
    study.write({**tree, "comparisons": [*tree["comparisons"], late]})
    assert load_claim(study.specs / "tiny.yaml").endpoints[-1].path == "ap75.mean"
    study.write({**tree, "comparisons": [*tree["comparisons"], {**late, "role": "secondary"}]})
    with pytest.raises(InputError, match="of role afterwards where the endpoint was added afterwards"):
        load_claim(study.specs / "tiny.yaml")


def test_a_folder_without_claims_is_told(tmp_path):
    with pytest.raises(InputError, match="holds no claim"):
        load_claims(tmp_path)


def test_arms_of_a_seed_share_their_patients_and_other_seeds_have_others(study):
    runs = plan_runs(load_claims(study.specs))
    assert [run.key.seed for run in runs] == [1] * 4 + [2] * 4
    first, second = ([run for run in runs if run.key.seed == seed and run.key.condition == "on"] for seed in (1, 2))
    assert len({run.train for run in first}) == len({run.test for run in first + second}) == 1
    assert first[0].train != second[0].train and first[0].train.seed == 1 and first[0].test.seed == TEST_SEED
    assert first[0].overrides == ("train.epochs=1", "network.width=0.1")
    assert len({run.setting for run in runs}) == len(runs)


def test_options_are_written_as_the_commands_take_them():
    assert arguments({"steep-vessels": [8, 14], "regrid": True, "matrix": 128}) == (
        "--steep-vessels 8 14 --regrid --matrix 128".split()
    )


def test_every_run_of_the_study_can_be():
    check_configurations(plan_runs(load_claims()))


def test_sentences_are_those_of_the_papers():
    assert FOLDER.is_dir()
    for claim in load_claims().values():
        assert len(claim.paper.sentence.split()) > 10 and "paper" in claim.paper.place
