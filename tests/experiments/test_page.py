import dataclasses
import lzma

import pytest
from PIL import ImageFile

from experiments import archive, page
from experiments.claim_section import claim_lines
from experiments.page import DOCS, check_page
from experiments.picture import overview_is_of, write_overview
from experiments.plan import Key, plan_runs
from experiments.printed import mean_text
from experiments.records import ABSOLUTE, ARCHIVE, Failure, RunRecord, read_archive, write_archive
from experiments.runs_section import runs_lines
from experiments.spec import load_claims
from experiments.verdict import compare, over_seeds
from gluon_liver.errors import InputError

from .test_verdict import GAIN, NOTHING, SEEDS, study_of


def folders(study, *names):
    return [word for name in names for word in (f"--{name}", str(getattr(study, name)))]


def test_docs_say_what_the_archive_says():
    assert check_page(load_claims(), ARCHIVE, DOCS) == []
    assert not any(ABSOLUTE.search(str(record)) for record in read_archive(ARCHIVE))
    assert sum(path.stat().st_size for path in ARCHIVE.iterdir()) < 3e6


def test_from_runs_to_a_page_that_is_checked(study, capsys):
    study.run("--jobs", "4", FAKE_FAILS="off/new/seed-2", code=1)
    assert archive.main(folders(study, "work", "archive")) == 0
    assert "7 runs, 7 of them new, 1 failed" in capsys.readouterr().out
    bytes_before = {path.name: path.read_bytes() for path in study.archive.iterdir()}
    assert page.main(folders(study, "specs", "archive", "docs")) == 0
    text = (study.docs / "evidence.md").read_text()
    row = next(line for line in text.splitlines() if line.startswith("| [New is better](#new-is-better): sens"))
    assert "| **not finished** | on, new minus old: +0.202 (+0.183" in row and "| off, new minus old: +0.001 |" in row
    rows = {line.split(" | ")[1]: line.split(" | ")[5:9] for line in text.splitlines() if "| new minus old |" in line}
    assert rows["on"][1] == "2" and rows["on"][2] and rows["off"][1:] == ["1", "", ""]
    assert "1 of 2 seeds are in of new against old in off" in row and "| 7 of 8 |" in row
    assert "| new | 0.71" in text and " | 0.511 (1 seed) |" in text and "It can be found that new is better." in text
    assert "The run tiny/off/new/2 failed 2 times (train, code 3)" in text and "7 of 8" in text
    assert text.count("There is no verdict before all seeds are in") == 1 and "abc (7 runs)" in text
    assert (study.docs / "evidence-tiny.png").read_bytes().startswith(b"\x89PNG")
    assert page.main([*folders(study, "specs", "archive", "docs"), "--check"]) == 0
    # archived runs are known without their records, and the rest follows
    study.work.rename(study.folder / "lost")
    assert "7 of 8 runs are there" in study.run()
    assert archive.main(folders(study, "work", "archive")) == 0
    assert {path.name for path in study.archive.iterdir()} == {"tiny.jsonl.xz"} != set(bytes_before)
    assert page.main([*folders(study, "specs", "archive", "docs"), "--check"]) == 1
    said = capsys.readouterr()
    assert "NOT what the archive says" in said.out and "evidence-tiny.png is missing or shows other runs" in said.err


