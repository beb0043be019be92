from __future__ import annotations

import signal
from dataclasses import replace

import pytest
import yaml

from gluon_liver.errors import PhaseError
from gluon_liver.phases import rules
from gluon_liver.phases.choice import choose_phases
from gluon_liver.phases.rules import (
    PhaseRules,
    load_phase_rules,
    match_description,
    reference_of,
)
from gluon_liver.phases.template import phase_template
from gluon_liver.readers.dicom.volume import SeriesFiles


def series(number, description, part=0):
    return SeriesFiles(number, part, "P", "1.2", f"1.2.{number}", description, ())


@pytest.mark.parametrize(
    "phase, descriptions",
    [
        ("non_contrast", "NON CONTRAST|LIVER W/O|unenhanced|plain|native|Nativ 5.0|NONCON|ABD WO CONTRAST"),
        ("non_contrast", "pre-contrast 5mm|NC|non_contrast"),
        ("arterial", "ART|LIVER_ART_2.5|Arterial Phase|EARLY ARTERIAL|LATE ART|W+WO ART"),
        ("delayed", "delayed|5 MIN DELAY|equilibrium|3min|10 minutes|LATE PHASE"),
        (None, "PORTAL VENOUS|PV 70s|PVP|VENOUS|DELAYED PORTAL|W/WO CONTRAST|ABD W WO|with and without"),
        (None, "3 PHASE LIVER (ABD)|MAR artifact|POST CONTRAST|1 MIN||minimal|plain portal"),
    ],
)
def test_default_patterns(phase, descriptions):
    for description in descriptions.split("|"):
        assert list(match_description(description, PhaseRules())) == ([phase] if phase else []), description


def test_several_phases_and_none_are_left_out_with_the_reason():
    choice = choose_phases([series(1, "PRE-CONTRAST ARTERIAL"), series(2, "PORTAL"), series(3, "ART")], PhaseRules())
    assert {phase: one.number for phase, one in choice.taken.items()} == {"arterial": 3}
    assert choice.rule["arterial"] == "description pattern 1 of arterial"
    left_out = [(one.where, one.kind) for one in choice.left_out]
    assert left_out == [("series 01", "several-phases"), ("series 02", "no-phase")]


def test_two_series_for_one_phase_are_both_left_out_until_one_is_named():
    pair = [series(1, "ART 2mm"), series(2, "ART 5mm")]
    choice = choose_phases(pair, PhaseRules())
    assert not choice.taken and [one.kind for one in choice.left_out] == ["competing-series"] * 2
    assert "competes with series 02" in choice.left_out[0].reason
    choice = choose_phases(pair, PhaseRules(series={"1.2.2": "arterial"}))
    assert choice.taken["arterial"].number == 2 and choice.rule["arterial"] == "named in the phase file"
    assert [one.kind for one in choice.left_out] == ["other-series-named"]


def test_an_exact_name_wins_over_the_description_but_parts_of_a_mixed_series_compete():
    choice = choose_phases([series(1, "ART")], PhaseRules(series={"1.2.1": "delayed"}))
    assert list(choice.taken) == ["delayed"]
    choice = choose_phases([series(1, "ART", 1), series(1, "ART", 2)], PhaseRules(series={"1.2.1": "arterial"}))
    assert not choice.taken and len(choice.left_out) == 2


@pytest.fixture
def phase_file(tmp_path):
    """phase_file(text): the path of a file that holds it."""

    def write(text):
        (tmp_path / "p.yaml").write_text(text)
        return str(tmp_path / "p.yaml")

    return write


def test_a_phase_file(phase_file):
    rules = load_phase_rules(
        phase_file(
            "order: [early, late]\nreference: late\nseries: {'1.2.3': early}\npatterns: {late: 'x+', early: [y]}"
        )
    )
    assert (rules.order, rules.reference, rules.series) == (("early", "late"), "late", {"1.2.3": "early"})
    assert match_description("axX", rules) == {"late": "description pattern 1 of late"}
    assert rules.with_reference("early").reference == "early" and rules.with_reference(None) is rules
    with pytest.raises(PhaseError, match="--reference delayed"):
        rules.with_reference("delayed")


def test_the_reference_that_a_phase_file_names(phase_file):
    assert reference_of(phase_file("order: [early, late]\nreference: late\npatterns: {late: x}\n")) == "late"
    assert reference_of(phase_file("reference: arterial\npatterns: {arterial: x}\n")) == "arterial"
    path = phase_file("patterns: {arterial: x}\n")
    assert reference_of(path) is None and load_phase_rules(path).reference == "arterial"
    path = phase_file("order: [early, late]\npatterns: {late: x}\n")
    assert reference_of(path) is None and load_phase_rules(path, reference="early").reference == "early"
    with pytest.raises(PhaseError, match="--reference venous: the phases are early, late"):
        load_phase_rules(path, reference="venous")
    with pytest.raises(PhaseError, match="reference is a text: it must be one of"):
        reference_of(phase_file("reference: venous\n"))


