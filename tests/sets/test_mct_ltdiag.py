"""MCT-LTDiag: what is found, what is left out and why, and boxes equal to those of the masks they come from."""

import pickle

import numpy as np
import pytest

from gluon_liver.errors import InputError
from gluon_liver.labels.masks import mask_boxes
from gluon_liver.sets.mct_ltdiag import MCTLTDiag

from .mct_ltdiag_set import CLASSES, TYPES, put, write_mct_ltdiag, write_table
from .truth import mask_truth


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mct")
    return folder, write_mct_ltdiag(folder, lacking=[("230218b1", "delay")])


def test_cases_with_phases_and_the_class_of_the_patient(source):
    found = MCTLTDiag().find(source[0])
    assert [case.name for case in found.cases] == sorted(TYPES)
    assert {case.name: dict(case.labels.classes) for case in found.cases} == {
        name: {1: CLASSES[kind]} for name, kind in TYPES.items()
    }
    assert list(found.cases[0].phases) == ["non_contrast", "arterial", "portal_venous", "delayed"]
    assert list(found.cases[1].phases) == ["non_contrast", "arterial", "portal_venous"]
    assert not found.left_out
    assert found.notes == ["1 of 5 cases have no delayed phase: it is absent in them"]
    pickle.dumps(found.cases)  # they go to processes


def test_boxes_are_those_of_the_mask(source):
    folder, masks = source
    for case in MCTLTDiag().find(folder).cases:
        stack = case.phases["portal_venous"].open()
        read = mask_boxes(case.labels.open(), {1: 0}, stack.geometry, ignored=(), min_mm=0)
        truth = mask_truth(masks[case.name])
        assert {z: one.boxes.tolist() for z, one in read.slices.items()} == {
            z: [list(map(float, box[:4])) for box in boxes] for z, boxes in truth.items()
        }
        assert len(read.lesions) == 2


@pytest.mark.parametrize("ending", ["tab", "csv"])
def test_both_forms_of_the_table(ending, tmp_path):
    write_mct_ltdiag(tmp_path, table=ending)
    assert len(MCTLTDiag().find(tmp_path).cases) == 5


def test_what_is_left_out_and_why(source, tmp_path):
    write_mct_ltdiag(tmp_path)
    rows = [(case, kind, "F", "42", "N") for case, kind in TYPES.items() if case != "230218a1"]
    rows += [("230218b1", "HCC", "M", "63", "Y"), ("230218c1", "ICC", "M", "63", "Y")]
    rows = [(case, "FNH" if case == "230525d1" else kind, *more) for case, kind, *more in rows]
    write_table(tmp_path, rows)
    (tmp_path / "240504e01" / "mask_pvp.nii.gz").unlink()
    (tmp_path / "240504e02.tar").write_bytes(b"")
    found = MCTLTDiag().find(tmp_path)
    assert [case.name for case in found.cases] == ["230218b1"]  # one row twice is one row
    assert {one.path: one.reason for one in found.left_out} == {
        "230218a1": "meta_info_patient has no row of it, so the class of its tumors is not known",
        "230218c1": "meta_info_patient has rows of it that differ: HH and ICC",
        "230525d1": "its type 'FNH' is none of HCC, ICC, CRLM, BCLM, HH",
        "240504e01": "it has no mask_pvp.nii.gz: nothing says where its tumors are",
        "240504e02.tar": "an archive: unpack each into a folder of its name, so that FOLDER/ID/NIFTI and "
        "FOLDER/ID/mask_pvp.nii.gz",
    }


def test_archives_alone_and_nothing_at_all_and_no_table(tmp_path):
    with pytest.raises(InputError, match="no MCT-LTDiag: no folder has NIFTI/pvp.nii.gz"):
        MCTLTDiag().find(tmp_path)
    (tmp_path / "230218a1.tar").write_bytes(b"")
    with pytest.raises(InputError, match="1 archives: unpack each into a folder of its name"):
        MCTLTDiag().find(tmp_path)
    (tmp_path / "230218a1" / "NIFTI").mkdir(parents=True)
    put(tmp_path / "230218a1" / "NIFTI" / "pvp.nii.gz", np.zeros((3, 8, 8), np.int16))
    with pytest.raises(InputError, match="meta_info_patient.tab of the set's page belongs there"):
        MCTLTDiag().find(tmp_path)
    (tmp_path / "meta_info_patient.xlsx").write_bytes(b"PK\3\4")
    with pytest.raises(InputError, match="save meta_info_patient.xlsx as meta_info_patient.csv"):
        MCTLTDiag().find(tmp_path)
    (tmp_path / "meta_info_patient.csv").write_text("ID,kind\n230218a1,HCC\n")
    with pytest.raises(InputError, match="lacks the column type: it has ID, kind"):
        MCTLTDiag().find(tmp_path)
