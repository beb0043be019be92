"""predict.py on damaged, odd and wrong input: what an import refuses or counts, it refuses or counts too."""

import gzip
import json
import struct

import cv2
import nibabel
import numpy as np
import pydicom
import pytest

from gluon_liver.errors import InputError
from gluon_liver.prepare.ct_study import read_study
from gluon_liver.readers.image_folder import file_numbers, jpeg_has_end, open_image_folder
from tests.onnx.predict_names import predict
from tests.readers.us_writer import grey_frames, write_video

from .test_predict_series import read, write_some


def change(path, **tags):
    dataset = pydicom.dcmread(path)
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.save_as(path)


def bare(path):
    """Without the 128 bytes and DICM, and without the group of the file."""
    dataset = pydicom.dcmread(path)
    whole = path.read_bytes()
    length = dataset.file_meta.FileMetaInformationGroupLength
    path.write_bytes(whole[144 + length :])


def test_files_without_a_preamble_and_linked_folders_are_read(tmp_path):
    folder = write_some(tmp_path / "in", count=6)
    (tmp_path / "else").mkdir()
    for number in (3, 4):
        (folder / f"1-{number}.dcm").rename(tmp_path / "else" / f"{number}.dcm")
    (folder / "link").symlink_to(tmp_path / "else")
    (tmp_path / "else" / "loop").symlink_to(folder)
    for number in (0, 5):
        bare(folder / f"1-{number}.dcm")
    assert read(folder).hu[:, 0, 0].tolist() == [*range(100, 106)]
    assert read_study(folder, reference="arterial").hu[1, :, 0, 0].tolist() == [*range(100, 106)]


