"""Stages that stay as they are given."""

import mxnet as mx
import numpy as np
import pytest
from mxnet import autograd

from gluon_liver.nn.backbones.resnet2d import ResNet2D
from gluon_liver.nn.backbones.resnet3d import ResNet3D

STAGES = ("stem", "block1", "block2", "block3")


@pytest.mark.parametrize("frozen", [0, 1, 2, 4])
@pytest.mark.parametrize("kind, shape", [(ResNet3D, (2, 1, 1, 64, 64)), (ResNet2D, (2, 3, 64, 64))])
def test_frozen_stages_keep_weights_and_statistics_and_the_others_learn(kind, shape, frozen):
    net = kind(width=0.125, frozen_stages=frozen)
    net.initialize(mx.init.Xavier())
    named = net._collect_params_with_prefix()
    before = {name: one.data().asnumpy() for name, one in named.items()}
    x = mx.nd.random.normal(shape=shape)
    x.attach_grad()
    with autograd.record():
        found = net(x)
        loss = (found[2] if isinstance(found, (list, tuple)) else found).sum()
    loss.backward()
    mx.nd.waitall()
    for number, stage in enumerate(STAGES):
        mine = {name: one for name, one in named.items() if name.startswith(stage + ".")}
        statistics = [name for name in mine if name.endswith("running_mean")]
        moved = [name for name in statistics if np.any(mine[name].data().asnumpy() != before[name])]
        learned = [name for name, one in mine.items() if one.grad_req != "null"]
        assert (not moved and not learned) if number < frozen else (moved and learned), stage


def test_group_norm_of_a_frozen_stage_stays_group_norm():
    net = ResNet3D(width=0.125, norm="group", frozen_stages=1)
    assert all(one.grad_req == "null" for one in net.stem.collect_params().values())
    assert type(net.stem.bn1).__name__ == "GroupNorm" and "gamma" in net.stem.bn1._collect_params_with_prefix()
