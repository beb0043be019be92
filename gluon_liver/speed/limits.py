"""Figures of a machine and a configuration, and what they say limits training: pure functions of the figures."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

NOTABLE = 1.05  # what a measured change must gain to be advised
WAITING = 0.1  # share of a step's time above which waiting for batches is a limit
GIB = 2**30
PRODUCTS = ("Convolution", "Deconvolution", "FullyConnected", "batch_dot", "dot")
DERIVED = ("median", "rate", "efficiency", "traffic", "waiting")  # written to JSON beside what was measured
SHOWN = 6  # operators in the report
# operator -> what makes it less
ADVICE = {
    "ROIAlign": "fewer ROIs: --set network.head.samples=... (128 by default; fewer are sampled to learn from)",
    "BatchNorm": "train with network.batch_norm=frozen where there are weights to begin with (--pretrained)",
    "box_nms": "fewer proposals: --set network.rpn.train_pre_nms=... --set network.rpn.train_post_nms=...",
}


@dataclass(frozen=True)
class Steps:
    """Training steps of one way to run them."""

    threads: int
    engine: str  # as MXNET_ENGINE_TYPE has it
    devices: str
    images: int  # a step
    seconds: Sequence[float]  # of each step that was timed
    first: float  # seconds of the first step, which plans memory and makes oneDNN's primitives
    memory: int  # bytes that the process had at most
    multiplications: float  # of a step
    map_bytes: float  # of a step's forward outputs
    product_rate: float  # multiplications a second of a large product on one device
    sum_rate: float  # bytes a second of a large sum on one device

    @property
    def median(self) -> float:
        """Seconds of a step."""
        return statistics.median(self.seconds)

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.images / self.median

    @property
    def device_count(self) -> int:
        """Devices that add to each other's speed: contexts of the CPU share its cores."""
        kind, _, numbers = self.devices.partition(":")
        return len(numbers.split(",")) if kind == "gpu" else 1

    @property
    def efficiency(self) -> float:
        """What the step multiplies, of what a large product would in its time."""
        return self.multiplications / self.median / (self.product_rate * self.device_count)

    @property
    def traffic(self) -> float:
        """Share of the time that its maps need at the speed of a large sum, estimated: forward writes and reads them,
        backward writes and reads their gradients and reads them again.
        """
        return 5 * self.map_bytes / self.median / (self.sum_rate * self.device_count)


@dataclass(frozen=True)
class Loading:
    """Batches, loaded while nothing is trained."""

    images: int
    seconds: Sequence[float]
    real: bool  # from prepared data; else random images are augmented and given targets
    workers: Optional[int] = None  # as train.loader_workers has it, where it was changed
    first: Optional[float] = None  # seconds of the first batch
    opened: Optional[float] = None  # seconds until data were open and what is windowed once was there

    @property
    def rate(self) -> float:
        """Images a second."""
        return self.images * len(self.seconds) / sum(self.seconds)


@dataclass(frozen=True)
class Training:
    """Steps on prepared data, and of each how long it waited for its batch."""

    images: int
    seconds: Sequence[float]
    waits: Sequence[float]

    @property
    def waiting(self) -> float:
        """Share of the time."""
        return sum(self.waits) / sum(self.seconds)


@dataclass(frozen=True)
class Benchmark:
    """All figures of one machine and configuration."""

    config: str
    cores: str  # how many, and how that was found
    load: float  # running processes before the first measurement
    memory_limit: int  # bytes that a process may take
    usual: Steps  # as train.py runs
    others: List[Steps]  # each differs from ``usual`` in one way
    loading: List[Loading]
    operators: Mapping[str, float] = field(default_factory=dict)  # share of the operators' time, the largest first
    training: Optional[Training] = None
    failed: Dict[str, str] = field(default_factory=dict)  # measurement -> why there is none


