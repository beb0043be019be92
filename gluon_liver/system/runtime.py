"""What must be in place before MXNet 1.9.1 is imported: threads, BLAS kernels, NumPy names, CUDA libraries.

MXNet reads all of it once, while its library is loaded, so ``gluon_liver/__init__.py`` calls :func:`prepare_start`.
Nothing here overrides what the user has set, and nothing here imports MXNet. Standard library only, and little of it:
every start of the program waits for this.
"""

from __future__ import annotations

import functools
import math
import os
import sys
import warnings
from importlib import import_module
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Dict, FrozenSet, List, MutableMapping, NamedTuple, Optional, Tuple

# soname -> (wheel, its folder below site-packages/nvidia), in the order in which they depend on each other. These are
# the libraries that libmxnet.so of mxnet-cu112 1.9.1 names, and cuBLASLt and cuSPARSE, which the others name.
CUDA_WHEELS = {
    "libcudart.so.11.0": ("nvidia-cuda-runtime-cu11", "cuda_runtime"),
    "libcublasLt.so.11": ("nvidia-cublas-cu11", "cublas"),
    "libcublas.so.11": ("nvidia-cublas-cu11", "cublas"),
    "libcusparse.so.11": ("nvidia-cusparse-cu11", "cusparse"),
    "libcusolver.so.11": ("nvidia-cusolver-cu11", "cusolver"),
    "libcufft.so.10": ("nvidia-cufft-cu11", "cufft"),
    "libcurand.so.10": ("nvidia-curand-cu11", "curand"),
    "libnvrtc.so.11.2": ("nvidia-cuda-nvrtc-cu11", "cuda_nvrtc"),
    "libnvToolsExt.so.1": ("nvidia-nvtx-cu11", "nvtx"),
    "libcudnn.so.8": ("nvidia-cudnn-cu11", "cudnn"),
    "libnccl.so.2": ("nvidia-nccl-cu11", "nccl"),
}

# Removed in NumPy 1.24; MXNet 1.9.1 evaluates them while it is imported.
NUMPY_ALIASES = {"bool": bool, "int": int, "float": float, "complex": complex, "object": object, "str": str}

# Removed in NumPy 2, with what each is called now (None: gone, MXNet only names it); MXNet evaluates all of them too.
NUMPY_2_NAMES = {
    **{"NAN": "nan", "NaN": "nan", "alltrue": "all", "sometrue": "any", "product": "prod"},
    **{"round_": "round", "msort": "sort"},
    **dict.fromkeys(("mirr", "npv", "pmt", "ppmt", "pv", "rate")),
}
NUMPY_2_VALUES = {"Inf": math.inf, "NINF": -math.inf, "PINF": math.inf, "PZERO": 0.0, "NZERO": -0.0}

SKYLAKEX_FLAGS = frozenset({"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"})
HASWELL_FLAGS = frozenset({"avx2", "fma"})


class Setting(NamedTuple):
    """One environment variable as MXNet will see it."""

    name: str
    value: str
    set_by: str  # "user" or "gluon_liver"
    reason: str


class Preload(NamedTuple):
    """One CUDA library of a wheel; ``error`` is the dynamic loader's message, or None when it was loaded."""

    library: str
    path: str
    error: Optional[str]


class Runtime(NamedTuple):
    """What :func:`prepare_mxnet` did, for ``python -m gluon_liver doctor`` to show."""

    settings: Tuple[Setting, ...]
    preloads: Tuple[Preload, ...]


@functools.lru_cache(maxsize=None)
def prepare_start() -> Tuple[Setting, ...]:
    """Set threads and BLAS kernels for MXNet, once, and see to it that :func:`prepare_mxnet` runs before its import.

    Importing the package calls this, later calls tell what was set. Warns (RuntimeWarning), and changes nothing, when
    MXNet is there already and runs on half of the cores.
    """
    if "mxnet" in sys.modules:
        if "OMP_NUM_THREADS" not in os.environ:
            cores, reason = usable_cores()
            warnings.warn(
                "MXNet was imported before gluon_liver, so it keeps its own thread count, half of the CPUs. "
                f"Import gluon_liver first, or set OMP_NUM_THREADS={cores} ({reason}) before Python starts.",
                RuntimeWarning,
                stacklevel=2,
            )
        return ()
    os.environ.setdefault("MXNET_SUBGRAPH_VERBOSE", "0")  # that oneDNN is used is no news
    sys.meta_path.insert(0, BeforeMXNet())
    return tuple(set_thread_defaults())


