"""A made-up person in every text of a study, and the search for that person in what a command left behind."""

import contextlib
import functools
import io
import json
import os
import re
import unicodedata
import zipfile
import zlib
from pathlib import Path
from urllib.parse import unquote

from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

# words that occur nowhere else, by what holds them
NAME, LATIN, HAN, PERSON_ID = "Kanarvogel", "K\u00e4n\u00e4ri\u00e9", "\u91d1\u7cf8\u96c0", "QX7731Z"
FULL_NAME = f"{NAME}^{LATIN}^{HAN}"
UID_MARK = "424242"  # in every UID
BIRTH, EXAMINED = "19230405", "19870609"
TOKENS = [NAME, NAME[::-1], LATIN, HAN, PERSON_ID, BIRTH, EXAMINED]

_TEXT_VRS = {"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
_SHORT = {"AE": 16, "SH": 16}


def text_tags(dataset, *, description):
    """Fill every text of the DICOM dictionary that the dataset does not have, and private ones; returns it."""
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for tag, entry in DicomDictionary.items():
        vr, count, _, retired, keyword = entry
        if vr in _TEXT_VRS and keyword and tag >> 16 > 0x0008 and tag not in dataset and tag >> 16 < 0x5000:
            value = FULL_NAME if vr == "PN" else f"{NAME} {LATIN} {PERSON_ID}"
            dataset.add_new(tag, vr, value[: _SHORT.get(vr, 60)])
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = f"{FULL_NAME}={HAN}={NAME}", PERSON_ID, BIRTH
    for keyword in "StudyDescription ProtocolName ImageComments InstitutionName AccessionNumber StationName".split():
        setattr(dataset, keyword, f"{NAME} {LATIN}"[:16])
    for keyword in "StudyDate SeriesDate AcquisitionDate ContentDate".split():
        setattr(dataset, keyword, EXAMINED)
    dataset.SeriesDescription = f"{description} {NAME.upper()} {HAN}"
    dataset.ReferringPhysicianName, dataset.OperatorsName = NAME.lower(), [NAME, FULL_NAME]
    dataset.RequestAttributesSequence = Sequence([_item(), _item()])
    dataset.OtherPatientIDsSequence = Sequence([_item(PatientID=PERSON_ID)])
    block = dataset.private_block(0x0009, f"{NAME} PRIVATE", create=True)
    block.add_new(1, "LO", FULL_NAME)
    block.add_new(2, "UN", FULL_NAME.encode())
    block.add_new(3, "SQ", Sequence([_item()]))
    dataset.add_new(0x00091099, "LT", FULL_NAME)  # a private tag without its block
    dataset.add_new(0x60000022, "LO", NAME)  # of an overlay
    dataset.add_new(0xFFFCFFFC, "OB", FULL_NAME.encode())  # padding behind the pixels
    return dataset


def _item(**tags):
    item = Dataset()
    item.PatientName, item.RequestedProcedureDescription, item.ScheduledProcedureStepID = FULL_NAME, NAME, PERSON_ID
    for keyword, value in tags.items():
        setattr(item, keyword, value)
    return item


def forms(content):
    """The texts that bytes may be: as they are, unquoted, unescaped, in UTF-16; case is folded."""
    texts = [content.decode("utf-8", "replace"), content.decode("latin-1")]
    texts += [
        content[start:].decode(code, "replace") for code in ("utf-16-le", "utf-16-be", "gb18030") for start in (0, 1)
    ]
    for text in texts[:2]:
        unquoted = unquote(unquote(text))
        texts += [unquoted, re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found.group(1), 16)), unquoted)]
    return [unicodedata.normalize("NFC", text).casefold() for text in texts]


def seen_in(content, *, tokens=TOKENS):
    """The words of the person that occur in some bytes, in what is packed in them too."""
    texts = forms(content) + [form for part in _unpacked(content) for form in forms(part)]
    return [token for token in tokens if any(_pattern(token).search(text) for text in texts)]


@functools.lru_cache(maxsize=None)
def _pattern(token):
    """A token among :func:`forms`, whatever stands between its letters that is none."""
    return re.compile(r"[\W_]*".join(unicodedata.normalize("NFC", token).casefold()))


def _unpacked(content):
    """What a PNG keeps of text, and the files of a zip archive."""
    if content.startswith(b"\x89PNG"):
        for found in re.finditer(rb"(zTXt|iTXt|eXIf)", content):
            length = int.from_bytes(content[found.start() - 4 : found.start()], "big")
            chunk = content[found.end() : found.end() + length]
            yield chunk
            for start in range(len(chunk)):
                with contextlib.suppress(zlib.error):
                    yield zlib.decompress(chunk[start:])
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield archive.read(name)


def files_that_tell(folder, *, spare=(), tokens=TOKENS):
    """(path below the folder, words) of each file and folder whose name or content has the person in it.

    spare: names of folders that are not looked into.
    """
    found = []
    for path in sorted(Path(folder).rglob("*")):
        below = path.relative_to(folder)
        if any(part in spare for part in below.parts):
            continue
        words = seen_in(str(below).encode("utf-8", "surrogateescape"), tokens=tokens)
        if path.is_symlink():
            words += seen_in(os.readlink(path).encode(), tokens=tokens)
        elif path.is_file():
            words += seen_in(path.read_bytes(), tokens=tokens)
        if words:
            found.append((str(below), words))
    return found


def json_canary(tree):
    """A copy of a label file's tree with the person in keys that nobody reads, and in those that people write."""
    tree = json.loads(json.dumps(tree))
    tree["info"] = {"contributor": FULL_NAME, "description": NAME}
    tree["licenses"] = [{"name": NAME}]
    for table in ("images", "annotations"):
        for entry in tree[table]:
            entry.update(patient_name=FULL_NAME, comment=LATIN, date_captured=EXAMINED, attributes={"by": NAME})
    return tree