class Limit(NamedTuple):
    """What limits training, the gravest first; ``advice`` is empty where there is nothing to do."""

    what: str
    finding: str
    advice: str = ""


def limits(benchmark: Benchmark) -> List[Limit]:
    """What to change, with what it gained where that was measured here; the step's own arithmetic comes last."""
    usual, found = benchmark.usual, []
    if usual.threads > 1 and benchmark.load > 0.5 * usual.threads:
        finding = f"{benchmark.load:.1f} processes ran before: other work takes part of the cores, and of these figures"
        found.append(Limit("other processes", finding, "measure and train while nothing else runs"))
    found += _loading_limit(benchmark)
    found += _setting_limits(benchmark)
    if usual.devices.startswith("cpu") and usual.memory > 0.8 * benchmark.memory_limit:
        finding = f"the process had {_gib(usual.memory)} of {_gib(benchmark.memory_limit)}"
        advice = "--set train.mirror=true keeps less (see `memory`); --set parallel.accumulate=2 halves what is at once"
        advice += " (live BatchNorm needs two images of each half)"
        found.append(Limit("memory", finding, advice))
    return [*found, _step_limit(usual, benchmark.operators)]


def _loading_limit(benchmark: Benchmark) -> List[Limit]:
    usual, training = benchmark.usual, benchmark.training
    best = max(benchmark.loading, key=lambda one: one.rate, default=None)
    if training is not None and training.waiting > WAITING:
        finding = f"training waited {training.waiting:.0%} of the time for its batches"
    elif training is None and best is not None and best.rate < usual.rate:
        part = "loading" if best.real else "augmentation alone"
        finding = f"{part} gives {best.rate:.1f} images/s, a step takes {usual.rate:.1f}"
    else:
        return []
    plain = next((one for one in benchmark.loading if one.workers is None), None)
    if best is not None and plain is not None and best.rate > NOTABLE * plain.rate:
        gain = f"loads {best.rate / plain.rate:.1f} times as fast here"
        return [Limit("loading", finding, f"--set train.loader_workers={best.workers} {gain}")]
    advice = "the first epoch fills the cache, later ones read it; put --cache on a fast disk; fewer data.augment steps"
    return [Limit("loading", finding, advice)]


def _setting_limits(benchmark: Benchmark) -> List[Limit]:
    """Ways of running that are faster than the usual one, as measured."""
    usual, found = benchmark.usual, []
    rivals = [one for one in benchmark.others if one.devices == usual.devices and one.images == usual.images]
    threads = [one for one in rivals if one.engine == usual.engine and one.threads != usual.threads]
    best = max(threads, key=lambda one: one.rate, default=None)
    if best is not None and best.rate > NOTABLE * usual.rate:
        finding = f"{best.threads} OpenMP thread(s) are {best.rate / usual.rate:.2f} times as fast as {usual.threads}"
        found.append(Limit("OpenMP threads", finding, f"export OMP_NUM_THREADS={best.threads}"))
    for one in rivals:
        if one.engine != usual.engine and one.threads == usual.threads and one.rate > NOTABLE * usual.rate:
            finding = f"MXNet's {one.engine} is {one.rate / usual.rate:.2f} times as fast as {usual.engine}"
            found.append(Limit("engine", finding, f"export MXNET_ENGINE_TYPE={one.engine}"))
    for one in benchmark.others:
        if one.devices == usual.devices and one.images > usual.images and one.rate > 1.1 * usual.rate:
            finding = (
                f"{one.images} images a step give {one.rate / usual.rate:.2f} times the images/s of {usual.images}"
            )
            advice = f"--set train.batch_size={one.images} (the rate an image follows; fewer updates an epoch)"
            found.append(Limit("small steps", finding, advice))
    return found


