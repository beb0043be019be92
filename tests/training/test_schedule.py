"""Rates by hand: warm-up, decay at epochs, and a cosine."""

import dataclasses

import numpy as np
import pytest

from gluon_liver.config.parallel_limits import check_parallel
from gluon_liver.errors import ConfigError
from gluon_liver.training.resume_choice import changes
from gluon_liver.training.schedule import learning_rate, schedule_notes


@pytest.fixture
def rates(make_config):
    """rates((0, 5), warmup_steps=10): of these steps, 20 an epoch, at 0.04 a step of 4 images."""

    def make(steps, **train):
        config = dataclasses.replace(make_config().train, learning_rate=0.01, batch_size=4, **train)
        return [learning_rate(config, step=step, per_epoch=20) for step in steps]

    return make


def test_a_cosine_falls_from_where_warm_up_ends_to_nothing(rates):
    """10 steps of warm-up, then 190: the middle is step 105."""
    train = dict(schedule="cosine", epochs=10, warmup_steps=10, warmup_from=0.2, decay_epochs=(2,))
    assert np.allclose(rates((0, 5, 10, 105), **train), [0.008, 0.024, 0.04, 0.02])
    assert np.allclose(rates((29, 48, 143), **train), 0.02 * (1 + np.cos(np.pi * np.array([0.1, 0.2, 0.7]))))
    last, past, beyond = rates((199, 200, 300), **train)
    assert 0 < last < 1e-5 and past == beyond == 0.0  # the last step still learns


def test_steps_of_no_use_are_told(make_config):
    """Ten epochs of 20 steps, of which --steps, where given, takes the place."""

    def notes(steps, **train):
        config = dataclasses.replace(make_config().train, **{"epochs": 10, **train})
        return schedule_notes(config, steps=steps, per_epoch=20)

    assert notes(None, warmup_steps=199) == notes(150, warmup_steps=200) == notes(201, schedule="steps") == []
    assert notes(None, schedule="cosine", warmup_steps=10) == notes(200, schedule="cosine") == []
    assert "warm-up takes 200 steps" in notes(None, warmup_steps=200)[0]
    assert "after step 200 of 201 the rate is 0" in notes(201, schedule="cosine")[0]
    assert "after step 250 of 300 the rate is 0" in notes(300, schedule="cosine", warmup_steps=250)[0]
    assert notes(250, schedule="cosine", warmup_steps=250) == []


def test_warm_up_begins_where_it_is_told(rates):
    assert np.allclose(rates((0, 5, 9, 10), warmup_steps=10, warmup_from=0.5), [0.02, 0.03, 0.038, 0.04])
    assert np.allclose(rates((0, 5), warmup_steps=10), [0.004, 0.022])  # a tenth by default
    assert np.allclose(rates((0, 1), warmup_steps=0, warmup_from=0.5), 0.04)


def test_a_warm_up_that_is_longer_than_training(rates):
    assert np.allclose(rates((0, 10), schedule="cosine", epochs=1, warmup_steps=40), [0.004, 0.013])


def test_servers_of_dist_async_have_no_cosine(make_config, monkeypatch):
    monkeypatch.setenv("DMLC_ROLE", "worker")
    config = make_config(**{"parallel.kvstore": "dist_async", "train.schedule": "cosine"})
    with pytest.raises(ConfigError, match="train.schedule cosine is not there with dist_async.*take steps"):
        check_parallel(config)


def test_what_of_it_may_change_within_a_run(make_config):
    later = {"train.schedule": "cosine", "train.warmup_from": 0.3, "train.validate": True}
    assert set(changes(make_config(), make_config(**later))) == set(later)
    for fixed in ({"train.best_epoch": True}, {"train.validation_images": 3}):
        with pytest.raises(ConfigError, match="--resume"):
            changes(make_config(), make_config(**fixed))
