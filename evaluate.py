"""`python evaluate.py --help` tells the options; the work is in gluon_liver/commands/evaluate.py."""

import os
import signal
import sys

if __name__ == "__main__":
    alone = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not in a shell's background job
    if alone:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # no traceback while Python imports
    from gluon_liver.commands import run_command
    from gluon_liver.system.interrupts import end_quietly

    if alone:
        signal.signal(signal.SIGINT, end_quietly)
    sys.exit(run_command(("evaluate",), sys.argv[1:], program="evaluate.py"))