def test_what_is_no_dicom_is_counted(tmp_path, capsys):
    folder = write_some(tmp_path / "in")
    path = folder / "1-3.dcm"
    path.with_suffix(".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    (folder / "empty.dcm").write_bytes(b"")
    (folder / "thumb.dat").write_bytes(b"\2\0\0\0" + b"hello world" * 9)
    (folder / "gone.dcm").symlink_to(tmp_path / "none")
    assert len(read(folder).hu) == 3
    said = capsys.readouterr().err
    assert "3 file(s): no DICOM" in said and "1 file(s): a link to what is not there" in said


@pytest.mark.parametrize(
    "tags, message",
    [
        (dict(SeriesInstanceUID=None), None),
        (dict(BitsStored=20, HighBit=19), "bits 0 to 19 of 16"),
        (dict(BitsStored=12, HighBit=3), "bits -8 to 3 of 16"),
        (dict(NumberOfFrames=3), "3 frames"),
        (dict(PixelSpacing=[-0.5, -0.5]), "-0.5 x -0.5 mm: 1 to 4096 rows and columns of sizes above 0"),
        (dict(Rows=0), "0 x 16 pixels"),
        (dict(Rows=65535), "65535 x 16 pixels"),
        (dict(ImageOrientationPatient=[1, 0, 0, 0, 1]), "1-1.dcm is damaged"),
    ],
)
def test_layouts_that_no_ct_has_are_refused(tags, message, tmp_path):
    folder = write_some(tmp_path)
    for path in folder.iterdir() if "Bits" in str(tags) else [folder / "1-1.dcm"]:
        change(path, **{name: value for name, value in tags.items() if value is not None})
        if None in tags.values():
            dataset = pydicom.dcmread(path)
            del dataset.SeriesInstanceUID
            dataset.save_as(path)
    with pytest.raises(predict.Unusable, match=message or "1-1.dcm is damaged"):
        read(folder)


@pytest.mark.parametrize("length", range(200, 900, 100))
def test_a_file_that_is_cut_short_is_named_or_left_out_with_a_reason(length, tmp_path, capsys):
    folder = write_some(tmp_path, count=5)
    path = folder / "1-2.dcm"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(predict.Unusable, match="1-2.dcm|cut short|unevenly"):
        read(folder)


def test_phases_that_alternate_in_one_series_are_refused(tmp_path):
    folder = write_some(tmp_path / "a", count=6)
    for number in range(6):
        change(folder / f"1-{number}.dcm", AcquisitionNumber=number % 2)
    with pytest.raises(predict.Unusable, match="slices of several acquisitions alternate"):
        read(folder)
    # one behind the other, as a scanner may well number them; or one that lacks, or is another
    for name, numbers in (("b", "111222"), ("c", "111511"), ("d", "112211"), ("e", "11 111")):
        folder = write_some(tmp_path / name, count=6)
        for number, acquisition in enumerate(numbers):
            if acquisition != " ":
                change(folder / f"1-{number}.dcm", AcquisitionNumber=int(acquisition))
        assert len(read(folder).hu) == 6


def test_a_series_is_named_by_its_uid_where_numbers_do_not_tell(tmp_path):
    folder = write_some(write_some(tmp_path), series=2)
    for path in folder.glob("2-*.dcm"):
        change(path, SeriesNumber=1)
    with pytest.raises(predict.Unusable, match="name one, .*@SeriesInstanceUID, for its phase: series ") as raised:
        read(folder)
    uids = [word for word in str(raised.value).replace(",", " ").split() if word.count(".") > 3]
    assert sorted(read(folder.with_name(f"{folder.name}@{uid}")).hu[0, 0, 0] for uid in uids) == [100, 200]
    for path in folder.glob("2-*.dcm"):
        change(path, SeriesNumber=-4)
    assert read(folder.with_name(f"{folder.name}@-4")).hu[0, 0, 0] == 200


def test_phases_are_of_one_patient_and_not_one_series(tmp_path):
    one = read(write_some(tmp_path / "a"))
    other = read(write_some(tmp_path / "b", series=2))
    predict.check_apart(other, {"arterial": one})
    with pytest.raises(predict.Unusable, match="it is the same series as arterial"):
        predict.check_apart(one, {"arterial": one})
    with pytest.raises(predict.Unusable, match="it is the same series as arterial"):
        predict.check_apart(one._replace(series="1.2"), {"arterial": one})
    with pytest.raises(predict.Unusable, match="its PatientID is not that of arterial"):
        predict.check_apart(other._replace(patient="another"), {"arterial": one})


def test_a_phase_beside_the_reference_phase_is_refused_here_and_by_an_import(tmp_path):
    folder = write_some(tmp_path / "in", description="ARTERIAL")
    write_some(folder, series=2, description="DELAYED")
    for path in folder.glob("2-*.dcm"):
        x, y, z = pydicom.dcmread(path).ImagePositionPatient
        change(path, ImagePositionPatient=[x + 500, y, z])
    fixed, moving = (read(folder.with_name(f"{folder.name}@{number}")) for number in (1, 2))
    with pytest.raises(predict.Unusable, match="no pixel of it overlaps"):
        predict.on_grid(moving, fixed)
    with pytest.warns(UserWarning, match="no slice of delayed overlaps the reference phase arterial"):
        study = read_study(folder)
    assert not study.present[study.phases.index("delayed")].any()


def test_what_was_read_of_a_phase_is_told(capsys):
    volume = predict.Volume(np.zeros((4, 8, 8), np.int16), np.zeros(3), np.eye(3))
    predict.tell_phase("delayed", volume, np.array([True, False, True]), np.zeros((3, 9, 9), np.int16))
    predict.tell_phase("portal", None, np.zeros(3, bool), np.zeros((3, 9, 9), np.int16))
    assert capsys.readouterr().err.splitlines() == [
        "note: delayed: 4 slices of 8 x 8, absent in 1 of 3 slices of the reference phase, resampled onto its grid",
        "note: portal: absent",
    ]


def arguments(*words):
    return predict.parser().parse_args([*map(str, words), "--out", "x.json"])


def test_arrays_and_their_options(tmp_path):
    np.save(tmp_path / "a.npy", np.full((3, 8, 8), -1000, np.int16))
    np.savez(tmp_path / "b.npz", hu=np.full((3, 8, 8), -1000, np.int16), spacing=[5.0, 1, 1])
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "large.npy").write_bytes(whole.replace(b"(3, 8, 8)", b"(3, 8000000, 8000000)", 1))
    (tmp_path / "cut.npy").write_bytes(whole[:-9])
    for name, spacing, message in (
        ("a.npy", [5, 0.8, 0.4], "0.800 x 0.400 mm, no squares"),
        ("b.npz", [2, 0.8, 0.8], "it tells its spacing, .5.0, 1.0, 1.0. mm: leave --spacing out"),
        ("large.npy", [1, 1, 1], "no array of numbers"),
        ("cut.npy", [1, 1, 1], "no array of numbers"),
    ):
        with pytest.raises(predict.Unusable, match=message):
            predict.read_volume(tmp_path / name, arguments("x", "--spacing", *spacing))
    for name in ("a.npy", "b.npz"):
        assert predict.read_volume(tmp_path / name, arguments("x", "--spacing", 5, 1, 1)).hu.shape == (3, 8, 8)


@pytest.mark.parametrize("offset, kind, good", [(0, "<i2", 0), (np.nan, "<i2", 0), (-100, "<i2", 0), (352, "<i8", 1)])
def test_nifti_whose_voxels_begin_in_its_header_is_refused(tmp_path, offset, kind, good):
    data = np.full((4, 5, 6), -1000).astype(kind)
    image = nibabel.Nifti1Image(data, np.diag([-1, -1, 1, 1]), dtype=data.dtype)
    nibabel.save(image, tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[108:112] = struct.pack("<f", offset)
    (tmp_path / "a.nii").write_bytes(raw)
    if good:
        assert (predict.read_volume(tmp_path / "a.nii", arguments("x")).hu == -1000).all()
    else:
        with pytest.raises(predict.Unusable, match="vox_offset"):
            predict.read_volume(tmp_path / "a.nii", arguments("x"))


NAMES = [
    ["a_1_103000", "a_2_103007", "a_3_103009"],
    ["f1_v2", "f2_v2", "f4_v2"],
    ["a1", "b2", "c9"],
    ["f12"],
    ["x"],
    ["f1", "f01", "f2"],
]


@pytest.mark.parametrize("names", NAMES)
def test_frames_have_the_numbers_that_the_program_gives_them(names, tmp_path, capsys):
    for at, name in enumerate(names):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((8, 9, 3), at, np.uint8))
    (tmp_path / f"._{names[0]}.png").write_bytes(b"of macOS")
    assert predict.file_numbers(names) == file_numbers(names)
    found = [number for number, _ in predict.read_frames(tmp_path)]
    source = open_image_folder(tmp_path, "x")
    assert found == [number for number, _ in source.numbered()]
    assert ("are counted from 0" in capsys.readouterr().err) == (file_numbers(sorted(names)) is None)


