"""docker/compose.yaml without Docker: its commands and variables as processes of this machine, with fake workers."""

import os
import socket
import subprocess
import sys
import time

import pytest
import yaml

from .faults import ROOT, WORKER

pytestmark = pytest.mark.slow


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_services_form_a_job(tmp_path):
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
    watch, root = str(free_port()), str(free_port())
    processes = {}
    try:
        for name, service in reversed(list(services.items())):  # the monitor last: containers start when they will
            words = service["command"]
            given = {key: value.replace("9091", root) for key, value in service["environment"].items()}
            given["GLUON_LIVER_WATCH"] = f"127.0.0.1:{watch}:{'0' * 32}"
            given["DMLC_PS_ROOT_URI"] = "localhost"
            if name == "monitor":
                words = [word.replace("0.0.0.0:9300", "127.0.0.1:" + watch) for word in words]
                command = ["-m", "gluon_liver"] + words
            else:
                assert words[0] == "train.py" and service["depends_on"] == ["monitor"]
                assert service["entrypoint"][0] == "python"
                command = service["entrypoint"][1:] + [WORKER, str(tmp_path), "5"]
            settings = dict(os.environ, PYTHONPATH=str(ROOT), **given)
            command = [sys.executable, *command]
            processes[name] = subprocess.Popen(command, cwd=str(ROOT), env=settings, stdout=subprocess.PIPE)
            time.sleep(0.3)
        said = {name: process.communicate(timeout=60)[0].decode() for name, process in processes.items()}
        assert {name: process.returncode for name, process in processes.items()} == dict.fromkeys(services, 0)
        assert all("step 5 sum 3.0" in said[f"worker-{number}"] for number in range(2))
    finally:
        for process in processes.values():
            process.kill()
