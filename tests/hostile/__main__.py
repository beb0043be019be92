"""`python -m tests.hostile`: each hostile file is read in a process with little memory; prints what came of it as JSON.

A process may have ADDRESS bytes of address space beyond what it begins with, so that memory that is asked for and not
touched counts too. "peak_mib" is what it took of real memory beyond what it began with.
"""

import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from gluon_liver.errors import GluonLiverError

from .cases import CASES

ADDRESS = 512 * 2**20
SECONDS = 30


def main():
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (write, read) in CASES.items():
            place = Path(folder, name)
            place.mkdir()
            found[name] = _measure(write(place), read)
    json.dump(found, sys.stdout, indent=1)


def _measure(path, read):
    """What becomes of one file, in a process of its own."""
    end, begin = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.write(begin, json.dumps(_outcome(path, read)).encode())
        os._exit(0)
    os.close(begin)
    with os.fdopen(end, "rb") as stream:
        content = stream.read()
    _, status, _ = os.wait4(child, 0)
    record = json.loads(content) if content else {"error": f"the process ended with {status}", "message": ""}
    return {**record, "seconds": round(time.monotonic() - started, 2)}


def _outcome(path, read):
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    with open("/proc/self/statm", encoding="ascii") as stream:
        now = int(stream.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + ADDRESS, now + ADDRESS))
    before = _peak()
    try:
        read(path)
        record = {"error": "", "message": ""}
    except GluonLiverError as error:
        record = {"error": type(error).__name__, "message": str(error)[:300]}
    except BaseException as error:  # a finding
        record = {"error": f"UNTYPED {type(error).__name__}", "message": str(error)[:300]}
    return {**record, "peak_mib": round((_peak() - before) / 1024, 1)}


def _peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
