"""Files of ``torch.save``: what they hold, what is refused, and that nothing in them runs."""

import contextlib
import io
import os
import pickle
import struct
import sys
import types
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from gluon_liver.errors import InputError
from gluon_liver.readers.weights.formats import read_weights
from gluon_liver.readers.weights.torch_save import LEGACY_MAGIC, describe

from .test_weight_formats import VALUES, refused, with_a_wrong_byte
from .torch_writer import Bomb, Pickler, Storage, Tensor, save_legacy, save_zip, stand_in_modules, tensor


@pytest.fixture(autouse=True)
def torch_names(monkeypatch):
    for name, module in stand_in_modules().items():
        monkeypatch.setitem(sys.modules, name, module)


SAVERS = pytest.mark.parametrize("save", [save_zip, save_legacy])


@SAVERS
def test_torch_kinds_views_and_order(save, tmp_path):
    shared = Storage("FloatStorage", np.arange(60, dtype=np.float32))
    bfloat16 = (VALUES.view(np.uint32) >> 16).astype(np.uint16)  # these values lose nothing
    tree = dict(z=tensor(VALUES), half=tensor(VALUES, "HalfStorage"), double=tensor(VALUES, "DoubleStorage"))
    tree.update(bfloat16=tensor(bfloat16, "BFloat16Storage"), batches=tensor([7], "LongStorage"), lr=0.1)
    tree.update(view=Tensor(shared, (4, 3), offset=20, stride=(1, 10)), scalar=Tensor(shared, (), offset=5))
    save(tmp_path / "w.pth", dict(tree, empty=Tensor(shared, (0, 3))))
    found = read_weights(tmp_path / "w.pth")
    assert list(found) == ["z", "half", "double", "bfloat16", "view", "scalar", "empty"]  # counters are left out
    for name in ("z", "half", "double", "bfloat16"):
        assert found[name].dtype == np.float32 and found[name].flags.c_contiguous
        np.testing.assert_array_equal(found[name], VALUES)
    np.testing.assert_array_equal(found["view"], [[20 + row + 10 * column for column in range(3)] for row in range(4)])
    assert found["scalar"].shape == () and found["scalar"] == 5 and found["empty"].shape == (0, 3)


@SAVERS
def test_torch_wrappers_and_data_parallel_prefix(save, tmp_path):
    state = {"a.weight": tensor(VALUES), "a.bias": tensor([1.0])}
    nested = {"model": {"state_dict": {"module." + name: value for name, value in state.items()}}}
    trained = OrderedDict(model=state, optimizer={"state": {0: tensor([1.0])}})
    for tree in ({"epoch": 3, "state_dict": state}, trained, nested):
        save(tmp_path / "w.bin", tree)
        found = read_weights(str(tmp_path / "w.bin"))
        assert list(found) == ["a.weight", "a.bias"]
        np.testing.assert_array_equal(found["a.weight"], VALUES)


def test_the_bomb_is_live(tmp_path):
    """What the tests below refuse does harm where it is unpickled."""
    pickle.loads(pickle.dumps(Bomb(tmp_path / "ran"), protocol=2))
    assert (tmp_path / "ran").exists()


def test_nothing_of_a_torch_file_runs(tmp_path):
    bomb = Bomb(tmp_path / "ran")
    save_zip(tmp_path / "zip.pth", {"a": tensor(VALUES), "b": bomb})
    save_legacy(tmp_path / "legacy.pth", {"a": tensor(VALUES), "b": bomb})
    save_legacy(tmp_path / "system.pth", {"a": tensor(VALUES)}, system=bomb)
    for path in sorted(tmp_path.iterdir()):
        assert f"asks for {os.mkdir.__module__}.mkdir; only tensors are read" in refused(path)
        assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("protocol", [0, 2, 3, 4])
