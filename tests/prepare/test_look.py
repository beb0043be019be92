"""``look``: what can be told of the series of a folder before anything is imported."""

from __future__ import annotations

import csv
import os
import stat

import numpy as np
import pydicom
import pytest
import yaml
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from gluon_liver.archive.scan import scan_folder
from gluon_liver.commands import main
from gluon_liver.errors import InputError
from gluon_liver.phantoms.ct.config import CTPhantomConfig
from gluon_liver.phantoms.ct.folder import write_ct_phantoms
from gluon_liver.phantoms.ct.study import make_ct_study
from gluon_liver.prepare.ct import import_ct
from gluon_liver.prepare.look.glance import glance_at
from gluon_liver.prepare.look.listing import list_series
from gluon_liver.prepare.look.organs import aorta_of, find_organs, looks_like
from gluon_liver.prepare.look.output import screen_lines, write_listing, write_phase_template
from tests.readers.ct_writer import ct_dataset, cut, enhanced_dataset, item, uid, write, write_series

PHANTOM = CTPhantomConfig(matrix=192, slices=(20, 20), spacing_mm=(5.0,), subslices=1)
HOSTILE = "ART <script>alert(1)</script> '\n# x: {"


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "made"
    write_ct_phantoms(folder, config=PHANTOM, studies=1, seed=3, jobs=1, progress=False)
    return folder / "dicom"


def by_description(folder):
    return {one.description: one for one in list_series(folder).series}


def check_phantom(entries):
    """Aorta and liver of the three phases are what the generator's attenuation says."""
    plain, arterial, delayed = (entries[name] for name in ("ABDOMEN NON CONTRAST", "LIVER ARTERIAL", "DELAYED 5 MIN"))
    assert 30 < plain.aorta < 55 and 240 < arterial.aorta < 310 and 110 < delayed.aorta < 145
    assert 45 < plain.liver < 68 and 55 < arterial.liver < 85 and 80 < delayed.liver < 110
    looks = [one.looks_like for one in (plain, arterial, delayed)]
    assert looks == ["unenhanced", "arterial", "portal venous or later"]


def test_aorta_and_liver_of_a_phantom(phantom):
    entries = by_description(phantom)
    check_phantom(entries)
    assert all(len(one.pictures) == 2 and one.pictures[0][0].startswith("data:image/jpeg") for one in entries.values())


def test_each_series_alone_and_turned_in_its_plane(phantom, tmp_path):
    for path in phantom.rglob("*.dcm"):
        ds = pydicom.dcmread(path)
        pixels = ds.pixel_array
        corner = np.array(ds.ImagePositionPatient, float)
        corner[:2] += np.array(ds.PixelSpacing[::-1], float) * (np.array(pixels.shape[::-1]) - 1)
        ds.ImagePositionPatient, ds.ImageOrientationPatient = corner.tolist(), [-1, 0, 0, 0, -1, 0]
        ds.PixelData = np.ascontiguousarray(pixels[::-1, ::-1]).tobytes()
        (tmp_path / ds.SeriesDescription).mkdir(exist_ok=True)
        ds.save_as(tmp_path / ds.SeriesDescription / path.name)
    check_phantom({folder.name: list_series(folder).series[0] for folder in tmp_path.iterdir()})


@pytest.mark.parametrize("index", range(4))
def test_no_vertebra_and_no_vein_is_taken_for_the_aorta(index):
    study = make_ct_study(PHANTOM, seed=7, index=index)
    for phase, low, high in (("non_contrast", 30, 55), ("arterial", 240, 310), ("delayed", 110, 145)):
        levels = range(2, 20, 6)
        found = find_organs([study.hu[phase][z] for z in levels], levels, study.geometry.spacing[1])
        assert low < aorta_of(found) < high


def test_nothing_is_found_where_nothing_is():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:250, :250]
    water = np.where((x - 125) ** 2 + (y - 125) ** 2 < 100**2, 0.0, -1000.0)
    noise = rng.normal(40, 300, (250, 250))
    bright = np.where((x - 125) ** 2 + (y - 125) ** 2 < 100**2, 60.0, -1000.0)  # without a spine nothing has a place
    for pictures in ([], [water], [noise], [bright], [np.full((250, 250), -1024.0)], [bright[:3, :2]]):
        assert all((one.aorta, one.liver) == (None, None) for one in find_organs(pictures, [0] * len(pictures), 1.5))


