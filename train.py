"""`python train.py --help` tells the options; the work is in gluon_liver/commands/train.py."""

import sys

from gluon_liver.commands import run_command

if __name__ == "__main__":
    sys.exit(run_command(("train",), sys.argv[1:], program="train.py"))
