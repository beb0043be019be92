"""gluon_liver.system.doctor: what each finding is called, and what the report says to do about it."""

import subprocess
import sys

import pytest

from gluon_liver.commands import doctor as command
from gluon_liver.commands import main
from gluon_liver.system import doctor
from gluon_liver.system.doctor import NOTE, OK, PROBLEM, Gpu, Probe, Row
from gluon_liver.system.runtime import Preload, Runtime, Setting
from gluon_liver.system.shared_libraries import MissingLibrary

ANSWER = {"version": "1.9.1", "features": ["MKLDNN", "OPENMP"], "gpus": 0, "gpu_error": None}
CPU, BOTH = {"mxnet": "1.9.1"}, {"mxnet": "1.9.1", "mxnet-cu112": "1.9.1"}
DRIVER, GOMP = MissingLibrary("libcuda.so.1", "mxnet"), MissingLibrary("libgomp.so.1", "mxnet")


def library_rows(name):
    return doctor.library_rows([MissingLibrary(name, "mxnet")])


def gpu_row(capability, driver="535.1"):
    return doctor.gpu_row(Gpu("GPU", driver, capability))


# what gives a single row, its arguments, status, what the finding says, what the advice says
FINDINGS = [
    (doctor.python_row, ((3, 8), "x86_64"), OK, "3.8", ""),
    (doctor.python_row, ((3, 13), "x86_64"), OK, "3.13", ""),
    (doctor.python_row, ((3, 7), "x86_64"), PROBLEM, "3.7", ""),
    (doctor.python_row, ((3, 14), "x86_64"), PROBLEM, "3.14", ""),
    (doctor.python_row, ((3, 11), "aarch64"), PROBLEM, "aarch64", ""),
    (doctor.numpy_row, ("1.23.5",), OK, "", ""),
    (doctor.numpy_row, ("1.26.4",), OK, "", ""),
    (doctor.numpy_row, ("2.0.1",), PROBLEM, "", ""),
    (doctor.numpy_row, ("2.2.6",), OK, "put back", ""),
    (doctor.numpy_row, ("2.4.0",), PROBLEM, "", "2.2"),
    (library_rows, ("libgomp.so.1",), PROBLEM, "libgomp.so.1", "apt-get install libgomp1"),
    (library_rows, ("libgthread-2.0.so.0",), PROBLEM, "libgthread-2.0.so.0", "apt-get install libglib2.0-0"),
    (library_rows, ("libcudnn.so.8",), PROBLEM, "libcudnn.so.8", "nvidia-cudnn-cu11"),
    (library_rows, ("libcuda.so.1",), PROBLEM, "libcuda.so.1", "driver"),
    (library_rows, ("libodd.so.3",), PROBLEM, "libodd.so.3", "apt-file search libodd.so.3"),
    (doctor.mxnet_rows, ({}, [], None), PROBLEM, "not installed", "--no-deps mxnet==1.9.1"),
    (doctor.mxnet_rows, (BOTH, [], Probe(ANSWER, "")), PROBLEM, "mxnet 1.9.1 and mxnet-cu112 1.9.1", ""),
    (doctor.mxnet_rows, (CPU, [GOMP], None), PROBLEM, "without libgomp.so.1", ""),
    (doctor.mxnet_rows, (CPU, [], Probe(None, "the process died of signal 4")), PROBLEM, "signal 4", ""),
    (doctor.load_row, (0.2, 2), OK, "", ""),
    (doctor.load_row, (1.5, 2), NOTE, "", ""),
    (doctor.load_row, (1.5, 8), OK, "", ""),
    (doctor.load_row, (3.0, 1), OK, "", ""),
    (gpu_row, ((6, 1),), OK, "sm_60", ""),
    (gpu_row, ((7, 5),), OK, "sm_70", ""),
    (gpu_row, ((8, 0),), OK, "sm_80", ""),
    (gpu_row, ((8, 9),), OK, "sm_86", ""),  # Ada runs Ampere's code: same major number, higher minor number
    (gpu_row, ((9, 0),), PROBLEM, "9.0", "no PTX"),
    (gpu_row, ((12, 0), "580.1"), PROBLEM, "12.0", ""),
    (gpu_row, ((3, 7), "470.1"), PROBLEM, "3.7", ""),
    (gpu_row, ((8, 0), "418.87"), PROBLEM, "418.87", ""),
    (gpu_row, (None, "470.1"), NOTE, "unknown", ""),
]


@pytest.mark.parametrize(("rows", "arguments", "status", "finding", "advice"), FINDINGS)
def test_each_finding_has_its_status_and_a_problem_its_advice(rows, arguments, status, finding, advice):
    rows = rows(*arguments)
    (row,) = [rows] if isinstance(rows, Row) else rows
    assert row.status == status and bool(row.advice) == (status != OK)
    assert finding in row.finding and advice in row.advice


def test_absent_packages_are_named():
    rows = doctor.package_rows({"numpy": "1.23.5"})
    assert rows[0].status == PROBLEM and rows[0].advice == "make setup"
    assert "gluoncv" in rows[0].finding and "numpy" not in rows[0].finding


