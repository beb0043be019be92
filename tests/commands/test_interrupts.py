"""Ctrl-C while a command's modules are imported, and paths that MXNet cannot open."""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gluon_liver.commands import main
from gluon_liver.commands.paths import check_paths
from gluon_liver.errors import InputError
from gluon_liver.files.lock import locks_are_off
from gluon_liver.system.interrupts import INTERRUPTED, quiet_imports

ROOT = Path(__file__).resolve().parents[2]
ODD = os.fsdecode(b"gr\xf6\xdfe")  # Latin-1


def interrupted(arguments, module, folder):
    """Exit code and words of a command that gets SIGINT when it has imported a module."""
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", *arguments],
        cwd=str(folder),
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        while process.stderr.readline().split("|")[-1].strip() != module:
            assert process.poll() is None, f"{module} was not imported"
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1]
    return process.returncode, [line for line in said.splitlines() if not line.startswith("import time:")]


@pytest.mark.slow
@pytest.mark.parametrize(
    "program", [["-m", "gluon_liver", "train"], [str(ROOT / "train.py")]], ids=["module", "script"]
)
def test_ctrl_c_while_modules_are_imported_is_quiet(program, tiny_data, tmp_path):
    options = ["--config", "demo-ct", "--data", str(tiny_data), "--out", str(tmp_path / "run")]
    own = [f"gluon_liver.{name}" for name in ("system.interrupts", "errors", "commands", "config.schema")]
    numpy_core = ("numpy._core" if np.__version__ >= "2" else "numpy.core") + "._multiarray_umath"
    for module in (*own, "yaml", numpy_core, "mxnet.libinfo", "mxnet.ndarray", "cv2"):
        code, said = interrupted([*program, *options], module, tmp_path)
        assert code == INTERRUPTED and said in (["interrupted"], []), (module, said)
    assert list(tmp_path.iterdir()) == []


def test_no_lock_is_of_one_command_alone(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("gluon_liver.commands.evaluate.run", lambda args: seen.append(locks_are_off()) or 0)
    for option in ([], ["--no-lock"], []):
        assert main(["evaluate", "--run", str(tmp_path), *option]) == 0
    assert seen == [False, True, False]


@pytest.mark.slow
def test_ctrl_c_while_phantoms_are_drawn_is_quiet(tmp_path):
    """A terminal gives it to the processes that draw as well, which are importing."""
    options = ["--out", "out", "--studies", "4", "--jobs", "2", "--matrix", "96", "--diameter-mm", "18", "30"]
    with subprocess.Popen(
        [sys.executable, "-m", "gluon_liver", "phantom", "ct", *options],
        cwd=str(tmp_path),
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not children.read_text():
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(0.3)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=60)[1].decode()
    assert process.returncode == INTERRUPTED and "Traceback" not in said and list(tmp_path.iterdir()) == []


def test_ctrl_c_in_an_import_ends_the_process_and_elsewhere_is_an_exception(tmp_path, monkeypatch):
    (tmp_path / "slow.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    ended = []

    class EndedError(Exception):
        pass

    def end(code):
        ended.append(code)
        raise EndedError

    monkeypatch.setattr(os, "_exit", end)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with quiet_imports():
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
            with pytest.raises(EndedError):
                __import__("slow")
        assert ended == [INTERRUPTED] and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a shell's background job
        with quiet_imports():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    "words",
    [
        "train --config demo-ct --data {odd} --out run",
        "train --config demo-ct --data data --out {odd}/run",
        "train --config demo-ct --data data --out run --resume auto --pretrained {odd}.params",
        "evaluate --run {odd}",
        "evaluate --compare run {odd}",
        "import ct dicom --labels labels.json --out {odd}",
        "detect study --run {odd} --out out",
        "export {odd} --legacy --out out",
        "table run {odd}",
        "import-legacy {odd}/a --data data --out run",
    ],
)
def test_paths_that_are_no_utf_8_are_refused_before_anything_is_done(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([word.format(odd=ODD) for word in words.split()]) == 2
    said = capsys.readouterr().err
    assert r"gr\xf6\xdfe" in said and "is not UTF-8" in said and "rename" in said
    assert list(tmp_path.iterdir()) == []


def test_a_working_folder_or_a_link_that_leads_there(capsys, tmp_path, monkeypatch):
    (tmp_path / ODD).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / ODD)
    assert main(["evaluate", "--run", str(tmp_path / "link" / "run")]) == 2
    monkeypatch.chdir(tmp_path / ODD)
    assert main(["train", "--config", "demo-ct", "--data", "../data", "--out", "run"]) == 2
    assert capsys.readouterr().err.count("is not UTF-8") == 2


def test_a_locale_that_is_not_utf_8(capsys, monkeypatch):
    """Its bytes of a path are others than those that MXNet makes of the text."""
    monkeypatch.setattr(os, "fsencode", lambda path: str(path).encode("latin-1"))
    assert main(["evaluate", "--run", "größe"]) == 2
    assert r"gr\xf6\xdfe: the path is not UTF-8" in capsys.readouterr().err


def test_names_that_a_scanner_gave_are_read():
    """DICOM is read by Python: whatever the names of files are."""
    read = dict.fromkeys(("folder", "labels", "map", "classes", "study", "source"), Path(ODD))
    check_paths(argparse.Namespace(out=Path("größe"), **read))
    with pytest.raises(InputError, match="--out"):
        check_paths(argparse.Namespace(folder=Path(ODD), labels=Path(ODD), out=Path(ODD)))
