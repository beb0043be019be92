"""experiments.run with the commands of fake.py: python -m tests.experiments.pretended ..."""

import sys
from pathlib import Path

from experiments.run import main
from experiments.tasks import Program

FAKE = (sys.executable, "-S", "-E", str(Path(__file__).with_name("fake.py")))
PROGRAM = Program(*((*FAKE, kind) for kind in ("train", "evaluate", "others")))

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], program=PROGRAM))
