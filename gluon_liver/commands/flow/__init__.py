"""Commands of optical flow: ``convert-flow`` and ``train-flow``."""
