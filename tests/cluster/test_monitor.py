"""Monitor and supervisors without MXNet: real connections, real processes, a limit of silence below a second."""

import asyncio
import functools
import json
import os
import signal
import sys
import time

import pytest

from gluon_liver.cluster.monitor import Monitor, ending
from gluon_liver.cluster.supervisor import PROCESSES, WATCH, Supervisor, child_environment, versions, watch_address
from gluon_liver.errors import InputError

from .faults import ROOT, alive

TOKEN = "0123456789abcdef"
SILENCE = 1.0


def in_a_loop(test):
    """An async test, for pytest."""
    return functools.wraps(test)(lambda *given, **fixtures: asyncio.run(test(*given, **fixtures)))


def monitor(**options):
    return Monitor(**{**dict(workers=2, servers=1, token=TOKEN, versions={}, silence=SILENCE, start=20.0), **options})


class Peer:
    """A supervisor's side of the connection, by hand."""

    def __init__(self, role="worker", pid=1):
        self.role, self.pid = role, pid

    async def come(self, port, hello=None, **more):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        if hello is not None:
            self.writer.write(hello)
        else:
            self.say(**{**dict(token=TOKEN, role=self.role, pid=self.pid, host="here"), **more})
        return self

    def say(self, **message):
        self.writer.write(json.dumps(message).encode() + b"\n")

    async def hear(self, key):
        """The first value of a key that the monitor says, None when it closes the connection."""
        while True:
            line = await self.reader.readline()
            if not line:
                return None
            message = json.loads(line.decode())
            if key in message:
                return message[key]


async def job(*, grace=5.0, **options):
    """A monitor, four peers that have come, and the future end of the job."""
    watch = monitor(**options)
    port = await watch.serve("127.0.0.1")
    roles = ("worker", "worker", "server", "scheduler")
    peers = [await Peer(role, 100 + number).come(port) for number, role in enumerate(roles)]
    return watch, peers, asyncio.ensure_future(watch.finished(grace=grace))


@in_a_loop
async def test_all_ends_with_0_when_everything_ends_with_0():
    watch, peers, finished = await job()
    for peer in peers:
        assert not finished.done()
        peer.say(end=0)
        await asyncio.sleep(0.1)
    assert await asyncio.wait_for(finished, 2) == 0 and watch.reason is None


@in_a_loop
async def test_workers_that_stop_in_order_end_the_job_with_75():
    """The one that leads says so; the others, and what the tracker says of its command, end nothing."""
    watch, peers, finished = await job()
    peers[0].say(end=75)
    await asyncio.sleep(0.1)
    watch.command_failed("a command ended with code 75")
    for peer in peers[1:]:
        assert not finished.done()
        peer.say(end=0)
        await asyncio.sleep(0.1)
    assert await asyncio.wait_for(finished, 2) == 75 and watch.reason is None


@in_a_loop
async def test_workers_that_go_on_without_the_one_that_stopped_are_ended():
    watch, peers, finished = await job(silence=0.4, grace=0.1)
    peers[0].say(end=75)
    for _ in range(20):
        for peer in peers[1:]:
            peer.say(beat=True)
        await asyncio.sleep(0.05)
    assert await finished == 75 and "the others did not follow" in watch.reason


@pytest.mark.parametrize("code, exit_code, words", [(3, 3, "ended with code 3"), (-9, 75, "was killed by SIGKILL")])
@in_a_loop
async def test_a_failed_worker_is_named_to_all_with_rank_and_checkpoint(code, exit_code, words, capfd):
    _, peers, finished = await job()
    peers[1].say(rank=1)
    peers[0].say(checkpoint="run/checkpoints/step-00000040")
    assert await peers[2].hear("checkpoint") is None  # of the welcome
    assert await peers[2].hear("checkpoint") == "run/checkpoints/step-00000040"
    peers[1].say(end=code)
    texts = [await peer.hear("abort") for peer in (peers[0], peers[2], peers[3])]
    for peer in peers:
        peer.writer.close()
    assert await finished == exit_code and texts[0] == texts[1] == texts[2]
    assert "worker of rank 1 (pid 101 on here) " + words in texts[0]
    assert "Last good checkpoint: run/checkpoints/step-00000040" in texts[0]
    assert ("--resume auto" in texts[0]) == (exit_code == 75)  # a worker's own error may come again
    assert capfd.readouterr().err.count(texts[0]) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "silent, how, least", [(True, "no sign of life for 1 s)", SILENCE), (False, "connection lost", 1.5 * SILENCE)]
)
@in_a_loop
async def test_a_silent_peer_is_gone_and_a_lost_connection_is(silent, how, least):
    watch, peers, finished = await job(grace=0.2)
    begun = time.monotonic()
    while watch.reason is None:
        for peer in peers[:-1] + ([] if silent else peers[-1:]):
            peer.say(beat=True)
        if not silent and time.monotonic() - begun > 1.5 * SILENCE:  # beats keep everybody alive
            peers[-1].writer.transport.abort()
        await asyncio.sleep(0.05)
    assert await finished == 75 and f"scheduler (pid 103 on here) is gone ({how}" in watch.reason
    assert least <= time.monotonic() - begun < least + 1.5


