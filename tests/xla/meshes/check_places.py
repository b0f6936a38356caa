"""Where new arrays are put, copies, and what is said of places."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import lax
from pullback.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

P = PartitionSpec
D = pb.devices()
MESH = pb.make_mesh((2, 4), ("a", "b"))
ROWS = NamedSharding(MESH, P("a"))
X = np.arange(64, dtype=np.float32).reshape(8, 8)

MADE = {
    "zeros": lambda **p: jnp.zeros(8, **p),
    "ones": lambda **p: jnp.ones(8, **p),
    "empty": lambda **p: jnp.empty(8, **p),
    "full": lambda **p: jnp.full(8, 3.0, **p),
    "arange": lambda **p: jnp.arange(8, **p),
    "linspace": lambda **p: jnp.linspace(0, 1, 8, **p),
    "eye": lambda **p: jnp.eye(8, **p),
    "array": lambda **p: jnp.array(X, **p),
    "asarray": lambda **p: jnp.asarray(X, **p),
    "astype": lambda **p: jnp.astype(jnp.ones(8), int, **p),
    "x.astype": lambda **p: jnp.ones(8).astype(int, **p),
    "fftfreq": lambda **p: jnp.fft.fftfreq(8, **p),
    "zeros_like": lambda **p: jnp.zeros_like(X, **p),
    "ones_like": lambda **p: jnp.ones_like(X, **p),
    "full_like": lambda **p: jnp.full_like(X, 2.0, **p),
}


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("place", [D[3], SingleDeviceSharding(D[5]), ROWS])
def test_made_there(name, place):
    x = MADE[name](device=place)
    want = SingleDeviceSharding(place) if place is D[3] else place
    assert x.sharding == want and x.committed
    np.testing.assert_array_equal(x, MADE[name]())


def test_made_by_lax():
    assert lax.full((8,), 1.0, sharding=ROWS).sharding == ROWS
    assert lax.full_like(jnp.ones(8), 1.0, sharding=ROWS).sharding == ROWS
    assert lax.full_like(jnp.ones(8, device=D[2]), 1.0).device is D[2]
    assert jnp.zeros(8, out_sharding=ROWS).sharding == ROWS
    with pb.set_mesh(MESH):
        assert jnp.ones((8, 8), device=P(None, "b")).sharding.spec == P(None, "b")


@pytest.mark.parametrize("like", [jnp.zeros_like, jnp.ones_like, jnp.empty_like, pb.lax.full_like])
def test_like_an_array_that_was_put_somewhere(like):
    like = (lambda x, **p: lax.full_like(x, 2.0, **p)) if like is lax.full_like else like
    x, y = pb.device_put(X, ROWS), pb.device_put(X, D[3])
    assert like(x).sharding == ROWS and like(x, dtype=int).sharding == ROWS
    assert like(y).device is D[3] and like(y, shape=(3,)).device is D[3]
    assert like(x, shape=(3,)).devices() == {D[0]}  # its sharding is for another shape
    assert like(pb.ShapeDtypeStruct((8,), "float32", sharding=ROWS)).sharding == ROWS
    assert like(x + 1).sharding == (x + 1).sharding
    assert pb.jit(like)(x).shape == (8, 8)
    assert not like(jnp.asarray(X)).committed


def test_no_place():
    with pytest.raises(ValueError, match=r"this is no place for an array[^$]*Got: 'cpu'"):
        jnp.zeros(8, device="cpu")
    with pytest.raises(ValueError, match="its length 7 is no multiple"):
        jnp.zeros(7, device=ROWS)
    with pytest.raises(ValueError, match="a PartitionSpec needs a mesh"):
        jnp.arange(8, device=P("a"))
