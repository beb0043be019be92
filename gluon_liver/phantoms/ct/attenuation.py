"""CT numbers (HU) of the tissues of the phantom in the three phases, and where they come from.

Every study draws one value per tissue: a baseline without contrast medium plus an enhancement that is scaled
by one factor for the whole study (cardiac output and body weight move all enhancements together).

Sources of the central values:

* Liver and spleen without contrast medium, the liver a few HU above the spleen: Piekarski et al., Radiology
  1980; Prokop and Galanski, Spiral and Multislice CT of the Body, 2003 (liver 45 to 65, spleen 35 to 55,
  blood 45 to 65, kidney 20 to 40, fat -50 to -100 HU). The phantom's blood is the slightly anaemic 38 to 45
  HU of hospital patients, so that unenhanced vessels show as dark dots in the liver.
* Late arterial phase: Goshima et al., AJR 2006 (increase over baseline: aorta 300 to 336, spleen 97 to 108,
  portal vein 75 to 104, hepatic veins 24 to 51, liver 15 to 25 HU at 4 ml/s). The CT paper injects 3 ml/s and
  scans at 25 s, hence earlier and lower values here; hepatic veins are still darker than the liver.
* Later phases: Goshima et al., AJR 2006 (aorta 117 to 125, spleen 73 to 82, liver 59 to 63 at the portal
  peak), reduced to the 5-minute scan as in Bae, Radiology 2010 (all vessels approach one blood-pool value).
* Cyst: at most 20 HU without change between the phases (Gore et al., J Am Coll Radiol 2017).
* Hemangioma: isodense with blood without contrast medium; globular, peripheral, discontinuous arterial
  enhancement like the aorta that fills in from the rim (Quinn and Benjamin, Radiology 1992; Leslie et al.,
  AJR 1995). Nodules are rarely as bright as the aorta in the early phase on multidetector CT (AJR 2010, doi
  10.2214/AJR.09.3324), therefore a factor of 0.80 to 1.00. Small ones may enhance at once and evenly ("flash
  filling") and then look like small hypervascular malignant tumours in the arterial phase (Hanafusa et al.,
  Radiology 1995; Kim et al., Radiology 2001).
* HCC: hypervascular and often mosaic in the arterial phase (Lee et al., AJR 2004); liver-to-lesion ratio of
  1.21 (median) in the delayed phase (Liu et al., AJR 2013); capsule in about 80 % on late
  images (review: Radiol Oncol 2018, doi 10.2478/raon-2018-0044).
"""

from __future__ import annotations

from typing import Dict, Tuple

import numpy as np

PHASES = ("non_contrast", "arterial", "delayed")

# tissue: ((lowest, highest) baseline HU, arterial enhancement HU, delayed enhancement HU)
TISSUES: Dict[str, Tuple[Tuple[float, float], float, float]] = {
    "liver": ((54.0, 60.0), 13.0, 35.0),
    "aorta": ((38.0, 45.0), 232.0, 90.0),
    "artery": ((38.0, 45.0), 215.0, 88.0),
    "portal": ((38.0, 45.0), 72.0, 88.0),
    "hepatic": ((38.0, 45.0), 12.0, 86.0),
    "cava": ((38.0, 45.0), 38.0, 82.0),
    "spleen": ((44.0, 51.0), 72.0, 52.0),
    "renal_cortex": ((29.0, 36.0), 135.0, 125.0),
    "renal_medulla": ((29.0, 36.0), 35.0, 130.0),
    "muscle": ((50.0, 58.0), 5.0, 12.0),
    "gut_wall": ((38.0, 45.0), 35.0, 45.0),
    "gut_content": ((8.0, 25.0), 0.0, 0.0),
    "bile": ((3.0, 12.0), 0.0, 0.0),
    "fat": ((-108.0, -98.0), 0.0, 2.0),
    "gas": ((-960.0, -930.0), 0.0, 0.0),
    "lung": ((-870.0, -820.0), 20.0, 15.0),
    "spongy_bone": ((150.0, 210.0), 6.0, 12.0),
    "dense_bone": ((420.0, 600.0), 0.0, 0.0),
    "disc": ((70.0, 95.0), 2.0, 5.0),
    "cord": ((25.0, 35.0), 2.0, 4.0),
}
BLOOD = ("aorta", "artery", "portal", "hepatic", "cava")

# of a lesion: HU below or above the liver, factors of the aorta, liver-to-lesion ratio
LESIONS = {
    "hcc_below_liver": (6.0, 12.0),
    "ambiguous_below_liver": (8.0, 14.0),
    "hcc_arterial_above_liver": (40.0, 60.0),
    "ambiguous_arterial_above_liver": (50.0, 75.0),
    "hcc_liver_to_lesion": (1.15, 1.27),
    "capsule_above_liver": (12.0, 20.0),
    "hemangioma_nodule_of_aorta": (0.80, 1.00),
    "hemangioma_pool_of_aorta": (0.92, 1.00),
    "cyst": (0.0, 15.0),
}

Attenuation = Dict[str, Dict[str, float]]


def random_attenuation(rng: np.random.Generator) -> Attenuation:
    """HU of every tissue in every phase of one study: ``{phase: {tissue: HU}}``.

    All vessels share one unenhanced value (it is the same blood).
    """
    factor = rng.uniform(0.93, 1.07)
    base = {tissue: rng.uniform(*limits) for tissue, (limits, _, _) in TISSUES.items()}
    for tissue in BLOOD:
        base[tissue] = base["aorta"]
    gains = {tissue: (0.0, arterial, delayed) for tissue, (_, arterial, delayed) in TISSUES.items()}
    return {
        phase: {tissue: float(base[tissue] + factor * gain[number]) for tissue, gain in gains.items()}
        for number, phase in enumerate(PHASES)
    }
