"""The page that shows every series of a folder, so that a reader can tell which one is which contrast phase."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import List, Optional, Sequence, Tuple

from . import page


@dataclass
class SeriesEntry:
    """What is shown of one series: texts, "" where nothing is known, HU, and pictures (data URI, caption).

    offset: of the first slice from the first series of its study. phase: what the present rules take the series for, ""
    for none. verdict: by which rule, or why not. trouble: why it cannot be read, or not be imported as it is.
    looks_like: what the brightness of aorta and liver says.
    """

    name: str
    address: str
    patient: str
    study: str
    folder: str
    number: str
    description: str
    date: str
    time: str
    offset: str
    contrast: str
    slices: int
    extent: str
    spacing: str
    image_type: str
    kind: str
    acquisitions: str
    kernel: str
    phase: str
    verdict: str
    trouble: str
    aorta: Optional[float] = None
    liver: Optional[float] = None
    soft_tissue: Optional[float] = None
    looks_like: str = ""
    pictures: List[Tuple[str, str]] = field(default_factory=list)

    def brightness(self) -> str:
        """Median HU of aorta and liver, of soft tissue where neither was found, "-" where that is unknown too."""
        named = [("aorta", self.aorta), ("liver", self.liver)]
        if self.aorta is None and self.liver is None:
            named = [("soft tissue", self.soft_tissue)]
        return ", ".join(f"{what} {'-' if hu is None else round(hu)}" for what, hu in named)


@dataclass
class StudyEntry:
    """One study: its number in the listing, date and description.

    offset: from the patient's first study of the day, "" for that one.
    """

    number: int
    uid: str
    date: str
    description: str
    offset: str
    series: List[SeriesEntry]


@dataclass
class PatientEntry:
    """One patient: the number in the listing, and PatientID, "" where the files have none."""

    number: int
    patient_id: str
    studies: List[StudyEntry]


@dataclass
class LeftOut:
    """Files that are no series of CT slices: which, why, and what is known of them."""

    where: str
    images: int
    reason: str
    folder: str = ""
    description: str = ""


def series_page(
    source: str, patients: Sequence[PatientEntry], left_out: Sequence[LeftOut], shown_hu: Tuple[int, int]
) -> str:
    """The page as HTML; it embeds its pictures and refers to nothing outside itself. shown_hu: black and white."""
    studies = [study for patient in patients for study in patient.studies]
    counts = {"patient(s)": len(patients), "study(s)": len(studies), "series": sum(len(one.series) for one in studies)}
    values = dict(source=source, patients=patients, left_out=left_out, facts=counts, shown=shown_hu)
    return page.render("series.html.j2", values)
