"""`python evaluate.py --help` tells the options; the work is in gluon_liver/commands/evaluate.py."""

import os
import signal
import sys

if __name__ == "__main__":
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:  # not in a shell's background job
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # no traceback while Python imports
    from gluon_liver.commands import run_command

    signal.signal(signal.SIGINT, handler)
    sys.exit(run_command(("evaluate",), sys.argv[1:], program="evaluate.py"))
