"""Weights of a configuration here, and what they make of an image and fixed ROIs, for the same network elsewhere."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Dict

import numpy as np

from .ours import BOXES, mx, options, random_detector, random_images, read_config


def main() -> int:
    from gluon_liver.data.images import normalise

    parser: argparse.ArgumentParser = options(__doc__)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    config = read_config(args)
    detector = random_detector(config)
    image = mx.nd.array(normalise(random_images(config)))
    features = detector.features(mx.nd, image)
    block3 = features.maps[0]
    hidden = detector.rpn.conv1(block3)
    rois = np.concatenate([BOXES, BOXES[:, ::-1] / 3 + [0, 0, 300, 300]]).astype(np.float32)
    abstract = detector.head(mx.nd, features, mx.nd.array(rois[None])).abstract
    outputs: Dict[str, Any] = {
        "map": block3,
        "proposal scores": detector.rpn.score(hidden),
        "proposal offsets": detector.rpn.loc(hidden),
        "class scores": detector.class_predictor(abstract),
        "box offsets": detector.box_predictor(abstract),
    }
    weights = {f"weights/{name}": one.data().asnumpy() for name, one in detector.collect_learned().items()}
    arrays = {name: values.asnumpy() for name, values in outputs.items()}
    np.savez(args.out, image=image.asnumpy().reshape((1, -1) + image.shape[-2:]), rois=rois, **weights, **arrays)
    return 0


if __name__ == "__main__":
    sys.exit(main())
