"""Commands from and to MXNet 1.0 beside ``export --legacy``: ``import-legacy`` and ``records``."""
