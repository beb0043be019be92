"""Which stacks make a grid, what --regrid makes of the others, within which bounds, and what it says of it."""

from __future__ import annotations

import numpy as np
import pytest

from gluon_liver import errors
from gluon_liver.archive.scan import scan_folder
from gluon_liver.prepare.grid_report import grid_record, grid_words
from gluon_liver.readers.dicom.volume import open_series
from tests.readers.loaded import load_series

from .ct_writer import ct_dataset, write, write_series


def stack(folder, **options):
    (series,) = scan_folder(folder).series
    return open_series(series, **options)


def hu_at(folder, **options):
    (series,) = scan_folder(folder).series
    return load_series(series, **options).hu[:, 0, 0].tolist()


@pytest.mark.parametrize("digits", [1, 2])
@pytest.mark.parametrize("spacing", [1.25, 0.625, 5 / 3, 3.27])
@pytest.mark.parametrize("start", [0.0, -103.4375])
def test_rounded_positions_lie_on_a_line(tmp_path, spacing, digits, start):
    zs = [round(start + spacing * i, digits) for i in range(30)]
    write_series(tmp_path, zs=zs)
    for regrid in (False, True):
        grid = stack(tmp_path, regrid=regrid)
        assert grid.geometry.spacing[0] == pytest.approx(spacing, abs=2e-3)
        assert grid.geometry.origin[2] == pytest.approx(start, abs=0.05)
        assert grid.history.interpolated == grid.history.blended == () and grid.mapping.slices == tuple(range(30))
    assert hu_at(tmp_path) == list(range(30))


def test_rounded_positions_are_counted_and_a_missing_slice_among_them_is_still_a_gap(tmp_path):
    zs = [round(1.25 * i, 1) for i in range(12)]
    write_series(tmp_path / "all", zs=zs)
    assert 0 < stack(tmp_path / "all").off_line <= 12
    write_series(tmp_path / "gap", zs=zs[:5] + zs[6:])
    with pytest.raises(errors.SliceGapError, match="--regrid, which interpolates 1 of 12 slices"):
        stack(tmp_path / "gap")
    # the slices that are there stay as they are
    assert hu_at(tmp_path / "gap", regrid=True) == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9, 10]


def test_positions_in_whole_millimetres_are_rounded_ones_for_regrid_alone(tmp_path):
    write_series(tmp_path, zs=[float(int(2.5 * i + 0.5)) for i in range(20)])
    with pytest.raises(errors.SliceSpacingError, match="--regrid, which puts 20 slices on the line"):
        stack(tmp_path)
    grid = stack(tmp_path, regrid=True)
    assert grid.geometry.spacing[0] == pytest.approx(2.5, abs=0.01) and grid.off_line == 20
    assert hu_at(tmp_path, regrid=True) == list(range(20))


def test_slices_between_places_of_the_usual_spacing_are_counted(tmp_path):
    zs = [5.0 * i for i in range(8)] + [35 + 2.5 * i for i in range(1, 5)] + [45 + 5.0 * i for i in range(1, 9)]
    write_series(tmp_path, zs=zs)
    with pytest.raises(errors.SliceSpacingError, match="--regrid, which shows 2 slices nowhere, for they lie between"):
        stack(tmp_path)
    grid = stack(tmp_path, regrid=True)
    assert [source for source, z in enumerate(grid.mapping.slices) if z < 0] == [8, 10]
    record = grid_record(grid, grid.history, len(grid.sop_instance_uids))
    assert record["slices_between"] == 2 and "2 slice(s) shown nowhere" in grid_words([record])[0]


@pytest.mark.parametrize(
    "zs",
    [
        (0, 2.0, 4.1, 6.1, 8.1, 10.1),  # one step differs: a slice that was moved, not rounding
        (0, 2.0, 4.3, 6.3, 8.3, 10.6, 12.6),
        (0, 1, 3, 4, 6, 7, 9),  # whole millimetres are too coarse to tell
        (0, 2.0, 4.15, 6.05, 8.2, 10.0, 12.05),  # written to 0.01 mm, off by more
        (0, 1.9, 4.0, 6.2, 8.5, 10.9, 13.4),  # the spacing grows
    ],
)
def test_what_rounding_does_not_explain_is_uneven(tmp_path, zs):
    write_series(tmp_path, zs=zs)
    with pytest.raises(errors.GeometryError, match="unevenly spaced|lacks slices"):
        stack(tmp_path)


