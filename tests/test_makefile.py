"""Makefile and the scripts that it calls, run against a PATH of fake Pythons, so that nothing is downloaded."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = "sh env ls rm mkdir mktemp cat chmod dirname sleep touch make".split()
FILES = (
    "Makefile setup.py pyproject.toml scripts/setup-venv.sh scripts/setup-legacy.sh symbols/requirements.txt".split()
)

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="the tests of the Makefile need make")

# Evaluates `-c` with the real Python under another version number; its environments hold a fake Python too.
FAKE_PYTHON = """#!/bin/sh
echo "{name} $*" >> "{log}"
version="({major}, {minor}, 0, 'final', 0)"
case "$1" in
-c) exec {python} -c "import sys; sys.version_info = $version; {spoil}; exec(sys.argv[1])" "$2" ;;
--version) echo "Python {major}.{minor}.0" ;;
-m)
    {make_venv}
    mkdir -p "$3/bin"
    cat "{venv_python}" > "$3/bin/python"
    chmod +x "$3/bin/python"
    : > "$3/pyvenv.cfg"
    ;;
esac
"""

# pip, the check for missing Debian packages and the import check do what files in the test's folder say.
FAKE_VENV_PYTHON = """#!/bin/sh
echo "venv $*${{LEGACY_PYTHON:+ with $LEGACY_PYTHON}}" >> "{log}"
case "$*" in
"-m virtualenv"*)
    for folder in "$@"; do :; done
    mkdir -p "$folder/bin"
    cat "{folder}/python27" > "$folder/bin/python"
    chmod +x "$folder/bin/python"
    : > "$folder/pyvenv.cfg" ;;
*missing_debian_packages*) cat "{folder}/missing" ;;
"-m pip install --only-binary"*) [ ! -e "{folder}/offline" ] || {{ echo "ERROR: no network" >&2; exit 1; }} ;;
*"!= (2, 7)"*) exit 1 ;;
-) if [ -e "{folder}/import-fails" ]; then exit 1; fi ;;
--version) echo "Python 3.11.0" ;;
esac
"""


FAKE_PYTHON27 = """#!/bin/sh
echo "{name} $*" >> "{log}"
case "$*" in
-c*) exec {python} -c "import sys, types; sys.version_info = (2, 7, 18, 'final', 0)
sys.modules['numpy'], sys.modules['mxnet'] = types.ModuleType('numpy'), types.ModuleType('mxnet')
sys.modules['mxnet'].__version__ = '1.0.0'; exec(sys.argv[1])" "$2" ;;
"-m pip install"*) [ ! -e "{folder}/no-wheel" ] || {{ echo "ERROR: no wheel" >&2; exit 1; }} ;;
esac
"""


class FakeMachine:
    """A PATH with the tools of a bare system and the Pythons that a test adds, and a checkout to run make in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin, self.checkout, self.log = folder / "bin", folder / "checkout", folder / "log"
        self.bin.mkdir()
        self.log.write_text("")
        self.put("missing")
        for tool in TOOLS:
            os.symlink(shutil.which(tool), self.bin / tool)
        self.script("uname", "echo x86_64")
        self.script("id", "echo 1000")
        for name in FILES:
            (self.checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.checkout / name)
        self.venv_python = folder / "venv-python"
        self.venv_python.write_text(FAKE_VENV_PYTHON.format(log=self.log, folder=folder))

    def script(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(body if body.startswith("#!") else f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def add_python(self, name: str, version, *, spoil: str = "pass", make_venv: str = ":") -> None:
        major, minor = version
        numbers = dict(major=major, minor=minor, python=sys.executable, venv_python=self.venv_python)
        self.script(name, FAKE_PYTHON.format(name=name, log=self.log, spoil=spoil, make_venv=make_venv, **numbers))

    def add_python27(self, name: str = "python2.7") -> None:
        """Its environments have MXNet 1.0.0, unless pip fails as the file no-wheel says."""
        body = FAKE_PYTHON27.format(name=name, log=self.log, folder=self.folder, python=sys.executable)
        self.script(name, body)
        (self.folder / "python27").write_text(body)

    def options(self):
        """How make is called."""
        return dict(cwd=self.checkout, env={"PATH": str(self.bin), "HOME": str(self.folder), "LANG": "C"})

    def make(self, *words: str):
        command = [str(self.bin / "make"), *words]
        return subprocess.run(command, **self.options(), capture_output=True, text=True, timeout=60)

    def works(self, *words: str):
        """Run make, which must succeed; returns the lines that it adds to the log."""
        before = len(self.lines())
        done = self.make(*words)
        assert done.returncode == 0, done.stderr
        return self.lines()[before:]

    def fails(self, *words: str) -> str:
        """Run make, which must fail; returns what it says."""
        done = self.make(*words)
        assert done.returncode != 0
        return done.stderr

    def lines(self):
        return self.log.read_text().splitlines()

    def put(self, name: str, text: str = "") -> Path:
        """Write a file of the test's folder, such as those that tell the fakes what to do."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    @property
    def venv(self) -> Path:
        return self.checkout / ".venv"

    def stamps(self):
        return sorted(path.name for path in self.venv.glob("*.stamp"))

    def made_with(self):
        """The Pythons that were asked for an environment."""
        return [line.split()[0] for line in self.lines() if " -m venv " in line]

    def touch_setup(self) -> None:
        later = time.time() + 10
        os.utime(self.checkout / "setup.py", (later, later))


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
        ("python3", (3, 13), "pass"),
        ("python3", (3, 7), "pass"),
        ("python3.11", (3, 11), "sys.modules['ensurepip'] = None"),
        ("python3.11", (3, 11), "sys.modules['venv'] = None"),
    ],
)
def test_without_a_usable_python_the_error_names_those_that_work(bare_machine, name, version, spoil):
    bare_machine.add_python(name, version, spoil=spoil)
    said = bare_machine.fails("setup")
    for words in ("3.8", "3.11 (best)", "3.12", "apt-get install python3-venv", "uv", "PYTHON="):
        assert words in said
    assert not bare_machine.venv.exists()


def test_uv_brings_a_python_where_none_is_usable(bare_machine):
    bare_machine.add_python("python3", (3, 13))
    bare_machine.add_python("real-uv", (3, 11))
    bare_machine.script("uv", f'echo "uv $*" >> "{bare_machine.log}"; for last; do :; done; real-uv -m venv "$last"')
    assert "uv venv --python 3.11 --seed .venv" in bare_machine.works("setup")
    assert bare_machine.stamps() == ["setup-cpu,test.stamp"]


def test_the_users_python_is_taken_or_refused_and_not_replaced_by_another(machine):
    machine.add_python("my-python", (3, 13))
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
    assert machine.works("test")[-1] == "venv -m pytest -q"


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


def test_the_rows_are_trained_on_one_set_and_printed_together(machine):
    lines = calls(machine.works("rows", "SEED=7"))
    assert sum("phantom ct" in line and "--seed 7" in line for line in lines) == 1
    trained = [line.split("--out ")[1].split()[0] for line in lines if "train.py" in line]
    assert len(trained) == 6 and all(path.startswith("rows/seed-7/demo-") for path in trained)
    assert lines[-1].split(" table ")[1].split() == trained
    machine.put("checkout/rows/seed-7/data/dataset.json")
    again = calls(machine.works("rows", "SEED=7"))
    assert again and not any("phantom ct" in line for line in again)
