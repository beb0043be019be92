from __future__ import annotations

import hashlib
import struct
import warnings

import numpy as np
import pytest

from gluon_liver.data.study import Study, StudyRecord, StudySource, fingerprint, new_volume, stored_slices
from gluon_liver.errors import DatasetError, GeometryError, InputError, PhaseError
from gluon_liver.prepare.align import check_frame_of_reference, put_on_grid
from gluon_liver.structures.geometry import Geometry
from gluon_liver.structures.slice_mapping import SliceHistory, SliceMapping
from gluon_liver.structures.volume_stack import VolumeStack
from tests.conftest import change_json

IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))

UNTOUCHED = SliceHistory()
GRID = Geometry((0, 0, 0), (1, 1, 1), IDENTITY, (3, 4, 4)).to_json()


def stack_of(hu, geometry, history=UNTOUCHED):
    """A series that is decoded already."""

    def decode(put):
        for z in reversed(range(len(hu))):
            put(z, hu[z])

    mapping = SliceMapping.to_patient_axes([1, 0, 0, 0, 1, 0], hu.shape[1:], geometry.spacing[1:])
    return VolumeStack(geometry, mapping.with_slices(range(len(hu))), history, decode)


def ramp(origin, spacing, size, *, direction=IDENTITY, history=UNTOUCHED):
    """HU = 100 + 10 z + 4 y + 2 x in world mm: linear interpolation must give exactly this anywhere."""
    geometry = Geometry(origin, spacing, direction, size)
    world = geometry.index_to_world(np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), axis=-1))
    hu = np.rint(100 + 10 * world[..., 2] + 4 * world[..., 1] + 2 * world[..., 0]).astype(np.int16)
    return stack_of(hu, geometry, history)


def put_on(moving, fixed):
    """(HU of a phase on the grid of another, which of its slices are there)"""
    hu = np.zeros(fixed.geometry.size, np.int16)
    return hu, put_on_grid(moving, fixed.geometry, hu.__setitem__).present


def test_a_phase_on_another_grid_is_resampled_by_world_coordinates():
    fixed = ramp((0.0, 0.0, 0.0), (2.0, 1.0, 1.0), (5, 12, 12))
    moving = ramp((-3.0, -5.0, -3.0), (3.0, 0.5, 0.5), (6, 60, 60))
    hu, present = put_on(moving, fixed)
    assert hu.dtype == np.int16 and np.abs(hu.astype(int) - fixed.read()).max() <= 1
    assert present.tolist() == [True] * 5
    assert np.array_equal(put_on(fixed, fixed)[0], fixed.read())


def test_resampling_slab_by_slab_gives_what_the_whole_volume_gives():
    import SimpleITK as sitk

    rng, cos, sin = np.random.default_rng(0), np.cos(0.02), np.sin(0.02)
    tilted = ((1.0, 0.0, 0.0), (0.0, cos, -sin), (0.0, sin, cos))
    geometry = Geometry((-3.1, 2.2, -7.3), (1.7, 0.9, 1.1), tilted, (50, 20, 24))
    moving = stack_of(rng.integers(-1000, 1000, geometry.size).astype(np.int16), geometry)
    grid = Geometry((0.3, 0.1, 0.2), (2.1, 1.0, 1.0), IDENTITY, (45, 20, 24))
    placed = np.zeros(grid.size, np.int16)
    present = put_on_grid(moving, grid, placed.__setitem__).present
    target = grid.to_sitk(placed)
    image = geometry.to_sitk(moving.read())
    whole = sitk.Resample(image, target, sitk.Transform(), sitk.sitkLinear, -1024.0, sitk.sitkFloat32)
    expected = np.rint(sitk.GetArrayFromImage(whole)).astype(int)
    assert 30 < present.sum() < 45
    assert np.abs(placed[present] - expected[present]).max() <= 1
    assert (placed[present] != expected[present]).mean() < 1e-3 and (placed[~present] == -1024).all()


def test_a_stack_that_runs_the_other_way_in_its_plane_lands_in_place():
    fixed = ramp((0.0, 0.0, 0.0), (2.0, 1.0, 1.0), (3, 8, 8))
    prone = ((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0))
    moving = ramp((20.0, 20.0, 0.0), (2.0, 1.0, 1.0), (3, 40, 40), direction=prone)
    assert np.array_equal(put_on(moving, fixed)[0], fixed.read())


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
    hu, present = put_on(moving, fixed)
    assert present.tolist() == expected
    assert (hu[~present] == -1024).all() and (hu[present] > -1024).all()


def test_outside_the_field_of_view_is_air():
    fixed = ramp((0.0, 0.0, 0.0), (2.0, 1.0, 1.0), (3, 8, 8))
    hu, _ = put_on(ramp((2.0, 2.0, 0.0), (2.0, 1.0, 1.0), (3, 4, 4)), fixed)
    assert (hu[:, 2:6, 2:6] == fixed.read()[:, 2:6, 2:6]).all()
    assert (hu[:, 0] == -1024).all() and (hu[:, :, 7] == -1024).all()


def test_what_was_done_to_a_phase_is_told_by_the_slices_of_the_reference():
    fixed = ramp((0.0, 0.0, 0.0), (2.0, 1.0, 1.0), (6, 4, 4))
    for z0, interpolated, shifted in ((0.0, (2,), (4,)), (1.0, (2, 3), (4, 5)), (-2.0, (1,), (3,))):
        done = SliceHistory(interpolated=(2,), shifted=(4,))
        moving = ramp((0.0, 0.0, z0), (2.0, 1.0, 1.0), (6, 4, 4), history=done)
        history = put_on_grid(moving, fixed.geometry, lambda z, plane: None).history
        assert (history.interpolated, history.shifted) == (interpolated, shifted)
        assert history.resampled == (z0 != 0)


