"""A side for the tests: prints what it sees of its process, or fails."""

import os
import sys

from scripts.bench.sides.report import print_record

if sys.argv[1:] == ["fail"]:
    sys.exit("no such thing")
if sys.argv[1:] != ["prepare"]:
    threads = os.environ.get("OMP_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0))
    print("a library says hello")
    print_record([0.5, 0.25], packages=("numpy",), work=3, checks={"threads": threads, "cores": cores, "of": sys.argv})
