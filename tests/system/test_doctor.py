"""gluon_liver.system.doctor: what each finding is called, and what the report says to do about it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gluon_liver.commands import doctor as command
from gluon_liver.system import doctor
from gluon_liver.system.doctor import NOTE, OK, PROBLEM, Gpu, Probe, Row
from gluon_liver.system.runtime import Preload, Runtime, Setting
from gluon_liver.system.shared_libraries import MissingLibrary

ANSWER = {"version": "1.9.1", "features": ["MKLDNN", "OPENMP"], "gpus": 0, "gpu_error": None}


@pytest.mark.parametrize(
    ("version", "machine", "status"),
    [
        ((3, 8), "x86_64", OK),
        ((3, 12), "x86_64", OK),
        ((3, 7), "x86_64", PROBLEM),
        ((3, 13), "x86_64", PROBLEM),
        ((3, 11), "aarch64", PROBLEM),
    ],
)
def test_python(version, machine, status):
    row = doctor.python_row(version, machine)
    assert row.status == status
    assert bool(row.advice) == (status == PROBLEM)


@pytest.mark.parametrize(("version", "status"), [("1.23.5", OK), ("1.26.4", OK), ("2.0.1", PROBLEM)])
def test_numpy(version, status):
    assert doctor.numpy_row(version).status == status


def test_absent_packages_are_named():
    rows = doctor.package_rows({"numpy": "1.23.5"})
    assert rows[0].status == PROBLEM
    assert "gluoncv" in rows[0].finding and "numpy" not in rows[0].finding
    assert rows[0].advice == "make setup"


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("libgomp.so.1", "apt-get install libgomp1"),
        ("libgthread-2.0.so.0", "apt-get install libglib2.0-0"),
        ("libcudnn.so.8", "nvidia-cudnn-cu11"),
        ("libcuda.so.1", "driver"),
        ("libodd.so.3", "apt-file search libodd.so.3"),
    ],
)
def test_each_missing_library_has_its_advice(name, advice):
    (row,) = doctor.library_rows([MissingLibrary(name, "mxnet")])
    assert row.status == PROBLEM
    assert name in row.finding and advice in row.advice


def test_mxnet_works():
    rows = doctor.mxnet_rows({"mxnet": "1.9.1"}, [], Probe(ANSWER, ""))
    assert [row.status for row in rows] == [OK, OK, OK]
    assert rows[1].finding == "MKLDNN OPENMP"
    assert rows[2].finding == "MXNet sees 0"


@pytest.mark.parametrize(
    ("versions", "missing", "probe", "words"),
    [
        ({}, [], None, "not installed"),
        ({"mxnet": "1.9.1", "mxnet-cu112": "1.9.1"}, [], Probe(ANSWER, ""), "mxnet 1.9.1 and mxnet-cu112 1.9.1"),
        ({"mxnet": "1.9.1"}, [MissingLibrary("libgomp.so.1", "mxnet")], None, "without libgomp.so.1"),
        ({"mxnet": "1.9.1"}, [], Probe(None, "the process died of signal 4"), "signal 4"),
    ],
)
def test_mxnet_does_not_work(versions, missing, probe, words):
    (row,) = doctor.mxnet_rows(versions, missing, probe)
    assert row.status == PROBLEM and row.advice
    assert words in row.finding


def test_a_driver_that_fails_is_a_problem():
    rows = doctor.mxnet_rows({"mxnet-cu112": "1.9.1"}, [], Probe({**ANSWER, "gpu_error": "CUDA: no"}, ""))
    assert rows[-1].status == PROBLEM and rows[-1].finding == "CUDA: no"


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
    runtime = Runtime((Setting("OMP_NUM_THREADS", "2", "user", "set before"),), (), ())
    (row,) = doctor.thread_rows(runtime, {})
    assert row == Row("threads", OK, "OMP_NUM_THREADS=2 (set by user: set before)")


def test_active_waiting_and_failed_preloads_are_told():
    runtime = Runtime((), (), (Preload("libcudnn.so.8", "/x", "no such symbol"), Preload("libnccl.so.2", "/y", None)))
    rows = doctor.thread_rows(runtime, {"OMP_WAIT_POLICY": "active"})
    assert [(row.check, row.status) for row in rows] == [("threads", NOTE), ("CUDA", PROBLEM)]
    assert "no such symbol" in rows[1].finding


@pytest.mark.parametrize(("load", "threads", "status"), [(0.2, 2, OK), (1.5, 2, NOTE), (1.5, 8, OK), (3.0, 1, OK)])
def test_busy_cores_are_told(load, threads, status):
    assert doctor.load_row(load, threads).status == status


@pytest.mark.parametrize(
    ("line", "gpu"),
    [
        ("NVIDIA H100 80GB HBM3, 535.104.05, 9.0", Gpu("NVIDIA H100 80GB HBM3", "535.104.05", (9, 0))),
        ("Tesla K80, 470.82.01", Gpu("Tesla K80", "470.82.01", None)),
    ],
)
def test_lines_of_nvidia_smi(line, gpu):
    assert doctor.parse_gpu(line) == gpu


@pytest.mark.parametrize(
    ("capability", "driver", "status", "words"),
    [
        ((6, 1), "535.1", OK, "sm_60"),
        ((7, 5), "535.1", OK, "sm_70"),
        ((8, 0), "535.1", OK, "sm_80"),
        ((8, 9), "535.1", OK, "sm_86"),  # Ada runs Ampere's code: same major number, higher minor number
        ((9, 0), "535.1", PROBLEM, "9.0"),
        ((12, 0), "580.1", PROBLEM, "12.0"),
        ((3, 7), "470.1", PROBLEM, "3.7"),
        ((8, 0), "418.87", PROBLEM, "418.87"),
        (None, "470.1", NOTE, "unknown"),
    ],
)
def test_which_gpus_can_run_it(capability, driver, status, words):
    row = doctor.gpu_row(Gpu("GPU", driver, capability))
    assert row.status == status and words in row.finding
    assert bool(row.advice) == (status != OK)


def test_hopper_is_told_why():
    assert "no PTX" in doctor.gpu_row(Gpu("H100", "535.1", (9, 0))).advice


def test_a_usable_gpu_with_the_cpu_build():
    gpus = [Gpu("A100", "535.1", (8, 0))]
    assert [row.status for row in doctor.gpu_rows(gpus, cuda_build=False)] == [OK, NOTE]
    assert [row.status for row in doctor.gpu_rows(gpus, cuda_build=True)] == [OK]
    assert [row.status for row in doctor.gpu_rows(None, cuda_build=False)] == [OK]
    assert [row.status for row in doctor.gpu_rows([], cuda_build=True)] == [NOTE]


def fake_nvidia_smi(folder, monkeypatch, body):
    path = folder / "nvidia-smi"
    path.write_text("#!/bin/sh\n" + body)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_nvidia_smi_of_an_old_driver(tmp_path, monkeypatch):
    fake_nvidia_smi(tmp_path, monkeypatch, 'case "$1" in *compute_cap*) exit 2 ;; esac; echo "GTX 1080, 470.82.01"\n')
    assert doctor.query_gpus() == [Gpu("GTX 1080", "470.82.01", None)]


def test_nvidia_smi_absent(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor.query_gpus() is None


def test_the_driver_alone_may_be_missing_when_an_image_is_built():
    driver, gomp = MissingLibrary("libcuda.so.1", "mxnet"), MissingLibrary("libgomp.so.1", "mxnet")
    assert doctor.driver_only([driver])
    assert not doctor.driver_only([driver, gomp])
    assert not doctor.driver_only([])


def test_the_report_shows_rows_and_advice():
    rows = [Row("Python", OK, "3.11"), Row("libraries", PROBLEM, "libGL.so.1 is missing", "apt-get install libgl1")]
    assert doctor.format_rows(rows) == (
        "ok       Python     3.11\n"
        "PROBLEM  libraries  libGL.so.1 is missing\n"
        "                    -> apt-get install libgl1"
    )


def test_the_command_exits_with_one_when_there_is_a_problem(monkeypatch, capsys):
    monkeypatch.setattr(command, "examine", lambda: [Row("libraries", PROBLEM, "x", "y")])
    assert command.run(None) == 1
    assert "PROBLEM" in capsys.readouterr().out
    monkeypatch.setattr(command, "examine", lambda: [Row("Python", OK, "x"), Row("GPUs", NOTE, "x", "y")])
    assert command.run(None) == 0


@pytest.mark.slow
def test_the_command_runs_here():
    child = subprocess.run([sys.executable, "-m", "gluon_liver", "doctor"], capture_output=True, text=True)
    assert "Traceback" not in child.stderr
    assert "MXNet" in child.stdout and "OMP_NUM_THREADS=" in child.stdout
    assert child.returncode == int("PROBLEM" in child.stdout)