@in_a_loop
async def test_strangers_are_no_peers():
    watch = monitor()
    port = await watch.serve("127.0.0.1")
    rude = dict(hello=b"\xff" * 100000 + b"\n")
    for said in (dict(token="0" * 16), dict(token=None), dict(token=[TOKEN]), rude):
        stranger = await Peer().come(port, **said)
        assert await stranger.hear("silence") is None
    assert watch.members == [] and watch.reason is None


@in_a_loop
async def test_missing_processes_and_other_versions_end_the_job():
    watch = monitor(start=0.3)
    peer = await Peer().come(await watch.serve("127.0.0.1"))
    assert await watch.finished(grace=0.1) == 75
    missing = "1 of 2 worker(s), 1 of 1 server(s), 1 of 1 scheduler(s) did not start within"
    assert missing in watch.reason and missing in await peer.hear("abort")
    watch = monitor(versions={"mxnet": "1.9.1"})
    peer = await Peer().come(await watch.serve("127.0.0.1"), versions={"mxnet": "1.8.0"})
    assert "mxnet 1.8.0 instead of 1.9.1" in await peer.hear("abort")


@in_a_loop
async def test_a_signal_goes_to_workers_alone_and_servers_that_nobody_used_are_stopped(capfd):
    async def idle(peer):
        while True:
            peer.say(beat=True)
            message = json.loads((await peer.reader.readline()).decode())
            assert "signal" not in message
            if "stop" in message:
                return peer.say(end=0)

    _, peers, finished = await job(silence=0.3)
    assert [await peer.hear("silence") for peer in peers] == [0.3] * 4
    peers[3].say(stop=15)  # one supervisor was asked to stop: all workers are
    assert [await peer.hear("signal") for peer in peers[:2]] == [15, 15]
    for peer in peers[:2]:
        peer.say(end=0)
    await asyncio.gather(*map(idle, peers[2:]))
    assert await finished == 0
    assert "scheduler and servers are stopped" in capfd.readouterr().err


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
@in_a_loop
async def test_a_signal_while_processes_still_start_ends_the_job(number, code):
    """Those that come later would not hear it, and train to the end."""
    watch = monitor()
    port = await watch.serve("127.0.0.1")
    early, finished = await Peer().come(port), asyncio.ensure_future(watch.finished(grace=0.1))
    await early.hear("silence")
    watch.interrupt(number)
    assert f"{number.name} came before all processes had started" in await early.hear("abort")
    early.writer.close()
    assert await asyncio.wait_for(finished, 2) == code


CHILD = """
import sys, time, os
from gluon_liver.cluster import heartbeat
heartbeat.start(); heartbeat.tell(rank=1, checkpoint="c")
open(sys.argv[1], "w").write(str(os.getpid()))
{}
time.sleep(60)
"""


async def supervisor(port, *command, token=TOKEN):
    settings = dict(os.environ, DMLC_ROLE="worker", PYTHONPATH=str(ROOT), **{WATCH: f"127.0.0.1:{port}:{token}"})
    words = ("-m", "gluon_liver.cluster.supervisor", "--", *command)
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, *words, env=settings, cwd=str(ROOT), stderr=pipe)


async def supervised(path, body=""):
    """A monitor, one supervisor, and the pid of its worker, which sleeps; ``path`` is a file for that."""
    watch = monitor(workers=1, versions=versions())
    port = await watch.serve("127.0.0.1")
    process = await supervisor(port, sys.executable, "-c", CHILD.format(body), str(path))
    while not path.exists() or not path.read_text() or watch.checkpoint is None:
        await asyncio.sleep(0.02)
    pid = int(path.read_text())
    assert alive(pid) and (watch.members[0].rank, watch.members[0].pid) == (1, pid)
    watch.beats = asyncio.ensure_future(watch.finished(grace=20))
    return watch, process, pid


