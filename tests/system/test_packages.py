"""Packages that cannot be imported, by fakes of them: absent, of a wrong protobuf, without a library of the system."""

import re
import sys

import pytest

from gluon_liver.commands import main, print_expected
from gluon_liver.errors import InputError
from gluon_liver.onnx.session import check_installed
from gluon_liver.results.formats import check_formats
from gluon_liver.runs import tensorboard
from gluon_liver.system import packages
from gluon_liver.system.packages import failed_import, why_unusable

OLD_PROTOBUF = "from google.protobuf.internal import no_such_builder"
FAULTS = [
    ("raise TypeError('Descriptors cannot\\nbe created directly.')", r"\(TypeError: Descriptors cannot be created dir"),
    ("import numpy; numpy.no_such_name", r"\(AttributeError: module 'numpy' has no attribute"),
    ("from google.protobuf import gone", r"\(ImportError: cannot import name 'gone'"),
    ("1 +", r"\(SyntaxError: "),
    ("raise SystemExit('needs AVX')", r"\(SystemExit: needs AVX"),
]


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Puts a package that runs some code before what is installed by its name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(name, code):
        for module in [one for one in sys.modules if one.partition(".")[0] == name]:
            monkeypatch.delitem(sys.modules, module)
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(code, encoding="utf-8")

    yield make
    monkeypatch.undo()


def test_one_that_can_be_imported_is_not_told_of():
    assert why_unusable(("json", "numpy.linalg"), "x") == ""


def test_one_that_is_not_installed():
    assert why_unusable(("json", "no_such_package.part"), "'such>=2'") == (
        "the package no_such_package, which is not installed: pip install 'such>=2'"
    )


def test_a_folder_that_an_old_one_left_is_none(tmp_path, monkeypatch):
    (tmp_path / "left_over" / "cache").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    said = "the package left_over, of which only an empty folder is there: pip install left"
    assert why_unusable(("left_over",), "left") == said


@pytest.mark.parametrize("code, said", FAULTS)
def test_every_optional_package_that_is_broken_is_an_error_with_advice(fake, code, said):
    for name, ask in (
        ("tensorboardX", tensorboard.check_installed),
        ("onnxruntime", lambda: check_installed("--engine DIR")),
        ("onnx", lambda: check_installed("export --onnx", "onnx")),
        ("highdicom", lambda: check_formats(["coco", "dicom-seg"])),
    ):
        fake(name, code)
        advice = f"pip install --force-reinstall --no-deps .*{name}.*`python -c 'import {name}'` shows more"
        with pytest.raises(InputError, match=f"the package {name}, which is installed but .*{said}.*: {advice}"):
            ask()


def test_the_package_at_fault_is_put_anew_too_and_numpy_stays(fake):
    fake("broken_one", f"import numpy\n{OLD_PROTOBUF}")
    said = why_unusable(("broken_one",), "x")
    assert "cannot import name 'no_such_builder'" in said and "--no-deps protobuf;" in said
    fake("broken_two", "import numpy; numpy.linalg.inv([[0.0]])")
    assert "--no-deps broken_two;" in why_unusable(("broken_two",), "x")


def test_what_a_package_lacks_is_what_pip_is_to_install(fake):
    fake("broken_one", "import gone_elsewhere.part")
    said = why_unusable(("broken_one",), "x")
    assert said.endswith("(ModuleNotFoundError: No module named 'gone_elsewhere'): pip install gone_elsewhere")
    fake("broken_two", "import google.no_such_part")  # of what is there, a part
    said = why_unusable(("broken_two",), "x")
    assert "pip install --force-reinstall --no-deps protobuf;" in said


@pytest.mark.parametrize("installed, advice", [("mxnet-cu112", "mxnet-cu112"), ("opencv-python-headless", None)])
def test_the_distribution_that_is_installed_is_the_one_to_install_again(monkeypatch, installed, advice):
    """Not the wheel for CPUs over the one for GPUs."""
    monkeypatch.setattr(packages, "installed_version", lambda name: "1" if name == installed else None)
    package = "mxnet" if installed.startswith("mxnet") else "cv2"
    said = packages._broken(package, TypeError("x"))
    assert re.search(rf"--no-deps '?{advice or installed}(==[0-9.]+)?'?;", said)


@pytest.mark.parametrize("code", [b"def f(:\n", b"if 1:\n\tx = 1\n        y = 2\n", b"x = '\xff'\n", b"x = 1\0\0"])
@pytest.mark.parametrize("how", ["import one_file", "from one_file import part", "import one_file as other"])
def test_a_file_that_is_no_python_is_told_of_by_its_package(tmp_path, monkeypatch, capsys, code, how):
    """A power cut leaves NUL bytes, say: no frame of the package is in the traceback."""
    (tmp_path / "one_file.py").write_bytes(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert print_expected(run_inside(how)) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: this needs the package one_file, which is installed but cannot be imported (")


def test_a_library_of_the_system_is_for_doctor(fake):
    fake("broken_one", "raise ImportError('libGL.so.1: cannot open shared object file: No such file or directory')")
    said = why_unusable(("broken_one",), "x")
    assert "`python -m gluon_liver doctor` says which" in said and "pip install" not in said


def test_an_option_with_a_broken_package_ends_with_2(fake, tmp_path, capsys):
    fake("tensorboardX", "raise TypeError('Descriptors cannot be created directly.')")
    words = ["train", "--config", "r50", "--data", str(tmp_path), "--out", str(tmp_path / "run"), "--tensorboard"]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: --tensorboard needs the package tensorboardX, which is installed but cannot be")
    assert said.rstrip().endswith("or leave the option out") and "Traceback" not in said


def run_inside(code):
    """The error of code that runs as a module of this package."""
    try:
        exec(compile(code, "inside.py", "exec"), {"__name__": "gluon_liver.inside"})
    except (Exception, SystemExit) as error:
        return error
    return None


@pytest.mark.parametrize("code, said", FAULTS)
def test_any_package_that_the_work_needs_is_told_of(fake, capsys, code, said):
    fake("broken_one", code)
    assert print_expected(run_inside("import broken_one")) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: this needs the package broken_one, which is installed but cannot be imported (")
    assert print_expected(run_inside("import no_such_package")) == 2
    assert "no_such_package, which is not installed: pip install no_such_package" in capsys.readouterr().err


def test_defects_of_this_package_stay_tracebacks(fake):
    fake("sound", "def fail():\n    raise TypeError('called wrongly')")
    for code in ("import sound; sound.fail()", "1 / 0", "from gluon_liver.errors import NoSuchError", "int('x')"):
        assert print_expected(run_inside(code)) is None, code


def test_an_import_that_leaves_ends_with_2_and_help_with_0(fake, tmp_path, capsys):
    fake("tensorboardX", "raise SystemExit(0)")
    words = ["train", "--config", "r50", "--data", str(tmp_path), "--out", str(tmp_path / "run"), "--tensorboard"]
    assert main(words) == 2 and "the package tensorboardX, which is installed but cannot" in capsys.readouterr().err
    for option, code in (("--help", 0), ("--no-such-option", 2)):
        with pytest.raises(SystemExit) as left:
            main(["train", option])
        assert left.value.code == code


def test_the_machine_is_not_the_package(fake):
    fake("full", "raise OSError(28, 'No space left on device')")
    assert failed_import(run_inside("import full")) == ""
    fake("large", "raise MemoryError")
    assert failed_import(run_inside("import large")) == ""
