"""Where detectors fail: causes of errors, confusion, calibration and recall by group, over records of images."""
