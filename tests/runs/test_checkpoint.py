"""Checkpoints: what was saved comes back, and anything else is refused with the leaf's path."""

import errno
import os

import jax
import jax.numpy as jnp
import msgpack
import numpy as np
import optax
import pytest
from flax import serialization

from pct.errors import DataError
from pct.runs import checkpoint
from pct.runs.checkpoint import load_params, save_params
from pct.runs.trees import to_bytes


def params(hidden=4):
    tree = {
        "params": {
            "Dense_0": {"kernel": jnp.arange(3.0 * hidden).reshape(3, hidden), "bias": jnp.zeros(hidden)},
            "Dense_1": {"kernel": jnp.ones((hidden, 2)), "bias": jnp.zeros(2)},
        }
    }
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float32), tree)


def assert_same(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert isinstance(a, jax.Array)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_parameters_come_back(tmp_path):
    path = tmp_path / "p.msgpack"
    save_params(path, params())
    assert_same(load_params(path, jax.tree.map(jnp.zeros_like, params())), params())
    assert_same(load_params(path, jax.eval_shape(params)), params())


def test_optimizer_state_comes_back_with_its_moments_and_rate(tmp_path):
    optimizer = optax.inject_hyperparams(optax.adamw)(1e-3)
    state = optimizer.init(params())
    _, state = optimizer.update(jax.tree.map(jnp.ones_like, params()), state, params())
    state.hyperparams["learning_rate"] = jnp.asarray(2.5e-4, jnp.float32)
    save_params(tmp_path / "o.msgpack", state)
    assert_same(load_params(tmp_path / "o.msgpack", optimizer.init(params())), state)


def test_any_flax_program_can_read_it(tmp_path):
    save_params(tmp_path / "p.msgpack", params())
    raw = serialization.from_bytes(params(), (tmp_path / "p.msgpack").read_bytes())
    np.testing.assert_array_equal(raw["params"]["Dense_0"]["kernel"], params()["params"]["Dense_0"]["kernel"])
    state = optax.inject_hyperparams(optax.adamw)(1e-3).init(params())
    scalars = {
        "numpy": np.float32(0.5),
        "python": 0.5,
        "count": 3,
        "nothing": None,
        "bits": b"b",
    }
    for tree in (params(), state, scalars, (jnp.ones((300, 300)), [jnp.zeros((0, 2))])):
        assert to_bytes(tree) == serialization.to_bytes(tree)


def changed(path, value):
    tree = params()
    layer, leaf = path.split("/")
    if value is None:
        del tree["params"][layer][leaf]
    else:
        tree["params"].setdefault(layer, {})[leaf] = value
    return tree


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        (
            changed("Dense_0/kernel", jnp.ones((3, 8), jnp.float32)),
            r"leaf 'params/Dense_0/kernel': expected float32 \(3, 4\), found float32 \(3, 8\)",
        ),
        (
            changed("Dense_1/bias", jnp.ones(2, jnp.int32)),
            r"leaf 'params/Dense_1/bias': expected float32 \(2,\), found int32 \(2,\)",
        ),
        (changed("Dense_1/bias", None), "expected a leaf 'params/Dense_1/bias', found none"),
        (
            changed("Dense_2/kernel", jnp.ones((2, 2))),
            "found a leaf 'params/Dense_2/kernel' that is not expected",
        ),
        ({"params": jnp.ones(3)}, "expected a leaf 'params/Dense_0/bias', found none"),
    ],
)
def test_another_tree_is_refused_by_the_path_of_its_leaf(tmp_path, saved, message):
    save_params(tmp_path / "p.msgpack", saved)
    with pytest.raises(DataError, match=r"p\.msgpack: " + message):
        load_params(tmp_path / "p.msgpack", params())


def test_a_missing_file_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match=r"p\.msgpack: expected a checkpoint, cannot read it \(No such file"):
        load_params(tmp_path / "p.msgpack", params())


def test_every_truncation_is_a_data_error(tmp_path):
    path = tmp_path / "p.msgpack"
    whole = serialization.to_bytes(params())
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError):
            load_params(path, params())


@pytest.mark.parametrize("content", [b"not msgpack at all", b"\x80\x04\x95pickle", b"\x01"])
def test_another_format_is_a_data_error(tmp_path, content):
    (tmp_path / "p.msgpack").write_bytes(content)
    with pytest.raises(DataError, match="expected a msgpack checkpoint"):
        load_params(tmp_path / "p.msgpack", params())


def test_a_full_disk_keeps_the_former_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "p.msgpack"
    save_params(path, params())

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left on device"):
        save_params(path, changed("Dense_0/kernel", jnp.zeros((3, 4))))
    assert_same(load_params(path, params()), params())
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"params": {"kernel": [[1.0], [1.0, 2.0]]}}, "expected a msgpack checkpoint"),
        ({"params/Dense_0/kernel": 1.0}, "expected a leaf"),
        ({"noise": b"0" * (2 << 20)}, "expected a checkpoint of .* bytes or a little more"),
    ],
)
def test_what_is_no_tree_of_arrays_is_refused(tmp_path, state, message):
    (tmp_path / "p.msgpack").write_bytes(serialization.msgpack_serialize(state))
    with pytest.raises(DataError, match=message):
        load_params(tmp_path / "p.msgpack", params())


def test_a_shape_that_the_bytes_do_not_fill_allocates_nothing(tmp_path):
    lying = msgpack.packb(((1 << 40, 4), "float32", b"0000"))
    content = msgpack.packb({"params": {"kernel": msgpack.ExtType(1, lying)}})
    (tmp_path / "p.msgpack").write_bytes(content)
    with pytest.raises(DataError, match="expected a msgpack checkpoint"):
        load_params(tmp_path / "p.msgpack", params())


@pytest.mark.parametrize("content", [b"\x91" * 100_000, b"\x82\xa6sha256\xa1x\xa5state\xc0", b""])
def test_a_damaged_state_gives_way_to_the_one_before(tmp_path, content):
    checkpoint.save_state(tmp_path, params(), 1)
    (tmp_path / "checkpoints" / "step_000000002.msgpack").write_bytes(content)
    os.mkfifo(tmp_path / "checkpoints" / "step_000000003.msgpack")  # nobody writes to it
    saved = checkpoint.newest_state(tmp_path)
    assert saved is not None
    assert saved.path.stem == "step_000000001"
