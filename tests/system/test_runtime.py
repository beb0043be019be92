"""gluon_liver.system.runtime: settings and names that are in place before MXNet is imported."""

import ctypes
import math
import os
import subprocess
import sys
import types
from importlib import metadata

import pytest

from gluon_liver.system import runtime


def write(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with four CPUs, two hyperthreads a core, AVX-512 and no cgroup quota."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    proc, sys_folder = tmp_path / "proc", tmp_path / "sys"
    for cpu, siblings in enumerate(["0,2", "1,3", "0,2", "1,3"]):
        write(sys_folder, f"devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", siblings + "\n")
    flags = "fpu sse2 avx2 fma avx512f avx512cd avx512bw avx512dq avx512vl"
    write(proc, "cpuinfo", f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: none\n")
    write(proc, "self/cgroup", "0::/\n")
    return {"proc": proc, "sys_folder": sys_folder}


def v1(quota, cgroup="/docker/a1"):
    folder = "sys/fs/cgroup/cpu/cpu.cfs_"
    names = f"5:memory:{cgroup}\n4:cpu,cpuacct:{cgroup}\n"
    return {"proc/self/cgroup": names, folder + "quota_us": f"{quota}\n", folder + "period_us": "100000\n"}


def v2(quota):
    folder = "sys/fs/cgroup/user/"
    return {"proc/self/cgroup": "0::/user/job\n", folder + "cpu.max": quota, folder + "job/cpu.max": "max 100000\n"}


@pytest.mark.parametrize(
    ("cpus", "files", "quota", "cores"),
    [
        ({0, 1, 2, 3}, {}, None, 2),  # hyperthreads count once
        ({1, 3}, {}, None, 1),
        ({0, 1, 2, 3}, v2("max 100000\n"), None, 2),
        ({0, 1, 2, 3}, v2("400000 100000\n"), 4.0, 2),
        ({0, 1, 2, 3}, v2("190000 100000\n"), 1.9, 1),
        ({0, 1, 2, 3}, v2("50000 100000\n"), 0.5, 1),
        ({0, 1, 2, 3}, v1(150000), 1.5, 1),  # in a container, where the path is the host's
        ({0, 1, 2, 3}, v1(-1, "/"), None, 2),
    ],
)
def test_usable_cores(machine, monkeypatch, cpus, files, quota, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: cpus, raising=False)
    for name, text in files.items():
        write(machine["proc"].parent, name, text)
    assert runtime.cgroup_cpu_quota(**machine) == quota
    assert runtime.usable_cores(**machine)[0] == cores


def test_without_topology_every_cpu_is_a_core(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    assert runtime.usable_cores(proc=tmp_path, sys_folder=tmp_path)[0] == 3
    assert runtime.cpu_flags(proc=tmp_path) == frozenset()


def test_defaults_are_set_and_explained(machine):
    """Nothing else is set, such as the wait policy."""
    environ = {}
    settings = runtime.set_thread_defaults(environ=environ, **machine)
    assert environ == {"OMP_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "SkylakeX"}
    assert {setting.name: setting.value for setting in settings} == environ
    assert [setting.set_by for setting in settings] == ["gluon_liver"] * 2
    assert "2 physical cores among 4" in settings[0].reason and "AVX-512" in settings[1].reason


def test_the_users_settings_stay(machine):
    environ = {"OMP_NUM_THREADS": "7", "OPENBLAS_CORETYPE": "Zen"}
    settings = runtime.set_thread_defaults(environ=environ, **machine)
    assert environ == {"OMP_NUM_THREADS": "7", "OPENBLAS_CORETYPE": "Zen"}
    assert [(s.value, s.set_by) for s in settings] == [("7", "user"), ("Zen", "user")]


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


@pytest.mark.parametrize(
    ("version", "own", "restored"),
    [("1.26.4", {"float": "numpy's own"}, ["bool", "complex", "int", "object", "str"]), ("1.23.5", {}, [])],
)
def test_aliases_come_back_where_a_new_numpy_lacks_them(monkeypatch, version, own, restored):
    numpy = types.ModuleType("numpy")
    vars(numpy).update(own)
    monkeypatch.setitem(sys.modules, "numpy", numpy)
    monkeypatch.setattr(metadata, "version", lambda name: version)
    assert sorted(runtime.restore_numpy_aliases()) == restored
    expected = {**{name: runtime.NUMPY_ALIASES[name] for name in restored}, **own}
    assert {name: value for name, value in vars(numpy).items() if not name.startswith("__")} == expected


def test_names_that_numpy_2_removed_come_back(monkeypatch):
    numpy = types.ModuleType("numpy")
    vars(numpy).update({name: name for name in "nan inf all any prod round sort".split()})
    monkeypatch.setitem(sys.modules, "numpy", numpy)
    monkeypatch.setattr(metadata, "version", lambda name: "2.2.6")
    restored = runtime.restore_numpy_aliases()
    assert set(runtime.NUMPY_ALIASES) < set(restored) and restored == [n for n in vars(numpy) if n in restored]
    assert (numpy.alltrue, numpy.sometrue, numpy.product) == ("all", "any", "prod")
    assert (numpy.round_, numpy.msort, numpy.NaN, numpy.pv) == ("round", "sort", "nan", None)
    assert (numpy.NINF, numpy.PINF, numpy.Inf) == (-math.inf, math.inf, math.inf)
    assert math.copysign(1, numpy.PZERO) == 1 and math.copysign(1, numpy.NZERO) == -1


def run_python(code, **environ):
    given = {**{key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}, **environ}
    return subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, check=True)


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


def test_mxnet_first_is_warned_about_without_a_thread_count():
    said = run_python(FAKE_MXNET + "; import os; assert 'OMP_NUM_THREADS' not in os.environ").stderr
    assert said.count("RuntimeWarning") == 1 and "OMP_NUM_THREADS=" in said
    assert run_python(FAKE_MXNET, OMP_NUM_THREADS="1").stderr == ""


def test_cuda_wheels_are_loaded_in_order_of_need(tmp_path, monkeypatch):
    loaded = []
    monkeypatch.setattr(ctypes, "CDLL", lambda path, mode: loaded.append(os.path.basename(path)))
    for library in ("libcudnn.so.8", "libcudart.so.11.0", "libcublas.so.11"):
        write(tmp_path, f"nvidia/{runtime.CUDA_WHEELS[library][1]}/lib/{library}", "")
    preloads = runtime.preload_cuda_wheels(site_packages=tmp_path)
    assert loaded == ["libcudart.so.11.0", "libcublas.so.11", "libcudnn.so.8"]
    assert [preload.error for preload in preloads] == [None] * 3


def test_a_cuda_wheel_that_cannot_be_loaded_is_reported(tmp_path):
    write(tmp_path, "nvidia/nccl/lib/libnccl.so.2", "not an ELF file")
    (preload,) = runtime.preload_cuda_wheels(site_packages=tmp_path)
    assert preload.library == "libnccl.so.2" and "libnccl.so.2" in preload.error


def test_nothing_is_loaded_without_the_cuda_build(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    assert runtime.preload_cuda_wheels() == []


@pytest.mark.parametrize(
    ("given", "set_by", "after"),
    [({}, "gluon_liver", "NaiveEngine"), ({"MXNET_ENGINE_TYPE": "ThreadedEngine"}, "user", "ThreadedEngine")],
)
def test_the_synchronous_engine_is_a_default_and_never_a_change(monkeypatch, given, set_by, after):
    monkeypatch.delitem(sys.modules, "mxnet", raising=False)
    assert runtime.prefer_synchronous_engine(environ=given).set_by == set_by
    assert given == {"MXNET_ENGINE_TYPE": after}
    monkeypatch.setitem(sys.modules, "mxnet", object())
    environ = {}
    assert runtime.prefer_synchronous_engine(environ=environ) is None and environ == {}


def test_what_mxnet_needs_is_done_when_it_is_looked_for(tmp_path):
    """NumPy and the list of installed packages are read for MXNet's import, not for the package's."""
    write(tmp_path, "mxnet.py", "import numpy; names = [hasattr(numpy, name) for name in ('bool', 'object', 'float')]")
    code = (
        "import sys, gluon_liver; assert not {'numpy', 'importlib.metadata', 'ctypes'} & set(sys.modules); "
        f"sys.path.insert(0, {str(tmp_path)!r}); import mxnet; assert mxnet.names == [True] * 3; "
        "from gluon_liver.system.runtime import prepare_mxnet, prepare_start; "
        "assert prepare_mxnet().settings == prepare_start() and len(prepare_start()) >= 1"
    )
    run_python(code)


ENGINE = """
import os
class nd:
    def waitall():
        os.write(2, b"before\\n[03:47:01] ../engine.cc:54: MXNet start using engine: NaiveEngine\\nafter\\n")
"""
PREFER = "from gluon_liver.system.runtime import prefer_synchronous_engine"


@pytest.mark.parametrize(
    "given, said", [({}, "before\nafter\n"), ({"MXNET_ENGINE_TYPE": "NaiveEngine"}, ""), ({"QUIET": "no"}, "")]
)
def test_an_engine_that_nobody_chose_is_started_without_its_line_and_with_all_others(tmp_path, given, said):
    write(tmp_path, "mxnet.py", ENGINE)
    ask = "" if "QUIET" in given else "prefer_synchronous_engine();"
    start = f"import sys, gluon_liver; sys.path.insert(0, {str(tmp_path)!r}); {PREFER}; {ask}"
    child = run_python(f"{start} import mxnet; print(mxnet.nd.waitall)", **given)
    assert child.stderr == said


@pytest.mark.slow
def test_mxnet_is_silent_on_a_good_day():
    net = (
        "n = mx.sym.Convolution(mx.sym.var('x'), kernel=(1, 1), num_filter=1); n.simple_bind(mx.cpu(), x=(1, 1, 2, 2))"
    )
    start = "import gluon_liver; from gluon_liver.system.runtime import prefer_synchronous_engine as prefer; prefer()"
    child = run_python(f"{start}; import mxnet as mx; {net}.forward(); mx.nd.waitall()")
    assert child.stderr == child.stdout == ""
