"""Networks as graphs of ONNX, and sessions of onnxruntime that run them; ``import onnx`` here is the library."""
