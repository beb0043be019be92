"""``data summary``, ``data check`` and ``data view``: what prepared data hold."""
