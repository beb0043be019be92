"""``python -m gluon_liver COMMAND``: every command of the package."""

from __future__ import annotations

import sys

from .commands import console

if __name__ == "__main__":
    sys.exit(console())
