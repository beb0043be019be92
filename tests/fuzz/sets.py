"""Public sets and folders of label tools: one of their files is changed, or its name."""

import contextlib
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from gluon_liver.errors import GluonLiverError
from gluon_liver.files.json_records import read_json
from gluon_liver.sets.layout import MaskLabels
from gluon_liver.sets.registry import LAYOUTS
from gluon_liver.sets.us.layout import Given
from gluon_liver.sets.us.registry import US_LAYOUTS
from tests.readers.us_writer import write_video
from tests.sets import (
    deeplesion_set,
    dicom_sets,
    lits_set,
    lld_mmri_set,
    mct_ltdiag_set,
    us_aul_set,
    us_clust_set,
    us_cvat_set,
    us_labelme_set,
    us_vos_set,
    waw_tace_set,
)
from tests.sets.written import small_volume, write_itk, write_nifti

from .harness import Target
from .pictures import FRAMES
from .recipe import HOSTILE, change_bytes, change_json


def _cvat(folder):
    shapes = [us_cvat_set.box(0, (2, 3, 20, 22)), us_cvat_set.box(3, (4, 3, 24, 22), rotation=20)]
    xml = us_cvat_set.video_xml([us_cvat_set.track(0, "mass", shapes)], frames=4, size=(64, 48))
    (folder / "annotations.xml").write_text(xml)
    write_video(folder / "scan.avi", FRAMES)


def _nifti(folder):
    (folder / "set.yaml").write_text("phases: [arterial, late]\nclasses: {1: hcc}\nsplits: {train: [a], test: [b]}\n")
    for seed, name in enumerate("ab"):
        (folder / name).mkdir()
        hu, mask, _ = small_volume(seed, (4, 16, 18), [("hcc", (2, 8, 8), (1, 2, 2))])
        write_nifti(folder / name / "arterial.nii.gz", hu)
        write_itk(folder / name / "late.nrrd", hu)
        write_nifti(folder / name / "mask.nii", mask)


WRITERS = {
    "nifti": _nifti,
    "lits": lits_set.write_lits,
    "msd-liver": lambda folder: lits_set.write_msd(folder, "Task03_Liver", "liver", {"1": "liver", "2": "cancer"}),
    "deeplesion": deeplesion_set.small_set,
    "3d-ircadb": dicom_sets.write_ircadb,
    "lld-mmri": lld_mmri_set.write_lld_mmri,
    "mct-ltdiag": mct_ltdiag_set.write_mct_ltdiag,
    "waw-tace": waw_tace_set.write_waw_tace,
    "aul": us_aul_set.write_aul,
    "clust": us_clust_set.write_clust,
    "cvat": _cvat,
    "labelme": us_labelme_set.write_labelme,
    "vos": us_vos_set.write_vos,
}
TEXTS = (".json", ".csv", ".txt", ".tab", ".xml", ".tsv", ".xlsx", ".yaml")


@lru_cache(maxsize=None)
def _set(name):
    folder = Path(tempfile.mkdtemp()) / "in"
    folder.mkdir()
    WRITERS[name](folder)
    return folder


def _builder(name):
    def build(recipe):
        """(path below the folder, another name of it, content)."""
        paths = sorted(path for path in _set(name).rglob("*") if path.is_file())
        texts = [path for path in paths if path.suffix in TEXTS]
        path = recipe.of(texts if texts and recipe.below(4) else paths)
        below, content = path.relative_to(_set(name)).as_posix(), path.read_bytes()
        how = recipe.below(4)
        if how == 0:
            changed = recipe.of((below.upper(), below + ".bak", "x" + below, Path(below).name))
            return below, changed, content
        if path.suffix == ".json" and how < 3:
            return below, below, change_json(recipe, read_json(path))
        if path.suffix in TEXTS and how < 3:
            words = content.split(recipe.of((b",", b" ", b"\t", b'"', b"\n")))
            words[recipe.below(len(words))] = str(recipe.of(HOSTILE)).encode("utf-8", "surrogatepass")
            return below, below, b",".join(words)
        return below, below, change_bytes(recipe, content)

    return build


def _reader(name):
    def read(content, folder):
        below, changed, code = content
        copy = folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(_set(name), copy)
        (copy / below).unlink()
        (copy / changed).parent.mkdir(parents=True, exist_ok=True)
        (copy / changed).write_bytes(code)
        if name in US_LAYOUTS:
            given = {"box_pixels": 20.0} if name == "clust" else {}
            US_LAYOUTS[name]().find(copy, Given(whole_frame=True, **given))
            return
        for case in LAYOUTS[name]().find(copy).cases[:2]:
            for phase in case.phases.values():
                with contextlib.suppress(GluonLiverError):
                    phase.open().decode(lambda z, plane: None)
            if isinstance(case.labels, MaskLabels):
                with contextlib.suppress(GluonLiverError):
                    list(case.labels.open())

    return read


TARGETS = [Target(f"set-{name}", _builder(name), _reader(name)) for name in WRITERS]
