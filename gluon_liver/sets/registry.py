"""The layouts of public CT sets by name."""

from __future__ import annotations

from typing import Dict, Type

from .deeplesion import DeepLesion
from .ircadb import IRCADb
from .layout import Layout
from .lits import LiTS
from .lld_mmri import LLDMMRI, LLDMMRIDynamic
from .mct_ltdiag import MCTLTDiag
from .msd import MSDHepaticVessel, MSDLiver
from .nifti_folder import NIfTIFolder
from .tcia import ColorectalLiverMetastases, HCCTACESeg
from .waw_tace import WAWTACE

LAYOUTS: Dict[str, Type[Layout]] = {  # a line a set
    DeepLesion.name: DeepLesion,
    IRCADb.name: IRCADb,
    HCCTACESeg.name: HCCTACESeg,
    ColorectalLiverMetastases.name: ColorectalLiverMetastases,
    LiTS.name: LiTS,
    MSDLiver.name: MSDLiver,
    MSDHepaticVessel.name: MSDHepaticVessel,
    LLDMMRI.name: LLDMMRI,
    LLDMMRIDynamic.name: LLDMMRIDynamic,
    MCTLTDiag.name: MCTLTDiag,
    WAWTACE.name: WAWTACE,
    NIfTIFolder.name: NIfTIFolder,
}