class BeforeMXNet:
    """A finder of modules that calls :func:`prepare_mxnet` where MXNet is looked for, and finds nothing else.

    Looking for the wheels and importing NumPy take longer than all else of the package's import.
    """

    quiet = False  # whether the engine that is started says nothing of its kind, which nobody chose

    def find_spec(self, name: str, path: object = None, target: object = None) -> Optional[ModuleSpec]:
        """Asked by ``import`` before all other finders."""
        if name != "mxnet":
            return None
        prepare_mxnet()
        if not self.quiet:
            return None
        from .quiet_engine import quiet_spec

        return quiet_spec(name)


@functools.lru_cache(maxsize=None)
def prepare_mxnet() -> Runtime:
    """Prepare this process for ``import mxnet``, once: later calls tell what was done.

    Changes nothing when MXNet is there already.
    """
    settings = prepare_start()
    if "mxnet" in sys.modules:
        return Runtime(settings, ())
    restore_numpy_aliases()
    return Runtime(settings, tuple(preload_cuda_wheels()))


def set_thread_defaults(
    *, environ: Optional[MutableMapping[str, str]] = None, proc: Path = Path("/proc"), sys_folder: Path = Path("/sys")
) -> List[Setting]:
    """Set OMP_NUM_THREADS and OPENBLAS_CORETYPE in ``environ`` where they are not set, and say why.

    Measured on 2 idle cores with AVX-512, against MXNet's own choice: batch_dot 4.4 times as fast, a convolution 1.8
    times. On cores that other processes keep busy, more than one thread is slower than one (2 to 3 times, same cores).
    OMP_WAIT_POLICY stays as it is: spinning threads gain nothing and take time from other processes.
    """
    cores, why = usable_cores(proc=proc, sys_folder=sys_folder)
    threads = _set_default(environ, "OMP_NUM_THREADS", str(cores), f"{why}; by itself MXNet takes half of the CPUs")
    kernels = _set_default(environ, "OPENBLAS_CORETYPE", *openblas_core_type(cpu_flags(proc=proc)))
    return [setting for setting in (threads, kernels) if setting is not None]


def prefer_synchronous_engine(*, environ: Optional[MutableMapping[str, str]] = None) -> Optional[Setting]:
    """Let operators run one after the other in the calling thread, for work on a single CPU device.

    MXNet's threaded engine makes OpenMP teams in several threads, and GNU OpenMP stops spinning between parallel
    regions once there are more threads than cores: on 2 cores a step of the demo network ran 1.5 times as fast
    without it, a step of r50 at 800x800 1.05 times. On a GPU, on several devices and with a parameter server the
    threaded engine is what makes work overlap, so do not call this there. Call it before MXNet is imported;
    returns None, and changes nothing, after that.
    """
    value = None if "mxnet" in sys.modules else "NaiveEngine"
    reason = "one CPU device: OpenMP keeps a single team of threads"
    setting = _set_default(environ, "MXNET_ENGINE_TYPE", value, reason)
    if environ is None and setting is not None and setting.set_by == "gluon_liver":
        BeforeMXNet.quiet = True
    return setting


def _set_default(
    environ: Optional[MutableMapping[str, str]], name: str, value: Optional[str], reason: str
) -> Optional[Setting]:
    """Set what the user has not set, in ``os.environ`` by default; None where there is no value to set."""
    environ = os.environ if environ is None else environ
    if environ.get(name):
        return Setting(name, environ[name], "user", "set before Python started")
    if value is None:
        return None
    environ[name] = value
    return Setting(name, value, "gluon_liver", reason)


def usable_cores(*, proc: Path = Path("/proc"), sys_folder: Path = Path("/sys")) -> Tuple[int, str]:
    """The physical cores that this process may use (affinity mask and cgroup quota), and how they were counted."""
    cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    siblings = "devices/system/cpu/cpu{}/topology/thread_siblings_list"  # the CPUs of a core, where the kernel tells
    cores = len({_read(sys_folder / siblings.format(cpu)) or str(cpu) for cpu in cpus})
    quota = cgroup_cpu_quota(proc=proc, sys_folder=sys_folder)
    if quota is not None and quota < cores:
        # A thread beyond the quota is put to sleep while the others spin on it, so round down.
        return max(1, int(quota)), f"the cgroup allows {quota:g} of {cores} cores"
    return cores, f"{cores} physical cores among {len(cpus)} usable CPUs"


