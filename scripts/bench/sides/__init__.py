"""One side of a comparison a file, each run in a process of its own: see :mod:`.report` for what it prints."""
