"""Detection metrics: pure functions over records of ground truth and detections."""

from gluon_liver.structures.image_result import ImageResult

from .ct_summary import ct_curves, ct_summary

__all__ = ["ImageResult", "ct_curves", "ct_summary"]
