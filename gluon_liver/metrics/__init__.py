"""Detection metrics: pure functions over records of ground truth and detections."""

from gluon_liver.metrics.records import ImageResult
from gluon_liver.metrics.summary import ct_curves, ct_summary

__all__ = ["ImageResult", "ct_curves", "ct_summary"]
