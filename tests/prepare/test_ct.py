"""The whole import: what is taken, what is not and why, labels on their slices, nothing half-written."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest

from gluon_liver.commands import main
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.errors import AnnotationError, InputError, PhaseError, SplitError
from gluon_liver.prepare.ct import import_ct
from gluon_liver.prepare.look.output import write_phase_template
from tests.readers.ct_writer import ct_dataset, uid, write, write_series

from .ct_source import label_file, siblings, write_study


def test_a_study_with_three_phases(tmp_path, source, out):
    report = import_ct(source, out, salt="s")
    dataset = CTDataset.open(out)
    assert dataset.phases == ("non_contrast", "arterial", "delayed") and dataset.reference_phase == "arterial"
    study = dataset.study(dataset.cases[0].case)
    assert study.hu[:2, :, 0, 0].tolist() == [[100, 101, 102, 103], [200, 201, 202, 203]]
    # Delayed starts 1 mm higher: its first slice lies half a slice outside, the others between two slices.
    assert study.present.tolist() == [[True] * 4, [True] * 4, [False, True, True, True]]
    assert study.hu[2, :, 0, 0].tolist() == [-1024, 300, 302, 302]
    assert report["taken"][0]["phases"]["delayed"]["absent_slices"] == 1
    assert dataset.cases_of("train") == [study.case] and dataset.labels == []
    again = import_ct(source, tmp_path / "again", salt="s")
    assert again["taken"][0]["case"] == study.case != import_ct(source, tmp_path / "x")["taken"][0]["case"]


def test_what_cannot_be_used_is_left_out_and_the_rest_is_taken(source, out):
    write_study(source, 2, patient="P2", phases={"NON CONTRAST": 0.0, "PORTAL": 0.0})
    write_study(source, 3, patient="P3", phases={"ARTERIAL": 0.0, "ART thin": 0.0})
    write_study(source, 4, patient="P4")
    os.remove(source / "st4" / "se1" / "2.dcm")
    write_study(source, 5, patient="P5")
    os.truncate(source / "st5" / "se2" / "2.dcm", 900)
    write_study(source, 6, patient="P6", phases={"ARTERIAL": 0.0, "DELAYED": 500.0})
    (source / "readme.txt").write_text("hello")
    report = import_ct(source, out, salt="s")
    assert len(report["taken"]) == 3 and len(report["studies_not_taken"]) == 3
    expected = ["SliceGapError", "TruncatedFileError", "no-overlap", "no-phase"]
    expected += ["competing-series"] * 2 + ["no-reference"] * 3
    assert sorted(one["kind"] for one in report["quarantined"]) == sorted(expected)
    assert [one["kind"] for one in report["rejected"]] == ["not-dicom"]
    partial = [one for one in report["taken"] if set(one["phases"]) != {"non_contrast", "arterial", "delayed"}]
    assert sorted(sorted(one["phases"]) for one in partial) == [["arterial"], ["arterial", "delayed"]]
    assert not any(CTDataset.open(out).study(one["case"]).present[0].any() for one in partial)


def test_a_derived_series_is_taken_where_the_phase_file_names_it(tmp_path, out):
    write_series(tmp_path / "in", ImageType=["DERIVED", "SECONDARY", "REFORMATTED"])
    with pytest.raises(InputError, match=r"derived by ImageType .* \(its description says arterial\); if it is needed"):
        import_ct(tmp_path / "in", out)
    (tmp_path / "p.yaml").write_text(f"series: {{'{uid(1, 1)}': arterial}}\n")
    report = import_ct(tmp_path / "in", out, phases=tmp_path / "p.yaml")
    assert list(report["taken"][0]["phases"]) == ["arterial"]


def test_another_frame_of_reference_leaves_the_phase_out(source, out):
    for i in range(4):
        ds = ct_dataset(series=3, instance=i, z=2.0 * i, description="DELAYED", FrameOfReferenceUID="1.2.3")
        write(ds, source / "st1" / "se3" / f"{i}.dcm")
    report = import_ct(source, out)
    assert sorted(report["taken"][0]["phases"]) == ["arterial", "non_contrast"]
    assert [one["kind"] for one in report["quarantined"]] == ["frame-of-reference"]


def test_bad_folders_and_options(tmp_path, source, out):
    write_study(tmp_path / "portal", phases={"PORTAL": 0.0})
    for name in ("empty", "text", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "text" / "a.txt").write_text("x")
    (tmp_path / "full" / "thesis.doc").write_text("x")
    for folder, target, options, error, message in [
        ("absent", out, {}, InputError, "no such folder"),
        ("text/a.txt", out, {}, InputError, "is a file"),
        ("empty", out, {}, InputError, "is empty"),
        ("text", out, {}, InputError, "no study was taken from 1 file"),
        ("portal", out, {}, InputError, "says the portal venous phase, which is none of the three; if it is needed"),
        ("portal", out, {}, InputError, "`python -m gluon_liver import ct FOLDER --list-series FILE` writes"),
        ("in", out, {"seed": -1}, SplitError, "seed is -1"),
        ("in", source / "data", {}, InputError, "lies inside the folder"),
        ("in", source, {}, InputError, "lies inside the folder"),
        ("in", tmp_path, {"overwrite": True}, InputError, "contains the folder"),
        ("in", tmp_path / "empty", {}, InputError, "exists"),
        ("in", tmp_path / "full", {"overwrite": True}, InputError, "is no data folder"),
        ("in", tmp_path / "text" / "a.txt", {}, InputError, "exists and is no folder"),
        ("in", tmp_path / "no" / "data", {}, InputError, "parent folder does not exist"),
        ("in", out, {"fractions": (1, 1, 1)}, SplitError, "split fractions"),
        ("in", out, {"reference": "portal"}, PhaseError, "--reference portal"),
        ("in", out, {"phases": tmp_path / "absent.yaml"}, PhaseError, "cannot be read"),
        ("in", out, {"labels": tmp_path / "absent.json"}, AnnotationError, "cannot be read"),
        # salts that hide nothing
        ("in", out, {"salt": ""}, InputError, "--salt"),
        ("in", out, {"salt": "  \t"}, InputError, "--salt"),
        ("in", out, {"salt": "a\udcff"}, InputError, "--salt"),
    ]:
        with pytest.raises(error, match=message):
            import_ct(tmp_path / folder, target, **options)
        assert not out.exists() and not siblings(out)
    assert (tmp_path / "full" / "thesis.doc").exists()


def test_overwrite_replaces_a_data_folder(source, out):
    import_ct(source, out)
    (out / "images").mkdir()
    with pytest.raises(InputError, match="--overwrite"):
        import_ct(source, out)
    import_ct(source, out, overwrite=True)
    assert not (out / "images").exists() and not siblings(out) and CTDataset.open(out).cases


def test_overwrite_never_deletes_what_no_import_wrote(tmp_path, source, out, monkeypatch):
    import_ct(source, out)
    (out / "run").mkdir()
    (out / "run" / "config.yaml").write_text("x")
    with pytest.raises(InputError, match="holds 'run', which no import wrote"):
        import_ct(source, out, overwrite=True)
    (out / "run").rename(tmp_path / "run")
    put_back = "gluon_liver.prepare.ct.write_private"
    monkeypatch.setattr(put_back, lambda *args: (tmp_path / "run").rename(out / "run"))
    with pytest.raises(InputError, match="holds 'run'"):
        import_ct(source, out, overwrite=True)
    assert (out / "run" / "config.yaml").exists() and not siblings(out)


def test_file_names_and_order_change_nothing(tmp_path):
    for study in range(1, 5):
        write_study(tmp_path / "a", study, patient=f"P{study}")
        # Two fields of view of three slices each share a series, which nothing but their content tells apart.
        common = dict(study=study, series=9, patient=f"P{study}", description="PORTAL")
        for i in range(6):
            pixels = np.zeros((16, 16 if i % 2 else 8), np.int16)
            write(ct_dataset(instance=i, z=2.0 * i, pixels=pixels, **common), tmp_path / "a" / f"st{study}/se9/{i}.dcm")
    (tmp_path / "b").mkdir()
    for number, path in enumerate(sorted((tmp_path / "a").rglob("*.dcm"), reverse=True)):
        shutil.copy(path, tmp_path / "b" / f"{number:03d}")
    images = [{"sop_instance_uid": uid(study, 2, 2)} for study in range(1, 5)]
    boxes = [(image, 1, [1, 1, image, 5]) for image in range(1, 5)]
    options = dict(labels=label_file(tmp_path / "l.json", images, boxes, exhaustive=True), salt="a salt for the test")
    first, second = (import_ct(tmp_path / name, tmp_path / f"data-{name}", **options) for name in "ab")
    for name in ("labels.json", "splits.json", "dataset.json", "import-report.json"):
        assert (tmp_path / "data-a" / name).read_text() == (tmp_path / "data-b" / name).read_text(), name
    assert first == second and len(first["quarantined"]) == 8
    cases = [image.case for image in CTDataset.open(tmp_path / "data-a").labels]
    assert cases == sorted(cases) and len(cases) == 16


def test_a_short_salt_is_noted(source, out):
    for salt, noted in (("phantom", True), ("phantoms", False), (None, False)):
        report = import_ct(source, out, salt=salt, overwrite=True)
        assert any("the salt is shorter than 8 characters" in note for note in report["notes"]) == noted


def test_the_salt_of_phantoms_is_no_matter(source, out):
    for path in source.rglob("*.dcm"):
        one = pydicom.dcmread(path)
        one.QualityControlImage = "YES"
        one.save_as(path)
    report = import_ct(source, out, salt="phantom")
    assert not [note for note in report["notes"] if "salt" in note]


def test_a_full_disk_is_called_so(source, out, monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "ascontiguousarray", fail)  # of a slice that is written
    with pytest.raises(InputError, match="--out .* cannot be written: No space left on device"):
        import_ct(source, out)
    assert not out.exists() and not siblings(out)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_parent(tmp_path, source):
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(InputError, match="not writable"):
        import_ct(source, tmp_path / "closed" / "data")


def test_identifiers_stay_in_the_private_folder(tmp_path, out, capsys):
    source, private = tmp_path / "in", out / "private"
    write_study(source, patient="SECRET-ID")
    write_study(source, 2, patient="SECRET-ID", phases={"PORTAL SECRET": 0.0})
    write_series(source / "SECRET", series=7, zs=(0, 2, 9), patient="SECRET-ID", study=3)
    assert main(f"import ct {source} --out {out}".split()) == 0
    printed = capsys.readouterr()
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert sorted(os.listdir(private)) == "files.csv key.csv phases-template.yaml salt series.csv".split()
    public = [path for path in out.rglob("*") if path.is_file() and private not in path.parents]
    for text in [printed.out, printed.err] + [path.read_bytes().decode("latin-1") for path in public]:
        assert "SECRET" not in text and uid(1) not in text and "Name" not in text
    assert uid(1) in (private / "key.csv").read_text() and "SECRET" in (private / "files.csv").read_text()


def test_command_line_exit_codes_and_report(tmp_path, source, out, capsys):
    (source / "a.txt").write_text("x")
    template = tmp_path / "p.yaml"
    for words, message in [
        (f"{source}", "--out"),
        (f"{source} --list-series {template} --out {out}", "--list-series imports nothing"),
        (f"{source} --out {out} --seed -1", "error: the split seed is -1"),
        (f"{tmp_path}/absent --out {out}", "error: "),
    ]:
        assert main(["import", "ct", *words.split()]) == 2
        printed = capsys.readouterr().err
        assert printed.startswith(message) if message.startswith("error") else message in printed
        assert not template.exists() and not out.exists()
    assert main(f"import ct {source} --out {out}".split()) == 0
    printed = capsys.readouterr().out
    assert "taken: 1 study(s) of 1 patient(s), 4 slices" in printed
    assert "left out: file 0001 (1 image(s), not-dicom): not a DICOM file" in printed
    assert main(f"import ct {source} --list-series {template}".split()) == 0
    assert stat.S_IMODE(template.stat().st_mode) == 0o600


def test_a_listed_template_imports_what_it_lists(tmp_path, source, out):
    assert write_phase_template(source, tmp_path / "p.yaml") == 3
    report = import_ct(source, out, phases=tmp_path / "p.yaml")
    assert {record["rule"] for record in report["taken"][0]["phases"].values()} == {"named in the phase file"}
    with pytest.raises(InputError, match="exists"):
        write_phase_template(source, tmp_path / "p.yaml")


def test_patients_without_id_are_kept_apart_and_noted(tmp_path, out):
    for study in (1, 2):
        write_study(tmp_path / "in", study, patient="")
    report = import_ct(tmp_path / "in", out)
    assert len({one["patient"] for one in report["taken"]}) == 2
    assert any("no PatientID" in note for note in report["notes"])


def test_a_phantom_is_marked_as_one(tmp_path, source):
    import_ct(source, tmp_path / "real")
    write_series(source / "ph", study=2, patient="P2", QualityControlImage="YES")
    report = import_ct(source, tmp_path / "mixed")
    assert [CTDataset.open(tmp_path / name).phantom for name in ("real", "mixed")] == [False, True]
    assert "1 of 2 studies show a phantom" in report["notes"][0]


def test_two_studies_of_a_patient_share_the_split(tmp_path, out):
    for study in range(1, 7):
        write_study(tmp_path / "in", study, patient=f"P{study // 2}", phases={"ARTERIAL": 0.0})
    import_ct(tmp_path / "in", out, fractions=(0.5, 0.25, 0.25))
    dataset = CTDataset.open(out)
    cases = [case for name in ("train", "val", "test") for case in dataset.cases_of(name)]
    assert len(cases) == len(set(cases)) == 6 and len({info.patient for info in dataset.cases}) == 4


def test_a_kill_leaves_no_data_and_the_next_import_cleans_up(source, out):
    script = (
        "import sys, time\n"
        "from gluon_liver.prepare import ct, study_volume\n"
        "study_volume.put_on_grid = lambda *a: (print('in the middle', flush=True), time.sleep(60))\n"
        f"ct.import_ct({str(source)!r}, {str(out)!r})\n"
    )
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=str(root)) as process:
        assert b"in the middle" in process.stdout.readline()
        assert len(siblings(out)) == 1
        import_ct(source, out)
        # The other import is alive: its folder is left alone.
        assert len(siblings(out)) == 1
        process.send_signal(signal.SIGKILL)
    import_ct(source, out, overwrite=True)
    assert not siblings(out)
