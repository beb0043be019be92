"""Checkpoints with a training state, when files are damaged, disks full and processes killed.

The detector is two dense layers: the files are small enough to flip bits all over them.
"""

import json
import os
import pickle
import shutil
import subprocess
import sys

import mxnet as mx
import numpy as np
import pytest
from mxnet.gluon import nn

from gluon_liver.errors import RunError, TrainingError
from gluon_liver.runs.checkpoint import load_checkpoint, load_state, save_checkpoint
from gluon_liver.runs.checkpoint_folder import newest_intact, prune
from gluon_liver.runs.manifest import DamageError, verified
from gluon_liver.runs.training_state import TrainingState

from .test_checkpoint import rewrite_manifest

pytestmark = pytest.mark.slow

FILES = "net.params optimizer.params state.json config.yaml manifest.json".split()


class Small(nn.HybridBlock):
    """As much of a detector as a checkpoint knows of."""

    classes = ("cyst", "hcc")

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Dense(2, in_units=3), nn.Dense(1, in_units=2)
        self.initialize(mx.init.Normal(1))

    def collect_learned(self):
        return self._collect_params_with_prefix()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def save_small(folder, step, *, net=None, config=None, best=None):
    net = net or Small()
    counts = {name: step for name in net.collect_learned()}
    arrays = {"momentum/" + name: mx.nd.random.normal(shape=p.shape) for name, p in net.collect_learned().items()}
    state = TrainingState(step, 1, 2, 3, "sgd", counts, arrays, best)
    return save_checkpoint(folder, net, step=step, epoch=1, state=state, config=config), state


@pytest.fixture
def stateful(tmp_path, tiny_config):
    return save_small(tmp_path / "checkpoints", 7, config=tiny_config, best={"map": 0.1, "checkpoint": "step-00000003"})


def test_a_state_comes_back_as_it_was(stateful):
    path, state = stateful
    found = load_state(path)
    assert found.to_fields() == state.to_fields()
    assert set(found.arrays) == set(state.arrays)
    assert all(np.array_equal(found.arrays[name].asnumpy(), state.arrays[name].asnumpy()) for name in state.arrays)
    assert names(path) == sorted(FILES)
    assert newest_intact(path.parent, resumable=True) == (path, [])


@pytest.mark.parametrize("name", FILES)
def test_flipped_bits_of_every_file_are_found(stateful, name):
    path, _ = stateful
    content = (path / name).read_bytes()
    of_manifest = name == "manifest.json"
    for place in range(0, len(content), 1 if of_manifest else 3):
        for bit in {place % 8, 5} if of_manifest else [place % 8]:  # bit 5 tells a from A
            flipped = bytearray(content)
            flipped[place] ^= 1 << bit
            (path / name).write_bytes(bytes(flipped))
            with pytest.raises(DamageError, match="not a complete" if of_manifest else name + " is damaged"):
                verified(path, "state.json" if of_manifest else name)
    assert newest_intact(path.parent)[0] is None
    with pytest.raises(RunError, match="not a complete" if of_manifest else "damaged"):
        load_state(path)


