"""Volumes of NIfTI, NRRD and MetaImage files: orientation, values, damage."""

import gzip
from itertools import permutations, product

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from gluon_liver import mri_volume
from gluon_liver.errors import VolumeError
from gluon_liver.readers.volumes.open import open_mask, open_volume
from gluon_liver.readers.volumes.reading import VolumeReading, volumes_read
from tests.sets.written import small_volume, write_itk, write_nifti

HU, MASK, _ = small_volume(1, (6, 9, 12), [("hcc", (2, 4, 5), (1.5, 2, 2))])
ALL_AXES = ["".join(signs) for order in permutations(["LR", "PA", "SI"]) for signs in product(*order)]


@pytest.mark.parametrize("axes", ALL_AXES)
def test_every_orientation_gives_the_same_voxels_at_the_same_places(axes, tmp_path):
    """48 orders and directions of a file's axes; z alone has slices of its own, so pixels are made square nowhere."""
    path = write_nifti(tmp_path / "a.nii", HU, (2.0, 0.8, 0.8), origin=(-5, 7, 11), axes=axes)
    stack = open_volume(path)
    np.testing.assert_array_equal(stack.read(), HU)
    np.testing.assert_allclose(stack.geometry.origin, (-5, 7, 11), atol=1e-4)
    np.testing.assert_allclose(stack.geometry.spacing, (2.0, 0.8, 0.8), atol=1e-6)
    np.testing.assert_allclose(stack.geometry.direction, np.eye(3), atol=1e-6)


@pytest.mark.parametrize("axes", ["LPS", "RAS", "LAI", "PSR", "SLA"])
def test_mapping_leads_from_pixels_of_the_file_to_stored_ones(axes, tmp_path):
    """A box around one voxel of a source slice lies around the same value in the stored slice."""
    hu = np.arange(6 * 9 * 12, dtype=np.int16).reshape(6, 9, 12)
    path = write_nifti(tmp_path / "a.nii.gz", hu, (2.0, 0.8, 0.8), axes=axes)
    stack, file = open_volume(path), np.asarray(nibabel.load(path).dataobj)
    stored = stack.read()
    across = axes.index("S") if "S" in axes else axes.index("I")
    for place in (0, 4):
        index = place if "S" in axes else file.shape[across] - 1 - place
        plane = np.take(file, index, axis=across).T  # rows along the higher axis
        box = stack.mapping.to_stored(np.array([[3, 2, 4, 3]], np.float32), place)[0].astype(int)
        assert stored[stack.mapping.slices[place], box[1], box[0]] == plane[2, 3]


def test_oblique_volume_keeps_its_direction_and_a_sheared_one_is_refused(tmp_path):
    angle = np.radians(10)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    stack = open_volume(write_nifti(tmp_path / "a.nii", HU, (2, 0.8, 0.8), direction=turn, axes=None))
    np.testing.assert_allclose(stack.geometry.direction, turn, atol=1e-6)
    np.testing.assert_array_equal(stack.read(), HU)
    sheared = np.array([[1, 0, 0], [0, 1, np.sin(angle)], [0, 0, np.cos(angle)]])
    with pytest.raises(VolumeError, match=r"not at right angles \(10.0 degrees off\).*--regrid"):
        open_volume(write_nifti(tmp_path / "b.nii", HU, (2, 0.8, 0.8), direction=sheared, codes=(1, 0)))


@pytest.mark.parametrize("offset", [0, -100, np.nan, 351, 352])
def test_voxels_that_begin_in_the_header_are_refused(offset, tmp_path):
    path = write_nifti(tmp_path / "a.nii", HU, (2, 0.8, 0.8))
    raw = bytearray(path.read_bytes())
    raw[108:112] = np.float32(offset).tobytes()
    path.write_bytes(raw)
    if offset == 352:
        np.testing.assert_array_equal(open_volume(path).read(), HU)
    else:
        with pytest.raises(VolumeError, match="its voxels begin at byte|no NIfTI file, or its header is damaged"):
            open_volume(path)


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
@pytest.mark.parametrize("compress", [True, False])
def test_itk_files_give_the_same_as_nifti(name, compress, tmp_path):
    flip = np.diag([-1.0, 1.0, -1.0])
    other = open_volume(write_nifti(tmp_path / "a.nii", HU, (2, 0.8, 0.8), direction=flip, origin=(1, 2, 3)))
    path = write_itk(tmp_path / name, HU, (2, 0.8, 0.8), direction=flip, origin=(1, 2, 3), compress=compress)
    stack = open_volume(path)
    np.testing.assert_array_equal(stack.read(), other.read())
    np.testing.assert_array_equal(stack.read(), HU[::-1, :, ::-1])
    assert stack.geometry.same_grid(other.geometry)
    mask = open_mask(write_itk(tmp_path / f"m{name}", MASK, (2, 0.8, 0.8), direction=flip, compress=compress))
    np.testing.assert_array_equal(mask.labels, MASK)
    np.testing.assert_allclose(mask.geometry.direction, flip)


