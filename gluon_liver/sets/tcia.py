"""TCIA's HCC-TACE-Seg and Colorectal-Liver-Metastases: CT as DICOM, lesions as segments of a DICOM SEG.

Where the layouts were read:

- HCC-TACE-Seg (doi 10.7937/TCIA.5FNA-0924): readers with paths such as ``HCC-TACE-Seg/HCC_009/02-15-1998-NA-PP
  CAPLIVER PROTO.-10975/103.000000-LIVER 3 PHASE CAP-83135`` and ``300.000000-Segmentation-91221/1-1.dcm``;
  pu-meng/nnUNet (``pumengyu/tools/hcc``, an inventory of all headers): 105 patients, 572 CT series, 104 SEG (HCC_103
  has none), segments Liver, Mass, Necrosis, Portal vein and Abdominal aorta, some SEG without a Mass, 89 patients
  with a series called PRE in the study of the SEG, and series with two slices at each position. One study (HCC_005)
  was read by this project, without its SEG.
- Colorectal-Liver-Metastases (doi 10.7937/QXK2-QG03): jpeoples/tcia_crlm_data_conversion (an author's), which reads
  ``metadata.csv`` (Subject ID, Modality, Series UID, File Location): one CT and one SEG a patient, segments Liver,
  Liver Remnant, Portal, Hepatic, Tumor_1, Tumor_2 ...; a SEG may be smaller than the CT. A script for nnDetection
  (Task055) names 25 patients whose tumors overlap. An audit of two patients (1046, 1072): planes go by positions,
  SliceThickness is not the distance of slices, a Tumor may have several pieces.

Not verified, for want of the files: the phase on which each SEG of HCC-TACE-Seg was drawn (its reference phase here is
called ``segmented``), and whether a Necrosis always lies within a Mass.

Rules: a patient's SEG counts with the series that it names, else with the only one of its study; the images that its
frames name tell no slice, only one of several acquisitions in one series. In HCC-TACE-Seg, Mass and Necrosis are one
mask, whose 3D components are lesions (``hcc``); other series of the same study and frame of reference are taken where
their description names one phase alone, and studies after treatment are left out. In Colorectal-Liver-Metastases every
Tumor_N is a mask of its own (``metastasis``), and pieces of one that do not touch are lesions of their own.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from pathlib import Path
from typing import ClassVar, Dict, List, Pattern, Sequence, Tuple

import numpy as np

from gluon_liver.errors import InputError
from gluon_liver.phases.rules import PhaseRules, match_description
from gluon_liver.readers.masks.segmentation import open_segmentation
from gluon_liver.structures.label_volume import LabelVolume

from .dicom_folders import DicomFolder, SegmentedSeries, dicom_folders, phase_volume, segmented_series
from .layout import Found, Layout, LeftOut, MaskLabels, SetCase
from .named_files import missing_phases

USUAL_PHASES = ("non_contrast", "arterial", "delayed")


class _Segmented(Layout):
    """A set of the TCIA with one SEG a patient.

    lesion: names of segments that are lesions. others: those that are none. together: whether the lesions' segments are
    one mask.
    """

    lesion: ClassVar[Pattern[str]]
    others: ClassVar[Pattern[str]]
    together: ClassVar[bool]

    def find(self, source: Path) -> Found:
        found = Found()
        folders = dicom_folders(source, found)
        pairs = segmented_series(folders, source, found)
        for pair in pairs:
            self._add(pair, folders, source, found)
        if not found.cases:
            why = Counter(one.reason for one in found.left_out).most_common(1)
            most = f"; {why[0][1]} folder(s): {why[0][0]}" if why else ""
            raise InputError(
                f"{source} is no {self.title}: folders of DICOM series with a SEG a patient are looked for below it, "
                f"{len(folders)} folders of DICOM files were found{most}"
            )
        taken, told = {case.patient for case in found.cases}, {one.path for one in found.left_out}
        for one in folders:
            if one.patient not in taken and one.name(source) not in told:
                found.left_out.append(LeftOut(one.name(source), "its patient's segmentation is not taken"))
        found.notes += missing_phases(found.cases, self.phases)
        return found

    def _add(self, pair: SegmentedSeries, folders: Sequence[DicomFolder], source: Path, found: Found) -> None:
        names = pair.header.names
        lesions = [number for number, name in names.items() if self.lesion.fullmatch(name.strip().lower())]
        unknown = [
            name
            for number, name in names.items()
            if number not in lesions and not self.others.fullmatch(name.strip().lower())
        ]
        if unknown or not lesions:
            # what is not known may be a lesion, and a mask that lacks some is worse than none
            why = f"a segment is called {unknown[0][:40]!r}, which is not known" if unknown else "it has no lesion"
            found.left_out.append(LeftOut(pair.seg.name(source), why))
            return
        phases = {self.reference: phase_volume(pair.images, source, pair.header.images)}
        for phase, one in self._others(pair, folders, source, found).items():
            phases[phase] = phase_volume(one, source)
        labels = MaskLabels(
            pair.seg.name(source),
            self.reference,
            partial(read_segments, pair.header.path, tuple(lesions), self.together),
            {1: self.classes[0]} if self.together else {number: self.classes[0] for number in lesions},
        )
        found.cases.append(SetCase(pair.seg.patient, pair.seg.patient, phases, labels))

    def _others(
        self, pair: SegmentedSeries, folders: Sequence[DicomFolder], source: Path, found: Found
    ) -> Dict[str, DicomFolder]:
        """The series of further phases; those of no use are left out with the reason."""
        claims: Dict[str, List[DicomFolder]] = {}
        for one in folders:
            if one.patient != pair.seg.patient or one in (pair.seg, pair.images):
                continue
            why = "its study has no segmentation" if one.study != pair.images.study else ""
            why = why or ("it is no CT series" if not one.is_ct else "")
            if not why and one.frame != pair.images.frame:
                why = "its frame of reference is not that of the segmented series"
            told = {} if why else match_description(one.description, PhaseRules())
            if not why and len(told) != 1:
                why = "its description names no phase" if not told else "its description names several phases"
            if not why and [*told][0] not in self.phases:
                why = "its phase is not taken"
            if why:
                found.left_out.append(LeftOut(one.name(source), why))
            else:
                claims.setdefault([*told][0], []).append(one)
        for phase, several in claims.items():
            if len(several) > 1:
                why = f"its study has {len(several)} series for the {phase} phase"
                found.left_out += [LeftOut(one.name(source), why) for one in several]
        return {phase: one[0] for phase, one in claims.items() if len(one) == 1}


class HCCTACESeg(_Segmented):
    """See the module."""

    name: ClassVar[str] = "hcc-tace-seg"
    title: ClassVar[str] = "HCC-TACE-Seg"
    classes: ClassVar[Tuple[str, ...]] = ("hcc",)
    phases: ClassVar[Tuple[str, ...]] = ("segmented", *USUAL_PHASES)
    reference: ClassVar[str] = "segmented"
    lesion: ClassVar[Pattern[str]] = re.compile(r"mass|necrosis|tumou?r")
    others: ClassVar[Pattern[str]] = re.compile(r"liver|portal[ _]?veins?|(abdominal[ _]?)?aorta")
    together: ClassVar[bool] = True


class ColorectalLiverMetastases(_Segmented):
    """See the module."""

    name: ClassVar[str] = "colorectal-liver-metastases"
    title: ClassVar[str] = "Colorectal-Liver-Metastases"
    classes: ClassVar[Tuple[str, ...]] = ("metastasis",)
    phases: ClassVar[Tuple[str, ...]] = ("portal_venous",)
    reference: ClassVar[str] = "portal_venous"
    lesion: ClassVar[Pattern[str]] = re.compile(r"tumou?r[ _]?\d*")
    others: ClassVar[Pattern[str]] = re.compile(r"liver([ _]remnant)?|portal([ _]veins?)?|hepatic([ _]veins?)?")
    together: ClassVar[bool] = False


def read_segments(path: Path, numbers: Tuple[int, ...], together: bool) -> List[LabelVolume]:
    """Some segments of a SEG: each with its number, or all of them as one mask of 1."""
    header = open_segmentation(path, "its segmentation")
    if header is None:
        raise InputError("its segmentation is no DICOM SEG any more")
    volumes = [volume.recoded({number: 1 if together else number for number in numbers}) for volume in header.read()]
    for volume in volumes[1:] if together else ():
        np.maximum(volumes[0].labels, volume.labels, out=volumes[0].labels)
    return volumes[:1] if together else volumes