@pytest.mark.parametrize(
    "aorta, liver, look",
    [
        (None, 60, ""),
        (40, 55, "unenhanced"),
        (45, None, "unenhanced"),
        (300, 60, "arterial"),
        (300, None, "arterial"),
        (150, 110, "portal venous or later"),
        (110, None, ""),
        (69, 120, "portal venous or later"),
        (160, 60, ""),
    ],
)
def test_looks(aorta, liver, look):
    assert looks_like(aorta, liver) == look


def test_times_contrast_and_order(tmp_path):
    # the first has no time of its own: the content's stands in for it
    write_series(tmp_path, series=1, ContentTime="101600", ContentDate="20200102", SeriesNumber=9)
    timed = dict(AcquisitionDate="20200102", ContrastBolusAgent="Agent 300", ContrastBolusRoute="IV")
    write_series(tmp_path, series=2, AcquisitionTime="101235.5", ContrastBolusStartTime="101200", **timed)
    write_series(tmp_path, series=3, AcquisitionDateTime="20200102101200.000000", AcquisitionNumber=4)
    first, second, third = list_series(tmp_path).series
    assert [one.address for one in (first, second, third)] == [uid(1, 3), uid(1, 2), uid(1, 1)]
    assert (first.time, first.offset, first.acquisitions) == ("2020-01-02 10:12:00", "+0 s", "AcquisitionNumber 4")
    assert second.offset == "+36 s, 36 s after the injection" and second.contrast == "Agent 300, IV, from 101200"
    assert (third.time, third.offset) == ("2020-01-02 10:16:00 (content time)", "+4 min 00 s by content time")
    assert (third.number, third.contrast, third.extent) == ("9", "", "6 mm (z 0 to 6)")


def test_phases_in_studies_and_frames_of_their_own(tmp_path):
    for study, clock in ((1, "101500"), (2, "101200")):
        write_series(tmp_path, study=study, series=study, AcquisitionTime=clock, StudyDate="20200102")
    zs, stamps = (0, 2, 4) * 2, ["20200102110000"] * 3 + ["20200102110130"] * 3
    frames = enhanced_dataset(np.zeros((6, 16, 16), np.int16), zs=zs, intercepts=[7] * 6, study=3, series=3)
    for group, stamp, number in zip(frames.PerFrameFunctionalGroupsSequence, stamps, (1, 1, 1, 2, 2, 2)):
        group.FrameContentSequence = [item(FrameAcquisitionDateTime=stamp, FrameAcquisitionNumber=number)]
    write(frames, tmp_path / "e.dcm")
    ((second, first, both),) = [patient.studies for patient in list_series(tmp_path).patients]
    assert [one.uid for one in (second, first, both)] == [uid(2), uid(1), uid(3)]
    assert [one.offset for one in (second, first, both)] == [
        "",
        "3 min 00 s after study 1",
        "48 min 00 s after study 1",
    ]
    assert [one.offset for one in both.series] == ["+0 s", "+90 s"]