@pytest.mark.parametrize("kind", ["<i2", ">i2", "u1", "<f4", "<f8", "<i4"])
@pytest.mark.parametrize("axes", ["LPS", "SPL"])
def test_types_of_numbers_are_read_with_the_files_own_scaling(kind, axes, tmp_path):
    hu = np.clip(HU.astype(np.float64) // 16 * 16, -1024, 1000)
    path = write_nifti(tmp_path / "a.nii.gz", hu, dtype=np.dtype(kind), slope=(16.0, -1024.0), axes=axes)
    np.testing.assert_array_equal(open_volume(path).read(), hu.astype(np.int16))


def test_values_below_air_become_air_and_real_numbers_are_rounded(tmp_path):
    hu = HU.astype(np.float32)
    hu[0, 0, :4] = -3024, 40.4, 40.6, 60000
    read = open_volume(write_nifti(tmp_path / "a.nii", hu)).read()
    assert read.dtype == np.int16 and read[0, 0, :4].tolist() == [-1024, 40, 41, 32767]


def test_nan_is_refused_unless_it_is_declared(tmp_path):
    hu = HU.astype(np.float32)
    hu[2, 3, 4:6] = np.nan, np.inf
    path = write_nifti(tmp_path / "a.nii.gz", hu)
    with pytest.raises(VolumeError, match="2 values that are no numbers.*--accept nan"):
        open_volume(path).read()
    with volumes_read(VolumeReading(nan_is_air=True)):
        stack = open_volume(path)
    assert stack.read()[2, 3, 4:6].tolist() == [-1024, -1024]


def test_sform_and_qform_that_contradict_each_other_are_refused_and_chosen(tmp_path):
    other = np.diag([0.8, -0.8, 2.5, 1.0])  # the qform has x to the right
    path = write_nifti(tmp_path / "a.nii", HU, qform=other)
    with pytest.raises(
        VolumeError, match=r"sform has axes LPS, .*qform has axes RPS.*--affine sform or --affine qform"
    ):
        open_volume(path)
    for form, hu in ("sform", HU), ("qform", HU[..., ::-1]):
        with volumes_read(VolumeReading(form=form)):
            np.testing.assert_array_equal(open_volume(path).read(), hu)
    # one of them has no code, or they differ by rounding
    np.testing.assert_array_equal(
        open_volume(write_nifti(tmp_path / "b.nii", HU, qform=other, codes=(1, 0))).read(), HU
    )
    near = np.diag([-0.8, -0.8, 2.5, 1.0])
    near[0, 3] = 0.05
    np.testing.assert_array_equal(open_volume(write_nifti(tmp_path / "c.nii", HU, qform=near)).read(), HU)
    with pytest.raises(VolumeError, match="sform_code and qform_code are 0"):
        open_volume(write_nifti(tmp_path / "d.nii", HU, codes=(0, 0)))


def test_files_of_several_volumes_colours_and_other_units_are_refused(tmp_path):
    affine = np.diag([-1.0, -1, 1, 1])
    four = nibabel.Nifti1Image(np.zeros((4, 5, 6, 3), np.int16), affine)
    nibabel.save(four, tmp_path / "four.nii.gz")
    with pytest.raises(VolumeError, match="3 volumes.*split it"):
        open_volume(tmp_path / "four.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.ones((4, 5, 6, 1), np.int16), affine), tmp_path / "one.nii.gz")
    assert open_volume(tmp_path / "one.nii.gz").read().shape == (6, 5, 4)
    rgb = np.zeros((4, 5, 6), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(rgb, affine), tmp_path / "rgb.nii")
    with pytest.raises(VolumeError, match="it holds colours"):
        open_volume(tmp_path / "rgb.nii")
    metres = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.int16), affine)
    metres.header.set_xyzt_units("meter")
    nibabel.save(metres, tmp_path / "metres.nii")
    with pytest.raises(VolumeError, match="lengths are in meter"):
        open_volume(tmp_path / "metres.nii")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha"])
