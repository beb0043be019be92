"""A study of 12 slices with two lesions, made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from gluon_liver.data.study import Study
from gluon_liver.prepare.ct_study import read_dicom_study
from gluon_liver.results.formats import write_results
from gluon_liver.results.found import Found
from gluon_liver.results.source_series import SourceSeries
from gluon_liver.structures.detections import NOTHING, Detections
from gluon_liver.structures.lesions import find_lesions

from .series import BOXES as SERIES_BOXES
from .series import write_series

CLASSES = ("cyst", "hemangioma", "hcc")
# rows run to the patient's right, columns to the back: x of the index is +y of the patient, y of the index is -x
TURNED = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


def found_in(study, boxes, *, shape="boxes"):
    """boxes: (slice, corners, class, score) of a study; joined and described as detect does."""
    slices = [NOTHING] * study.geometry.size[0]
    for place in {one[0] for one in boxes}:
        here = [one for one in boxes if one[0] == place]
        columns = (np.array([one[k] for one in here]) for k in (1, 3, 2))
        slices[place] = Detections(*columns)
    lesions = find_lesions(slices, geometry=study.geometry, classes=CLASSES, score_threshold=0.5)
    entries = [one.to_json() for one in lesions]
    ids = [-1 - place for place in range(len(slices))]
    return Found(study, slices, ids, lesions, entries, "r50", "best", CLASSES, shape)


BOXES = [
    (3, [10.0, 20.0, 30.0, 44.0], 2, 0.9),
    (4, [11.25, 20.0, 31.0, 41.5], 2, 0.8),
    (9, [2.0, 3.0, 8.0, 9.0], 0, 0.7),
    (9, [50.0, 50.0, 58.0, 58.0], 1, 0.2),
]


@pytest.fixture
def study():
    arguments = dict(spacing=(5.0, 0.8, 0.5), phases=["arterial"], origin=(-100.0, -90.0, 50.0), direction=TURNED)
    return Study.from_arrays(np.zeros((12, 60, 64), np.int16), **arguments)


@pytest.fixture
def found(study):
    return found_in(study, BOXES)


@pytest.fixture(scope="session")
def read_found():
    """read_found(folder, boxes): the one series of a folder of DICOM as a study, with boxes found in it."""

    def read(folder, boxes, *, shape="boxes", regrid=False):
        study, series, _ = read_dicom_study(folder, regrid=regrid)
        return replace(found_in(study, boxes, shape=shape), series=SourceSeries.of(series, study))

    return read


@pytest.fixture(scope="module")
def made(tmp_path_factory, read_found):
    """(folder of the series, what was found in it, folder of both objects)"""
    folder, out = tmp_path_factory.mktemp("series"), tmp_path_factory.mktemp("out")
    found = read_found(write_series(folder, PatientName="Müller^Jörg", SpecificCharacterSet="ISO_IR 100"), SERIES_BOXES)
    assert write_results(out, found, ["dicom-sr", "dicom-seg"]) == ["lesions-sr.dcm", "lesions-seg.dcm"]
    return folder, found, out
