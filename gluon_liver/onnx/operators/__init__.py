"""Each operator of MXNet that the detectors use, written with standard ONNX operators."""
