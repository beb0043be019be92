"""One study read from DICOM into memory: what was left out of it, and what there is to say of it."""

import gzip
import re
import shutil
import warnings

import pytest

import gluon_liver
from gluon_liver.prepare.ct import import_ct
from gluon_liver.prepare.ct_report import account_lines, odd_lines, report_lines
from gluon_liver.prepare.ct_study import read_dicom_study
from tests.readers.ct_writer import uid

from .ct_source import write_study

DELAYED = "st1/se3"


def cut(source):
    path = source / DELAYED / "3.dcm"
    path.write_bytes(path.read_bytes()[:700])


def lone(source):
    """Two of the four slices, so that the phase is absent in others."""
    for number in (2, 3):
        (source / DELAYED / f"{number}.dcm").unlink()


def twice(source):
    shutil.rmtree(source / DELAYED)
    write_study(source / "other", phases={"NON CONTRAST": 0.0, "ARTERIAL": 0.0, "DELAYED": 1.0, "DELAYED 2": 1.0})
    shutil.rmtree(source / "st1")


def packed(source):
    path = source / "st1" / "se2" / "3.dcm"
    path.with_suffix(".dcm.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


CASES = [
    (lambda source: None, "delayed: 1 of 1 study(s) (1 description pattern"),
    (cut, "quarantined: series 03 ("),
    (lone, "delayed: 1 of 1 study(s) (1 description pattern 1 of delayed), "),
    (twice, "quarantined: series 04 ("),
    (packed, "left out: "),
]


@pytest.mark.parametrize("change, said", CASES)
def test_what_was_left_out_is_what_an_import_says(source, out, change, said):
    change(source)
    account = read_dicom_study(source).account
    lines, imported = (
        [re.sub("case-[0-9a-f]+", "case", line) for line in each]
        for each in (account_lines(account, whole=""), report_lines(import_ct(source, out)))
    )
    assert any(said in line for line in lines), lines
    unlike = ("labels:", "patients:", "note: no --salt", "note: the case ids")
    assert [line for line in imported if line not in lines and not line.startswith(unlike)] == []


def test_a_library_warns_of_what_is_not_as_it_was_stored(source):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = read_dicom_study(source)
    resampled, airless = odd_lines(read.account)  # its delayed phase lies between the others' slices
    assert resampled == "delayed: 3 slice(s) resampled onto the reference grid"
    assert "no air (all pixels above -500 HU) in arterial of case-" in airless and " (1 of 1 studies): a map" in airless
    cut(source)
    with pytest.warns(UserWarning, match=r"quarantined: series 03 \(") as told:
        study = gluon_liver.read_study(source)
    assert len(told) == 1 and told[0].filename == __file__
    assert not study.present[study.phases.index("delayed")].any()
    assert uid(1) not in str(told[0].message) and "P1" not in str(told[0].message)