def _step_limit(usual: Steps, operators: Mapping[str, float]) -> Limit:
    """What a step itself takes its time for."""
    finding = f"it multiplies at {usual.efficiency:.0%} of what a large product reaches"
    products = sum(operators.get(name, 0.0) for name in PRODUCTS)
    others = {name: share for name, share in operators.items() if name not in PRODUCTS}
    if operators:
        finding = f"convolutions and products take {products:.0%} of a step; {finding}"
    if products >= max(others.values(), default=0.0) if operators else usual.efficiency > 0.4:
        fewer = "fewer pixels (data.size), slices (data.slices) or ROIs (network.head.samples), or a faster device"
        return Limit("arithmetic", finding, f"only less work is faster: {fewer}")
    if not others:
        finding += f"; reading and writing its maps takes about {min(1.0, usual.traffic):.0%}"
        return Limit("what is not arithmetic", finding)
    first = next(iter(others))
    return Limit(first, f"{first} takes {others[first]:.0%} of a step; {finding}", ADVICE.get(first, ""))


def report(benchmark: Benchmark) -> str:
    """The figures as text, and what limits training."""
    usual = benchmark.usual
    spread = f"{min(usual.seconds):.3g} to {max(usual.seconds):.3g} in {len(usual.seconds)} steps"
    achieved = usual.multiplications / usual.median
    peak = usual.product_rate * usual.device_count
    lines = [
        f"{benchmark.config}, {usual.images} images a step on {usual.devices}; {benchmark.cores}",
        f"step        {usual.median:.3g} s ({spread}; the first one {usual.first:.3g} s), {usual.rate:.1f} images/s",
        f"arithmetic  {usual.multiplications / 1e9:.3g} GMAC a step: {2 * achieved / 1e9:.0f} GFLOP/s, "
        f"{achieved / peak:.0%} of the {2 * peak / 1e9:.0f} that a large product reaches",
        f"memory      {_gib(usual.memory)} of {_gib(benchmark.memory_limit)}; "
        f"{usual.sum_rate / 1e9:.1f} GB/s in a large sum, at which maps take {min(1.0, usual.traffic):.0%} of a step",
        "",
        f"{'threads':>7}  {'engine':<24}{'devices':<12}{'images':>6}  {'s a step':>9}{'images/s':>10}{'of usual':>10}",
    ]
    for one in (usual, *benchmark.others):
        lines.append(
            f"{one.threads:>7}  {one.engine:<24}{one.devices:<12}{one.images:>6}  {one.median:>9.3g}{one.rate:>10.1f}"
            f"{one.rate / usual.rate:>10.2f}"
        )
    lines.append("")
    if benchmark.operators:
        largest = list(benchmark.operators.items())[:SHOWN]
        lines.append("a step by operator: " + ", ".join(f"{name} {share:.0%}" for name, share in largest))
    for load in benchmark.loading:
        what = "loading" if load.real else "augmentation and targets of random images (--data DIR measures loading)"
        lines.append(f"{what}: {load.rate:.1f} images/s" + (f", {load.workers} workers" if load.workers else ""))
    if benchmark.training is not None:
        rate = benchmark.training.images / statistics.median(benchmark.training.seconds)
        lines.append(f"training on these data: {rate:.1f} images/s, {benchmark.training.waiting:.0%} of it waiting")
    lines += [f"not measured: {name}: {why}" for name, why in benchmark.failed.items()]
    lines += ["", "What limits it, and what to do:"]
    for number, limit in enumerate(limits(benchmark), 1):
        lines.append(f"{number}. {limit.what}: {limit.finding}")
        if limit.advice:
            lines.append(f"   -> {limit.advice}")
    return "\n".join(lines)


def as_json(benchmark: Benchmark) -> Dict[str, Any]:
    """The figures and what they say, for ``--json``."""
    return {**_plain(benchmark), "limits": [limit._asdict() for limit in limits(benchmark)]}


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        plain = {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
        derived = {name: getattr(value, name) for name in DERIVED if hasattr(value, name)}
        return {**plain, **derived}
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def _gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB"
