"""Models run by onnxruntime, on one thread."""

import pytest

from gluon_liver.onnx.session import Session

from .predict_study import RULES, body, write_phase


def run(model, feeds):
    """The outputs of a model by name."""
    return Session(model.SerializeToString(), threads=1).run(feeds)


@pytest.fixture(scope="module")
def study_folder(tmp_path_factory):
    """Three phases: the others of another size, lower by 1.3 mm, one of them turned and flipped, and too short."""
    folder = tmp_path_factory.mktemp("study")
    write_phase(folder / "b", body((6, 48, 40), 0), name="arterial", series=2, origin=(-20, -18, 30))
    write_phase(folder / "a", body((7, 40, 44), 1), name="non", series=1, origin=(-18.3, -17, 28.7))
    turned = dict(orientation=(0, -1, 0, -1, 0, 0), spacing=(2.5, 0.9, 0.9))
    write_phase(folder / "c", body((4, 52, 50), 2), name="delayed", series=3, origin=(22, 24.6, 41.2), **turned)
    (folder / "rules.yaml").write_text(RULES)
    return folder
