"""The launcher: what it hands to the dmlc tracker, and two jobs of real workers and servers."""

import os
import signal
import subprocess
import sys

import pytest

from gluon_liver.cluster import heartbeat
from gluon_liver.cluster.launch import launch, read_hosts, supervisor_line
from gluon_liver.commands import main
from gluon_liver.errors import ConfigError, InputError

from .faults import FAULTS, ROOT, Job, alive, strike

pytestmark = pytest.mark.slow

WORDS = [*r"train.py --set train.decay_epochs=[3] $HOME * x;y|z back\slash é&".split(), "a b", "", 'say "hi"']
SHOW = [sys.executable, "-c", "import sys; print(ascii(sys.argv[1:]))"]


def shown(line):
    """The words that a shell line hands to the supervisor, with the supervisor's module replaced by SHOW's program."""
    show = supervisor_line(SHOW, {}, remote=False).split(" -- ", 1)[1]
    line = line.replace(f"{sys.executable} -m gluon_liver.cluster.supervisor --", show)
    return subprocess.run(line, shell=True, executable="/bin/bash", stdout=subprocess.PIPE, check=True).stdout.decode()


def test_words_pass_bash_and_the_quotes_of_the_ssh_launcher(monkeypatch):
    local = supervisor_line(WORDS + ["it's"], {}, remote=False)
    assert shown(local).strip() == ascii(WORDS + ["it's"])
    monkeypatch.delenv("PYTHONPATH", raising=False)
    remote = supervisor_line(WORDS, {"GLUON_LIVER_WATCH": "h:1:/f"}, remote=True)
    assert remote.startswith("env GLUON_LIVER_WATCH=h:1:/f ")
    # as dmlc_tracker.ssh pastes it: between single quotes, for a shell that starts another shell
    assert shown(f"bash -c '{remote}'").strip() == ascii(WORDS)
    for word, over in (("it's", True), ("two\nlines", False)):
        with pytest.raises(InputError, match="cannot pass on"):
            supervisor_line([word], {}, remote=over)


def test_folder_that_ssh_cannot_change_to(tmp_path, monkeypatch):
    (tmp_path / "a b").mkdir()
    monkeypatch.chdir(tmp_path / "a b")
    with pytest.raises(InputError, match="a b"):
        supervisor_line(["x"], {}, remote=True)


def test_hosts_file(tmp_path):
    path = tmp_path / "hosts"
    path.write_text("node-1\n10.0.0.2:2222\n\n node3.lab slots=4\n")
    assert read_hosts(path) == ["node-1", "10.0.0.2:2222", "node3.lab"]
    for wrong in ("# comment", "user@node", "node;reboot", "node -oProxyCommand=x", "-oProxyCommand=x", "::1"):
        path.write_text(f"node-1\n{wrong}\n")
        with pytest.raises(InputError, match="is no HOST"):
            read_hosts(path)
    path.write_text("\n")
    with pytest.raises(InputError, match="names no machine"):
        read_hosts(path)
    path.write_bytes(b"node1\nn\xf6de2\n")
    with pytest.raises(InputError, match="line 2 is not UTF-8"):
        read_hosts(path)


def test_wrong_arguments(capsys):
    for arguments in (dict(workers=0, servers=1), dict(workers=1, servers=0), dict(workers=1, servers=1, silence=40)):
        with pytest.raises(ConfigError):
            launch(["true"], **arguments)
    assert main(["launch", "--workers", "2"]) == 2 and "after --" in capsys.readouterr().err
    assert main(["launch", "--workers", "2", "--host-ip", "10.0.0.1", "--", "true"]) == 2


def test_heartbeat_outside_of_a_job_does_nothing(monkeypatch):
    monkeypatch.delenv(heartbeat.FD, raising=False)
    heartbeat.start()
    heartbeat.tell(rank=0, checkpoint="x")
    heartbeat.done()
    assert heartbeat._link is None


def test_importing_what_a_supervisor_needs_does_not_import_mxnet():
    code = "import sys, gluon_liver.cluster.supervisor, gluon_liver.cluster.launch; sys.exit('mxnet' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=str(ROOT)).returncode == 0


def test_a_job_stops_in_order_when_the_launcher_is_asked_to(tmp_path):
    """A PORT in the environment, which aborts MXNet's servers, does no harm; the workers' sums are right."""
    with Job(tmp_path, "--silence", "5", workers=2, environment={"PORT": "8080"}) as job:
        pids = list(job.processes())
        job.launcher.send_signal(signal.SIGTERM)
        assert job.launcher.wait(30) == 0, job.text()
        text = job.text()
        assert "PORT is dropped" in text and text.count("sum 3.0") == 2 and "gone" not in text
        assert len(pids) == 9 and not any(map(alive, pids))


def test_a_killed_worker_ends_the_job_and_is_named(tmp_path):
    with Job(tmp_path, "--silence", "5") as job:
        victim = job.victim("worker")
        seconds, count = strike(job, "kill-worker")
        assert seconds < 10 and count == 11 and FAULTS["kill-worker"][1] == signal.SIGKILL
        assert job.launcher.wait(10) == 75
        said = f"worker of rank 1 (pid {victim} on {os.uname().nodename}) was killed by SIGKILL"
        assert job.text().count(said) == 5  # the launcher, two workers, server and scheduler
        assert f"Last good checkpoint: {tmp_path}/step-" in job.text() and "--resume auto" in job.text()
