"""How slices become one map: which of them reaches which position, by hand."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from gluon_liver.nn.backbones.resnet3d import ResNet3D
from gluon_liver.nn.backbones.stem import DepthPool, halved
from gluon_liver.nn.folding import folded
from tests.nn.conftest import SIZE, ct_detector


@pytest.mark.parametrize(
    "slices, pools, centre",
    [
        (1, [0], [0]),
        (3, [0, 2], [1]),
        (5, [0, 2, 4], [0, 2, 4]),
        (7, [0, 2, 4, 6], [1, 3, 5]),
        (9, [0, 2, 4, 6, 8], [0, 2, 4, 6, 8]),
        (11, [0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9]),
    ],
)
def test_positions_of_a_stride(slices, pools, centre):
    assert list(halved(slices, "pools")) == pools and list(halved(slices, "centre")) == centre


@pytest.mark.parametrize(
    "slices, left", [(1, (1, 1, 1)), (3, (1, 1, 1)), (9, (3, 1, 1)), (17, (5, 3, 3)), (21, (5, 3, 3))]
)
def test_centre_leaves_odd_numbers_of_positions(slices, left):
    assert ResNet3D(width=0.125, slices=slices, fusion="centre").slices_out == left


def test_a_centred_pool_by_hand():
    values = mx.nd.array([1, 5, 2, 4, 3, 0, 6]).reshape((7, 1, 1, 1))
    pool = DepthPool(7, channels=1, fusion="centre")  # windows (1, 5, 2), (2, 4, 3), (3, 0, 6) around 1, 3, 5
    assert pool(values).asnumpy().ravel().tolist() == [5, 4, 6]
    three, gradients = DepthPool(3, channels=1, fusion="centre"), []
    for stack in ([1, 5, 2], [5, 1, 2], [1, 2, 5], [3, 3, 3]):
        x = mx.nd.array(stack).reshape((3, 1, 1, 1))
        x.attach_grad()
        with autograd.record():
            pooled = three(x)
        pooled.backward()
        assert pooled.asnumpy().ravel().tolist() == [max(stack)]
        gradients.append(x.grad.asnumpy().ravel().tolist())
    assert gradients[:3] == [[0, 1, 0], [1, 0, 0], [0, 0, 1]] and sum(gradients[3]) == 1  # one of those alike


def maps_of_impulses(fusion, stem, slices):
    """For each of the slices, bright where the others of nine are dark: which positions of Block1, Block2 and Block3
    see it, and whether what each collapses to does."""
    net = ResNet3D(width=0.125, slices=9, norm="frozen", fusion=fusion, stem=stem)
    net.initialize(mx.init.One())
    for name, parameter in net.collect_params().items():
        if name.endswith("weight"):
            parameter.set_data(mx.nd.ones(parameter.shape) / np.prod(parameter.shape[1:]))
    x = np.zeros((len(slices), 1, 9, 32, 32), np.float32)
    x[np.arange(len(slices)), 0, slices] = 1
    blocks = [block.reshape((-4, len(slices), -1, 0, 0, 0)) for block in net(mx.nd.array(x))]
    collapsed = [net.collapse(mx.nd, block, block.shape[1]).asnumpy().sum(axis=(1, 2, 3)) > 0 for block in blocks]
    return zip(zip(*[block.asnumpy().sum(axis=(2, 3, 4)) > 0 for block in blocks]), zip(*collapsed))


CHANNELS = {1: {}, 9: {"slice_fusion": "channels"}}
# slice that is bright -> positions of Block1 and of Block2 (and Block3) that see it
REACHED = {
    # conv1 sees three slices to each side of -4, -2, 0, 2, 4, pool1 the neighbours of -4, 0, 4
    ("pools", "7x7x7"): {0: ([1, 1, 0], [1, 1]), 4: ([1, 1, 1], [1, 1]), 8: ([0, 1, 1], [1, 1])},
    ("centre", "7x7x7"): {0: ([1, 1, 0], [1]), 4: ([1, 1, 1], [1]), 8: ([0, 1, 1], [1])},
    # slices -4, -2, 0, 2, 4 alone
    ("pools", "1x7x7"): {
        0: ([1, 0, 0], [1, 0]),
        2: ([1, 1, 0], [1, 1]),
        3: ([0, 0, 0], [0, 0]),
        4: ([0, 1, 0], [1, 1]),
    },
    ("centre", "1x7x7"): {0: ([1, 0, 0], [1]), 2: ([1, 1, 0], [1]), 3: ([0, 0, 0], [0]), 6: ([0, 1, 1], [1])},
    ("channels", "7x7x7"): {0: ([1], [1]), 4: ([1], [1]), 8: ([1], [1])},
}


@pytest.mark.parametrize("fusion, stem", REACHED)
def test_a_bright_slice_arrives_where_the_table_says(fusion, stem):
    table = REACHED[fusion, stem]
    for (shallow, deep), (found, collapsed) in zip(table.values(), maps_of_impulses(fusion, stem, [*table])):
        assert [block.astype(int).tolist() for block in found] == [shallow, deep, deep]
        middle = shallow[len(shallow) // 2] if fusion == "centre" else max(shallow)
        assert collapsed == (bool(middle), bool(max(deep)), bool(max(deep)))


def test_centre_gives_the_annotated_slices_map_where_one_map_is_read():
    """The middle of Block1's three, where pools takes their mean; of the first phase."""
    stacks = mx.nd.arange(6).reshape((1, 6, 1, 1, 1))
    nets = {fusion: ResNet3D(width=0.125, slices=9, fusion=fusion) for fusion in ("centre", "pools")}
    assert nets["centre"].collapse(mx.nd, stacks, 3).asnumpy().ravel().tolist() == [1]
    assert nets["pools"].collapse(mx.nd, stacks * stacks, 3).asnumpy().ravel() == pytest.approx([5 / 3])


