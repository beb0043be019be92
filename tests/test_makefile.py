"""Makefile and the scripts that it calls, run against a PATH of fake Pythons, so that nothing is downloaded."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from .fake_machine import FakeMachine

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="the tests of the Makefile need make")


@pytest.fixture
def bare_machine(tmp_path):
    return FakeMachine(tmp_path)


@pytest.fixture
def machine(bare_machine):
    """A machine with Python 3.11."""
    bare_machine.add_python("python3.11", (3, 11))
    return bare_machine


def calls(lines):
    """The commands of the project among lines of the log."""
    return [line for line in lines if "gluon_liver " in line or ".py --" in line]


def test_the_preferred_python_makes_the_environment(bare_machine):
    for name, version in (("python3", (3, 12)), ("python3.12", (3, 12)), ("python3.10", (3, 10))):
        bare_machine.add_python(name, version)
    lines = bare_machine.works("setup")
    assert bare_machine.made_with() == ["python3.10"]
    assert bare_machine.stamps() == ["setup-cpu,test.stamp"]
    assert any("pip install --only-binary=:all: --editable .[cpu,test]" in line for line in lines)


def test_a_second_setup_does_nothing_until_setup_py_changes(machine):
    machine.works("setup")
    assert machine.works("setup") == []
    machine.touch_setup()
    assert any("--editable" in line for line in machine.works("setup"))
    assert machine.made_with() == ["python3.11"]


def test_shims_that_fail_are_passed_over(bare_machine):
    bare_machine.script("python3.11", "echo 'pyenv: python3.11: command not found' >&2; exit 127")
    bare_machine.add_python("python3.8", (3, 8))
    bare_machine.works("setup")
    assert bare_machine.made_with() == ["python3.8"]


@pytest.mark.parametrize(
    ("name", "version", "spoil"),
    [
        ("python3", (3, 14), "pass"),
        ("python3", (3, 7), "pass"),
        ("python3.11", (3, 11), "sys.modules['ensurepip'] = None"),
        ("python3.11", (3, 11), "sys.modules['venv'] = None"),
    ],
)
def test_without_a_usable_python_the_error_names_those_that_work(bare_machine, name, version, spoil):
    bare_machine.add_python(name, version, spoil=spoil)
    said = bare_machine.fails("setup")
    for words in ("3.8", "3.11 (best)", "3.13", "apt-get install python3-venv", "uv", "PYTHON="):
        assert words in said
    assert not bare_machine.venv.exists()


def test_uv_brings_a_python_where_none_is_usable(bare_machine):
    bare_machine.add_python("python3", (3, 14))
    bare_machine.add_python("real-uv", (3, 11))
    bare_machine.script("uv", f'echo "uv $*" >> "{bare_machine.log}"; for last; do :; done; real-uv -m venv "$last"')
    assert "uv venv --python 3.11 --seed .venv" in bare_machine.works("setup")
    assert bare_machine.stamps() == ["setup-cpu,test.stamp"]


def test_the_users_python_is_taken_or_refused_and_not_replaced_by_another(machine):
    machine.add_python("my-python", (3, 14))
    assert "PYTHON=my-python is not" in machine.fails("setup", "PYTHON=my-python")
    assert machine.made_with() == []
    machine.add_python("my-python", (3, 9))
    machine.works("setup", "PYTHON=my-python")
    assert machine.made_with() == ["my-python"]


def test_other_processors_are_told(machine):
    machine.script("uname", "echo aarch64")
    said = machine.fails("setup")
    assert "x86-64 only" in said and "aarch64" in said


def test_offline_the_error_is_pips_and_the_next_try_starts_anew(machine):
    offline = machine.put("offline")
    assert "ERROR: no network" in machine.fails("setup")
    assert machine.stamps() == []
    offline.unlink()
    left_over = machine.put("checkout/.venv/left-over")
    machine.works("setup")
    assert machine.made_with() == ["python3.11", "python3.11"]
    assert not left_over.exists()


def test_an_interrupted_setup_is_not_taken_for_finished(bare_machine):
    # not sleep: a signal that comes between a shell's fork and its exec may be lost
    sleep = f"import time; open('{bare_machine.folder}/started', 'w').close(); time.sleep(30)"
    bare_machine.add_python("python3.11", (3, 11), make_venv=f'{sys.executable} -c "{sleep}"')
    child = subprocess.Popen(
        [str(bare_machine.bin / "make"), "setup"],
        **bare_machine.options(),
        start_new_session=True,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # nohup lets its children ignore it
    )
    deadline = time.monotonic() + 20
    while not (bare_machine.folder / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGINT)
    assert child.wait(timeout=20) != 0
    assert bare_machine.stamps() == []
    bare_machine.add_python("python3.11", (3, 11))
    bare_machine.works("setup")
    assert bare_machine.stamps() == ["setup-cpu,test.stamp"]


def test_other_extras_stay_until_they_are_changed(machine):
    machine.works("setup", "EXTRAS=cu112,test")
    assert machine.works("setup") == []
    machine.touch_setup()
    assert any(".[cu112,test]" in line for line in machine.works("setup"))
    machine.works("setup", "EXTRAS=cpu,test")
    assert machine.made_with() == ["python3.11", "python3.11"]
    assert machine.stamps() == ["setup-cpu,test.stamp"]


@pytest.mark.parametrize(
    "rights", [("id", "echo 0"), ("sudo", 'if [ "$1" = -n ]; then exit 0; fi; SUDO=1 exec "$@"')], ids=["root", "sudo"]
)
def test_missing_libraries_are_installed_by_who_may(machine, rights):
    machine.put("missing", "libgl1 libgomp1\n")
    machine.script(*rights)
    machine.script("apt-get", f'echo "apt-get $*" >> "{machine.log}"')
    done = machine.make("setup")
    assert done.returncode == 0, done.stderr
    assert "missing; they are in the Debian packages: libgl1 libgomp1" in done.stderr
    assert done.stderr.index("SYSTEM_PACKAGES=no: not") < done.stderr.index("installing [cpu,test]")
    assert "apt-get install -qy --no-install-recommends libgl1 libgomp1" in machine.lines()


@pytest.mark.parametrize(
    ("apt", "sudo", "words"),
    [
        (True, "exit 1", "sudo apt-get update && sudo apt-get install -y libgl1 libgomp1"),
        (True, None, "sudo apt-get update && sudo apt-get install -y libgl1 libgomp1"),
        (False, None, "no apt-get"),
    ],
)
def test_without_rights_the_command_to_run_is_told_and_without_apt_the_libraries(machine, apt, sudo, words):
    machine.put("missing", "libgl1 libgomp1\n")
    if apt:
        machine.script("apt-get", f'echo "apt-get $*" >> "{machine.log}"')
    if sudo is not None:
        machine.script("sudo", sudo)
    said = machine.fails("setup")
    assert words in said and "libgl1" in said
    assert "apt-get install" not in machine.log.read_text()
    assert machine.stamps() == []


def test_nothing_is_installed_outside_the_environment_where_that_is_not_wanted(machine):
    machine.put("missing", "libgl1\n")
    machine.script("id", "echo 0")
    machine.script("apt-get", f'echo "apt-get $*" >> "{machine.log}"')
    said = machine.fails("setup", "SYSTEM_PACKAGES=no")
    assert "apt-get install -y libgl1" in said and "with apt-get" not in said
    assert not any(line.startswith("apt-get") for line in machine.lines()) and machine.stamps() == []
    assert "yes or no" in machine.fails("setup", "SYSTEM_PACKAGES=maybe")
    machine.put("missing")
    machine.works("setup", "SYSTEM_PACKAGES=no")


def test_what_pip_says_is_in_a_log_that_is_named_where_it_fails(machine):
    machine.put("offline")
    said = machine.fails("setup")
    log = machine.venv / "setup.log"
    assert "ERROR: no network" in log.read_text() and "All that was said is in .venv/setup.log" in said
    (machine.folder / "offline").unlink()
    done = machine.make("setup")
    assert done.returncode == 0 and "pip" not in done.stdout and "--editable" not in done.stderr
    assert "-m pip install --only-binary=:all: --editable .[cpu,test]" in log.read_text()


@pytest.mark.parametrize(("extras", "build"), [("cpu,test", "mxnet"), ("cu112", "mxnet-cu112"), ("test", None)])
def test_on_python_3_13_mxnet_is_added_whatever_it_says_of_numpy(machine, extras, build):
    machine.put("newest", "yes\n")
    machine.put("conflicts", "mxnet 1.9.1 has requirement numpy<2.0.0,>1.16.0, but you have numpy 2.2.6.\n")
    lines = machine.works("setup", f"EXTRAS={extras}")
    added = [line for line in lines if "--no-deps" in line]
    assert added == ([f"venv -m pip install --only-binary=:all: --no-deps {build}==1.9.1"] if build else [])
    machine.touch_setup()
    machine.put("conflicts", "pandas 2.3.3 requires tzdata, which is not installed.\n")
    assert "does not fit together: pandas 2.3.3 requires" in machine.fails("setup", f"EXTRAS={extras}")


def test_what_does_not_fit_together_is_refused_before_python_3_13(machine):
    machine.put("conflicts", "mxnet 1.9.1 has requirement numpy<2.0.0,>1.16.0, but you have numpy 2.2.6.\n")
    assert "does not fit together: mxnet" in machine.fails("setup")
    assert machine.stamps() == []


def test_a_read_only_checkout_is_copied_into_an_environment_elsewhere(machine):
    script = machine.checkout / "scripts/setup-venv.sh"
    script.write_text(script.read_text().replace("if [ -w . ]", "if false"))  # root writes wherever bits forbid it
    lines = machine.works("setup", f"VENV={machine.folder}/venv")
    (install,) = [line for line in lines if "--only-binary" in line]
    assert "--editable" not in install and install.endswith("[cpu,test]")
    assert (machine.folder / "venv" / "setup-cpu,test.stamp").exists()
    machine.put("file")
    assert "choose a folder that can be written" in machine.fails("setup", f"VENV={machine.folder}/file/venv")


def test_make_dist_builds_in_the_environment(machine):
    assert machine.works("dist")[-1] == "venv -m scripts.make_dist"


def test_an_environment_that_cannot_be_imported_is_not_finished(machine):
    machine.put("import-fails")
    machine.fails("setup")
    assert machine.stamps() == []


def test_make_legacy_makes_both_environments_and_tests_in_both(machine):
    machine.add_python27()
    lines = machine.works("legacy")
    legacy = machine.checkout / ".venv-legacy"
    assert lines[-1] == f"venv -m pytest -q tests/symbols with {legacy}/bin/python"
    assert "venv -m virtualenv --quiet --python python2.7 .venv-legacy" in lines
    requirements = "python2.7 -m pip install --quiet --only-binary=:all: --requirement symbols/requirements.txt"
    assert requirements in lines and (legacy / "setup.stamp").exists()
    (machine.bin / "python2.7").unlink()  # once the environment is made nobody asks for it
    assert machine.works("legacy") == lines[-1:]


def test_without_python_2_7_it_is_told_where_to_get_one_before_anything_is_made(machine):
    machine.add_python("python2", (3, 11))
    said = machine.fails("legacy")
    for words in ("pyenv install 2.7.18", "apt-get install python2.7", "docker/legacy.Dockerfile", "make test needs"):
        assert words in said
    assert not machine.venv.exists() and not (machine.checkout / ".venv-legacy").exists()
    assert machine.works("test")[-1].startswith("venv -m pytest -q ")


def test_a_chosen_python_must_be_2_7(machine):
    machine.add_python27("mine")
    assert "LEGACY_PYTHON27=python3.11 is not a Python 2.7" in machine.fails("legacy", "LEGACY_PYTHON27=python3.11")
    lines = machine.works("legacy", "LEGACY_PYTHON27=mine")
    assert any("virtualenv --quiet --python mine" in line for line in lines)


def test_a_failed_legacy_environment_is_made_anew(machine):
    machine.add_python27()
    no_wheel = machine.put("no-wheel")
    machine.fails("legacy")
    assert not (machine.checkout / ".venv-legacy" / "setup.stamp").exists()
    no_wheel.unlink()
    machine.works("legacy")


@pytest.mark.parametrize(
    ("target", "option", "said"),
    [
        ("setup", "VENV=precious", "is not a virtual environment"),
        ("legacy", "VENV27=precious", "choose another"),
        ("legacy", "VENV27=.venv", "choose another"),
    ],
)
def test_a_folder_that_is_no_such_environment_is_left_alone(machine, target, option, said):
    machine.add_python27()
    thesis = machine.put("checkout/precious/thesis.tex", "x")
    assert said in machine.fails(target, option)
    assert thesis.read_text() == "x" and (machine.venv / "bin").exists() == (target == "legacy")


def test_the_demo_runs_its_steps_in_order_and_once(machine):
    steps = ["phantom ct", "import ct", "train.py", "evaluate.py"]
    assert [next(step for step in steps if step in call) for call in calls(machine.works("demo"))] == steps
    before = machine.lines()
    for name in ("phantoms/labels.json", "data/dataset.json", "trained", "run/report.html"):
        machine.put("checkout/demo/" + name)
    done = machine.make("demo")
    assert done.stdout.splitlines() == [f"The report: {machine.checkout}/demo/run/report.html"]
    assert calls(machine.lines()) == calls(before)


@pytest.mark.parametrize("target", ["demo", "rows", "demo-us"])
def test_a_training_that_was_stopped_is_gone_on_with_and_not_evaluated(machine, target):
    stopped = machine.put("stopped")
    assert "Error 75" in machine.fails(target)
    first = calls(machine.lines())
    assert "train.py" in first[-1] and "--resume auto" in first[-1] and not any("evaluate" in line for line in first)
    folder = machine.checkout / first[-1].split("--out ")[1].split()[0]
    kept = machine.put(str(folder.relative_to(machine.folder) / "checkpoints/step-00000001"))
    stopped.unlink()
    again = calls(machine.works(target))
    assert again.count(first[-1]) == 1 and kept.exists()
    assert any("evaluate.py --run" in line for line in again)


def test_the_rows_are_trained_on_one_set_and_printed_together(machine):
    lines = calls(machine.works("rows", "SEED=7"))
    assert sum("phantom ct" in line and "--seed 7" in line for line in lines) == 1
    trained = [line.split("--out ")[1].split()[0] for line in lines if "train.py" in line]
    assert len(trained) == 14 and all(path.startswith("rows/seed-7/demo-") for path in trained)
    assert trained[2] == "rows/seed-7/demo-r50-2.5d" and trained[-1] == "rows/seed-7/demo-r101-multimodal-channels"
    assert lines[-1].split(" table ")[1].split() == trained
    assert sum("train.py" in line for line in calls(machine.works("rows", "SEED=8", "BETTER="))) == 6
    machine.put("checkout/rows/seed-7/data/dataset.json")
    again = calls(machine.works("rows", "SEED=7"))
    assert again and not any("phantom ct" in line for line in again)
