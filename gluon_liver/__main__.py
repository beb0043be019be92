"""``python -m gluon_liver COMMAND``: every command of the package."""

from __future__ import annotations

import sys

from .commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
