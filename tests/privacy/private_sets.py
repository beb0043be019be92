"""Writes the forms in which people keep data of their own, with the person in every name and text that they have."""

import json

import nibabel
import numpy as np
import SimpleITK as sitk
from PIL import Image, PngImagePlugin

from tests.sets import us_cvat_set, us_labelme_set, us_vos_set
from tests.sets.written import small_volume, write_itk, write_nifti

from .canary import EXAMINED, FULL_NAME, HAN, LATIN, NAME, PERSON_ID

LESIONS = [("hcc", (2, 14, 10), (1.5, 3, 2))]
SHAPE = (5, 26, 28)
SET = "phases: [arterial, portal_venous, delayed]\nclasses: {1: hcc}\n"
CASES = [f"{NAME}%20{LATIN} {number} {HAN}" for number in range(1, 4)]
TEXTS = {"patient": f"{NAME} {LATIN} {PERSON_ID}", NAME: EXAMINED, "Modality": f"{NAME.upper()} CT"}


def write_nifti_set(folder):
    """`nifti`: NIfTI with the texts of its header and an extension, NRRD and MetaImage with keys of their own."""
    folder.mkdir()
    patients = "".join(f"  {name!r}: {PERSON_ID}-{number}\n" for number, name in enumerate(CASES))
    (folder / "set.yaml").write_text(f"# {FULL_NAME}\n{SET}patients:\n{patients}")
    for seed, name in enumerate(CASES):
        case = folder / name
        case.mkdir()
        hu, mask, _ = small_volume(seed, SHAPE, LESIONS)
        for stem, array in (("arterial", hu), ("mask", mask)):
            _nifti_texts(write_nifti(case / f"{stem}.nii.gz", array))
        for stem, ending in (("portal_venous", "nrrd"), ("delayed", "mha")):
            image = sitk.ReadImage(str(write_itk(case / f"{stem}.{ending}", hu)))
            for key, value in TEXTS.items():
                image.SetMetaData(key, value)
            sitk.WriteImage(image, str(case / f"{stem}.{ending}"))
        (case / f"{NAME}.nii.gz").write_bytes(b"")
        (case / f"{PERSON_ID}.txt").write_text(FULL_NAME)


def _nifti_texts(path):
    image = nibabel.load(path)
    image = nibabel.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header)
    header = image.header
    header["descrip"], header["db_name"], header["aux_file"] = f"{NAME} {PERSON_ID}", NAME, f"{LATIN}.txt".encode()
    header["intent_name"] = NAME
    header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", FULL_NAME.encode()))
    nibabel.save(image, str(path))


def _texts_of_picture(path):
    """EXIF, and what a PNG or JPEG has of text beside."""
    with Image.open(path) as picture:
        picture.load()
        exif = Image.Exif()
        exif[0x010E], exif[0x013B] = NAME, f"{NAME} {PERSON_ID}"
        if path.suffix == ".png":
            info = PngImagePlugin.PngInfo()
            info.add_text("Comment", NAME, zip=True)
            info.add_itxt("Title", FULL_NAME)
            picture.save(path, exif=exif, pnginfo=info)
        else:
            picture.save(path, exif=exif, comment=NAME, quality=95)


def write_labelme(folder):
    """`labelme`: a folder a patient, pictures with EXIF and text, the person in all keys that are no label."""
    for number in range(1, 4):
        below = folder / f"{NAME} {HAN} {number}"
        us_labelme_set.write_labelme(below, pictures=1)
        path = below / "labels" / "scan_000.json"
        tree = json.loads(path.read_text())
        picture = f"{PERSON_ID}_{LATIN}.png"
        (below / "images" / "scan_000.png").rename(below / "images" / picture)
        seen = us_labelme_set.picture(us_labelme_set.SIZE, seed=number)
        us_labelme_set.write_picture(below / "images" / picture, seen)
        _texts_of_picture(below / "images" / picture)
        tree.update(imagePath=f"..\\images\\{picture}", flags={NAME: True}, description=FULL_NAME, by=NAME)
        for shape in tree["shapes"]:
            shape.update(description=NAME, flags={LATIN: True}, attributes={"patient": PERSON_ID})
        path.write_text(json.dumps(tree))
        path.rename(path.with_name(f"{NAME}.json"))
        (below / f"{NAME}.jsonl.json").write_text(json.dumps({"patient": FULL_NAME}))


def write_cvat(folder):
    """`cvat`: a task a patient, of the pictures of a folder; task, owner, source, attributes and file names tell."""
    for number in range(1, 4):
        name = f"{NAME}_{number} {HAN}"
        frames = folder / f"{LATIN} {PERSON_ID}" / name
        for place in range(2):
            us_labelme_set.write_picture(
                frames / f"{NAME}{place}.png", us_labelme_set.picture(us_cvat_set.SIZE, seed=10 * number + place)
            )
            _texts_of_picture(frames / f"{NAME}{place}.png")
        shapes = [us_cvat_set.box(0, (2, 3, 20, 22)), us_cvat_set.box(1, (4, 3, 24, 22))]
        xml = us_cvat_set.video_xml([us_cvat_set.track(0, "tumor", shapes)], frames=2, source=name)
        owner = f"<owner><username>{NAME}</username><email>{NAME}@{PERSON_ID}.org</email></owner>"
        xml = xml.replace("<name>liver</name>", f"<name>{FULL_NAME}</name>{owner}")
        xml = xml.replace('<attribute name="sure">yes', f'<attribute name="{NAME}">{PERSON_ID}')
        (folder / f"{name}.xml").write_text(f"{xml}<!-- {NAME} -->")


def write_vos(folder):
    """`vos`: videos called after the person, masks and frames with EXIF and text."""
    videos = [f"{NAME}_{number} {HAN}" for number in range(1, 4)]
    us_vos_set.write_vos(folder / f"{LATIN} {PERSON_ID}", videos=videos, frames=2)
    for path in [*folder.rglob("*.jpg"), *folder.rglob("*.png")]:
        _texts_of_picture(path)


US_SETS = {"labelme": write_labelme, "cvat": write_cvat, "vos": write_vos}
