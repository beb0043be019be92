"""Which measurements a machine and a configuration get, each in a process of its own, one after the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence

from gluon_liver.config.load import load_config
from gluon_liver.config.schema import Config
from gluon_liver.data.open import check_task, open_dataset
from gluon_liver.errors import InputError
from gluon_liver.system.runtime import prepare_mxnet, usable_cores

from .limits import Benchmark, Loading, Steps, Training

DEFAULT_CONFIG = "demo-ct"
SYNCHRONOUS, THREADED = "NaiveEngine", "ThreadedEnginePerDevice"
TIMEOUT = 900.0  # seconds of one measurement
Say = Callable[[str], None]


class Way(NamedTuple):
    """One way to run training steps; what is None is as usual."""

    threads: Optional[int] = None
    engine: Optional[str] = None
    devices: Optional[str] = None
    images: Optional[int] = None


def benchmark(
    configs: Sequence[str],
    overrides: Sequence[str],
    *,
    data: Optional[Path] = None,
    cache: Optional[Path] = None,
    seconds: float = 5.0,
    say: Say = lambda text: None,
) -> Benchmark:
    """Measure training of a configuration here, about ``seconds`` for each way to run it.

    say: is told what is being measured. data: prepared data to load and train on, beside random images; cache: where
    what is windowed of them is kept, by default with them.

    Raises :class:`InputError` where the usual way to train cannot be measured, with the reason.
    """
    config = load_config(*configs, overrides=overrides)
    if data is not None:
        dataset = open_dataset(data)
        check_task(config, dataset)
        dataset.input_phases(config)
    load = os.getloadavg()[0]
    runner = _Runner(list(configs), list(overrides), seconds=seconds, say=say)
    others = ways(config, cores=usable_cores()[0])
    worker_counts = [] if data is None else list(_powers(2 * usable_cores()[0]))
    count = 3 + len(others) + len(worker_counts) + (data is not None)
    say(f"{count} measurements of about {seconds:g} s and what it takes to start them; Ctrl-C ends it")
    usual = runner.steps(Way(), config)
    failed: Dict[str, str] = {}
    measured = []
    for way in others:
        if way.images is not None and usual.memory * way.images / usual.images > 0.8 * memory_limit():
            failed[f"{way.images} images a step"] = "they would not fit into memory"
            continue
        try:
            measured.append(runner.steps(way, config))
        except InputError as error:
            failed[" ".join(f"{name} {value}" for name, value in way._asdict().items() if value)] = str(error)
    operators: Dict[str, float] = {}
    try:
        operators = runner.run("operators", "operators", threads=usual.threads, engine=usual.engine)
    except InputError as error:
        failed["operators"] = str(error)
    options: Dict[str, Any] = {"threads": usual.threads, "engine": usual.engine}
    options.update(data=None if data is None else str(data), cache=None if cache is None else str(cache))
    loading = [Loading(real=data is not None, **runner.run("loading", "loading", **options))]
    for workers in worker_counts:
        override = [f"train.loader_workers={workers}"]
        figures = runner.run("loading", f"loading by {workers} workers", overrides=override, **options)
        loading.append(Loading(real=True, workers=workers, **figures))
    training = None
    if data is not None:
        training = Training(**runner.run("training", "training on the data", **options))
    return Benchmark(
        config=" ".join(configs),
        cores=usable_cores()[1],
        load=load,
        memory_limit=memory_limit(),
        usual=usual,
        others=measured,
        operators=operators,
        loading=loading,
        training=training,
        failed=failed,
    )


def ways(config: Config, *, cores: int) -> List[Way]:
    """What is measured beside the usual way: on one context of the CPU other thread counts, the other engine and twice
    the images; on several devices fewer of them, each with as many images.
    """
    devices, count = config.parallel.devices, config.parallel.device_count
    if count > 1:
        each = config.train.batch_size // count
        kind, _, numbers = devices.partition(":")
        fewer = [size for size in _powers(count) if size < count]
        names = [f"gpu:{','.join(numbers.split(',')[:size])}" if kind == "gpu" else f"cpu:{size}" for size in fewer]
        return [Way(devices=name, images=each * size) for name, size in zip(names, fewer)]
    if devices.startswith("gpu"):
        return [Way(images=2 * config.train.batch_size)]
    usual = usual_threads()
    found = [Way(threads=threads) for threads in _powers(cores) if threads != usual]
    return [*found, Way(engine=_other(usual_engine(config))), Way(images=2 * config.train.batch_size)]


def usual_threads() -> int:
    """What OMP_NUM_THREADS is in this process, set by the user or by the package."""
    settings = {setting.name: setting.value for setting in prepare_mxnet().settings}
    value = settings.get("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", ""))
    return int(value) if value.isdigit() else usable_cores()[0]


def usual_engine(config: Config) -> str:
    """What train.py runs on: see :func:`gluon_liver.system.runtime.prefer_synchronous_engine`."""
    single = config.parallel.devices in ("cpu", "cpu:1") and not config.parallel.kvstore.startswith("dist")
    return os.environ.get("MXNET_ENGINE_TYPE") or (SYNCHRONOUS if single else THREADED)


def memory_limit() -> int:
    """Bytes of this machine's memory, or of the cgroup's limit where that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(path).read_text()))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return total


