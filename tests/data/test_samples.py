"""The order in which images are shown."""

from types import SimpleNamespace

import numpy as np

from gluon_liver.data.samples import epoch_order


def test_an_order_is_shuffled_anew_in_each_epoch():
    """40 images with boxes, then 40 without: each has any place, and no neighbours of its own."""
    labels = [SimpleNamespace(boxes=[0] * (index < 40)) for index in range(80)]
    orders = np.array([epoch_order(labels, background_ratio=1.0, seed=5, epoch=epoch) for epoch in range(200)])
    assert (np.sort(orders, axis=1) == np.arange(80)).all()
    places = np.argsort(orders, axis=1)  # (epoch, image)
    # a mean of 200 uniform places has a deviation of 1.63 places
    assert np.abs(places.mean(axis=0) - 39.5).max() < 4.5 * 1.63
    assert np.abs(places.std(axis=0) - 23.1).max() < 4
    assert ((np.diff(orders, axis=1) == 1).mean()) < 0.02  # one in eighty by chance
    assert len({tuple(order) for order in orders.tolist()}) == 200


def test_backgrounds_take_turns():
    """Of 30 backgrounds 10 are shown in an epoch, others in each, all with the same chance."""
    labels = [SimpleNamespace(boxes=[0] * (index < 10)) for index in range(40)]
    orders = [epoch_order(labels, background_ratio=1.0, seed=1, epoch=epoch) for epoch in range(300)]
    shown = np.bincount(np.concatenate(orders), minlength=40)
    assert (shown[:10] == 300).all() and np.abs(shown[10:] - 100).max() < 4.5 * 8.2
