"""Commands about configurations: ``config list``, ``show``, ``explain`` and ``diff``."""
