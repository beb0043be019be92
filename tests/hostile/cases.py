"""Small files that ask for gigabytes, lie about their length or nest without end: name -> (write, read).

``write`` (folder) returns the path that ``read`` takes.
"""

import gzip
import io
import struct
import zipfile
import zlib

import cv2
import nibabel
import numpy as np
from pydicom.encaps import encapsulate

from gluon_liver.archive.scan import scan_folder
from gluon_liver.config.load import load_config
from gluon_liver.labels.ct import load_label_file
from gluon_liver.readers.dicom.volume import open_series
from gluon_liver.readers.frames import read_frames
from gluon_liver.readers.mp4_track import VideoTrack
from gluon_liver.readers.volumes.open import open_mask, open_volume
from gluon_liver.readers.weights.formats import read_weights
from tests.fuzz.pictures import png_of_size
from tests.readers.ct_writer import ct_dataset, enhanced_dataset, write
from tests.readers.us_writer import us_dataset, write_video

RLE, JPEG_2000, DEFLATED = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.1.99"
MEGABYTES = 64
ZEROS = gzip.compress(bytes(MEGABYTES * 2**20), 9)  # members of a gzip file follow each other


def _file(name, content):
    def write_it(folder):
        (folder / name).write_bytes(content() if callable(content) else content)
        return folder / name

    return write_it


def _recording(path):
    for _ in read_frames(path, whole_frame=True):
        pass


def _ct(path):
    """Import's way to HU; what a series lacks is raised."""
    scan = scan_folder(path.parent)
    for series in scan.series:
        open_series(series).decode(lambda z, plane: None)
    if not scan.series:
        from gluon_liver.errors import InputError

        raise InputError("; ".join(one.reason for one in scan.rejected))


def _volume(path):
    open_volume(path).decode(lambda z, plane: None)


def nifti(shape=(8, 8, 8), kind=np.int16, change=None, zeros=0):
    """The header of a compressed NIfTI file, with ``change`` of its bytes, and so many MEGABYTES of zeros."""
    header = nibabel.Nifti1Header()
    header.set_data_dtype(kind)
    header.set_data_shape(shape)
    header.set_sform(np.diag([1.0, 1.0, 1.0, 1.0]), 1)
    header["magic"], header["vox_offset"] = b"n+1", 352
    for key, value in (change or {}).items():
        header[key] = value
    content = header.structarr.tobytes() + bytes(4)
    return gzip.compress(content) + (ZEROS * zeros or gzip.compress(bytes(2048)))


def _nifti_of(**changes):
    return _file("a.nii.gz", lambda: nifti(change=changes))


NRRD = (
    "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: {}\nencoding: gzip\nendian: little\n"
)
NRRD += "space directions: {} (0,1,0) (0,0,1)\nspace origin: (0,0,0)\n{}\n"


def _nrrd(sizes="8 8 8", direction="(1,0,0)", more="", content=b""):
    return _file("a.nrrd", NRRD.format(sizes, direction, more).encode() + (content or gzip.compress(bytes(1024))))


def _jpeg_of_size(width, height):
    code = bytearray(cv2.imencode(".jpg", np.zeros((8, 8), np.uint8))[1].tobytes())
    place = code.index(b"\xff\xc0")
    code[place + 5 : place + 9] = struct.pack(">2H", height, width)
    return bytes(code)


def _dicom(dataset, syntax, code=None):
    def write_it(folder):
        ds = dataset()
        if code is not None:
            ds.PixelData = encapsulate(code)
            ds["PixelData"].is_undefined_length = True
        return write(ds, folder / "in" / "a.dcm", syntax=syntax)

    return write_it


def _enhanced(frames=600, rows=1024):
    """Headers of many frames over the pixels of one."""
    ds = enhanced_dataset(np.zeros((frames, 1, 1), np.int16), zs=range(frames), intercepts=[0] * frames)
    ds.Rows = ds.Columns = rows
    return ds


