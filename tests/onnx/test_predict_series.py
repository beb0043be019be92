"""predict.py on folders that hold other things than one axial CT series: what an import says of them, it says too."""

import numpy as np
import pydicom
import pytest

from gluon_liver.archive.scan import scan_folder
from gluon_liver.readers.dicom import rules
from gluon_liver.readers.dicom.header import read_header
from tests.onnx.predict_names import predict
from tests.readers.ct_writer import CT, ENHANCED_CT, ct_dataset, write

CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
DOSE_REPORT = "1.2.840.10008.5.1.4.1.1.88.67"
PLAIN = ["ORIGINAL", "PRIMARY", "AXIAL"]
CORONAL = [1, 0, 0, 0, 0, -1]


def write_some(folder, *, series=1, count=4, first=0, **tags):
    for z in range(count):
        pixels = np.full((16, 16), 100 * series + z, np.int16)
        dataset = ct_dataset(series=series, instance=first + z, pixels=pixels, SeriesNumber=series, z=2.0 * z, **tags)
        write(dataset, folder / f"{series}-{first + z}.dcm")
    return folder


def read(path):
    return predict.read_volume(path, predict.parser().parse_args([str(path), "--out", "x.json"]))


@pytest.mark.parametrize(
    "tags, reason",
    [
        (dict(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), "a localizer by ImageType"),
        (dict(ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"]), "a dose or screen page by ImageType"),
        (dict(ImageType=["DERIVED", "SECONDARY", "AXIAL", "MIP"]), "a projection or curved reformat by ImageType"),
        (dict(ImageType=["DERIVED", "PRIMARY", "CT_MAX_IP"]), "a projection or curved reformat by ImageType"),
        (dict(ImageType=["DERIVED", "SECONDARY", "AXIAL"]), "derived by ImageType"),
        (dict(ImageType="DERIVED"), "derived by ImageType"),
        (dict(description="ART MIP 10mm"), "a projection or curved reformat by its description"),
        (dict(ImageOrientationPatient=CORONAL), "not axial by orientation"),
        (dict(SOPClassUID=CAPTURE), "a secondary capture, not a CT image"),
        (dict(SOPClassUID=CAPTURE + ".2"), "a secondary capture, not a CT image"),
        (dict(SOPClassUID=DOSE_REPORT), "a structured report (a dose report is one), not a CT image"),
        (dict(SOPClassUID="1.2.840.10008.5.1.4.1.1.4"), "its SOP class is not a CT image"),
        (dict(Modality="PT"), "its modality is not CT"),
        (dict(ImageType=["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"]), ""),
        (dict(description="ARTERIAL IMPROVED"), ""),
        *(
            (dict(RescaleType=unit), f"its values are {what} by RescaleType")
            for unit, what in rules.OTHER_VALUES.items()
        ),
        (dict(RescaleType="HU_MOD"), "modified HU by RescaleType"),
        (dict(RescaleType="HU"), ""),
        (dict(RescaleType="US"), ""),
    ],
)
def test_an_image_is_judged_as_an_import_judges_it(tags, reason, tmp_path):
    """Of the reason the words that an import has; a derived series needs its number."""
    path = write_some(tmp_path, count=1, **tags) / "1-0.dcm"
    image, header = pydicom.dcmread(path), read_header(path, 1, "file 1")
    own = predict.no_slice(image) or predict.no_plain_slice(image)
    dropped = header.dropped[1] if header.dropped else header.slices[0].kind_reason
    assert own.startswith(reason) and own.split(", series")[0] == dropped and bool(own) == bool(reason)


def test_other_series_beside_the_one_are_left_out_and_counted(tmp_path, capsys):
    folder = write_some(tmp_path)
    write_some(
        folder, series=2, count=1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], ImageOrientationPatient=CORONAL
    )
    write_some(folder, series=3, count=3, ImageType=["DERIVED", "SECONDARY", "MIP"])
    write_some(folder, series=4, count=2, SOPClassUID=CAPTURE)
    write_some(folder, series=5, count=5, ImageOrientationPatient=CORONAL)
    assert read(folder).hu[:, 0, 0].tolist() == [100, 101, 102, 103]
    said = capsys.readouterr().err
    for words in (
        "1 file(s): a localizer by ImageType",
        "3 file(s): a projection or curved reformat by ImageType (MIP, MinIP and the like), series 3",
        "2 file(s): a secondary capture, not a CT image",
        "5 file(s): not axial by orientation",
    ):
        assert words in said


def test_a_derived_series_is_taken_by_its_number_alone(tmp_path, capsys):
    folder = write_some(tmp_path, series=7, ImageType=["DERIVED", "SECONDARY", "AXIAL"])
    with pytest.raises(
        predict.Unusable, match="^.*0 series of CT images .*; left out: 4 file.* name it, FOLDER@NUMBER"
    ):
        read(folder)
    assert read(folder.with_name(folder.name + "@7")).hu.shape == (4, 16, 16)
    write_some(tmp_path, series=8, ImageOrientationPatient=CORONAL)
    with pytest.raises(predict.Unusable, match="0 series .*left out: 4 file.*not axial"):
        read(folder.with_name(folder.name + "@8"))
    assert "left out" not in capsys.readouterr().err


def test_values_whose_unit_is_not_said_are_taken_as_hu_and_counted(tmp_path, capsys):
    assert read(write_some(tmp_path, RescaleType="US")).hu.shape == (4, 16, 16)
    assert "4 image(s) have a RescaleType that does not say HU: their values are taken as HU" in capsys.readouterr().err
    note = "4 CT image(s), 4 files, 0001 to 0004, have a RescaleType that does not say HU (US is unspecified)"
    assert scan_folder(tmp_path).notes == [f"{note}: their values are taken as HU"]


def test_pages_and_strays_of_a_series_are_left_out_and_more_are_refused(tmp_path, capsys):
    folder = write_some(tmp_path)
    write_some(folder, first=10, count=1, ImagePositionPatient=None, ImageOrientationPatient=None)
    write_some(folder, first=20, count=1, PixelSpacing=[0.9, 0.9])
    assert read(folder).hu.shape == (4, 16, 16)
    assert "2 image(s) without a place, or of another size, orientation or pixel spacing" in capsys.readouterr().err
    write_some(folder, first=30, count=3, PixelSpacing=[0.9, 0.9])
    with pytest.raises(predict.Unusable, match="differ in size|missing or damaged"):
        read(folder)


def test_an_enhanced_localizer_is_none_the_less_one(tmp_path):
    folder = write_some(tmp_path, count=2)
    write_some(folder, series=2, count=1, SOPClassUID=ENHANCED_CT, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    assert len(read(folder).hu) == 2
    write_some(folder, series=3, count=1, SOPClassUID=ENHANCED_CT)
    with pytest.raises(predict.Unusable, match="3-0.dcm is an Enhanced CT"):
        read(folder)


def test_a_class_is_that_of_the_file_where_the_image_has_none(tmp_path):
    for path in write_some(tmp_path).iterdir():
        dataset = pydicom.dcmread(path)
        del dataset.SOPClassUID
        dataset.file_meta.MediaStorageSOPClassUID = CT
        dataset.save_as(path)
    assert len(read(tmp_path).hu) == 4