def test_a_page_of_hostile_words(tmp_path):
    write_series(tmp_path / "in" / "<i>&", description=HOSTILE, patient="=cmd('x')")
    write_listing(list_series(tmp_path / "in"), tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    assert "<script" not in page and "&lt;script&gt;" in page and "<i>" not in page and "&lt;i&gt;" in page
    assert "http" not in page.replace("http-equiv", "")
    rules = yaml.safe_load((tmp_path / "out" / "phases.yaml").read_text())
    assert rules["series"] == {uid(1, 1): "arterial"}
    with open(tmp_path / "out" / "series.csv", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["patient"] == "'=cmd('x')" and row["phase"] == "arterial"


def test_what_is_written_is_for_its_owner_and_never_replaced(tmp_path, capsys):
    write_series(tmp_path / "in")
    out = tmp_path / "out"
    assert main(["look", str(tmp_path / "in"), "--out", str(out)]) == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    modes = {name: stat.S_IMODE((out / name).stat().st_mode) for name in os.listdir(out)}
    assert modes == dict.fromkeys(("index.html", "phases.yaml", "series.csv", "files.csv"), 0o600)
    assert (out / "files.csv").read_text().splitlines()[1] == "1,s1/000.dcm"
    capsys.readouterr()
    assert main(["look", str(tmp_path / "in"), "--out", str(out)]) == 2
    assert "exists; choose another folder" in capsys.readouterr().err
    assert main(["look", str(tmp_path / "in"), "--out", str(tmp_path / "in" / "out")]) == 2
    assert sorted(os.listdir(tmp_path)) == ["in", "out"]


def test_damage_is_listed_and_stops_nothing(tmp_path):
    whole = write_series(tmp_path / "in", series=1)
    cut(write_series(tmp_path / "in", series=2, description="DELAYED")[1], 100)
    write_series(tmp_path / "in", series=3, zs=(0, 2, 9), description="NATIVE")
    write(ct_dataset(series=4, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], description="SCOUT"), tmp_path / "in/s")
    (tmp_path / "in" / "note.txt").write_text("none")
    listing = list_series(tmp_path / "in")
    good, cut_short, gap = sorted(listing.series, key=lambda one: one.name)
    assert good.trouble == "" and good.pictures and good.phase == "arterial"
    assert "is cut short" in cut_short.trouble and "lacks slices" in gap.trouble
    assert sorted((one.reason, one.description) for one in listing.left_out) == [
        ("a localizer by ImageType", "SCOUT"),
        ("not a DICOM file", ""),
    ]
    for path in whole:
        ds = pydicom.dcmread(path)
        ds.PixelData = encapsulate([b"no picture"])
        ds["PixelData"].is_undefined_length = True
        write(ds, path, syntax=JPEG2000Lossless)
    spoilt = sorted(list_series(tmp_path / "in").series, key=lambda one: one.name)[0]
    assert spoilt.trouble and not spoilt.pictures


def test_the_screen_names_nobody_unless_asked(tmp_path, capsys):
    write_series(tmp_path / "SECRET", description="SECRET ART", patient="SECRET-ID", StudyDescription="SECRET")
    listing = list_series(tmp_path / "SECRET")
    hidden, shown = "\n".join(screen_lines(listing)), "\n".join(screen_lines(listing, descriptions=True))
    assert "SECRET" not in hidden and uid(1) not in hidden and "series 01" in hidden
    assert "SECRET ART" in shown and "SECRET-ID" in shown
    assert main(["look", str(tmp_path / "SECRET")]) == 0
    printed = capsys.readouterr()
    assert "SECRET" not in printed.out + printed.err


def test_a_folder_without_ct(tmp_path, capsys):
    (tmp_path / "note.txt").write_text("none")
    assert main(["look", str(tmp_path)]) == 0
    assert "left out: 1 image(s) or file(s): not a DICOM file" in capsys.readouterr().out
    with pytest.raises(InputError, match="no study was taken"):
        write_phase_template(tmp_path, tmp_path.parent / "p.yaml")


def test_the_written_phase_file_imports_once_it_is_filled_in(tmp_path):
    write_series(tmp_path / "in", series=1, description="A")
    write_series(tmp_path / "in", series=2, description="B")
    write_listing(list_series(tmp_path / "in"), tmp_path / "listed")
    path = tmp_path / "listed" / "phases.yaml"
    text = path.read_text()
    for number, phase in ((1, "arterial"), (2, "delayed")):
        assert f"  # '{uid(1, number)}':\n" in text
        text = text.replace(f"  # '{uid(1, number)}':", f"  '{uid(1, number)}': {phase}")
    path.write_text(text)
    report = import_ct(tmp_path / "in", tmp_path / "data", phases=path)
    assert sorted(report["taken"][0]["phases"]) == ["arterial", "delayed"]


def test_what_is_left_to_do_is_told(tmp_path, capsys):
    write_series(tmp_path / "in", series=1, description="arterial")
    assert main(["look", str(tmp_path / "in"), "--out", str(tmp_path / "known")]) == 0
    assert "all 1 series were recognised; look whether" in capsys.readouterr().out
    assert "# Every series was recognised" in (tmp_path / "known" / "phases.yaml").read_text()
    write_series(tmp_path / "in", series=2, description="B")
    assert main(["look", str(tmp_path / "in"), "--out", str(tmp_path / "unknown")]) == 0
    assert "fill in" in (told := capsys.readouterr().out) and "(1 series without a phase), then: import ct" in told
    assert "# Write a phase behind the UID" in (tmp_path / "unknown" / "phases.yaml").read_text()


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_a_place_far_off_and_strange_numbers_stop_nothing(tmp_path):
    write_series(tmp_path, series=1, zs=(0, 1e300, 2e300))
    write_series(tmp_path, series=2, ImagePositionPatient=[1e300, 0, 0])
    write_series(tmp_path, series=3, PixelSpacing=[1e-9, 1e9], AcquisitionTime="999999", AcquisitionDate="99999999")
    write_series(tmp_path, series=4)
    listing = list_series(tmp_path)
    assert [len(one.pictures) > 0 for one in listing.series] == [True] * 4
    assert max(len(line) for line in screen_lines(listing)) < 400


def test_acquisitions_parts_and_derived_series_of_a_phase_file(tmp_path):
    for number in (1, 2):
        zs = (0.5 * number, 3.5 + 0.5 * number, 7 + 0.5 * number)
        write_series(tmp_path / "in", series=1, start=10 * number, zs=zs, AcquisitionNumber=number)
    write_series(tmp_path / "in", series=2, study=2, ImageType=["DERIVED", "SECONDARY", "REFORMATTED"])
    write_series(tmp_path / "in", series=3, study=2)
    write_listing(list_series(tmp_path / "in"), tmp_path / "listed")
    text = (tmp_path / "listed" / "phases.yaml").read_text()
    assert all(f"  # '{uid(1, 1)} acquisition {number}':\n" in text for number in (1, 2))
    assert f"  # '{uid(2, 2)}':\n" in text and f"\n  '{uid(2, 3)}': arterial\n" in text
    filled = text.replace(f"# '{uid(1, 1)} acquisition 2':", f"'{uid(1, 1)} acquisition 2': arterial")
    (tmp_path / "listed" / "phases.yaml").write_text(filled)
    report = import_ct(tmp_path / "in", tmp_path / "data", phases=tmp_path / "listed" / "phases.yaml")
    assert sorted(one["phases"]["arterial"]["series"] for one in report["taken"]) == [
        "series 01 acquisition 2",
        "series 03",
    ]


def test_the_phase_file_says_where_studies_can_be_joined(tmp_path):
    for study, words in ((1, "ART"), (2, "DELAYED")):
        write_series(tmp_path / "in", study=study, series=study, description=words, FrameOfReferenceUID=uid(9))
    write_listing(list_series(tmp_path / "in"), tmp_path / "listed")
    path = tmp_path / "listed" / "phases.yaml"
    text = path.read_text()
    assert text.startswith("# 2 studies would make 1 case(s) of more phases") and "join: true" in text
    path.write_text("join: true\n" + text.replace(f"# '{uid(2, 2)}':", f"'{uid(2, 2)}': delayed"))
    report = import_ct(tmp_path / "in", tmp_path / "data", phases=path)
    assert [sorted(one["phases"]) for one in report["taken"]] == [["arterial", "delayed"]]


def test_frames_of_an_enhanced_file_are_read_one_by_one(tmp_path):
    frames = np.arange(5, dtype=np.int16)[:, None, None] * 100 + np.zeros((5, 16, 16), np.int16)
    write(enhanced_dataset(frames, zs=(0, 30, 60, 90, 120), intercepts=[0] * 5), tmp_path / "e.dcm")
    ((_, glance),) = glance_at(scan_folder(tmp_path).series).items()
    assert [picture.z for picture in glance.pictures] == [60, 0] and not glance.trouble


def test_spacing_of_rounded_positions_is_the_true_one(tmp_path):
    write_series(tmp_path, zs=[round(0.625 * i, 1) for i in range(24)])
    (entry,) = list_series(tmp_path).series
    assert float(entry.spacing.partition(" mm apart")[0]) == pytest.approx(0.625, abs=0.002)