def _many_us(frames=4000, side=400):
    ds = us_dataset(np.zeros((1, 8, 8, 3), np.uint8))
    ds.NumberOfFrames, ds.Rows, ds.Columns = frames, side, side
    return ds


def _one_us():
    return us_dataset(np.zeros((1, 8, 8), np.uint8), photometric="MONOCHROME2")


def _jpeg_2000(width, height):
    """The start of a codestream: markers SOC and SIZ of one component of 16 bits."""
    size = struct.pack(">HHIIIIIIIIH", 41, 0, width, height, 0, 0, width, height, 0, 0, 1) + bytes([15, 1, 1])
    return b"\xff\x4f\xff\x51" + size + bytes(64) + b"\xff\xd9"


def _deflated(folder):
    path = write(ct_dataset(), folder / "in" / "a.dcm")
    content = path.read_bytes()
    end = 144 + struct.unpack("<I", content[140:144])[0]
    head, plain = content[:end], b"1.2.840.10008.1.2.1\0"
    syntax = DEFLATED.encode()
    place = head.index(plain) - 2
    head = head[:place] + struct.pack("<H", len(syntax)) + syntax + head[place + 22 :]
    head = head[:140] + struct.pack("<I", len(head) - 144) + head[144:]
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = (
        packer.compress(content[end:-8]) + b"".join(packer.compress(bytes(2**20)) for _ in range(300)) + packer.flush()
    )
    path.write_bytes(head + body)
    return path


def _npz(header_shape=None, zeros=0):
    """An .npz of one array; its header may announce another shape, its entry may be so many megabytes of zeros."""

    def content():
        stream, array = io.BytesIO(), io.BytesIO()
        shape = header_shape or (zeros * 2**18,)
        np.lib.format.write_array_header_1_0(array, {"descr": "<f4", "fortran_order": False, "shape": shape})
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            with archive.open("a.npy", "w") as entry:
                entry.write(array.getvalue())
                for _ in range(zeros):
                    entry.write(bytes(2**20))
        return stream.getvalue()

    return _file("a.npz", content)


def _params(shape):
    """An .params file of one array that announces a shape and holds nothing."""
    array = struct.pack("<IiI", 0xF993FAC9, 0, len(shape)) + struct.pack(f"<{len(shape)}q", *shape)
    array += struct.pack("<iii", 1, 0, 0)
    return struct.pack("<QQQ", 0x112, 0, 1) + array + struct.pack("<QQ", 1, 1) + b"a"


def _mp4(kind, offset, value):
    def write_it(folder):
        frames = np.random.default_rng(0).integers(0, 255, (3, 48, 64, 3)).astype(np.uint8)
        path = write_video(folder / "a.mp4", frames, "mp4v")
        content = bytearray(path.read_bytes())
        place = content.index(kind) + offset
        content[place : place + len(value)] = value
        path.write_bytes(content)
        return path

    return write_it


def _aliases():
    lines = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    return "\n".join(["a0: &a0 [1, 1]", *lines]).encode()