def test_slices_as_channels_start_as_the_one_slice_net_of_the_same_seed():
    """All features that proposals and ROIs read, of a stack and of its middle slice."""
    one, nine = (ct_detector(slices=slices, texture_head=True, **changes) for slices, changes in CHANNELS.items())
    weight = nine.backbone.stem.conv1.weight.data().asnumpy()
    assert weight.shape == (8, 1, 9, 7, 7) and np.abs(weight[:, :, 4]).min() > 0
    assert not np.delete(weight, 4, axis=2).any()
    x = mx.nd.random.normal(shape=(2, 1, 1, 9, SIZE, SIZE))
    alone, stack = one.features(mx.nd, mx.nd.slice_axis(x, axis=3, begin=4, end=5)), nine.features(mx.nd, x)
    for expected, found in [(alone.maps[0], stack.maps[0]), (alone.shallow, stack.shallow)]:
        # oneDNN sums nine channels, eight of them zero, in another order than one
        scale = np.abs(expected.asnumpy()).max()
        assert np.abs(found.asnumpy() - expected.asnumpy()).max() <= 1e-5 * scale and expected.asnumpy().std() > 1e-3


@pytest.mark.parametrize("options", [{"slice_fusion": "centre"}, {"slice_fusion": "channels"}, {"stem": "1x7x7"}])
def test_a_folded_detector_reads_slices_the_same_way(options):
    detector = ct_detector(slices=9, texture_head=True, **options)
    for name, parameter in detector.backbone.collect_params().items():
        if name.endswith("running_var"):
            parameter.set_data(mx.nd.random.uniform(0.5, 2.0, shape=parameter.shape))
    copy = folded(detector, context=mx.cpu())
    x = mx.nd.random.normal(shape=(1, 1, 1, 9, SIZE, SIZE))
    plain, same = (one.features(mx.nd, x) for one in (detector, copy))
    for found, expected in [(same.maps[0], plain.maps[0]), (same.shallow, plain.shallow)]:
        assert np.abs(found.asnumpy() - expected.asnumpy()).max() < 1e-4 * np.abs(expected.asnumpy()).max()
