"""Detectors as ONNX graphs. Inside of it ``import onnx`` is the library."""