def test_files_that_are_cut_short_or_no_volumes_are_refused(name, tmp_path):
    write = write_nifti if ".nii" in name else write_itk
    whole = write(tmp_path / name, HU).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(VolumeError, match="cut short or damaged"):
        open_volume(tmp_path / name).read()
    for content in (b"", b"no volume at all", whole[:20]):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(VolumeError, match=r"a\.\w+.*: its? (is|cannot|has|header)"):
            open_volume(tmp_path / name).read()
    with pytest.raises(VolumeError, match="no such file|cannot be read"):
        open_volume(tmp_path / f"absent{name}")


def test_sizes_beyond_those_of_a_ct_are_refused_before_anything_is_read(tmp_path):
    path = write_nifti(tmp_path / "a.nii", HU)
    header = bytearray(path.read_bytes())
    header[42:48] = np.array([30000, 30000, 3000], "<i2").tobytes()
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(bytes(header)))
    with pytest.raises(VolumeError, match="announces 30000x30000x3000 voxels"):
        open_volume(tmp_path / "b.nii.gz")


def test_itk_files_in_two_parts_and_without_a_space_are_refused(tmp_path):
    write_itk(tmp_path / "a.nrrd", HU, compress=False)
    text, _, voxels = (tmp_path / "a.nrrd").read_bytes().partition(b"\n\n")
    (tmp_path / "b.nrrd").write_bytes(text + b"\ndata file: /etc/hostname\n\n")
    with pytest.raises(VolumeError, match="in another file"):
        open_volume(tmp_path / "b.nrrd")
    plain = b"\n".join(line for line in text.split(b"\n") if not line.startswith((b"space", b"kinds")))
    plain = plain.replace(b"sizes", b"spacings: 1 1 1\nsizes")
    (tmp_path / "c.nrrd").write_bytes(plain + b"\n\n" + voxels)
    with pytest.raises(VolumeError, match="names no space"):
        open_volume(tmp_path / "c.nrrd")
    sitk.WriteImage(sitk.GetImageFromArray(HU), str(tmp_path / "d.mhd"))
    (tmp_path / "d.mha").write_bytes((tmp_path / "d.mhd").read_bytes())
    with pytest.raises(VolumeError, match="in another file"):
        open_volume(tmp_path / "d.mha")


def test_masks_are_whole_numbers_on_the_files_own_grid(tmp_path):
    mask = open_mask(write_nifti(tmp_path / "m.nii.gz", MASK, dtype=np.float32, axes="RAS"))
    assert mask.labels.dtype == np.uint8
    np.testing.assert_array_equal(mask.labels, MASK[:, ::-1, ::-1])
    world = mask.geometry.index_to_world(np.argwhere(mask.labels))
    np.testing.assert_allclose(
        sorted(map(tuple, np.round(world, 3))),
        sorted((x * 0.8, y * 0.8, z * 2.5) for z, y, x in np.argwhere(MASK)),
        atol=1e-3,
    )
    assert open_mask(write_nifti(tmp_path / "n.nii", MASK.astype(np.int32) * 400)).labels.max() == 400
    for values, said in (
        (MASK * 0.5, "no whole numbers"),
        (-MASK.astype(np.int16), "it holds -1"),
        (MASK.astype(np.int32) * 70000, "it holds 70000"),
        (MASK * np.float32(np.nan), "no whole"),
    ):
        with pytest.raises(VolumeError, match=said):
            open_mask(write_nifti(tmp_path / "o.nii", values))


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(VolumeError, match=r"volumes are read from \.nii, \.nii\.gz, \.nrrd, \.mha"):
        open_volume(tmp_path / "a.mgz")


@pytest.mark.parametrize("axes", ["LPS", "SPL", "RAI"])
@pytest.mark.parametrize("kind, slope", [("u2", 1.0), ("<f4", 1e-5)])
def test_mri_is_scaled_by_the_percentiles_of_its_own_volume(kind, slope, axes, tmp_path):
    values = (HU.astype(np.float64) + 1024) * slope
    values[0, 0, :2] = 5000 * slope, 4000 * slope
    path = write_nifti(tmp_path / "a.nii.gz", values.astype(kind), axes=axes)
    expected = mri_volume(values.astype(kind))
    assert expected.max() > 1024 and expected.min() == -1024
    np.testing.assert_array_equal(open_volume(path, value="mri").read(), expected)


def test_mri_with_nothing_on_it_is_refused(tmp_path):
    path = write_nifti(tmp_path / "a.nii.gz", np.full((3, 8, 8), 4, np.int16))
    with pytest.raises(VolumeError, match="have one value, 4"):
        open_volume(path, value="mri").read()