CASES = {
    "nifti: sizes beyond all bounds": (_file("a.nii.gz", lambda: nifti((32767, 32767, 32767))), _volume),
    "nifti: 4 GB announced, nothing there": (_file("a.nii.gz", lambda: nifti((1024, 1024, 2000), zeros=1)), _volume),
    "nifti: 2.6 GB behind a small volume": (_file("a.nii.gz", lambda: nifti((64, 64, 10), zeros=40)), _volume),
    "nifti: a mask of 2 GB, nothing there": (_file("a.nii.gz", lambda: nifti((512, 512, 4000), np.uint8)), open_mask),
    "nifti: NaN in its affine": (_nifti_of(srow_x=[np.nan, 0, 0, 0]), _volume),
    "nifti: infinite affine": (_nifti_of(srow_z=[0, 0, np.inf, 0]), _volume),
    "nifti: an axis without length": (_nifti_of(srow_y=[0, 0, 0, 0]), _volume),
    "nifti: NaN pixdim": (_nifti_of(sform_code=0, qform_code=1, pixdim=[1, np.nan, 1, 1, 1, 1, 1, 1]), _volume),
    "nifti: negative pixdim": (_nifti_of(sform_code=0, qform_code=1, pixdim=[1, -1e38, 0, 1, 1, 1, 1, 1]), _volume),
    "nifti: voxels far behind the end": (_nifti_of(vox_offset=2e9), _volume),
    "nifti: negative sizes": (_nifti_of(dim=[3, -5, 8, 8, 1, 1, 1, 1]), _volume),
    "nrrd: sizes beyond all bounds": (_nrrd("100000 100000 100000"), _volume),
    "nrrd: 4 GB announced, nothing there": (_nrrd("1024 1024 2000"), _volume),
    "nrrd: NaN direction": (_nrrd(direction="(nan,0,0)"), _volume),
    "nrrd: voxels of another file": (_nrrd(more="data file: /etc/passwd\n"), _volume),
    "picture: PNG of 60000 x 60000": (_file("a.png", png_of_size(60000, 60000)), _recording),
    "picture: PNG of 30000 x 30000": (_file("a.png", png_of_size(30000, 30000)), _recording),
    "picture: JPEG of 32000 x 32000": (_file("a.jpg", lambda: _jpeg_of_size(32000, 32000)), _recording),
    "dicom: RLE of 600 frames, one there": (_dicom(_enhanced, RLE, [bytes(64)]), _ct),
    "dicom: a codestream of 60000 x 60000": (_dicom(_one_us, JPEG_2000, [_jpeg_2000(60000, 60000)]), _recording),
    "dicom: rows of 65535": (_dicom(lambda: ct_dataset(Rows=65535, Columns=65535), RLE, [bytes(64)]), _ct),
    "dicom: ultrasound of 4000 frames, one there": (_dicom(_many_us, RLE, [bytes(64)]), _recording),
    "dicom: 300 MB of zeros, deflated": (_deflated, _ct),
    "dicom: no spacing": (_dicom(lambda: ct_dataset(PixelSpacing=[0, -1]), "1.2.840.10008.1.2.1"), _ct),
    "npz: 400 MB of zeros": (_npz(zeros=400), read_weights),
    "npz: an array announces 4 TB": (_npz(header_shape=(2**40,)), read_weights),
    "params: an array announces 4 TB": (_file("a.params", lambda: _params((2**20, 2**20))), read_weights),
    "params: sizes that overflow": (_file("a.params", lambda: _params((2**62, 2**62, 4))), read_weights),
    "mp4: frames of 65535 x 65535": (_mp4(b"mp4v", 28, b"\xff" * 4), _recording),
    "mp4: 2**32 samples": (_mp4(b"stts", 12, b"\xff" * 4), _recording),
    "mp4: a duration without end": (_mp4(b"mdhd", 16, b"\xff" * 8), _recording),
    "mp4: samples in the header alone": (_mp4(b"stts", 12, b"\0\xff\xff\xff"), lambda path: VideoTrack(path).shown),
    "yaml: aliases of aliases": (_file("a.yaml", _aliases), load_config),
    "yaml: nested 100,000 deep": (_file("a.yaml", b"a: " + b"[" * 100_000), load_config),
    "json: nested 100,000 deep": (_file("a.json", b'{"images": ' + b"[" * 100_000), load_label_file),
    "json: a number of a megabyte": (_file("a.json", b'{"images": ' + b"9" * 10**6 + b"}"), load_label_file),
}
# what is harmless and therefore taken, or refused, by what the libraries make of it
EITHER = {
    "nifti: 2.6 GB behind a small volume",
    "mp4: 2**32 samples",
    "mp4: a duration without end",
    "mp4: samples in the header alone",
    "mp4: frames of 65535 x 65535",
}
