"""Plain Faster R-CNN of the ultrasound paper: ResNet-50 features of the current frame."""

from __future__ import division

import mxnet as mx

from ..parts.rcnn import block4_head
from ..parts.resnet import resnet_2d
from .detector import Detector, Features


class USFasterRCNN(Detector):
    """Frames (B, frame, 3, H, W), red, green, blue from 0 to 1, the current frame last."""

    frames = 1

    def inputs(self, config, batch_size):
        size = config["data"]["size"]
        return {"data": (batch_size, self.frames, 3, size, size)}

    def features(self, config, batch_size):
        data = mx.sym.reshape(mx.sym.Variable("data"), shape=(-3, 0, 0, 0))
        return Features([resnet_2d(data, config["network"])])

    def abstract(self, config, pooled, numbers=None):
        return block4_head(pooled, config["network"])
