"""One slice cannot tell a steep vessel from a lesion, nine can: exactly, in distribution, and by a learner."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.stats import ks_2samp

from gluon_liver.phantoms.ct.anatomy import Abdomen
from gluon_liver.phantoms.ct.attenuation import PHASES, random_attenuation
from gluon_liver.phantoms.ct.config import CLASSES, CTPhantomConfig
from gluon_liver.phantoms.ct.lesions import random_lesion
from gluon_liver.phantoms.ct.rendering import Scene
from gluon_liver.phantoms.ct.steep import SteepVessel, _random_section
from gluon_liver.phantoms.ct.vessels import random_vessels
from gluon_liver.phantoms.shapes import Plane
from scripts.oracles.ct import classes_area, size_area, spots, tubes_area
from scripts.oracles.learner import area

THIN = CTPhantomConfig(
    matrix=128,
    slices=(26, 26),
    spacing_mm=(1.0,),
    subslices=1,
    lesions=(2, 4),
    diameter_mm=(8.0, 18.0),
    min_box_pixels=5,
    steep_vessels=(4, 6),
    steep_vessel_mm=(6.0, 18.0),
    noise_sd_hu=(4.0, 7.0),
    noise_at_mm=5.0,
)


@pytest.mark.parametrize(
    "label, ambiguous", [("cyst", False), ("hemangioma", False), ("hemangioma", True), ("hcc", False)]
)
def test_on_one_slice_a_tube_is_the_lesion_itself(label, ambiguous):
    rng = np.random.default_rng(4)
    abdomen, tissue = Abdomen(rng), random_attenuation(rng)
    vessels, place = random_vessels(rng, abdomen, 0), np.array([-80.0, -10.0, 2.0])
    lesion = random_lesion(rng, (place, 18.0), label, ambiguous, tissue, 1.0)
    tube = SteepVessel(lesion, 5.0, (0.2, -0.1), 14.97)
    # the tube's axis passes the lesion's axis on the slice 5 mm above the lesion's middle
    aside = np.array([*(place[:2] - 5.0 * np.array(tube.slope)), place[2]])
    tube = dataclasses.replace(tube, section=dataclasses.replace(lesion, centre_mm=tuple(map(float, aside))))
    plane, heights = Plane(128, 2.6), place[2] + np.arange(-9.0, 13.0, 2.0)
    own = Scene(plane, abdomen, vessels, [lesion], heights, 1.0, 2)
    others = Scene(plane, abdomen, vessels, [], heights, 1.0, 2, [tube])
    for phase in PHASES:
        (one, _), (two, _) = (scene.render(tissue[phase], phase, np.zeros(3)) for scene in (own, others))
        gaps = np.abs(one - two).max(axis=(1, 2))
        assert heights[7] == place[2] + 5.0 and gaps[7] < 0.01
        assert gaps[[0, -1]].min() > 10.0 or (label, phase) != ("cyst", phase)
        assert gaps[[0, -1]].max() > 5.0


def test_tubes_have_the_sizes_and_classes_of_the_sections_of_lesions():
    config = CTPhantomConfig(class_weights=(1.0, 2.0, 1.0), steep_vessel_mm=(8.0, 24.0), ambiguous_fraction=0.5)
    rng = np.random.default_rng(0)
    tubes = [_random_section(rng, config, None, 1000.0) for _ in range(1500)]
    # slices through lesions: of each as many as it is tall
    sections = []
    for _ in range(6000):
        label = CLASSES[rng.choice(3, p=(0.25, 0.5, 0.25))]
        whole = config.diameter(label, bool(rng.random() < 0.5), float(rng.beta(1.3, 1.9)))
        for height in np.arange(rng.uniform(0.0, 6.0) - 0.5 * whole, 0.5 * whole, 6.0):
            size = np.sqrt(whole**2 - 4.0 * height**2)
            if 8.0 <= size <= 24.0:
                sections.append((CLASSES.index(label), whole, abs(height) / whole, size))
    drawn = np.array(
        [(CLASSES.index(label), whole, abs(height) / whole, size) for label, _, whole, height, size in tubes]
    )
    for ours, theirs in zip(drawn.T, np.array(sections).T):
        assert ks_2samp(ours, theirs).statistic < 0.06


def test_size_tells_the_class_only_where_classes_have_sizes():
    common = CTPhantomConfig(background_fraction=0.0)
    ranges = CTPhantomConfig(background_fraction=0.0, diameter_mm_by_class=(8.0, 16.0, 8.0, 20.0, 20.0, 50.0))
    assert abs(size_area(common, "hcc", "hemangioma", patients=60)[0] - 0.5) < 0.2
    assert size_area(ranges, "hcc", "hemangioma", patients=60)[0] > 0.9


def test_the_area_by_hand():
    assert area(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])) == 0.75
    assert area(np.ones(4), np.array([False, True, True, False])) == 0.5


@pytest.mark.slow
def test_a_learner_needs_the_neighbouring_slices():
    found = spots(THIN, 8, every=2)
    (lesions, tubes), (one, _), (nine, _) = tubes_area(found, (6.0, 14.0))
    assert lesions > 30 and tubes > 200
    assert 0.3 < one < 0.68 and nine > 0.88


@pytest.mark.slow
def test_a_learner_needs_the_delayed_phase_for_ambiguous_lesions():
    config = CTPhantomConfig(
        matrix=96,
        slices=(20, 20),
        spacing_mm=(2.5,),
        subslices=1,
        lesions=(4, 4),
        diameter_mm=(10.0, 20.0),
        class_weights=(0.0, 1.0, 1.0),
        ambiguous_fraction=0.9,
        steep_vessels=(0, 0),
    )
    found = spots(config, 16, every=2)
    assert abs(classes_area(found, "arterial")[0] - 0.5) < 0.2 and classes_area(found, "delayed")[0] > 0.9
