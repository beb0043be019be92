"""Codes of what was found: SNOMED CT and DICOM's own, and three of this program where neither has one.

Morphologies, which with the site, the liver, say what a disorder of the liver says; viewers know them from the context
groups of segmentations.
"""

from __future__ import annotations

from typing import Dict, Tuple

from pydicom.sr.coding import Code

OWN_SCHEME = "99GLUONLIVER"
LESION = Code("52988006", "SCT", "Lesion")  # of every class that has no code below
CYST = Code("367643001", "SCT", "Cyst")
HEMANGIOMA = Code("2099007", "SCT", "Hemangioma")
CARCINOMA = Code("25370001", "SCT", "Hepatocellular carcinoma")
METASTASIS = Code("14799000", "SCT", "Neoplasm, metastatic")
BILE_DUCT = Code("70179006", "SCT", "Cholangiocarcinoma")
HYPERPLASIA = Code("278527001", "SCT", "Focal nodular hyperplasia of liver")
ABSCESS = Code("44132006", "SCT", "Abscess")
TUMOR = Code("108369006", "SCT", "Neoplasm")

# words of a class in small letters -> code
_NAMES: Dict[Code, Tuple[str, ...]] = {
    CYST: ("cyst", "hepatic cyst", "liver cyst", "simple cyst"),
    HEMANGIOMA: ("hemangioma", "haemangioma", "hepatic hemangioma", "hepatic haemangioma"),
    CARCINOMA: ("hcc", "hepatocellular carcinoma"),
    METASTASIS: ("metastasis", "metastases", "hepatic metastasis", "crlm", "bclm"),
    BILE_DUCT: ("icc", "cholangiocarcinoma", "intrahepatic cholangiocarcinoma"),
    HYPERPLASIA: ("fnh", "focal nodular hyperplasia"),
    ABSCESS: ("abscess", "hepatic abscess"),
    TUMOR: ("tumor", "tumour", "neoplasm"),
}
FINDINGS: Dict[str, Code] = {name: code for code, names in _NAMES.items() for name in names}

LIVER = Code("10200004", "SCT", "Liver")
ABNORMAL = Code("49755003", "SCT", "Morphologically Abnormal Structure")
BOUNDED_BY = Code("75958009", "SCT", "Bounded by")
LONG_AXIS = Code("103339001", "SCT", "Long Axis")
CERTAINTY = Code("111012", "DCM", "Certainty of Finding")
COMMENT = Code("121106", "DCM", "Comment")
DEVICE = Code("121007", "DCM", "Device")
NEURAL_NETWORK = Code("123110", "DCM", "Artificial Intelligence")
CT_STUDY = Code("25045-6", "LN", "CT unspecified body region")
MM = Code("mm", "UCUM", "millimeter")
PERCENT = Code("%", "UCUM", "Percent")

THROUGH_PLANE = Code("EXTENT", OWN_SCHEME, "Extent across slices")
SLICE_OF_REGION = Code("SLICE", OWN_SCHEME, "Slice of the region")
INTERPOLATED = Code("INTERPOLATED", OWN_SCHEME, "Interpolated; nearest image referenced")


def finding(class_name: str) -> Code:
    """The code of a class by its name, whatever its case, with spaces or lines between its words."""
    return FINDINGS.get(" ".join(class_name.lower().replace("_", " ").replace("-", " ").split()), LESION)