@pytest.mark.parametrize("missing, taken", [(1, True), (2, True), (3, False), (10, False)])
def test_a_gap_is_interpolated_up_to_two_slices(tmp_path, missing, taken):
    zs = [2.0 * i for i in range(5)] + [2.0 * (i + missing) for i in range(5, 10)]
    write_series(tmp_path, zs=zs)
    between = f"file 0005 and file 0006 \\({2.0 * (missing + 1):.3f} mm instead of 2.000 mm\\)"
    if taken:
        with pytest.raises(errors.SliceGapError, match=f"{between}.*--regrid, which interpolates {missing} of"):
            stack(tmp_path)
        assert stack(tmp_path, regrid=True).history.interpolated == tuple(range(5, 5 + missing))
    else:
        with pytest.raises(errors.SliceGapError, match=f"{between}.*--regrid refuses a gap of more than 2 slices too"):
            stack(tmp_path)
        with pytest.raises(errors.SliceGapError, match=f"lacks too many slices between {between}"):
            stack(tmp_path, regrid=True)


@pytest.mark.parametrize(
    "zs, left, place",
    [
        ((0, 2, 4, 6, 8, 100), "file 0006", 5),
        ((-300, 0, 2, 4, 6, 8), "file 0001", 0),
        ((0, 2, 4, 6, 8, 16.6), "file 0006", 5),
    ],
)
def test_a_lone_slice_far_off_is_named_and_left_out(tmp_path, zs, left, place):
    write_series(tmp_path, zs=zs)
    with pytest.raises(errors.SliceGapError, match=f"--regrid, which leaves {left} out, .* mm off the others"):
        stack(tmp_path)
    grid = stack(tmp_path, regrid=True)
    (rejection,) = grid.left_out.values()
    assert (rejection.where, rejection.kind, [*grid.left_out]) == (left, "stray-slice", [place])
    assert grid.geometry.size[0] == 5 and grid.history.interpolated == ()
    assert [z for z in grid.mapping.slices if z >= 0] == [0, 1, 2, 3, 4] and grid.mapping.slices[place] == -1
    assert len(hu_at(tmp_path, regrid=True)) == 5


def test_two_slices_far_off_and_a_stack_in_two_halves_are_refused(tmp_path):
    write_series(tmp_path / "two", zs=(0, 2, 4, 6, 100, 102))
    write_series(tmp_path / "few", zs=(0, 2, 100))
    for name in ("two", "few"):
        with pytest.raises(errors.SliceGapError, match="lacks too many slices"):
            stack(tmp_path / name, regrid=True)


def test_a_stray_slice_beside_a_gap_and_a_tilt(tmp_path):
    tilt = [1, 0, 0, 0, round(np.cos(0.2), 9), round(-np.sin(0.2), 9)]
    pixels = np.zeros((60, 60), np.int16)
    write_series(tmp_path, zs=(0, 2, 4, 8, 10, 90), ImageOrientationPatient=tilt, pixels=pixels)
    grid = stack(tmp_path, regrid=True)
    assert grid.mapping.slices == (0, 1, 2, 4, 5, -1) and grid.history.interpolated == (3,)
    assert grid.history.shifted == (0, 1, 4, 5) and len(grid.mapping.shifts) == 6


def test_a_slice_that_would_leave_its_image_is_refused_with_regrid_too(tmp_path):
    for i in range(5):
        ds = ct_dataset(instance=i, ImagePositionPatient=[5.0 * (i == 4), 0, 2.0 * i])
        write(ds, tmp_path / f"{i}.dcm")
    with pytest.raises(errors.GantryTiltError, match="--regrid refuses it too"):
        stack(tmp_path)
    with pytest.raises(errors.GantryTiltError, match="more than half of the image"):
        stack(tmp_path, regrid=True)


def test_uneven_slices_say_how_many_would_be_interpolated(tmp_path):
    write_series(tmp_path, zs=(0, 2, 4.8, 6, 8.4, 10))
    with pytest.raises(errors.SliceSpacingError, match="interpolates 1 of 6 slices, blends with a neighbour 1 of 6"):
        stack(tmp_path)


