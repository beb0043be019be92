"""Writes small sets of DICOM files with the folders, names and quirks of 3D-IRCADb-01 and of two TCIA collections."""

from __future__ import annotations

import csv

import numpy as np

from tests.readers.ct_writer import ct_dataset, uid, write
from tests.readers.mask_writer import write_mask_series, write_seg

from .written import small_volume

SHAPE, SPACING = (8, 40, 48), (2.5, 0.8, 0.8)
LESIONS = (("tumor", (2, 18, 12), (1, 3, 3)), ("tumor", (4, 18, 12), (1, 2, 4)), ("cyst", (5, 24, 16), (2, 3, 2)))


def headers_of(study, series, hu, *, down=False, **tags):
    """The slices of a CT series, z rising; down: their files and numbers run to the feet."""
    places = range(len(hu))[::-1] if down else range(len(hu))
    slices = [
        ct_dataset(
            study=study,
            series=series,
            instance=number,
            pixels=(hu[place] + 1024).astype(np.int16),
            ImagePositionPatient=[-19.2, -16.0, SPACING[0] * place - 300],
            PixelSpacing=[SPACING[1], SPACING[2]],
            RescaleIntercept=-1024,
            FrameOfReferenceUID=uid(study, 0),
            **tags,
        )
        for number, place in enumerate(places)
    ]
    return sorted(slices, key=lambda one: one.ImagePositionPatient[2])


def write_slices(headers, folder, form="1-{:03d}.dcm"):
    for header in headers:
        write(header, folder / form.format(101 - int(header.InstanceNumber)))


def write_ircadb(folder):
    """Three patients: number -> {mask folder: mask}. The second was unpacked into folders of their own names."""
    truth = {}
    for number in (1, 2, 10):
        hu, mask, _ = small_volume(number, SHAPE, LESIONS)
        liver = hu > 20
        masks = {"liver": liver, "bone": hu > 1000, "leftsurretumor": mask == 1, "portalvein": mask == 2}
        if number == 1:
            # lesions that touch have a folder of their own each
            masks.update(livertumor01=mask == 1, livertumor02=mask == 2, livercyst=mask == 3)
        elif number == 2:
            masks.update(livertumors=(mask == 1) | (mask == 2), liverkyste=mask == 3)
        twice = number == 2
        base = folder / "3Dircadb1" / f"3Dircadb1.{number}"
        images, below = base / "PATIENT_DICOM", base / "MASKS_DICOM"
        images, below = (images / images.name, below / below.name) if twice else (images, below)
        headers = headers_of(number, 1, hu, patient="", description="", down=True)
        write_slices(headers, images, "image_{}")
        for series, (name, one) in enumerate(masks.items(), 2):
            # identifiers of the masks are not those of the images
            tags = dict(StudyInstanceUID=uid(9, series), FrameOfReferenceUID=uid(9, series, 0), PatientID="")
            write_mask_series(below / name, headers, one, series=series, **tags)
        write(ct_dataset(study=50), base / "LABELLED_DICOM" / "image_0")
        truth[number] = masks
    (folder / "3Dircadb1" / "3Dircadb1.20").mkdir()
    (folder / "3Dircadb1" / "3Dircadb1.20" / "PATIENT_DICOM.zip").write_bytes(b"PK")
    return truth


class Tcia:
    """A download of the NBIA Data Retriever: descriptive names, or UIDs for names and metadata.csv beside them."""

    def __init__(self, folder, collection, *, flat):
        self.folder, self.collection, self.flat, self.rows = folder, collection, flat, []

    def place(self, patient, date, number, description, series_uid, modality):
        base = self.folder / self.collection / patient
        if self.flat:
            place = self.folder / self.collection / series_uid
        else:
            study = f"{date}-NA-CT ABDOMEN-{date[-2:]}377"
            place = base / study / f"{number}.000000-{description or 'NA'}-{series_uid[-5:]}"
        where = f"./{place.relative_to(self.folder).as_posix()}"
        self.rows.append([series_uid, self.collection, patient, date, description, modality, where])
        return place

    def series(self, patient, date, number, headers):
        first = headers[0]
        where = self.place(patient, date, number, first.SeriesDescription, first.SeriesInstanceUID, "CT")
        write_slices(headers, where, f"{{:08d}}-{first.SeriesInstanceUID[-3:]}.dcm" if self.flat else "1-{:03d}.dcm")
        return where

    def seg(self, patient, date, headers, segments, **tags):
        series_uid = uid(77, headers[0].StudyInstanceUID.split(".")[-1])
        where = self.place(patient, date, 300, "Segmentation", series_uid, "SEG")
        write_seg(where / "1-1.dcm", headers, segments, SeriesInstanceUID=series_uid, **tags)
        return where

    def finish(self):
        with open(self.folder / "metadata.csv", "w", newline="") as file:
            titles = "Series UID,Collection,Subject ID,Study Date,Series Description,Modality,File Location".split(",")
            csv.writer(file).writerows([titles, *self.rows])
        (self.folder / self.collection / "LICENSE").write_text("CC BY")
