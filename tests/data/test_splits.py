from __future__ import annotations

import json

import pytest

from gluon_liver.data.splits import Splits, load_splits, make_splits, save_splits
from gluon_liver.errors import SplitError


def test_every_patient_is_in_one_split_and_sizes_follow_the_fractions():
    patients = [f"p{i}" for i in range(20)]
    splits = make_splits(patients * 2, seed=3)
    assert [len(splits.of(name)) for name in ("train", "val", "test")] == [14, 2, 4]
    assert sorted(splits.train + splits.val + splits.test) == sorted(patients)
    assert splits == make_splits(reversed(patients), seed=3) != make_splits(patients, seed=4)


@pytest.mark.parametrize("count, sizes", [(1, [1, 0, 0]), (2, [1, 0, 1]), (3, [1, 1, 1]), (5, [3, 1, 1])])
def test_few_patients(count, sizes):
    splits = make_splits([f"p{i}" for i in range(count)])
    assert [len(splits.train), len(splits.val), len(splits.test)] == sizes


def test_overlap_is_refused_by_name_and_a_file_comes_back(tmp_path):
    with pytest.raises(SplitError, match=r"b \(train, test\)"):
        Splits(("a", "b"), (), ("b",), 0)
    path = str(tmp_path / "splits.json")
    splits = make_splits("abcdef", seed=9)
    save_splits(splits, path)
    assert load_splits(path) == splits
    record = json.loads(open(path).read())
    record["test"].append(record["train"][0])
    (tmp_path / "splits.json").write_text(json.dumps(record))
    with pytest.raises(SplitError, match="more than one split"):
        load_splits(path)


@pytest.mark.parametrize(
    "text, found",
    [
        ("[]", r"s.json: the top level: expected keys, found \[\]"),
        ('{"train": []}', "s.json: val is missing"),
        ('{"train": [], "val": [], "test": []}', "names no patient"),
        ('{"train": ["a"], "val": [], "test": [], "seed": "x"}', "s.json: seed: expected int, found 'x'"),
    ],
)
def test_wrong_files(tmp_path, text, found):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(SplitError, match=found):
        load_splits(str(tmp_path / "s.json"))


NAN = float("nan")
SEED = "; it must be a whole number from 0 to 4294967295"


@pytest.mark.parametrize(
    "patients, options, message",
    [
        *(
            ("a", {"fractions": one}, "split fractions")
            for one in ((0.5, 0.5), (0.5, 0.2, 0.2), (1.2, -0.2, 0), (NAN, 0, 1))
        ),
        *(("a", {"seed": seed}, f"seed is {seed}{SEED}") for seed in (-1, 2**32)),
        ("", {}, "no patient"),
    ],
)
def test_splits_that_cannot_be_made(patients, options, message):
    with pytest.raises(SplitError, match=message):
        make_splits(list(patients), **options)


def test_the_largest_seed_and_what_is_not_there():
    assert make_splits(["a"], seed=2**32 - 1).seed == 2**32 - 1
    with pytest.raises(SplitError, match="cannot be read"):
        load_splits("/nonexistent/s.json")
    with pytest.raises(SplitError, match="no split 'dev'"):
        make_splits("ab").of("dev")