def test_mxnet_and_a_driver_that_fails():
    rows = doctor.mxnet_rows(CPU, [], Probe(ANSWER, ""))
    assert [row.status for row in rows] == [OK, OK, OK]
    assert (rows[1].finding, rows[2].finding) == ("MKLDNN OPENMP", "MXNet sees 0")
    row = doctor.mxnet_rows({"mxnet-cu112": "1.9.1"}, [], Probe({**ANSWER, "gpu_error": "CUDA: no"}, ""))[-1]
    assert row.status == PROBLEM and row.finding == "CUDA: no"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("raise AttributeError('no bool\\n  indented\\nmore')", "AttributeError: no bool"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGABRT)", "the process died of signal 6"),
        ("import sys; sys.exit(3)", "exit code 3"),
    ],
)
def test_a_probe_that_fails_tells_why(monkeypatch, code, error):
    monkeypatch.setattr(doctor, "PROBE", code)
    assert doctor.probe_mxnet() == Probe(None, error)


def test_a_probe_that_hangs_ends(monkeypatch):
    monkeypatch.setattr(doctor, "PROBE", "import time; time.sleep(60)")
    assert doctor.probe_mxnet(timeout=0.2) == Probe(None, "no answer within 0.2 s")


@pytest.mark.slow
def test_the_real_probe():
    probe = doctor.probe_mxnet()
    assert probe.error == ""
    assert probe.answer["version"] == "1.9.1" and "MKLDNN" in probe.answer["features"]


def test_threads_say_who_set_them():
    runtime = Runtime((Setting("OMP_NUM_THREADS", "2", "user", "set before"),), ())
    (row,) = doctor.thread_rows(runtime, {})
    assert row == Row("threads", OK, "OMP_NUM_THREADS=2 (set by user: set before)")


def test_active_waiting_and_failed_preloads_are_told():
    runtime = Runtime((), (Preload("libcudnn.so.8", "/x", "no such symbol"), Preload("libnccl.so.2", "/y", None)))
    rows = doctor.thread_rows(runtime, {"OMP_WAIT_POLICY": "active"})
    assert [(row.check, row.status) for row in rows] == [("threads", NOTE), ("CUDA", PROBLEM)]
    assert "no such symbol" in rows[1].finding


def test_a_usable_gpu_with_the_cpu_build():
    gpus = [Gpu("A100", "535.1", (8, 0))]
    assert [row.status for row in doctor.gpu_rows(gpus, cuda_build=False)] == [OK, NOTE]
    assert [row.status for row in doctor.gpu_rows(gpus, cuda_build=True)] == [OK]
    assert [row.status for row in doctor.gpu_rows(None, cuda_build=False)] == [OK]
    assert [row.status for row in doctor.gpu_rows([], cuda_build=True)] == [NOTE]


def test_nvidia_smi_of_an_old_driver_and_none(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.query_gpus() is None
    path = tmp_path / "nvidia-smi"
    path.write_text('#!/bin/sh\ncase "$1" in *compute_cap*) exit 2 ;; esac; echo "GTX 1080, 470.82.01"\n')
    path.chmod(0o755)
    assert doctor.query_gpus() == [Gpu("GTX 1080", "470.82.01", None)]
    line = "NVIDIA H100 80GB HBM3, 535.104.05, 9.0"
    assert doctor.parse_gpu(line) == Gpu("NVIDIA H100 80GB HBM3", "535.104.05", (9, 0))


def test_the_driver_alone_may_be_missing_when_an_image_is_built():
    assert [doctor.driver_only(missing) for missing in ([DRIVER], [DRIVER, GOMP], [])] == [True, False, False]


def test_the_report_shows_rows_and_advice():
    rows = [Row("Python", OK, "3.11"), Row("libraries", PROBLEM, "libGL.so.1 is missing", "apt-get install libgl1")]
    assert doctor.format_rows(rows).splitlines() == [
        "ok       Python     3.11",
        "PROBLEM  libraries  libGL.so.1 is missing",
        "                    -> apt-get install libgl1",
    ]


def test_the_command_exits_with_one_when_there_is_a_problem(monkeypatch, capsys):
    monkeypatch.setattr(command, "examine", lambda: [Row("libraries", PROBLEM, "x", "y")])
    assert main(["doctor"]) == 1
    assert "PROBLEM" in capsys.readouterr().out
    monkeypatch.setattr(command, "examine", lambda: [Row("Python", OK, "x"), Row("GPUs", NOTE, "x", "y")])
    assert main(["doctor"]) == 0


@pytest.mark.slow
def test_the_command_runs_here():
    child = subprocess.run([sys.executable, "-m", "gluon_liver", "doctor"], capture_output=True, text=True)
    assert "Traceback" not in child.stderr
    assert "MXNet" in child.stdout and "OMP_NUM_THREADS=" in child.stdout
    assert child.returncode == int("PROBLEM" in child.stdout)