@pytest.mark.parametrize("name", FILES)
def test_every_truncated_or_missing_file_is_found(stateful, name):
    path, _ = stateful
    content = (path / name).read_bytes()
    for length in {0, 1, len(content) // 2, len(content) - 1}:
        (path / name).write_bytes(content[:length])
        assert newest_intact(path.parent)[0] is None
    (path / name).unlink()
    assert "not a complete checkpoint" in newest_intact(path.parent)[1][0]
    with pytest.raises(RunError, match=name):
        load_state(path)
    os.mkfifo(str(path / name))  # nobody waits for a writer
    assert newest_intact(path.parent)[0] is None


def test_damaged_checkpoints_are_named_and_passed_over(tmp_path):
    paths = [save_small(tmp_path, step)[0] for step in (1, 2, 3, 4)]
    (paths[3] / "optimizer.params").write_bytes(b"x")
    shutil.rmtree(str(paths[2]))
    paths[2].mkdir()
    found, reasons = newest_intact(tmp_path)
    assert found == paths[1]
    assert [reason.split(":")[0] for reason in reasons] == ["step-00000004", "step-00000003"]
    assert "optimizer.params is damaged" in reasons[0] and "manifest.json" in reasons[1]
    # the parameters alone are still what was saved
    assert load_checkpoint(paths[3], Small())["step"] == 4
    assert newest_intact(tmp_path / "nowhere") == (None, [])


def test_parameters_without_a_state_are_not_resumed_from(tmp_path):
    before, _ = save_small(tmp_path, 1)
    path = save_checkpoint(tmp_path, Small(), step=2, epoch=1)
    assert newest_intact(tmp_path) == (path, [])
    assert newest_intact(tmp_path, resumable=True) == (before, ["step-00000002: it holds no training state"])
    with pytest.raises(RunError, match="no training state"):
        load_state(path)
    # format 1 is read but not resumed from
    rewrite_manifest(path, format=1)
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["sha256"]
    (path / "manifest.json").write_text(json.dumps(manifest))
    assert load_checkpoint(path, Small())["epoch"] == 1
    with pytest.raises(RunError, match="no training state"):
        load_state(path)
    rewrite_manifest(path, format=3)
    assert newest_intact(tmp_path)[0] == before


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
@pytest.mark.parametrize("name", ["net.params", "optimizer.params", "state.json"])
def test_a_pickle_bomb_does_nothing(stateful, tmp_path, name, protocol):
    path, _ = stateful
    (path / name).write_bytes(pickle.dumps(Bomb(tmp_path / "boom"), protocol))
    (path / "trainer.states").write_bytes(pickle.dumps(Bomb(tmp_path / "boom"), protocol))
    rewrite_manifest(path)
    with pytest.raises(RunError, match=name):
        load_state(path)
        load_checkpoint(path, Small())
    assert not (tmp_path / "boom").exists()
    pickle.loads(pickle.dumps(Bomb(tmp_path / "boom")))  # it would have gone off
    assert (tmp_path / "boom").exists()


def test_what_the_manifest_does_not_list_is_not_read(stateful, tmp_path):
    path, state = stateful
    (path / "trainer.states").write_bytes(pickle.dumps(Bomb(tmp_path / "boom")))
    (path / "config.yaml").write_text("!!python/object/apply:os.mkdir [boom]")
    rewrite_manifest(path)
    assert load_state(path).to_fields() == state.to_fields()
    files = json.loads((path / "manifest.json").read_text())["files"]
    for name in ("trainer.states", "../escape"):
        rewrite_manifest(path, files=dict(files, **{name: {}}))
        assert "lists" in newest_intact(path.parent)[1][0]


def test_a_state_of_another_kind_is_refused(stateful):
    path, state = stateful
    odd = [("step", "1"), ("step", True), ("batch", -1), ("update_counts", {"a": 1.5}), ("best", 1), ("extra", 0)]
    for name, value in odd:
        (path / "state.json").write_text(json.dumps(dict(state.to_fields(), **{name: value})))
        rewrite_manifest(path)
        with pytest.raises(RunError, match=f"state.json: .*{name}.*; delete that folder"):
            load_state(path)


def test_values_that_are_not_finite_are_not_saved(tmp_path):
    state = TrainingState(1, 0, 1, 0, "sgd", {}, {"momentum/first.weight": mx.nd.array([np.inf])})
    net = Small()
    for name in ("momentum/first.weight", "second.bias"):
        with pytest.raises(TrainingError, match=f"{name} is not finite"):
            save_checkpoint(tmp_path, net, step=1, epoch=0, state=state)
        net.second.bias.data()[:] = np.nan
    assert list(tmp_path.iterdir()) == []


def test_a_step_saved_again_is_replaced(tmp_path):
    save_small(tmp_path, 1)
    path, state = save_small(tmp_path, 1)
    arrays = (one.arrays["momentum/first.weight"].asnumpy() for one in (load_state(path), state))
    assert np.array_equal(*arrays) and names(tmp_path) == [path.name]
    first, net = path.stat().st_ino, Small()
    load_checkpoint(path, net)
    save_checkpoint(tmp_path, net, step=1, epoch=1, state=state)
    assert path.stat().st_ino == first  # the same again: the old one was not touched
    assert names(tmp_path) == [path.name]


def test_prune_keeps_the_newest_intact_ones_and_the_best(tmp_path):
    paths = [save_small(tmp_path, step)[0] for step in range(1, 8)]
    (paths[6] / "state.json").write_text("{}")
    for name in ("step-00000008.partial", "step-00000001.removed"):
        shutil.copytree(str(paths[0]), str(tmp_path / name))
    (tmp_path / "notes.txt").write_text("the user's")
    assert prune(tmp_path, keep=2, spare=[paths[1].name]) == [paths[i] for i in (6, 3, 2, 0)]
    assert names(tmp_path) == ["notes.txt"] + [paths[i].name for i in (1, 4, 5)]
    for i in (1, 4, 5):
        (paths[i] / "manifest.json").write_text("{}")
    assert prune(tmp_path, keep=2) == []  # nothing intact is left: nothing is taken
    assert len(list(tmp_path.iterdir())) == 4


def test_everything_is_on_disk_before_it_bears_the_name(tmp_path, tiny_config, monkeypatch):
    calls, fsync, rename = [], os.fsync, os.rename
    named = "/proc/self/fd/{}".format
    monkeypatch.setattr(os, "fsync", lambda handle: calls.append(os.readlink(named(handle))) or fsync(handle))
    monkeypatch.setattr(os, "rename", lambda one, other: calls.append("rename") or rename(one, other))
    path, _ = save_small(tmp_path, 1, config=tiny_config)
    partial = str(path) + ".partial"
    assert set(calls[:-3]) - {os.path.join(partial, "config.yaml.partial")} == {os.path.join(partial, n) for n in FILES}
    assert calls[-3:] == [partial, "rename", str(tmp_path)]


def test_a_folder_is_renamed_before_it_is_emptied(tmp_path, monkeypatch):
    emptied, rmtree = [], shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", lambda path, **options: emptied.append(path) or rmtree(path, **options))
    for step in (1, 2, 2):
        save_small(tmp_path, step)
    prune(tmp_path, keep=1)
    assert {os.path.splitext(path)[1] for path in emptied} == {".partial", ".removed"}
    assert names(tmp_path) == ["step-00000002"]


@pytest.mark.parametrize("call", ["os.fsync", "os.rename", "pathlib.Path.write_text", "mxnet.nd.save"])
def test_a_full_disk_leaves_no_trace(tmp_path, monkeypatch, call):
    before, _ = save_small(tmp_path, 1)

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(call, full)
        with pytest.raises(RunError, match=r"step-00000002: the checkpoint cannot be written.*No space left"):
            save_small(tmp_path, 2)
    assert list(tmp_path.iterdir()) == [before] and newest_intact(tmp_path) == (before, [])


def test_a_write_that_mxnet_does_not_notice_is_noticed(tmp_path, monkeypatch):
    """At a full disk MXNet writes a part and says nothing."""
    save = mx.nd.save

    def short(name, arrays):
        save(name, {key: value * 0 if "weight" in key else value for key, value in arrays.items()})

    monkeypatch.setattr("mxnet.nd.save", short)
    with pytest.raises(RunError, match="net.params reads back as something else"):
        save_small(tmp_path, 1)
    assert list(tmp_path.iterdir()) == []


CHILDREN = """
import os, random, resource, signal, sys, time
from pathlib import Path
from gluon_liver.runs.checkpoint_folder import newest_intact, prune
import mxnet as mx
from gluon_liver.errors import RunError
from tests.runs.test_checkpoint_faults import names, save_small

def in_child(work, before_wait=lambda pid: None):
    pid = os.fork()
    if not pid:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
    before_wait(pid)
    return os.waitpid(pid, 0)[1]

def write(fault=None):
    if fault:
        os.environ["GLUON_LIVER_FAULT"] = fault
    save_small(folder, 4)
    prune(folder, keep=2)

root = Path(sys.argv[1])
for number, fault in enumerate(sys.argv[2:]):
    folder = root / str(number)
    for step in (1, 2, 3):
        save_small(folder, step)
    assert in_child(lambda: write(fault)) == signal.SIGKILL, fault
    newest, passed = newest_intact(folder)
    late = fault.split(":")[0] in ("checkpoint.renamed", "checkpoint.pruned")
    assert (newest.name, passed) == ("step-00000004" if late else "step-00000003", []), fault
    assert any(name.endswith((".partial", ".removed")) for name in names(folder)) == (fault != "checkpoint.renamed")
    assert in_child(write) == 0
    assert names(folder) == ["step-00000003", "step-00000004"], names(folder)
    print("killed", fault)

def loop():
    for step in range(2, 10000):
        save_small(folder, step)
        prune(folder, keep=2)

folder = root / "random"
save_small(folder, 1)
for _ in range(20):
    status = in_child(loop, lambda pid: (time.sleep(random.uniform(0, 0.06)), os.kill(pid, signal.SIGKILL)))
    newest, passed = newest_intact(folder)
    assert status == signal.SIGKILL and newest is not None and not passed, (status, newest, passed)
print("killed at random")

def limited(limit):
    # what a full disk does: files end where the space does, without or with a word from MXNet
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        save_small(folder, 2)
    except RunError as error:
        assert "is the disk full?" in str(error) and "\\n" not in str(error) and "Traceback" not in str(error), error
    else:
        raise AssertionError(f"no error at {limit}")

folder = root / "full"
last, _ = save_small(folder, 1)
largest = max(path.stat().st_size for path in last.iterdir())
for limit in range(0, largest, 97):
    assert in_child(lambda: limited(limit)) == 0
    assert names(folder) == [last.name] and newest_intact(folder) == (last, [])
print("full")
"""


def test_kills_and_full_disks_leave_a_complete_checkpoint(tmp_path):
    """A process for all, which forks: MXNet is imported once."""
    faults = ["checkpoint." + point for point in ("begun", "parameters", "manifest", "renamed", "pruned", "pruned:2")]
    done = subprocess.run([sys.executable, "-c", CHILDREN, str(tmp_path), *faults], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("killed c")] == ["killed " + f for f in faults]
    assert "killed at random" in done.stdout and "full" in done.stdout
