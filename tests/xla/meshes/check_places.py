"""Where new arrays are put, copies, and what is said of places."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import lax
from pullback.core.device import Device
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


def test_copies_stay_where_the_array_is():
    x = pb.device_put(X, NamedSharding(MESH, P("b", "a")))
    for y in (copy.deepcopy(x), copy.copy(x), copy.deepcopy({"x": x})["x"], jnp.copy(x)):
        assert y.sharding == x.sharding
        np.testing.assert_array_equal(y, X)
    y = copy.deepcopy(x)
    x.delete()
    np.testing.assert_array_equal(y, X)


def test_sharding_by_other_names():
    flat = Mesh(np.array(D), ("z",))
    one, two = NamedSharding(flat, P("z")), NamedSharding(MESH, P(("a", "b")))
    assert one.is_equivalent_to(two, 2) and two.is_equivalent_to(one, 1)
    assert not one.is_equivalent_to(NamedSharding(MESH, P(("b", "a"))), 2)
    assert not one.is_equivalent_to(NamedSharding(flat, P(None, "z")), 2)
    assert NamedSharding(flat, P()).is_equivalent_to(NamedSharding(MESH, P(None, None)), 3)
    y = pb.jit(lambda x: x * 2, in_shardings=one)(pb.device_put(X, two))
    np.testing.assert_array_equal(y, 2 * X)


def test_pictures(capsys):
    pb.debug.visualize_array_sharding(pb.device_put(X, NamedSharding(MESH, P("b", "a"))))
    pb.debug.visualize_array_sharding(pb.device_put(jnp.ones(4), NamedSharding(MESH, P("b"))))
    line = "+-------+-------+\n"
    pairs = ((0, 4), (1, 5), (2, 6), (3, 7))
    first = "".join(f"{line}| CPU {a} | CPU {b} |\n" for a, b in pairs) + line
    line = "+" + "---------+" * 4 + "\n"
    second = line + "|" + "".join(f" CPU {a},{b} |" for a, b in pairs) + "\n" + line
    assert capsys.readouterr().out == first + second


def test_deleted_arrays():
    x = pb.device_put(X, ROWS)
    f = pb.jit(lambda y: y + x)
    f(jnp.ones(8))
    x.delete()
    for use in (lambda: f(jnp.ones(8)), lambda: pb.device_put(x, D[2]), lambda: x + 1):
        with pytest.raises(RuntimeError, match=r"Array has been deleted with shape=f32\[8,8\]"):
            use()
    y = jnp.ones(3)
    y.delete()
    with pytest.raises(RuntimeError, match="Fix: use the result of that function instead"):
        pb.device_put(y, D[0])


def ones(k, **p):
    return pb.device_put(jnp.ones((4, 8), **p), D[k])


WRONG = {
    "twice": (lambda: Mesh(np.array(D).reshape(2, 4), ("x", "x")), ValueError, "must differ"),
    "numbers": (lambda: Mesh([1, 2], "x"), TypeError, "Got: 1 of type int"),
    "scattered": (
        lambda: pb.shard_map(
            lambda a: lax.psum_scatter(a, "b", tiled=True),
            mesh=MESH, in_specs=P(), out_specs=P("b"),
        )(jnp.ones((7, 8))),
        ValueError,
        r"psum_scatter needs an axis[^$]*Got: f32\[7,8\], axis 0",
    ),
    "scalar": (lambda: pb.pmap(lambda x: x)(1.0), ValueError, "Fix:"),
    "dtypes": (
        lambda: pb.make_array_from_callback(
            (8, 8), ROWS, lambda i: np.ones((4, 8), np.int32 if i[0].start else np.float32)
        ),
        ValueError,
        r"the callback's result has another dtype[^$]*Got: f32\[4,8\] and i32\[4,8\]",
    ),
    "places": (
        lambda: pb.make_array_from_single_device_arrays(
            (8, 8), NamedSharding(Mesh(np.array(D[:2]), "a"), P("a")), [ones(0), ones(2)]
        ),
        ValueError,
        r"do not match[^$]*Got: arrays on \[0, 2\] for the devices \[0, 1\]",
    ),
    "numpy": (
        lambda: pb.make_array_from_single_device_arrays(
            (8, 8), NamedSharding(Mesh(np.array(D[:2]), "a"), P("a")), [np.ones((4, 8))] * 2
        ),
        ValueError,
        "Fix: put each part on its device first",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_mistakes(name):
    call, kind, text = WRONG[name]
    with pytest.raises(kind, match=text):
        call()


def test_rows_stay_on_the_device():
    rows = list(pb.device_put(X, D[3]))
    assert all(r.device is D[3] and r.committed for r in rows)
    np.testing.assert_array_equal(rows, X)
    np.testing.assert_array_equal(list(pb.device_put(X, ROWS)), X)


def test_a_device_of_another_process():
    other = Device(99, "cpu", "cpu", 1, 0)
    with pytest.raises(ValueError, match=r"non-addressable device[^$]*of process 1, in process 0"):
        pb.device_put(X, other)


def test_no_memory():
    huge = pb.jit(lambda x: jnp.zeros(1 << 45) + x, engine="xla")
    with pytest.raises(pb.errors.JaxRuntimeError, match="Fix: use smaller arrays"):
        huge(1.0)


GRIDS = {
    "a length": (lambda: pb.make_mesh((-1,), ("x",)), r"at least one device each[^$]*\(-1,\)"),
    "a device twice": (lambda: Mesh([D[0], D[0]], "x"), r"in a mesh once[^$]*Got: the devices"),
    "no device": (
        lambda: pb.device_put(X, NamedSharding(Mesh(np.array(None, object), ()), P())),
        "a mesh without devices is no place",
    ),
}


@pytest.mark.parametrize("name", GRIDS)
def test_no_meshes(name):
    call, text = GRIDS[name]
    with pytest.raises(ValueError, match=text):
        call()


def test_wrong_call_of_a_library():
    types = (pb.ShapeDtypeStruct((2, 2), "float32"), pb.ShapeDtypeStruct((), "int32"))
    potrf = pb.ffi.ffi_call("lapack_spotrf_ffi", types)
    with pytest.raises(pb.errors.JaxRuntimeError, match="Fix: give the function that ffi_call"):
        potrf(jnp.ones((2, 2)))


def test_export_of_what_is_spread():
    spread = pb.device_put(X, NamedSharding(Mesh(D[:2], "x"), P("x")))
    described = pb.ShapeDtypeStruct(X.shape, X.dtype, sharding=spread.sharding)
    for x in (spread, described):
        with pytest.raises(NotImplementedError, match="export: the function is for several dev"):
            pb.export.export(pb.jit(jnp.sin))(x)