class _Runner:
    def __init__(self, configs: List[str], overrides: List[str], *, seconds: float, say: Say):
        self._configs, self._overrides, self._seconds, self._say = configs, overrides, seconds, say

    def steps(self, way: Way, config: Config) -> Steps:
        """The figures of one way."""
        threads = way.threads or usual_threads()
        engine = way.engine or usual_engine(config)
        devices = way.devices or config.parallel.devices
        overrides = [f"parallel.devices={devices}"]
        overrides += [] if way.images is None else [f"train.batch_size={way.images}"]
        title = f"steps on {devices}, {threads} thread(s), {engine}, {way.images or config.train.batch_size} images"
        figures = self.run("step", title, threads=threads, engine=engine, overrides=overrides)
        return Steps(threads=threads, engine=engine, devices=devices, **figures)

    def run(
        self,
        what: str,
        title: str,
        *,
        threads: int,
        engine: str,
        overrides: Sequence[str] = (),
        **options: Any,
    ) -> Dict[str, Any]:
        """What the process of one measurement printed. Raises :class:`InputError` where it failed."""
        self._say(f"measuring {title}")
        request: Dict[str, Any] = {"what": what, "configs": self._configs, "seconds": self._seconds, **options}
        request["overrides"] = [*self._overrides, *overrides]
        command = [sys.executable, "-W", "ignore", "-m", "gluon_liver.speed.measure", json.dumps(request)]
        environ = {**os.environ, "OMP_NUM_THREADS": str(threads), "MXNET_ENGINE_TYPE": engine}
        if what == "operators":
            environ["MXNET_EXEC_BULK_EXEC_TRAIN"] = "0"
        try:
            child = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, env=environ)
        except subprocess.TimeoutExpired:
            raise InputError(f"{title}: no end within {TIMEOUT:g} s: take a smaller configuration") from None
        if child.returncode < 0:
            advice = "often for want of memory; --set train.mirror=true, or a smaller configuration"
            raise InputError(f"{title}: the process died of signal {-child.returncode}: {advice}")
        if child.returncode:
            raise InputError(f"{title}: {(child.stderr.strip().splitlines() or ['it failed'])[-1]}")
        figures: Dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
        if "error" in figures:
            raise InputError(figures["error"])
        return figures


def _powers(count: int) -> Iterator[int]:
    """1, 2, 4, ... and ``count``."""
    size = 1
    while size < count:
        yield size
        size *= 2
    yield count


def _other(engine: str) -> str:
    return THREADED if engine == SYNCHRONOUS else SYNCHRONOUS