def test_pictures_that_are_cut_short_or_several_or_of_other_sizes_are_refused(tmp_path):
    good = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8))[1].tobytes()
    pages = [np.full((8, 9, 3), page, np.uint8) for page in range(4)]
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "1.jpg").write_bytes(good[: len(good) // 2])
    (tmp_path / "pages").mkdir()
    cv2.imwritemulti(str(tmp_path / "pages" / "1.tif"), pages)
    (tmp_path / "sizes").mkdir()
    cv2.imwrite(str(tmp_path / "sizes" / "1.png"), pages[0])
    cv2.imwrite(str(tmp_path / "sizes" / "2.png"), pages[0][:7])
    for name, message in (("cut", "cut short"), ("pages", "4 pictures"), ("sizes", "2.png has another size than 1")):
        with pytest.raises(predict.Unusable, match=message):
            list(predict.read_frames(tmp_path / name))
        with pytest.raises(InputError):
            list(open_image_folder(tmp_path / name, "x").numbered())
    for code in (good, good[:-2], good[:-1], good + b"trailer"):
        assert predict.jpeg_has_end(code) == jpeg_has_end(code)


def test_grey_deep_and_transparent_pictures_are_read_as_opencv_reads_them(tmp_path):
    values = np.random.default_rng(0).integers(0, 255, (8, 9, 4)).astype(np.uint8)
    for name, one in (
        ("grey.png", values[..., 0]),
        ("deep.png", values[..., 0].astype(np.uint16) * 257),
        ("alpha.png", values),
        ("a.tif", values[..., 0]),
        ("a.bmp", values[..., :3]),
        ("a.jpg", values[..., 0]),
    ):
        cv2.imwrite(str(tmp_path / name), one)
        (found,) = predict.pictures(tmp_path / name)
        np.testing.assert_array_equal(found, cv2.imread(str(tmp_path / name))[..., ::-1], err_msg=name)


def test_videos_that_are_cut_short_are_refused(tmp_path):
    for name in ("a.avi", "a.mp4"):
        whole = write_video(tmp_path / name, grey_frames(range(0, 200, 5))).read_bytes()
        (tmp_path / f"cut-{name}").write_bytes(whole[: len(whole) * 2 // 3])
        assert len(list(predict.read_frames(tmp_path / name))) == 40
        piped = tmp_path / f"piped-{name}"
        piped.write_bytes(whole[:4] + b"\xff" * 4 + whole[8:] if name == "a.avi" else whole)
        assert len(list(predict.read_frames(piped))) == 40
        with pytest.raises(predict.Unusable, match="is cut short: it has"):
            list(predict.read_frames(tmp_path / f"cut-{name}"))


def test_a_manifest_that_is_none_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"task": "ct"}))
    for text in ("[]", '{"files": []}', '{"files": {}}', '{"files": {"config.json": 3}}'):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(predict.Unusable, match="is no whole folder of `export --onnx`"):
            predict.checked_config(tmp_path)


def test_both_files_appear_or_none(tmp_path, monkeypatch):
    own = tmp_path / "out.json.partial"
    own.write_text("mine")
    rows = [predict.coco(1, (0, 0.5, np.array([1.0, 2, 3, 4])), frame=0)]

    def full(self, *args, **options):
        if self.name.startswith(".out.csv"):
            raise OSError(28, "No space left on device")
        return write(self, *args, **options)

    write = predict.Path.write_text
    monkeypatch.setattr(predict.Path, "write_text", full)
    with pytest.raises(predict.Unusable, match="out.csv cannot be written: No space left"):
        predict.written(rows, ["tumor"], tmp_path / "out.json", "frame")
    assert [path.name for path in tmp_path.iterdir()] == ["out.json.partial"] and own.read_text() == "mine"
    monkeypatch.undo()
    (tmp_path / "out.csv").mkdir()  # so that the second of the two cannot be put in its place
    with pytest.raises(predict.Unusable, match="out.csv cannot be written"):
        predict.written(rows, ["tumor"], tmp_path / "out.json", "frame")
    (tmp_path / "out.csv").rmdir()
    assert [path.name for path in tmp_path.iterdir()] == ["out.json.partial"]
    predict.written([], ["tumor"], tmp_path / "out.json", "frame")
    assert (tmp_path / "out.csv").read_text() == "frame,class,score,x,y,width,height\n"
