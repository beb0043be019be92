from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest

from gluon_liver.data.study import Study, StudyRecord, fingerprint
from gluon_liver.errors import DatasetError, PhaseError
from gluon_liver.prepare.align import assemble
from gluon_liver.readers.dicom.volume import Volume
from gluon_liver.structures.geometry import Geometry

IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def ramp(origin, spacing, size, *, frame="1.2", direction=IDENTITY):
    """HU = 100 + 10 z + 4 y + 2 x in world mm: linear interpolation must give exactly this anywhere."""
    geometry = Geometry(origin, spacing, direction, size)
    world = geometry.index_to_world(np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), axis=-1))
    hu = np.rint(100 + 10 * world[..., 2] + 4 * world[..., 1] + 2 * world[..., 0]).astype(np.int16)
    n = size[0]
    return Volume(hu, geometry, ("u",) * n, frame, np.arange(n), np.zeros((n, 2)))


def test_a_phase_on_another_grid_is_resampled_by_world_coordinates():
    fixed = ramp((0.0, 0.0, 0.0), (2.0, 1.0, 1.0), (5, 12, 12))
    moving = ramp((-3.0, -5.0, -3.0), (3.0, 0.5, 0.5), (6, 60, 60))
    hu, present, geometry = assemble({"a": fixed, "b": moving}, ("b", "a", "c"), "a")
    assert geometry is fixed.geometry and hu.shape == (3, 5, 12, 12) and hu.dtype == np.int16
    assert np.array_equal(hu[1], fixed.hu)
    assert np.abs(hu[0].astype(int) - fixed.hu).max() <= 1
    assert present.tolist() == [[True] * 5, [True] * 5, [False] * 5]
    assert (hu[2] == -1024).all()


def test_a_stack_that_runs_the_other_way_in_its_plane_lands_in_place():
    fixed = ramp((0.0, 0.0, 0.0), (2.0, 1.0, 1.0), (3, 8, 8))
    prone = ((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0))
    moving = ramp((20.0, 20.0, 0.0), (2.0, 1.0, 1.0), (3, 40, 40), direction=prone)
    hu, _, _ = assemble({"a": fixed, "b": moving}, ("a", "b"), "a")
    assert np.array_equal(hu[0], hu[1])


@pytest.mark.parametrize(
    "z0, expected",
    [
        # The moving stack has 3 slices of 2 mm from z0: it reaches from z0 - 1 to z0 + 5.
        (0.0, [True, True, True, False, False]),
        (0.9, [True, True, True, False, False]),
        (1.1, [False, True, True, True, False]),
        (1.0, [False, True, True, False, False]),
        (-0.9, [True, True, True, False, False]),
        (-1.1, [True, True, False, False, False]),
        (50.0, [False] * 5),
    ],
)
def test_slices_outside_the_moving_stack_are_absent(z0, expected):
    fixed = ramp((0.0, 0.0, 0.0), (2.0, 1.0, 1.0), (5, 4, 4))
    moving = ramp((0.0, 0.0, z0), (2.0, 1.0, 1.0), (3, 4, 4))
    hu, present, _ = assemble({"a": fixed, "b": moving}, ("a", "b"), "a")
    assert present[1].tolist() == expected
    assert (hu[1][~present[1]] == -1024).all() and (hu[1][present[1]] > -1024).all()


def test_outside_the_field_of_view_is_air():
    fixed = ramp((0.0, 0.0, 0.0), (2.0, 1.0, 1.0), (3, 8, 8))
    moving = ramp((2.0, 2.0, 0.0), (2.0, 1.0, 1.0), (3, 4, 4))
    hu, _, _ = assemble({"a": fixed, "b": moving}, ("a", "b"), "a")
    assert (hu[1, :, 2:6, 2:6] == fixed.hu[:, 2:6, 2:6]).all()
    assert (hu[1, :, 0] == -1024).all() and (hu[1, :, :, 7] == -1024).all()


@pytest.mark.parametrize("frame", ["1.3", ""])
def test_another_frame_of_reference_is_refused(frame):
    fixed = ramp((0.0, 0.0, 0.0), (2.0, 1.0, 1.0), (3, 4, 4))
    moving = ramp((0.0, 0.0, 0.0), (2.0, 1.0, 1.0), (3, 4, 4), frame=frame)
    with pytest.raises(PhaseError, match="FrameOfReferenceUID"):
        assemble({"a": fixed, "b": moving}, ("a", "b"), "a")
    with pytest.raises(PhaseError, match="no volume of the reference phase"):
        assemble({"b": moving}, ("a", "b"), "a")


def test_a_study_comes_back_and_a_damaged_one_is_refused(tmp_path):
    fixed = ramp((0.0, 0.0, 0.0), (2.0, 1.0, 1.0), (3, 4, 4))
    hu, present, geometry = assemble({"a": fixed}, ("a", "b"), "a")
    folder = tmp_path / "case-1"
    Study("case-1", "patient-1", ("a", "b"), "a", present, geometry, {}, hu).save(folder)
    study = Study.load(folder)
    assert isinstance(study.hu, np.memmap) and np.array_equal(study.hu, hu)
    assert np.array_equal(study.present, present) and study.geometry == geometry
    path = folder / "volume.npy"
    for content, where in ((path.read_bytes()[:-10], "volume.npy"), (b"", ".*")):
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=f"case-1/{where} is damaged; import the study again"):
            Study.load(folder)
    path.unlink()
    with pytest.raises(DatasetError, match="case-1/volume.npy is missing; import the study again"):
        Study.load(folder)
    np.save(path, hu[:1])
    with pytest.raises(DatasetError, match=r"describes int16 \(2, 3, 4, 4\)"):
        Study.load(folder)
    assert StudyRecord.load(folder).geometry == geometry
    for text in ("{}", "[]", "{", "[" * 100_000):
        (folder / "study.json").write_text(text)
        for kind in (Study, StudyRecord):
            with pytest.raises(DatasetError, match="case-1/study.json .*; import the study again"):
                kind.load(folder)


def test_a_fingerprint_is_the_hash_of_the_voxels_in_c_order():
    volume = np.array([[[1, -2], [3, 4]]], np.int16)
    expected = hashlib.sha256(struct.pack("<4h", 1, -2, 3, 4)).hexdigest()
    for same in (volume, np.asfortranarray(volume), volume.astype(">i2")):
        assert fingerprint(same) == expected
    assert fingerprint(volume[..., ::-1]) != expected
