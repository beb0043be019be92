"""``reproduce`` and ``weights``: the papers' rows, tables and figures, and trained nets, made again by one command."""
