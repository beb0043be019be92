"""MRI: grey values without a unit, from the import's scale to the network, and nothing that calls them HU."""

import json
import shutil

import numpy as np
import pytest

from gluon_liver import InputError, Study, load_detector, mri_volume
from gluon_liver.config.load import build_config
from gluon_liver.config.windows import check_window
from gluon_liver.data.ct_dataset import CTDataset
from gluon_liver.data.images import to_grey
from gluon_liver.data.windowed_images import open_images, prepare_images
from gluon_liver.errors import ConfigError, DatasetError
from gluon_liver.inference.study import detect_study
from gluon_liver.runs.run import Run
from gluon_liver.structures.modality import MRI_WINDOW, grey_range, stored_grey
from gluon_liver.training.train import train
from gluon_liver.weights.source import Pretrained
from tests.conftest import change_json, write_dataset


@pytest.fixture
def mri_data(tmp_path):
    """Prepared data that say they are MRI."""
    data = write_dataset(tmp_path / "data")
    change_json(data / "dataset.json", modality="MRI")
    for path in data.glob("studies/*/study.json"):
        source = json.loads(path.read_text())["source"]
        change_json(path, source={**source, "modality": "MRI"})
    return data


def test_a_volume_is_scaled_between_its_own_percentiles():
    volume = np.arange(1001, dtype=np.float32).reshape(7, 11, 13) * 3 + 40  # percentiles 5 and 995 of 0 to 1000
    low, high = grey_range(volume)
    assert (low, high) == pytest.approx((5 * 3 + 40, 995 * 3 + 40))
    stored = mri_volume(volume).ravel()
    assert stored.dtype == np.int16 and stored.min() == -1024
    assert stored[[0, 5, 500, 995]].tolist() == [-1024, -1024, 0, 1024]
    assert stored[1000] == round(1024 + 5 * 2048 / 990)  # what is brighter than white is kept
    # the scale of a phase, and what another receiver made of it, does not matter
    assert np.array_equal(stored, mri_volume(volume * 17 - 3).ravel())


def test_the_brightest_voxels_end_at_int16():
    assert stored_grey(np.array([0, 1e6, -1e6]), (0.0, 1.0)).tolist() == [-1024, 32767, -1024]


@pytest.mark.parametrize("volume, told", [(np.full((2, 9, 9), 7), "one value, 7"), ([[np.nan, 1.0]], "not finite")])
def test_a_volume_with_nothing_on_it_is_refused(volume, told):
    with pytest.raises(InputError, match=told):
        mri_volume(volume)


def test_the_window_of_the_scale_goes_from_black_to_white():
    assert to_grey(np.array([-1024, 0, 1024], np.int16), MRI_WINDOW).tolist() == [0, 128, 255]


@pytest.mark.parametrize("window", ["paper", "liver"])
def test_presets_are_in_hu_and_refused_with_advice(mri_data, make_config, window):
    dataset, config = CTDataset.open(mri_data), make_config(**{"data.window": window})
    for refused in (
        lambda: dataset.input_phases(config),
        lambda: prepare_images(dataset, window=window),
        lambda: open_images(dataset, dataset.cases[0].case, window),
    ):
        with pytest.raises(ConfigError, match=rf"data.window is '{window}', which is in HU.*MRI.*\[2048, 0\]"):
            refused()
    check_window(window, "CT")


def test_images_are_made_with_a_pair(mri_data):
    dataset = CTDataset.open(mri_data)
    prepare_images(dataset, window=MRI_WINDOW)
    case = dataset.cases[0].case
    images = open_images(dataset, case, MRI_WINDOW)
    assert np.array_equal(images[0, 1], to_grey(np.asarray(dataset.study(case).hu[0, 1]), MRI_WINDOW))


def test_noise_is_in_grey_values(mri_data, tiny_dataset, tiny_config):
    assert CTDataset.open(mri_data).grey_per_noise(tiny_config) == 1.0
    assert tiny_dataset.grey_per_noise(tiny_config) == 255 / 150  # the tiny configuration's window is 150 wide


