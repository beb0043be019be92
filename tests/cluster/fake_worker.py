"""A worker that pushes and pulls in a loop, for tests of the launcher: fake_worker.py FOLDER STEPS."""

import os
import signal
import sys
import time
from pathlib import Path

from gluon_liver.cluster import heartbeat

heartbeat.start()

import mxnet as mx  # noqa: E402

folder, steps = Path(sys.argv[1]), int(sys.argv[2])
stopping = []
signal.signal(signal.SIGTERM, lambda number, frame: stopping.append(number))
store = mx.kv.create("dist_sync")
heartbeat.tell(rank=store.rank)
value = mx.nd.ones((16,)) * (store.rank + 1)
out, stop = mx.nd.zeros((16,)), mx.nd.zeros((1,))
store.init("sum", mx.nd.zeros((16,)))
store.init("stop", mx.nd.zeros((1,)))
(folder / f"rank-{store.rank}").write_text(str(os.getpid()))
step = 0
while step < steps:
    store.push("sum", value.copy())  # a pull overwrites the array that was pushed last
    store.pull("sum", out=out)
    store.push("stop", mx.nd.array([len(stopping)]))
    store.pull("stop", out=stop)
    step += 1
    if step % 10 == 0 and store.rank == 0:
        heartbeat.tell(checkpoint=folder / f"step-{step:08d}")
    if stop.asscalar():  # all workers see the same sum, so they stop at the same step
        break
    time.sleep(0.01)
print(f"rank {store.rank} step {step} sum {out.asnumpy()[0]} omp {os.environ.get('OMP_NUM_THREADS')}", flush=True)
heartbeat.done()