@pytest.mark.parametrize(
    "text, message",
    [
        ("a: [", "is not YAML"),
        ("- 1", r"the top level: expected keys, found \[1\]"),
        ("{}", "maps nothing"),
        ("phases: {}", "unknown key \\(in the order of the file: 1\\)"),
        ("order: []", r"order is \(\): it must be 1 or more values, each a name"),
        ("order: [a, a]", "order is .*: it must be different names"),
        ("order: ['a/../b']", "order is .*, each a name of letters"),
        ("order: [a]", "key 'reference' is absent, and the default 'arterial' is not one of a"),
        ("order: [a]\nreference: b", "reference is a text: it must be one of a"),
        ("reference:", "reference: expected str, found None"),
        ("a: " + "[" * 5000, "nested too deeply"),
        ("reference: 2020-13-45", "is not YAML"),
        ("patterns: {arterial: ['a{99999999999999999999}']}", "pattern 1 of arterial is no regular expression"),
        ("series: [1]", r"series: expected keys, found \[1\]"),
        ("series: {1.2: arterial}", "entry 1 of 'series' is no SeriesInstanceUID"),
        ("series:\n  '1.2.3': arterial\n  '1.2.3': delayed", "the key of line 2 is there again, line 3, column 3"),
        ("series: {'1.2 part 1': arterial, '1.2  part 1': delayed}", "entry 2 of 'series' names what an entry before"),
        ("folders: {a/: arterial, a: arterial}", "entry 2 of 'folders' names what an entry before it does"),
        (
            "series: {'1.2.3': venous}",
            "entry 1 of 'series' names a phase that is not among non_contrast, arterial, delayed; add it to 'order'",
        ),
        ("series: {'1.2.3 part': arterial}", "entry 1 of 'series' is no SeriesInstanceUID"),
        ("series: {'1.2.3 acquisition 0': arterial}", "entry 1 of 'series' is no SeriesInstanceUID"),
        ("folders: {'../x': arterial}", "entry 1 of 'folders' is no folder below"),
        ("folders: {'x': venous}", "entry 1 of 'folders' names a phase that is not among"),
        ("folders: [1]", "folders: expected keys"),
        ("join: perhaps", "join: expected"),
        ("join: false", "maps nothing"),
        ("patterns: {venous: x}", "'patterns' names a phase that is not among"),
        ("patterns: {arterial: []}", "must be a list of regular"),
        ("patterns: {arterial: ['(']}", "pattern 1 of arterial is no regular expression"),
        ("patterns: {arterial: ['art', 'a|']}", "pattern 2 of arterial is found in every description"),
        ("patterns: {arterial: ''}", "pattern 1 of arterial is found in every description"),
        ("patterns: {arterial: '^'}", "pattern 1 of arterial is found in every description"),
    ],
)
def test_wrong_phase_files(phase_file, text, message):
    with pytest.raises(PhaseError, match=message):
        load_phase_rules(phase_file(text))


def test_no_phase_file(tmp_path):
    with pytest.raises(PhaseError, match="cannot be read"):
        load_phase_rules(str(tmp_path / "absent.yaml"))


def test_the_template_is_a_phase_file_as_far_as_it_is_filled_in(phase_file):
    text = phase_template([series(1, "ART: 'x'\n#"), series(2, "PORTAL")], PhaseRules())
    assert yaml.safe_load(text)["series"] == {"1.2.1": "arterial"} and "'1.2.2':" in text
    assert load_phase_rules(phase_file(text)).series == {"1.2.1": "arterial"}
    twice = phase_template([series(1, "ART"), replace(series(2, "DELAYED"), series_uid="1.2.1")], PhaseRules())
    assert load_phase_rules(phase_file(twice)).series == {"1.2.1": "arterial"}


def test_a_pattern_that_would_never_end_is_refused_and_the_next_is_looked_for(monkeypatch):
    monkeypatch.setattr(rules, "MOST_SECONDS", 0.05)
    with pytest.raises(PhaseError, match="pattern 2 of arterial takes more than 0.05 s .*repetition inside"):
        match_description("a" * 64 + "b", PhaseRules(patterns={"arterial": ("x", "(a+)+$")}))
    assert match_description("aaa", PhaseRules(patterns={"arterial": ("(a+)+$",)}))
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0) and signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


@pytest.mark.parametrize(
    "folder, glob, matches",
    [
        ("P1/ART", "*/ART*", True),
        ("P1/art_thin", "*/ART*", True),
        ("P1/ART/DICOM", "*/ART*", True),
        ("P1/2020/ART", "*/ART*", False),
        ("P1/2020/ART", "**/ART*", True),
        ("ART", "**/ART*", True),
        ("ART", "ART*", True),
        ("P1/ART", "ART*", False),
        ("P1/PORTAL", "*/ART*", False),
        ("P1/ART", "*/A[RS]T/", True),
        ("P1/[ART] 2", "*/[ART] 2", True),
        ("P1/Spa\u0308t", "*/Sp\u00e4t", True),
        (".", "ART", False),
        ("P1/ART 2.5", "P1/ART*", True),
        ("P1/ART 2.5/raw", "*/ART*", True),
        ("P1", "*/ART*", False),
        ("P1/a/b/ART", "**/ART", True),
        ("ART", "**/ART", True),
        ("P1/ART/x", "P1/**/x", True),
        ("P1/x", "P1/**/x/**", True),
        ("P1/y", "P1/**/x", False),
        ("P1/a/b/c", "**/b/**/a", False),
        ("/".join("a" * 60), "**/a/" * 30 + "b", False),  # as many ways to part it as to choose 30 of 60
    ],
)
def test_globs_of_folders(folder, glob, matches):
    assert rules.folder_matches(folder, glob) is matches


@pytest.mark.parametrize("pattern", ["^(?!.*(art|nativ)).*", "^$", r"^\\s*$", "art|nativ"])
def test_patterns_that_an_empty_description_matches_may_still_tell(phase_file, pattern):
    load_phase_rules(phase_file(f"patterns: {{delayed: ['{pattern}']}}\nreference: delayed\n"))
