"""Commands from and to MXNet 1.0: ``export``, ``import-legacy`` and ``records``."""
