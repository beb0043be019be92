"""Models run by onnxruntime, on one thread."""

from gluon_liver.onnx.session import Session


def run(model, feeds):
    """The outputs of a model by name."""
    return Session(model.SerializeToString(), threads=1).run(feeds)
