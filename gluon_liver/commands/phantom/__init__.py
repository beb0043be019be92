"""``phantom ct`` and ``phantom us``."""
