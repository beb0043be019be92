"""DICOM: CT slices in a folder of others, ultrasound, phase decisions by their headers."""

import io

import numpy as np
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_data_element

from gluon_liver.archive.scan import scan_folder
from gluon_liver.errors import GluonLiverError
from gluon_liver.readers.dicom.volume import open_series
from gluon_liver.readers.frames import read_frames
from gluon_liver.readers.masks.segmentation import open_segmentation
from tests.readers.ct_writer import ct_dataset, enhanced_dataset, item, write
from tests.readers.mask_writer import seg_dataset
from tests.readers.us_writer import us_dataset

from .harness import Target
from .recipe import TEXTS, change_bytes

VRS = "AE AS AT CS DA DS DT FD FL IS LO LT OB OW PN SH SL SQ SS ST TM UI UL UN US UT".split()
SYNTAXES = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.90",
    "1.2.3",
    "",
)
LONG = (b"OB", b"OW", b"SQ", b"UN", b"UT")
_NOISE = np.random.default_rng(0)


def _ct():
    return ct_dataset(instance=2, z=4.0, pixels=_NOISE.integers(-900, 900, (16, 16)).astype(np.int16))


def _enhanced():
    frames = _NOISE.integers(-900, 900, (3, 16, 16)).astype(np.int16)
    return enhanced_dataset(frames, zs=(0, 2, 4), intercepts=(0, 0, 0))


def _us():
    pixels = _NOISE.integers(0, 255, (3, 16, 24, 3)).astype(np.uint8)
    return us_dataset(pixels, region=(0, 0, 19, 14), FrameTime="40", PatientName="A^B")


def _palette():
    ds = us_dataset(_NOISE.integers(0, 255, (1, 16, 24)).astype(np.uint8), photometric="PALETTE COLOR")
    for colour in range(3):
        ds.add_new(0x00281101 + colour, "US", [256, 0, 16])
        ds.add_new(0x00281201 + colour, "OW", bytes(512))
    return ds


def _elements(dataset):
    """Explicit little-endian bytes of each element of the file, those of its meta information too."""
    meta = item(TransferSyntaxUID="1.2.840.10008.1.2.1", MediaStorageSOPClassUID=dataset.SOPClassUID)
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    pieces = []
    for element in [*meta, *dataset]:
        stream = DicomFileLike(io.BytesIO())
        stream.is_little_endian, stream.is_implicit_VR = True, False
        if element.tag == 0x7FE00010:
            element.VR = "OW"
        write_data_element(stream, element)
        pieces.append(stream.parent.getvalue())
    return pieces


def _split(piece):
    """(tag, VR, value) of the bytes of an element."""
    start = 12 if piece[4:6] in LONG else 8
    return piece[:4], piece[4:6], piece[start:]


def _join(tag, vr, value, length=None):
    length = len(value) if length is None else length
    width = 4 if vr in LONG else 2
    return tag + vr + b"\0\0" * (width == 4) + (length % (1 << (8 * width))).to_bytes(width, "little") + value


def nested_sequences(depth):
    """The bytes of a sequence in a sequence, and so on, without lengths."""
    begin = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    end = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    return begin * depth + end * depth


def _change_element(recipe, pieces):
    place = recipe.below(len(pieces))
    tag, vr, value = _split(pieces[place])
    how = recipe.below(9)
    if how < 3:
        given = recipe.of((*TEXTS, recipe.bytes(2), recipe.bytes(4)))
        pieces[place] = _join(tag, vr, given)
    elif how == 3:
        pieces[place] = _join(tag, vr, value, recipe.of((0, 1, len(value) + 2, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF)))
    elif how == 4:
        pieces[place] = _join(tag, recipe.of(VRS).encode(), value)
    elif how == 5:
        del pieces[place]
    elif how == 6:
        pieces.insert(recipe.below(len(pieces)), pieces[place])
    elif how == 7:
        pieces[place] = _join(tag, vr, _split(recipe.of(pieces))[2])
    else:
        pieces.insert(place, nested_sequences(recipe.of((1, 30, 3000))))


def _builder(*makers):
    seeds = [_elements(make()) for make in makers]

    def build(recipe):
        pieces = list(recipe.of(seeds))
        if recipe.below(4) == 3:
            syntax = recipe.of(SYNTAXES).encode()
            pieces[2] = _join(*_split(pieces[2])[:2], syntax + b"\0" * (len(syntax) % 2))
        for _ in range(recipe.below(4)):
            if pieces:
                _change_element(recipe, pieces)
        content = bytes(128) + b"DICM" + b"".join(pieces)
        return change_bytes(recipe, content) if recipe.below(3) == 2 else content

    return build


def _read_ct(content, folder):
    for instance in range(2):
        path = folder / "in" / f"{instance}.dcm"
        if not path.exists():
            write(ct_dataset(instance=instance, z=2.0 * instance), path)
    (folder / "in" / "changed.dcm").write_bytes(content)
    for skip in (False, True):
        scan = scan_folder(folder / "in", skip_damaged=skip)
        for series in scan.series:
            try:
                open_series(series, regrid=skip).decode(lambda z, plane: None)
            except GluonLiverError:
                pass


def _read_us(content, folder):
    path = folder / "a.dcm"
    path.write_bytes(content)
    for number, _ in enumerate(read_frames(path, whole_frame=True)):
        assert number < 5000


def _seg():
    headers = [ct_dataset(instance=place, z=2.0 * place) for place in range(3)]
    mask = np.zeros((3, headers[0].Rows, headers[0].Columns), np.uint8)
    mask[1:, 2:5, 3:6] = 1
    return headers, mask


def _binary_seg():
    headers, mask = _seg()
    return seg_dataset(headers, {1: ("tumor", mask), 2: ("cyst", mask[::-1])})


def _fractional_seg():
    headers, mask = _seg()
    return seg_dataset(headers, {1: ("tumor", mask * 0.7)}, kind="FRACTIONAL")


def _read_seg(content, folder):
    path = folder / "a.dcm"
    path.write_bytes(content)
    seg = open_segmentation(path, "mask 01")
    if seg is not None:
        seg.read()


TARGETS = [
    Target("dicom-seg", _builder(_binary_seg, _fractional_seg), _read_seg),
    Target("dicom-ct", _builder(_ct, _enhanced), _read_ct),
    Target("dicom-us", _builder(_us, _palette), _read_us),
]