def test_nothing_of_any_pickle_protocol_runs(protocol, tmp_path):
    bomb = pickle.dumps({"a": Bomb(tmp_path / "ran")}, protocol=protocol)
    save_zip(tmp_path / "w.pth", {}, pickled=bomb)
    (tmp_path / "legacy.pth").write_bytes(LEGACY_MAGIC + bomb)
    (tmp_path / "plain.pkl").write_bytes(bomb)
    for name in ("w.pth", "legacy.pth", "plain.pkl"):
        refused(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_a_whole_model_is_refused_by_its_class(tmp_path):
    save_zip(tmp_path / "w.pth", types.SimpleNamespace(conv1=tensor(VALUES)))  # any object with a class of its own
    message = refused(tmp_path / "w.pth")
    assert "asks for types.SimpleNamespace" in message and "state_dict()" in message


FORGED = {
    "past the end": lambda s: Tensor(s, (4,), offset=7),
    "strides past the end": lambda s: Tensor(s, (2, 2), stride=(9, 1)),
    "terabytes of one number": lambda s: Tensor(s, (1 << 20, 1 << 20), stride=(0, 0)),
    "overflow": lambda s: Tensor(s, (1 << 40, 1 << 40, 0), stride=(1, 1)),
    "negative offset": lambda s: Tensor(s, (2,), offset=-1),
    "negative stride": lambda s: Tensor(s, (2,), offset=5, stride=(-1,)),
    "no number": lambda s: Tensor(s, ("2",), stride=(1,)),
    "announced, not there": lambda s: Tensor(Storage("FloatStorage", np.zeros(4), count=1 << 40), (1 << 30,)),
}


@SAVERS
@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_forged_sizes(save, forge, tmp_path):
    save(tmp_path / "w.pth", {"a": forge(Storage("FloatStorage", np.zeros(10)))})
    refused(tmp_path / "w.pth")


def test_many_names_of_one_storage_are_bounded(tmp_path):
    storage = Storage("FloatStorage", np.zeros(100_000))
    save_zip(tmp_path / "w.pth", {str(number): Tensor(storage, (100_000,)) for number in range(50)})
    assert "more than 6 times" in refused(tmp_path / "w.pth")
    save_zip(tmp_path / "tied.pth", {name: Tensor(storage, (100_000,)) for name in "ab"})
    assert set(read_weights(tmp_path / "tied.pth")) == {"a", "b"}


def test_a_pickle_cannot_change_the_reader(tmp_path):
    """BUILD sets attributes on what find_class gives."""
    pickled = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00xK\x01sb."
    save_zip(tmp_path / "w.pth", {}, pickled=pickled)
    assert "holds a function" in refused(tmp_path / "w.pth")
    assert vars(describe) == {}


def test_other_torch_files_that_are_refused(tmp_path):
    tree, path = {"a": tensor(VALUES)}, tmp_path / "w.pth"
    holds_itself = {}
    holds_itself["model"] = holds_itself
    large_memo_index = b"\x80\x02}r" + struct.pack("<I", 2**31) + b"."  # it must not size memory
    for content, options, message in (
        (tree, {"compression": zipfile.ZIP_DEFLATED}, "compressed"),
        (tree, {"byteorder": b"big"}, "big-endian"),
        ({"epoch": 3}, {}, "its keys begin: epoch"),
        ([tensor(VALUES)], {}, "holds a list"),
        ({"a": tensor([1], "LongStorage")}, {}, "none of them floating point"),
        ({}, {"pickled": large_memo_index}, "numbers its parts"),
        (holds_itself, {}, ""),
    ):
        save_zip(path, content, **options)
        assert message in refused(path)


@SAVERS
def test_damaged_torch_files_are_refused_or_read(save, tmp_path):
    """Nothing but InputError comes out of any cut, and of some hundred flipped bytes."""
    save(tmp_path / "w.pth", {"state_dict": {"a": tensor(VALUES), "b": tensor(VALUES[0], "HalfStorage")}})
    content = (tmp_path / "w.pth").read_bytes()
    for end in range(0, len(content) - 1, 11):
        (tmp_path / "cut.pth").write_bytes(content[:end])
        refused(tmp_path / "cut.pth")
    for broken in with_a_wrong_byte(content, 200):
        (tmp_path / "flip.pth").write_bytes(broken)
        with contextlib.suppress(InputError):
            read_weights(tmp_path / "flip.pth")


def test_damaged_pickles_with_a_right_checksum(tmp_path):
    stream = io.BytesIO()
    Pickler(stream).dump({"state_dict": {"a": tensor(VALUES)}})
    for broken in with_a_wrong_byte(stream.getvalue(), 200):
        save_zip(tmp_path / "w.pth", {}, pickled=broken)
        refused(tmp_path / "w.pth")  # its storage is not there
