"""``python -m gluon_liver COMMAND``: every command of the package."""

from __future__ import annotations

import sys

from .system.interrupts import quiet_start

if __name__ == "__main__":
    quiet_start()

    from .commands import main

    sys.exit(main(sys.argv[1:]))
