"""What a phase file addresses: parts, acquisitions, folders, derived series; and cases of several studies."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

import gluon_liver
from gluon_liver.commands import main
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.errors import DatasetError, InputError
from gluon_liver.prepare.ct import import_ct
from tests.readers.ct_writer import ct_dataset, uid, write
from tests.readers.us_writer import write_labels

DERIVED = ["DERIVED", "SECONDARY", "AXIAL"]


@pytest.fixture
def phases(tmp_path):
    """phases(text): a phase file with it."""

    def write_file(text):
        (tmp_path / "p.yaml").write_text(text)
        return tmp_path / "p.yaml"

    return write_file


def stack(folder, value=0, *, z0=0.0, n=4, start=0, **tags):
    for i in range(n):
        ds = ct_dataset(instance=start + i, z=z0 + 2.0 * i, pixels=np.full((8, 8), value, np.int16), **tags)
        write(ds, folder / f"{start + i}.dcm")


def three_in_one(folder):
    for k in range(3):
        stack(folder / "abc"[k], 50 + 50 * k, z0=k * 0.5, start=10 * k, AcquisitionNumber=k + 1)


def values(out):
    """phase -> value of its middle slice, of the one study."""
    data = CTDataset.open(out)
    study = data.study(data.cases[0].case)
    middle = study.hu[:, 2, 4, 4].tolist()
    return {phase: value for phase, value, present in zip(study.phases, middle, study.present) if present.any()}


@pytest.mark.parametrize("regrid", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_acquisitions_are_refused_until_they_are_addressed(tmp_path, phases, regrid, named):
    three_in_one(tmp_path / "in")
    out, options = tmp_path / "out", dict(regrid=regrid)
    if named:
        options["phases"] = phases(f"series: {{'{uid(1, 1)}': arterial}}")
    with pytest.raises(InputError, match=r"series 01 holds 3 acquisitions \(by AcquisitionNumber\)") as caught:
        import_ct(tmp_path / "in", out, **options)
    assert "'UID acquisition 1'" in str(caught.value) and uid(1) not in str(caught.value) and not out.exists()
    with pytest.raises(InputError, match="series 01 holds 3 acquisitions"):
        gluon_liver.read_study(tmp_path / "in", **options)
    lines = [f"  '{uid(1, 1)} acquisition {k}': {phase}" for k, phase in ((1, "non_contrast"), (3, "delayed"))]
    file = phases("\n".join(["series:", *lines, f"  '{uid(1, 1)}  acquisition 2 ': arterial"]))
    report = import_ct(tmp_path / "in", out, phases=file, regrid=regrid)
    assert values(out) == {"non_contrast": 50, "arterial": 100, "delayed": 150}
    assert report["taken"][0]["phases"]["arterial"]["series"] == "series 01 acquisition 2"
    study = gluon_liver.read_study(tmp_path / "in", phases=file, regrid=regrid)
    assert study.hu[:, 2, 4, 4].tolist() == [50, 100, 150]


def test_the_listed_addresses_import(tmp_path, capsys):
    three_in_one(tmp_path / "in")
    assert main(f"import ct {tmp_path / 'in'} --list-series {tmp_path / 'p.yaml'}".split()) == 0
    text = (tmp_path / "p.yaml").read_text()
    for k, phase in enumerate(("non_contrast", "arterial", "delayed"), 1):
        assert f"# '{uid(1, 1)} acquisition {k}':" in text
        text = text.replace(f"# '{uid(1, 1)} acquisition {k}':", f"'{uid(1, 1)} acquisition {k}': {phase}")
    (tmp_path / "q.yaml").write_text(text)
    assert main(f"import ct {tmp_path / 'in'} --phases {tmp_path / 'q.yaml'} --out {tmp_path / 'out'}".split()) == 0
    assert values(tmp_path / "out") == {"non_contrast": 50, "arterial": 100, "delayed": 150}


def test_folders_tell_acquisitions_apart(tmp_path, phases):
    three_in_one(tmp_path / "in" / "P1")
    file = phases("folders: {'*/A': non_contrast, 'P1/b': arterial, '**/c': delayed, '*/zz': arterial}")
    report = import_ct(tmp_path / "in", tmp_path / "out", phases=file)
    assert values(tmp_path / "out") == {"non_contrast": 50, "arterial": 100, "delayed": 150}
    assert report["taken"][0]["phases"]["arterial"]["rule"] == "entry 2 of 'folders'"
    assert [note for note in report["notes"] if note.startswith("entry 4 of 'folders' matches no folder")]


def test_a_folder_glob_means_plain_images_first_and_several_are_told(tmp_path, phases):
    stack(tmp_path / "in" / "ART", 1)
    stack(tmp_path / "in" / "ART", 2, series=2, start=20, ImageType=DERIVED)
    file = phases("folders: {ART: arterial}")
    report = import_ct(tmp_path / "in", tmp_path / "out", phases=file)
    assert values(tmp_path / "out") == {"arterial": 1}
    assert "beside others that the same entry" in report["quarantined"][0]["reason"]
    stack(tmp_path / "in" / "ART", 3, series=3, start=40)
    with pytest.raises(InputError, match="series 01 .* competes with series 03 for arterial"):
        import_ct(tmp_path / "in", tmp_path / "out2", phases=file)
    file = phases(f"series: {{'{uid(1, 2)}': arterial}}\nfolders: {{ART: arterial}}")
    import_ct(tmp_path / "in", tmp_path / "out3", phases=file)
    assert values(tmp_path / "out3") == {"arterial": 2}


def test_a_single_image_does_not_compete(tmp_path):
    stack(tmp_path / "in", 1)
    stack(tmp_path / "in", 2, start=20, n=1, series=2, description="ARTERIAL key image")
    report = import_ct(tmp_path / "in", tmp_path / "out")
    assert values(tmp_path / "out") == {"arterial": 1}
    assert [one["kind"] for one in report["quarantined"]] == ["one-image"]


def test_parts_are_named_and_derived_ones_stay_out(tmp_path, phases):
    stack(tmp_path / "in", 1, n=5)
    stack(tmp_path / "in", 2, start=20, n=4, PixelSpacing=[0.7, 0.7])
    stack(tmp_path / "in", 3, start=40, n=4, ImageType=DERIVED)
    with pytest.raises(
        InputError, match="competes with series 01 part 2 for arterial; name one of them .as 'UID part 1'"
    ):
        import_ct(tmp_path / "in", tmp_path / "out")
    for part, value in ((1, 1), (2, 2), (3, 3)):
        file = phases(f"series: {{'{uid(1, 1)} part {part}': arterial}}")
        import_ct(tmp_path / "in", tmp_path / "out", phases=file, overwrite=True)
        assert values(tmp_path / "out") == {"arterial": value}


def test_table_positions_that_share_a_slice_are_told_how_to_become_one(tmp_path):
    for k in range(3):
        stack(tmp_path / "in", 50, z0=6.0 * k, start=10 * k, AcquisitionNumber=k + 1)
    with pytest.raises(InputError, match=r"continue each other: without (file \d{4}), (file \d{4}) \(--exclude\)"):
        import_ct(tmp_path / "in", tmp_path / "out")
    report = import_ct(tmp_path / "in", tmp_path / "out", exclude=["10.dcm", "20.dcm"])
    assert report["taken"][0]["slices"] == 10


def test_series_that_share_a_uid_keep_their_descriptions(tmp_path):
    for k, words in enumerate(("NATIVE", "ARTERIAL", "DELAYED")):
        stack(tmp_path / "in", 50 + 50 * k, start=10 * k, InstanceNumber=None, description=words, SeriesNumber=k)
    import_ct(tmp_path / "in", tmp_path / "out")
    assert values(tmp_path / "out") == {"non_contrast": 50, "arterial": 100, "delayed": 150}


def test_entries_that_name_nothing_are_told(tmp_path, phases):
    three_in_one(tmp_path / "in")
    stack(tmp_path / "in" / "d", 9, series=2, start=40)
    entries = {f"{uid(1, 2)}": "arterial", f"{uid(1, 1)} acquisition 7": "delayed", "1.2.3": "delayed"}
    report = import_ct(tmp_path / "in", tmp_path / "out", phases=phases(json.dumps({"series": entries})))
    notes = "\n".join(report["notes"])
    assert "entry 2 of 'series': series 01 has no acquisition 7; it has acquisition 1, acquisition 2" in notes
    assert "1 of 3 entries under 'series' of the phase file name no CT series of the folder (entry 3)" in notes
    with pytest.raises(InputError) as caught:
        import_ct(
            tmp_path / "in", tmp_path / "none", phases=phases(f"series: {{'{uid(1, 1)} acquisition 7': arterial}}")
        )
    assert str(caught.value).count("has no acquisition 7") == 1


@pytest.fixture
def two_studies(tmp_path):
    """One phase in each of two studies of a patient."""
    stack(tmp_path / "in" / "a", 1, study=1, description="ARTERIAL")
    stack(tmp_path / "in" / "b", 2, study=2, description="DELAYED", FrameOfReferenceUID=uid(1, 0))
    return tmp_path / "in"


def test_studies_join_where_the_phase_file_says_so(tmp_path, two_studies, phases):
    report = import_ct(two_studies, tmp_path / "apart")
    assert [list(one["phases"]) for one in report["taken"]] == [["arterial"]]
    assert any("2 studies would make 1 case(s) of more phases" in note for note in report["notes"])
    images = [{"study": uid(study), "phase": "arterial", "slice": study} for study in (1, 2)]
    labels = write_labels(tmp_path / "l.json", images, [], width=8, height=8, classes=["hcc"])
    out = tmp_path / "out"
    report = import_ct(two_studies, out, phases=phases("join: true"), labels=labels, salt="s")
    assert values(out) == {"arterial": 1, "delayed": 2} and len(report["taken"]) == 1
    assert any("2 studies were joined to 1 case(s)" in note for note in report["notes"])
    assert [image.slice for image in CTDataset.open(out).labels] == [1, 2]
    with (out / "private" / "key.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["study_instance_uid"] for row in rows] == [uid(1), uid(2)] and len({row["case"] for row in rows}) == 1
    study = gluon_liver.read_study(two_studies, phases=phases("join: true"))
    assert study.hu[1:, 2, 4, 4].tolist() == [1, 2]


def test_what_is_not_joined_is_told(tmp_path, two_studies, phases):
    stack(two_studies / "c", 3, study=3, patient="P2", description="ARTERIAL", FrameOfReferenceUID=uid(1, 0))
    stack(two_studies / "d", 4, study=4, patient="P3", description="ARTERIAL")
    stack(two_studies / "e", 5, study=5, patient="P3", description="DELAYED")
    stack(two_studies / "f", 6, study=6, patient="", description="ARTERIAL", FrameOfReferenceUID=uid(4, 0))
    report = import_ct(two_studies, tmp_path / "out", phases=phases("join: true"))
    assert sorted(sorted(one["phases"]) for one in report["taken"]) == [["arterial"]] * 3 + [["arterial", "delayed"]]
    notes = "\n".join(report["notes"])
    assert "2 study or studies lack phases and were not joined" in notes and "no frame of reference is shared" in notes
    assert "share a frame of reference with a study of another patient: not joined" in notes
    assert "1 study or studies have no PatientID: not joined" in notes


def test_two_joined_series_of_one_phase_compete(tmp_path, two_studies, phases):
    stack(two_studies / "c", 3, study=3, description="ARTERIAL", FrameOfReferenceUID=uid(1, 0))
    with pytest.raises(InputError, match="competes with series 03 of another study that was joined for arterial"):
        import_ct(two_studies, tmp_path / "out", phases=phases("join: true"))
    lines = [f"'{uid(3, 1)}': arterial", f"'{uid(2, 1)}': delayed"]
    file = phases(f"join: true\nseries: {{{', '.join(lines)}}}")
    import_ct(two_studies, tmp_path / "out", phases=file)
    assert values(tmp_path / "out") == {"arterial": 3, "delayed": 2}


def test_several_studies_in_memory_say_that_they_can_be_joined(two_studies):
    stack(two_studies / "c", 3, study=2, series=2, description="ARTERIAL", FrameOfReferenceUID=uid(1, 0))
    stack(two_studies / "d", 3, study=1, series=3, description="NC", start=40)
    with pytest.raises(DatasetError, match="holds 2 studies"):
        gluon_liver.read_study(two_studies)