@pytest.mark.parametrize("frame", ["1.3", ""])
def test_another_frame_of_reference_is_refused(frame):
    with pytest.raises(PhaseError, match="FrameOfReferenceUID"):
        check_frame_of_reference("1.2", frame, "b", "a")


def test_a_study_comes_back_and_a_damaged_one_is_refused(tmp_path):
    fixed = ramp((0.0, 0.0, 0.0), (2.0, 1.0, 1.0), (3, 4, 4))
    geometry, present = fixed.geometry, np.array([[True] * 3, [False] * 3])
    hu = np.stack([fixed.read(), np.full((3, 4, 4), -1024, np.int16)])
    source = StudySource({"a": 4}, {"a": SliceHistory((1,), (), (0, 2))}, fixed.mapping)
    folder = tmp_path / "case-1"
    Study("case-1", "patient-1", ("a", "b"), "a", present, geometry, source, hu).save(folder)
    study = Study.load(folder)
    assert isinstance(study.hu, np.memmap) and np.array_equal(study.hu, hu)
    assert np.array_equal(study.present, present) and study.geometry == geometry and study.source == source
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
            with pytest.raises(DatasetError, match="case-1/study.json:? .*; import the study again"):
                kind.load(folder)


@pytest.mark.parametrize(
    "values, found",
    [
        ({"case": None}, "case: expected str, found None"),
        ({"patient": ["x"]}, r"patient: expected str, found \['x'\]"),
        ({"present": [["no", 1, 2]]}, r"present\[0\]: expected bool, found 'no'"),
        ({"present": [[True] * 2]}, r"present is \(\(True, True\),\): it must be 1 lists of 3"),
        ({"present": [[True] * 3] * 2}, "present is .*: it must be 1 lists of 3"),
        ({"reference_phase": "b"}, "reference_phase is 'b': it must be one of a"),
        ({"geometry": {**GRID, "spacing": [1, 0, 1]}}, r"geometry.spacing is \(1.0, 0.0, 1.0\): it must be above 0"),
        ({"geometry": {**GRID, "size": [3, 4, 0]}}, r"geometry.size is \(3, 4, 0\): it must be above 0"),
    ],
)
def test_a_wrong_record(tmp_path, values, found):
    Study.from_arrays(np.zeros((3, 4, 4)), spacing=(1, 1, 1), phases=["a"]).save(tmp_path)
    change_json(tmp_path / "study.json", **values)
    with pytest.raises(DatasetError, match=f"study.json: {found}.*; import the study again"):
        StudyRecord.load(tmp_path)


def test_a_study_of_arrays_is_rounded_and_air_where_it_is_absent():
    hu, present = np.full((2, 3, 4, 4), 7, np.int16), np.array([[True] * 3, [True, False, True]])
    study = Study.from_arrays(hu, spacing=(1, 1, 1), phases=["a", "b"], present=present)
    assert (study.hu[~present] == -1024).all() and (study.hu[present] == 7).all() and (hu == 7).all()
    lacking = study.in_phases(["c", "b"])
    assert lacking.present.tolist() == [[False] * 3, [True, False, True]]
    assert (lacking.hu[0] == -1024).all() and np.array_equal(lacking.hu[1], study.hu[1])
    for value, expected in ((0.75, 1), (-0.75, -1), (-3000.0, -1024), (40000.0, 32767)):
        assert (Study.from_arrays(hu[0] * 0 + value, spacing=(1, 1, 1), phases=["a"]).hu == expected).all()


def test_a_direction_is_at_right_angles_to_a_thousandth():
    tilt, arrays = np.eye(3, k=1), dict(hu=np.zeros((1, 4, 4)), spacing=(1, 1, 1), phases=["a"])
    assert Study.from_arrays(**arrays, direction=np.eye(3) + 1e-4 * tilt).geometry.direction[0][1] == 1e-4
    with pytest.raises(GeometryError, match="at right angles"):
        Study.from_arrays(**arrays, direction=np.eye(3) + 2e-2 * tilt)


@pytest.mark.parametrize("action", ["error", "always"])
def test_rows_of_several_lengths_are_refused_without_a_warning(action):
    with warnings.catch_warnings(record=True) as shown, pytest.raises(InputError, match="hu is no array"):
        warnings.simplefilter(action)
        Study.from_arrays([[[1, 2], [3]]], spacing=(1, 1, 1), phases=["a"])
    assert not shown


def test_a_fingerprint_is_the_hash_of_the_voxels_in_c_order():
    volume = np.array([[[1, -2], [3, 4]]], np.int16)
    expected = hashlib.sha256(struct.pack("<4h", 1, -2, 3, 4)).hexdigest()
    for same in (volume, np.asfortranarray(volume), volume.astype(">i2")):
        assert fingerprint(same) == expected
    assert fingerprint(volume[..., ::-1]) != expected


def test_a_volume_written_slice_by_slice_is_the_file_that_numpy_writes(tmp_path):
    hu = np.arange(2 * 3 * 4 * 5, dtype=np.int16).reshape(2, 3, 4, 5)
    with new_volume(tmp_path / "a", hu.shape) as put:
        for phase, z in ((1, 2), (0, 1), (1, 0), (0, 0), (0, 2), (1, 1)):
            put(phase, z, hu[phase, z])
    np.save(tmp_path / "b.npy", hu)
    assert (tmp_path / "a" / "volume.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    assert np.array_equal(np.stack([*stored_slices(tmp_path / "a", 1)]), hu[1])