def compute_threads() -> int:
    """The threads that MXNet computes with: processes that share a machine have parted its cores so."""
    threads = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return max(1, int(threads)) if threads.isdigit() else usable_cores()[0]


def cgroup_cpu_quota(*, proc: Path = Path("/proc"), sys_folder: Path = Path("/sys")) -> Optional[float]:
    """The smallest CPU quota, in CPUs, from this process's cgroup up to the root (v1 and v2), or None."""
    quotas = []
    names: Tuple[str, ...]
    root = sys_folder / "fs" / "cgroup"
    for line in (_read(proc / "self" / "cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, names = root, ("cpu.max",)
        elif "cpu" in controllers.split(","):
            base, names = root / "cpu", ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        else:
            continue
        # In a container the path may be the host's and absent below /sys; the walk then ends at the root,
        # which is the container's own group.
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(parts), -1, -1):
            words = " ".join(_read(base.joinpath(*parts[:depth], name)) or "" for name in names).split()
            if len(words) == 2 and words[0] not in ("max", "-1"):
                quotas.append(int(words[0]) / int(words[1]))
    return min(quotas) if quotas else None


def cpu_flags(*, proc: Path = Path("/proc")) -> FrozenSet[str]:
    """The instruction sets of the first CPU in /proc/cpuinfo; empty where there is no such file."""
    for line in (_read(proc / "cpuinfo") or "").splitlines():
        if line.startswith("flags"):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


def openblas_core_type(flags: FrozenSet[str]) -> Tuple[Optional[str], str]:
    """The OPENBLAS_CORETYPE for these CPU flags (None: leave it alone), and why.

    The OpenBLAS inside the MXNet wheel is older than today's CPUs and runs kernels of 2004 on those it does not know.
    """
    unknown = "the OpenBLAS inside MXNet does not recognise newer CPUs"
    if flags >= SKYLAKEX_FLAGS:
        return "SkylakeX", f"the CPU has AVX-512; {unknown}"
    if flags >= HASWELL_FLAGS:
        return "Haswell", f"the CPU has AVX2; {unknown}"
    return None, "no AVX2"


def restore_numpy_aliases() -> List[str]:
    """Give NumPy 1.24 and newer the names that MXNet still uses; returns those that were missing.

    NumPy itself is imported only when it is such a version.
    """
    version = installed_version("numpy")
    if version is None or release(version) < (1, 24):
        return []
    numpy = import_module("numpy")
    aliases: Dict[str, object] = dict(NUMPY_ALIASES)
    if release(version) >= (2, 0):
        aliases.update(NUMPY_2_VALUES)
        aliases.update({name: now and getattr(numpy, now) for name, now in NUMPY_2_NAMES.items()})
    missing = [name for name in aliases if name not in vars(numpy)]
    for name in missing:
        setattr(numpy, name, aliases[name])
    return missing


def preload_cuda_wheels(*, site_packages: Optional[Path] = None) -> List[Preload]:
    """Load the CUDA libraries of the nvidia-*-cu11 wheels for mxnet-cu112, when that is installed.

    A library that is loaded satisfies every later request for its name, so LD_LIBRARY_PATH is not needed. Checked with
    a stub driver only, never on a GPU. Libraries that are not installed as wheels are left to the system.
    """
    import ctypes
    import sysconfig

    if site_packages is None:
        if installed_version("mxnet-cu112") is None:
            return []
        site_packages = Path(sysconfig.get_path("purelib"))
    preloads = []
    for library, (_, folder) in CUDA_WHEELS.items():
        path = site_packages / "nvidia" / folder / "lib" / library
        if path.exists():
            error = None
            try:
                ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
            except OSError as caught:
                error = str(caught)
            preloads.append(Preload(library, str(path), error))
    return preloads


def installed_version(package: str) -> Optional[str]:
    """The version of an installed distribution, None where it is not installed."""
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def release(version: str) -> Tuple[int, ...]:
    """The first two numbers of a version."""
    return tuple(int(part) for part in version.split(".")[:2])


def _read(path: Path) -> Optional[str]:
    """The text of a kernel file without the blanks around it, or None where there is no such file."""
    try:
        return path.read_text().strip()
    except OSError:
        return None
