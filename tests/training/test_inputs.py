"""What belongs to an image and an epoch is drawn for both, and again the same."""

import numpy as np
import pytest

from gluon_liver.training.inputs import TrainingInputs

ANCHORS = np.array([[x, y, x + 16, y + 16] for x in range(0, 48, 4) for y in range(0, 48, 4)], np.float32)


@pytest.fixture
def load(tiny_dataset, make_config):
    def load_of(index, epoch, seed=0):
        # noise alone: it leaves boxes where they are, so that what differs in the targets was sampled
        config = make_config(**{"data.augment": {"noise": 5.0}, "network.rpn.samples": 8, "train.seed": seed})
        inputs = TrainingInputs(config, tiny_dataset)
        return inputs.load([index], epoch=epoch, anchors=ANCHORS, random_numbers=lambda rng: rng.random(8))

    return load_of


@pytest.mark.parametrize("what", ["images", "rpn_labels", "random_numbers"])
def test_each_epoch_image_and_seed_draws_its_own(load, what):
    first = getattr(load(0, 0), what)
    assert np.array_equal(first, getattr(load(0, 0), what))
    for other in (load(0, 1), load(0, 0, seed=1), load(1, 0)):
        assert not np.array_equal(first, getattr(other, what))
    assert np.array_equal(load(0, 0).gt_boxes, load(0, 1).gt_boxes)


def test_what_is_drawn_for_one_purpose_is_not_drawn_for_another(load):
    """Augmentation, targets and the network's numbers of an image have a generator each."""
    numbers = load(0, 0).random_numbers[0]
    assert not np.isin(numbers, [np.random.default_rng([0, purpose, 0, 0]).random() for purpose in range(4)]).any()
