"""Small volumes with lesions, and the files that public sets keep them in."""

import nibabel
import numpy as np
import SimpleITK as sitk

LUNG_HU, LIVER_HU, FAT_HU, TISSUE_HU = -850, 100, -90, 50


def small_volume(seed=0, shape=(10, 40, 48), lesions=()):
    """(HU int16 (z, y, x), mask uint16 of lesion numbers from 1, their classes) of a body with lungs at its upper end.

    lesions: (class, centre (z, y, x), radii (z, y, x)) in voxels; later ones are drawn over earlier ones.
    """
    random = np.random.RandomState(seed)
    z, y, x = np.indices(shape)
    middle = (np.array(shape) - 1) / 2
    body = ((y - middle[1]) / (0.45 * shape[1])) ** 2 + ((x - middle[2]) / (0.45 * shape[2])) ** 2 <= 1
    inner = ((y - middle[1]) / (0.38 * shape[1])) ** 2 + ((x - middle[2]) / (0.38 * shape[2])) ** 2 <= 1
    hu = np.where(body, FAT_HU, -1000)
    hu = np.where(inner, np.where(x < middle[2], LIVER_HU, TISSUE_HU), hu)
    hu = np.where(inner & (z >= shape[0] - max(shape[0] // 6, 1)), LUNG_HU, hu) + random.randint(-8, 9, shape)
    mask = np.zeros(shape, np.uint16)
    for number, (_, centre, radii) in enumerate(lesions, 1):
        offset = [(at - c) / r for at, c, r in zip((z, y, x), centre, radii)]
        inside = sum(part**2 for part in offset) <= 1
        mask[inside] = number
        hu[inside] = 30 + random.randint(-8, 9, int(inside.sum()))
    return hu.astype(np.int16), mask, tuple(name for name, _, _ in lesions)


def lps_affine(spacing=(2.5, 0.8, 0.8), direction=None, origin=(0.0, 0.0, 0.0)):
    """(4, 4) index (i, j, k) -> LPS mm. spacing: (dz, dy, dx); direction: columns are the axes x, y, z."""
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(np.eye(3) if direction is None else direction) * np.array(spacing[::-1], float)
    affine[:3, 3] = origin
    return affine


def write_nifti(
    path,
    zyx,
    spacing=(2.5, 0.8, 0.8),
    *,
    direction=None,
    origin=(0.0, 0.0, 0.0),
    axes=None,
    dtype=None,
    codes=(1, 1),
    slope=None,
    qform=None,
):
    """Write an array (z, y, x) on a grid as :class:`Geometry` has it; ``.nii.gz`` is compressed.

    axes: of the file, as nibabel calls them ("RAS", "SPL" ...), where they are to be others: every voxel stays at its
    place in the patient. dtype: of the stored numbers, the array's by default. codes: of sform and qform. slope:
    (scl_slope, scl_inter), by which stored numbers are divided. qform: another affine (RAS) for the qform.
    """
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps_affine(spacing, direction, origin)
    array = np.asarray(zyx).transpose(2, 1, 0)
    if slope is not None:
        array = (array - slope[1]) / slope[0]
    array = array.astype(dtype or np.asarray(zyx).dtype)
    image = nibabel.Nifti1Image(array, affine)
    if axes is not None:
        turn = nibabel.orientations.ornt_transform(
            nibabel.io_orientation(affine), nibabel.orientations.axcodes2ornt(tuple(axes))
        )
        image = image.as_reoriented(turn)
    header, place = image.header, image.affine
    image.set_sform(place if codes[0] else None, code=codes[0])
    image.set_qform(place if qform is None else qform, code=codes[1])
    if not codes[0]:
        header["srow_x"] = header["srow_y"] = header["srow_z"] = 0
    header.set_xyzt_units("mm", "sec")
    if slope is not None:
        header.set_slope_inter(*slope)
        raw = nibabel.Nifti1Image(image.dataobj, None, header)
        with nibabel.openers.ImageOpener(str(path), "wb") as stream:  # as it stands: nibabel scales anew when it saves
            header["vox_offset"], header["magic"] = 352, b"n+1"
            header = header.as_byteswapped(">" if array.dtype.str[0] == ">" else "<")
            stream.write(header.binaryblock + b"\0" * 4)
            stream.write(np.asarray(raw.dataobj).tobytes(order="F"))
        return path
    nibabel.save(image, str(path))
    return path


def write_itk(path, zyx, spacing=(2.5, 0.8, 0.8), *, direction=None, origin=(0.0, 0.0, 0.0), compress=True):
    """Write an array (z, y, x) as ``.nrrd`` or ``.mha``."""
    image = sitk.GetImageFromArray(np.asarray(zyx))
    image.SetSpacing([float(side) for side in spacing[::-1]])
    image.SetOrigin([float(at) for at in origin])
    image.SetDirection(np.asarray(np.eye(3) if direction is None else direction, float).ravel().tolist())
    sitk.WriteImage(image, str(path), useCompression=compress)
    return path