def test_positions_that_waver_by_a_percent_are_put_on_their_line_with_regrid(tmp_path):
    write_series(tmp_path, zs=[round(2.5 * i + 0.02 * (-1) ** i, 2) for i in range(8)])
    with pytest.raises(errors.SliceSpacingError, match="--regrid, which puts 8 slices on the line"):
        stack(tmp_path)
    assert hu_at(tmp_path, regrid=True) == list(range(8)) and stack(tmp_path, regrid=True).off_line == 8


def test_pixels_too_oblong_to_be_made_square_are_refused(tmp_path):
    write_series(tmp_path, PixelSpacing=[0.001, 0.5])
    with pytest.raises(errors.OversizeError, match="would need 4 slices of 16x8000 pixels"):
        stack(tmp_path)


ORIENTATIONS = {
    "prone": ([-1, 0, 0, 0, -1, 0], lambda a: a[::-1, ::-1], (1, 1)),
    "feet first": ([-1, 0, 0, 0, 1, 0], lambda a: a[:, ::-1], (1, 0)),
    "upside down": ([1, 0, 0, 0, -1, 0], lambda a: a[::-1], (0, 1)),
    "turned by 90": ([0, 1, 0, -1, 0, 0], lambda a: np.rot90(a), (1, 0)),
    "turned by 270": ([0, -1, 0, 1, 0, 0], lambda a: np.rot90(a, 3), (0, 1)),
    "transposed": ([0, 1, 0, 1, 0, 0], lambda a: a.T, (0, 0)),
}


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_a_series_in_any_direction_gives_the_voxels_and_the_grid_of_the_upright_one(tmp_path, name):
    orientation, as_stored, far = ORIENTATIONS[name]
    rng = np.random.default_rng(0)
    planes = rng.integers(-500, 500, (4, 12, 9)).astype(np.int16)
    for i, plane in enumerate(planes):
        spacing = [0.5, 0.5]
        upright = dict(ImagePositionPatient=[-10, -20, 2.0 * i], PixelSpacing=spacing)
        write(ct_dataset(instance=i, pixels=plane, **upright), tmp_path / "up" / f"{i}.dcm")
        corner = [-10 + far[0] * 8 * 0.5, -20 + far[1] * 11 * 0.5, 2.0 * i]
        tags = dict(ImagePositionPatient=corner, ImageOrientationPatient=orientation, PixelSpacing=spacing)
        pixels = np.ascontiguousarray(as_stored(plane))
        write(ct_dataset(instance=i, pixels=pixels, **tags), tmp_path / "other" / f"{i}.dcm")
    (upright,), (other,) = scan_folder(tmp_path / "up").series, scan_folder(tmp_path / "other").series
    upright, other = load_series(upright), load_series(other)
    assert np.array_equal(upright.hu, other.hu) and np.array_equal(upright.hu, planes)
    assert other.geometry.same_grid(upright.geometry)
    assert np.allclose(other.geometry.direction, np.eye(3))
    # a pixel of the file and its place on the grid are one point of the world
    box = np.array([[2, 3, 3, 4]])
    x, y = other.mapping.to_stored(box, 1)[0][:2]
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    corner = np.array([-10 + far[0] * 8 * 0.5, -20 + far[1] * 11 * 0.5, 2.0])
    assert other.geometry.index_to_world([1, y, x]) == pytest.approx(corner + row * 2 * 0.5 + column * 3 * 0.5)


def test_pixels_are_made_square_between_their_centres(tmp_path):
    """A ramp along the longer side stays one; what lies beyond the outermost centres is theirs."""
    ramp = np.tile(np.arange(0, 160, 10, dtype=np.int16), (16, 1))
    write_series(tmp_path, pixels=ramp, PixelSpacing=[0.6, 1.2])
    (series,) = scan_folder(tmp_path).series
    volume = load_series(series)
    assert volume.hu.shape == (4, 16, 32) and volume.geometry.spacing == pytest.approx((2.0, 0.6, 0.6))
    expected = np.rint(np.clip((np.arange(32) + 0.5) / 2 - 0.5, 0, 15) * 10)
    assert volume.hu[0, 5].tolist() == expected.tolist()
    # world: the centre of source column 3 lies between the stored columns 6 and 7
    world = np.array([-10 + 3 * 1.2, -20, 0])
    assert volume.geometry.world_to_index(world) == pytest.approx([0, 0, 6.5])