def test_a_changed_page_or_number_is_noticed(study, capsys, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # as GluonCV's import sets it
    study.run("--jobs", "4")
    archive.main(folders(study, "work", "archive"))
    page.main(folders(study, "specs", "archive", "docs"))
    path = study.docs / "evidence.md"
    path.write_text(path.read_text().replace("+0.20", "+0.30"))
    assert page.main([*folders(study, "specs", "archive", "docs"), "--check"]) == 1
    assert "+0.30" in capsys.readouterr().err
    page.main(folders(study, "specs", "archive", "docs"))
    picture, kept = study.docs / "evidence-tiny.png", study.archive / "tiny.jsonl.xz"
    picture.write_bytes(picture.read_bytes()[:600])
    assert page.main([*folders(study, "specs", "archive", "docs"), "--check"]) == 1
    page.main(folders(study, "specs", "archive", "docs"))
    (study.docs / "evidence.png").unlink()
    assert page.main([*folders(study, "specs", "archive", "docs"), "--check"]) == 1
    page.main(folders(study, "specs", "archive", "docs"))
    # no table shows the losses
    lines = lzma.decompress(kept.read_bytes()).replace(b'"total":0.01', b'"total":0.02', 1)
    kept.write_bytes(lzma.compress(lines))
    capsys.readouterr()
    assert page.main([*folders(study, "specs", "archive", "docs"), "--check"]) == 1
    assert "Digests of the records" in capsys.readouterr().err


def test_an_overview_of_other_runs_is_noticed(study, tree, tmp_path):
    study.write({**tree, "seeds": list(SEEDS)})
    claims = load_claims(study.specs)
    compared, other = ({"tiny": compare(claims["tiny"], study_of(GAIN, control))} for control in (NOTHING, GAIN))
    write_overview(tmp_path / "a.png", claims, compared)
    assert overview_is_of(tmp_path / "a.png", claims, compared)
    assert not overview_is_of(tmp_path / "a.png", claims, other)


@pytest.mark.parametrize(
    ("values", "seeds", "text"),
    [
        ([0.5], 5, "0.500 (1 seed)"),
        ([0.2, 0.8], 5, "0.500 (2 seeds)"),  # whose t interval is wider than all shares
        ([0.9, 1.0, 1.0], 5, "0.967 (0.823 to 1.000, 3 seeds)"),
        ([0.9, 1.0, 1.0], 3, "0.967 (0.823 to 1.000)"),
        ([0.5, 0.5, 0.5], 3, "0.500"),
    ],
)
def test_means_are_printed_with_seeds_and_intervals_of_shares(values, seeds, text):
    # by hand: 0.9667 -+ 4.3027 * 0.05774 / sqrt(3)
    assert mean_text(over_seeds(values), seeds=seeds) == text


def test_a_whole_study_is_not_called_interim_and_its_caveats_stand_beside_the_verdict(study, tree):
    study.write({**tree, "seeds": list(SEEDS)})
    claims = load_claims(study.specs)
    settings = {run.key: run.setting for run in plan_runs(claims)}
    runs = study_of(GAIN, [-gain for gain in GAIN]).values()
    write_archive(study.archive, [dataclasses.replace(one, setting=settings[one.key]) for one in runs])
    page.write_page(claims, study.archive, study.docs)
    text = (study.docs / "evidence.md").read_text()
    assert "interim" not in text and text.count("agrees** (") == 1
    assert text.count("there is a loss without the mechanism (off, new minus old: -0.100") == 2
    assert "- new minus old with the mechanism (on) and without it (off) differ by +0.200" in text
    assert "| claim | on | new minus old | `sensitivity.tumor.mean` | higher | +0.100 (" in text


def test_revisions_and_configurations_that_seeds_or_arms_do_not_share_are_listed():
    runs = study_of(GAIN, NOTHING)
    key, other = Key("tiny", "on", "new", 3), Key("tiny", "off", "old", 5)
    runs[key] = dataclasses.replace(runs[key], revision="abc")
    runs[other] = dataclasses.replace(runs[other], config="d")
    text = "\n".join(runs_lines(list(runs.values()), runs))
    assert "(of a run that was resumed, the one it began with): None (19 runs), abc (1 run)." in text
    assert "Seeds whose arms are of more than one revision: tiny/on/seed 3." in text
    assert "1, 2, 3, 4 | 5 (1 arm)." in text
    plain = study_of(GAIN, NOTHING)
    assert "more than" not in "\n".join(runs_lines(list(plain.values()), plain))


def test_arms_that_were_not_planned_in_a_condition_are_not_missing_there(study, tree):
    tree["conditions"]["off"]["arms"] = ["old", "other"]
    tree["arms"]["other"] = tree["arms"]["old"]
    tree["comparisons"][1]["arm"] = "other"
    study.write({**tree, "seeds": list(SEEDS)})
    (claim,) = load_claims(study.specs).values()
    records = {key: one for key, one in study_of(GAIN, NOTHING).items() if (key.condition, key.arm) != ("off", "new")}
    text = "\n".join(claim_lines(claim, records, compare(claim, records)))
    assert "| new | 0.616 (0.574 to 0.658) | not planned |" in text and "| other |  |  |" in text


def test_the_archive_is_the_same_for_the_same_runs(study):
    records = list(study_of(GAIN, NOTHING).values())
    (path,) = write_archive(study.archive, records)
    before = path.read_bytes()
    write_archive(study.archive, records[::-1])
    assert path.read_bytes() == before and read_archive(study.archive) == sorted(records, key=lambda one: one.key)


def test_a_path_of_the_machine_is_not_archived(study):
    record = list(study_of(GAIN, NOTHING).values())[0]
    bad = RunRecord(**{**vars(record), "environment": {"python": "/home/somebody/python"}})
    with pytest.raises(InputError, match="names a path"):
        write_archive(study.archive, [bad])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda lines: lines[::-1], "out of order"),
        (lambda lines: [lines[0], *lines], "double"),
        (lambda lines: [lines[0].replace('"seed":', '"sed":')], "unknown key 'sed'"),
        (lambda lines: [lines[0].replace('"tiny"', '"other"')], "of another claim"),
        (lambda lines: ["{"], "cannot be read"),
    ],
)
def test_a_damaged_archive_is_refused(study, spoil, said):
    (path,) = write_archive(study.archive, study_of(GAIN, NOTHING).values())
    lines = lzma.decompress(path.read_bytes()).decode().splitlines()
    path.write_bytes(lzma.compress("\n".join(spoil(lines)).encode()))
    with pytest.raises(InputError, match=said):
        read_archive(study.archive)


def test_failures_are_archived_without_paths():
    failure = Failure("a", "b", "c", 1, "s", "train", 1, "it broke")
    assert str(failure.key) == "a/b/c/1"
