"""gluon_liver.system.runtime: settings and names that are in place before MXNet is imported."""

from __future__ import annotations

import os
import subprocess
import sys
import types

import pytest

from gluon_liver.system import runtime


def write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with four CPUs, two hyperthreads a core, AVX-512 and no cgroup quota: (proc, sys) folders."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    proc, sys_folder = tmp_path / "proc", tmp_path / "sys"
    for cpu, siblings in enumerate(["0,2", "1,3", "0,2", "1,3"]):
        write(sys_folder, f"devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", siblings + "\n")
    flags = "fpu sse2 avx2 fma avx512f avx512cd avx512bw avx512dq avx512vl"
    write(proc, "cpuinfo", f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: none\n")
    write(proc, "self/cgroup", "0::/\n")
    return proc, sys_folder


def cores(machine):
    return runtime.usable_cores(proc=machine[0], sys_folder=machine[1])[0]


def test_hyperthreads_count_once(machine):
    assert cores(machine) == 2


def test_affinity_limits_the_cores(machine, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 3}, raising=False)
    assert cores(machine) == 1


def test_without_topology_every_cpu_is_a_core(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    assert cores((tmp_path, tmp_path)) == 3


@pytest.mark.parametrize(
    ("quota", "expected"), [("max 100000", 2), ("400000 100000", 2), ("190000 100000", 1), ("50000 100000", 1)]
)
def test_cgroup_v2_quota(machine, quota, expected):
    write(machine[0], "self/cgroup", "0::/user/job\n")
    write(machine[1], "fs/cgroup/user/cpu.max", quota + "\n")
    write(machine[1], "fs/cgroup/user/job/cpu.max", "max 100000\n")
    assert cores(machine) == expected


def test_cgroup_v1_quota_of_a_container_whose_path_is_the_hosts(machine):
    write(machine[0], "self/cgroup", "5:memory:/docker/a1\n4:cpu,cpuacct:/docker/a1\n")
    write(machine[1], "fs/cgroup/cpu/cpu.cfs_quota_us", "150000\n")
    write(machine[1], "fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    assert runtime.cgroup_cpu_quota(proc=machine[0], sys_folder=machine[1]) == 1.5
    assert cores(machine) == 1


def test_cgroup_v1_without_a_quota(machine):
    write(machine[0], "self/cgroup", "4:cpu,cpuacct:/\n")
    write(machine[1], "fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    write(machine[1], "fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    assert runtime.cgroup_cpu_quota(proc=machine[0], sys_folder=machine[1]) is None


def test_defaults_are_set_and_explained(machine):
    environ = {}
    settings = runtime.set_thread_defaults(environ=environ, proc=machine[0], sys_folder=machine[1])
    assert environ == {"OMP_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "SkylakeX"}
    assert [(s.name, s.value, s.set_by) for s in settings] == [
        ("OMP_NUM_THREADS", "2", "gluon_liver"),
        ("OPENBLAS_CORETYPE", "SkylakeX", "gluon_liver"),
    ]
    assert "2 physical cores among 4" in settings[0].reason
    assert "AVX-512" in settings[1].reason


def test_the_users_settings_stay(machine):
    environ = {"OMP_NUM_THREADS": "7", "OPENBLAS_CORETYPE": "Zen"}
    settings = runtime.set_thread_defaults(environ=environ, proc=machine[0], sys_folder=machine[1])
    assert environ == {"OMP_NUM_THREADS": "7", "OPENBLAS_CORETYPE": "Zen"}
    assert [(s.value, s.set_by) for s in settings] == [("7", "user"), ("Zen", "user")]


def test_the_wait_policy_is_never_set(machine):
    environ = {}
    runtime.set_thread_defaults(environ=environ, proc=machine[0], sys_folder=machine[1])
    assert "OMP_WAIT_POLICY" not in environ


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (runtime.SKYLAKEX_FLAGS | runtime.HASWELL_FLAGS, "SkylakeX"),
        ({"avx2", "fma", "avx512f", "avx512cd"}, "Haswell"),  # Knights Landing: AVX-512 without BW, DQ and VL
        ({"avx2", "fma"}, "Haswell"),
        ({"avx", "sse4_2"}, None),
        ((), None),
    ],
)
def test_openblas_core_type(flags, expected):
    assert runtime.openblas_core_type(frozenset(flags))[0] == expected


def test_cpu_flags_without_cpuinfo(tmp_path):
    assert runtime.cpu_flags(proc=tmp_path) == frozenset()


@pytest.fixture
def numpy_of(monkeypatch):
    """Replace the installed NumPy by a fake module of the given version and attributes."""

    def replace(version, **attributes):
        module = types.ModuleType("numpy")
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, "numpy", module)
        monkeypatch.setattr(runtime.metadata, "version", lambda name: version)
        return module

    return replace


def test_aliases_come_back_where_they_are_missing(numpy_of):
    numpy = numpy_of("1.26.4", float="numpy's own")
    assert sorted(runtime.restore_numpy_aliases()) == ["bool", "complex", "int", "object", "str"]
    assert numpy.bool is bool and numpy.object is object
    assert numpy.float == "numpy's own"


def test_old_numpy_stays_as_it_is(numpy_of):
    numpy = numpy_of("1.23.5")
    assert runtime.restore_numpy_aliases() == []
    assert not hasattr(numpy, "bool")


def run_python(code, **environ):
    inherited = {key: value for key, value in os.environ.items() if key not in ("OMP_NUM_THREADS",)}
    return subprocess.run(
        [sys.executable, "-c", code], env={**inherited, **environ}, capture_output=True, text=True, check=True
    )


@pytest.mark.slow
def test_mxnet_sees_the_thread_count_of_the_import():
    child = run_python(
        "import os, gluon_liver, mxnet; from gluon_liver.system.runtime import usable_cores; "
        "assert os.environ['OMP_NUM_THREADS'] == str(usable_cores()[0]); "
        "print(mxnet.nd.ones(2).sum().asscalar())"
    )
    assert child.stdout.strip() == "2.0"


def test_importing_the_package_imports_no_mxnet():
    run_python("import sys, gluon_liver; assert 'mxnet' not in sys.modules")


FAKE_MXNET = "import sys, types; sys.modules['mxnet'] = types.ModuleType('mxnet'); import gluon_liver"


def test_mxnet_first_is_warned_about():
    child = run_python(FAKE_MXNET + "; import os; assert 'OMP_NUM_THREADS' not in os.environ")
    assert child.stderr.count("RuntimeWarning") == 1
    assert "OMP_NUM_THREADS=" in child.stderr


def test_mxnet_first_with_a_thread_count_is_fine():
    assert run_python(FAKE_MXNET, OMP_NUM_THREADS="1").stderr == ""


def test_cuda_wheels_are_loaded_in_order_of_need(tmp_path, monkeypatch):
    loaded = []
    monkeypatch.setattr(runtime.ctypes, "CDLL", lambda path, mode: loaded.append(os.path.basename(path)))
    for library in ("libcudnn.so.8", "libcudart.so.11.0", "libcublas.so.11"):
        write(tmp_path, f"nvidia/{runtime.CUDA_WHEELS[library][1]}/lib/{library}", "")
    preloads = runtime.preload_cuda_wheels(site_packages=tmp_path)
    assert loaded == ["libcudart.so.11.0", "libcublas.so.11", "libcudnn.so.8"]
    assert [preload.error for preload in preloads] == [None] * 3


def test_a_cuda_wheel_that_cannot_be_loaded_is_reported(tmp_path):
    write(tmp_path, "nvidia/nccl/lib/libnccl.so.2", "not an ELF file")
    (preload,) = runtime.preload_cuda_wheels(site_packages=tmp_path)
    assert preload.library == "libnccl.so.2"
    assert "libnccl.so.2" in preload.error


def test_nothing_is_loaded_without_the_cuda_build(monkeypatch):
    def absent(name):
        raise runtime.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(runtime.metadata, "version", absent)
    assert runtime.preload_cuda_wheels() == []


def test_the_synchronous_engine_is_a_default_and_never_a_change(monkeypatch):
    monkeypatch.delitem(sys.modules, "mxnet", raising=False)
    environ = {}
    assert runtime.prefer_synchronous_engine(environ=environ).set_by == "gluon_liver"
    assert environ == {"MXNET_ENGINE_TYPE": "NaiveEngine"}
    environ = {"MXNET_ENGINE_TYPE": "ThreadedEnginePerDevice"}
    assert runtime.prefer_synchronous_engine(environ=environ).set_by == "user"
    assert environ == {"MXNET_ENGINE_TYPE": "ThreadedEnginePerDevice"}
    monkeypatch.setitem(sys.modules, "mxnet", object())
    environ = {}
    assert runtime.prefer_synchronous_engine(environ=environ) is None and environ == {}
