"""MCT-LTDiag in small: names, types and quirks as gluon_liver/sets/mct_ltdiag.py says them."""

import numpy as np

from .written import small_volume, write_nifti

SPACING = (5.0, 0.75, 0.75)  # about that of the set
TYPES = {"230218a1": "BCLM", "230218b1": "HCC", "230218c1": "HH", "230525d1": "ICC", "240504e01": "CRLM"}
CLASSES = {"BCLM": "bclm", "HCC": "hcc", "HH": "hemangioma", "ICC": "icc", "CRLM": "crlm"}
PHASES = {"nc": -30, "art": 10, "pvp": 0, "delay": -10}  # file -> what is added to the HU
HEADER = ["ID", "type", "patient_sex", "patient_age", "Cirrhosis status (Y/N)"]


def lesions_of(case):
    """Two lesions, in another place in each case."""
    shift = sorted(TYPES).index(case)
    return [("any", (3, 14 + shift, 14), (1.5, 4, 3)), ("any", (6, 24, 16 + shift), (1.2, 3, 4))]


def write_mct_ltdiag(folder, *, lacking=(), table="tab"):
    """Write the set below ``folder``. Returns case -> mask of lesion numbers (z, y, x). lacking: (case, file)."""
    masks = {}
    for number, case in enumerate(TYPES):
        hu, mask, _ = small_volume(number, (8, 40, 48), lesions_of(case))
        (folder / case / "NIFTI").mkdir(parents=True)
        for phase, more in PHASES.items():
            if (case, phase) not in lacking:
                put(folder / case / "NIFTI" / f"{phase}.nii.gz", np.clip(hu + more, -1024, 3071).astype(np.int16))
        put(folder / case / "mask_pvp.nii.gz", (mask > 0).astype(np.uint8))
        put(folder / case / "liver_mask_pvp.nii.gz", (hu > 0).astype(np.uint8))
        masks[case] = mask
    write_table(
        folder, [(case, kind, "F", "063Y", "N (Surgery, at outside hospital)") for case, kind in TYPES.items()], table
    )
    return masks


def write_table(folder, rows, ending="tab"):
    """meta_info_patient as Dataverse gives it (tab, texts in quotes) or as the authors' repository has it (csv)."""
    if ending == "tab":
        lines = ["\t".join(HEADER)] + ["\t".join(f'"{text}"' for text in row) for row in rows]
    else:
        lines = [",".join(HEADER)] + [",".join(f'"{text}"' if "," in text else text for text in row) for row in rows]
    (folder / f"meta_info_patient.{ending}").write_text("\ufeff" * (ending == "csv") + "\n".join(lines) + "\n", "utf-8")


def put(path, zyx):
    write_nifti(path, zyx, SPACING, origin=(-180.0, -150.0, -400.0), axes="LAS")