async def ended(process, pid=None):
    """The supervisor's exit code and what it said, once its worker is gone too."""
    _, said = await asyncio.wait_for(process.communicate(), 10)
    await asyncio.sleep(0.2)
    assert pid is None or not alive(pid)
    return process.returncode, said.decode()


@pytest.mark.slow
@in_a_loop
async def test_supervisor_ends_a_worker_that_is_stopped(tmp_path):
    watch, process, pid = await supervised(tmp_path / "pid")
    await asyncio.sleep(1.5 * SILENCE)
    assert watch.reason is None  # it beats
    os.kill(pid, signal.SIGSTOP)
    code, said = await ended(process, pid)
    assert code == 75 and "worker of rank 1" in watch.reason and "stopped or frozen" in watch.reason
    assert watch.reason in said


@pytest.mark.slow
@in_a_loop
async def test_silence_after_done_is_no_fault(tmp_path):
    watch, process, pid = await supervised(tmp_path / "pid", body="heartbeat.done()")
    await asyncio.sleep(0.3)
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(2 * SILENCE)
    assert watch.reason is None
    watch.abort("enough")
    code, said = await ended(process, pid)
    assert code == 75 and "enough; all processes of the job end. Last good checkpoint: c;" in said


@pytest.mark.slow
@in_a_loop
async def test_worker_ends_with_its_supervisor_and_supervisor_with_the_monitor(tmp_path):
    watch, process, pid = await supervised(tmp_path / "first")
    process.kill()
    assert (await ended(process, pid))[0] == -9
    assert "worker of rank 1" in watch.reason and "connection lost" in watch.reason
    watch, process, pid = await supervised(tmp_path / "second")
    for member in watch.members:
        member.writer.transport.abort()
    code, said = await ended(process, pid)
    assert code == 75 and "the launcher is gone" in said and "Last good checkpoint: c;" in said


@in_a_loop
async def test_supervisor_that_reported_the_end_does_not_repeat_the_abort_that_follows(capfd):
    """The abort that a lost process causes goes to its own supervisor too, and may come before that has ended."""
    for ended_itself, code, said in ((True, None, ""), (False, 75, "worker (pid 7) was killed")):
        of_lost = Supervisor("worker", ["true"], host="here")
        of_lost._ended = ended_itself
        reader = asyncio.StreamReader()
        reader.feed_data(json.dumps({"abort": "worker (pid 7) was killed"}).encode() + b"\n")
        assert await of_lost._follow_monitor(reader) == code
        err = capfd.readouterr().err
        assert said in err and bool(err) == bool(said)


@in_a_loop
async def test_supervisor_of_another_job_is_told_so():
    code, said = await ended(await supervisor(await monitor().serve("127.0.0.1"), "true", token="f" * 32))
    assert code == 2 and "does not know this job's token" in said


def test_environment_of_a_supervised_process():
    given = dict(PORT="8080", DMLC_NODE_HOST="alias", DMLC_PS_ROOT_URI="127.0.0.1")
    given.update({WATCH: "h:1:secret", PROCESSES: "64"})
    environment, notes = child_environment(given, address="10.0.0.7")
    assert "PORT" not in environment and WATCH not in environment and "PORT is dropped" in notes[0]
    assert environment["DMLC_NODE_HOST"] == "10.0.0.7" and environment["PYTHONUNBUFFERED"] == "1"
    environment, notes = child_environment(dict(given, DMLC_INTERFACE="ib0", PORT=""), address="10.0.0.7")
    assert "DMLC_NODE_HOST" not in environment and environment["DMLC_INTERFACE"] == "ib0" and notes
    assert child_environment({}, address="10.0.0.7")[1] == []


def test_watch_address(tmp_path):
    secret = tmp_path / "token"
    secret.write_text(TOKEN + "\n")
    assert watch_address("host:9300:" + TOKEN) == ("host", 9300, TOKEN)
    assert watch_address(f"host:9300:{secret}") == ("host", 9300, TOKEN)
    for wrong in ("", "host:9300", "host:x:" + TOKEN, "host:9300:short"):
        with pytest.raises(InputError, match=WATCH):
            watch_address(wrong)


def test_words_for_exit_codes():
    assert ending(-signal.SIGTERM) == "was killed by SIGTERM" and ending(2) == "ended with code 2"