def test_a_run_on_ct_reads_no_mri(mri_data, tiny_run):
    with pytest.raises(DatasetError, match="modality MRI, the run was trained on CT"):
        tiny_run.check_dataset(CTDataset.open(mri_data))
    study = Study.from_arrays(np.zeros((3, 8, 8)), spacing=(1, 1, 1), phases=["arterial"], modality="MRI")
    with pytest.raises(DatasetError, match="modality MRI, the run was trained on CT"):
        load_detector(tiny_run.folder).detect_study(study)


def test_another_modality_is_told_before_other_classes(tiny_run):
    record = {"classes": ["cyst"], "modality": "MRI"}
    with pytest.raises(DatasetError, match="modality MRI, the run was trained on CT$"):
        tiny_run.check_match(record)
    with pytest.raises(DatasetError, match="--classes FILE that lists"):
        tiny_run.check_match({**record, "modality": "CT"})


def test_a_run_on_mri_reads_no_dicom_and_takes_arrays_as_mri(mri_data, tiny_run, tmp_path):
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    change_json(tmp_path / "run" / "environment.json", modality="MRI")
    run = Run.open(tmp_path / "run")
    run.check_dataset(CTDataset.open(mri_data))
    (tmp_path / "dicom").mkdir()
    with pytest.raises(InputError, match="trained on MRI, and DICOM files are read as CT: give an MRI study"):
        detect_study(run, tmp_path / "dicom", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    study = Study.from_arrays(np.zeros((3, 8, 8)), spacing=(1, 1, 1), phases=["arterial"])
    with pytest.raises(DatasetError, match="modality CT, the run was trained on MRI"):
        load_detector(run.folder).detect_study(study)
    load_detector(run.folder).detect_volume(mri_volume(np.arange(192).reshape(3, 8, 8)), spacing=(1, 1, 1))


def test_a_study_says_it_is_mri_as_its_data_do(mri_data):
    dataset = CTDataset.open(mri_data)
    case = dataset.cases[0].case
    assert dataset.study(case).modality == "MRI" and not dataset.holds_hu
    assert dataset.must_match(build_config({"model": "ct-faster-rcnn"}))["modality"] == "MRI"
    assert dataset.training_record()["modality"] == "MRI"
    change_json(mri_data / "dataset.json", modality="CT")
    with pytest.raises(DatasetError, match="study.json says MRI and dataset.json CT"):
        CTDataset.open(mri_data).study(case)


def test_data_of_before_are_ct(tiny_dataset):
    assert tiny_dataset.modality == "CT" and tiny_dataset.study(tiny_dataset.cases[0].case).modality == "CT"
    assert "modality" not in tiny_dataset.training_record()  # so that runs of before are gone on with
    assert not tiny_dataset.label_notes(tiny_dataset.labels)


def test_results_say_that_the_images_are_other_than_the_papers(mri_data):
    dataset = CTDataset.open(mri_data)
    assert "the images are MRI, the paper's are CT" in dataset.label_notes(dataset.labels)[0]


def test_unknown_modality():
    with pytest.raises(InputError, match="modality is 'PET'"):
        Study.from_arrays(np.zeros((1, 8, 8)), spacing=(1, 1, 1), phases=["a"], modality="PET")


def test_weights_of_a_net_that_takes_hu_are_refused(mri_data, make_config, tmp_path):
    (tmp_path / "net.params").write_bytes(b"x")
    weights = Pretrained(tmp_path / "net.params", (-1000.0, 1000.0))
    config = make_config(**{"data.window": [2048, 0]})
    with pytest.raises(ConfigError, match="--pretrained-hu is of HU, and the pixels of .* are none: leave it out"):
        train(config, CTDataset.open(mri_data), tmp_path / "run", pretrained=weights, progress=False)
    assert not (tmp_path / "run").exists()
