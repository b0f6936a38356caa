"""Reshaping, joining, splitting, repeating, padding and editing of `pullback.numpy`."""

from __future__ import annotations

import warnings

import numpy as np
import peer
import pytest
from calls import Call, check, check_types_of_jax, check_values_of_jax, message

import pullback
import pullback.numpy as jnp

rng = np.random.default_rng(0)
F = rng.normal(size=(3, 4)).astype("f4")
V = rng.normal(size=6).astype("f4")
W = rng.normal(size=4).astype("f4")
T3 = rng.normal(size=(2, 3, 4)).astype("f4")
ONES = rng.normal(size=(1, 3, 1)).astype("f4")
I = rng.integers(-5, 6, (3, 4)).astype("i4")  # noqa: E741
C = (F + 1j * rng.normal(size=F.shape)).astype("c8")
EMPTY = np.zeros((0, 4), "f4")
SCALAR = np.float32(2).reshape(())
CALLS: list[Call] = []


def add(*args, **options):
    CALLS.append(Call(*args, **options))


# ---- another shape, another order

for shape in ((4, 3), (-1,), -1, (2, -1, 2), 12, [6, 2], (3, 2, 2), (1, 12)):
    add("reshape", F, shape)
    add("reshape", F, shape, order="F")
add("reshape", EMPTY, (-1, 4))
add("reshape", EMPTY, (0, 2, 3))
add("reshape", 2.0, (1, 1))
add("ravel", F)
add("ravel", F, order="F")
add("transpose", T3)
add("transpose", T3, (1, 2, 0))
add("transpose", T3, (-1, 0, 1))
add("permute_dims", T3, (2, 0, 1))
add("matrix_transpose", T3)
add("swapaxes", T3, 0, -1)
add("swapaxes", T3, 1, 1)
add("moveaxis", T3, 0, -1)
add("moveaxis", T3, (0, 1), (-1, 0))
add("moveaxis", T3, [2, 0], [0, 1])
for places in ((2,), (0, 3), (1, -1), (2, 1)):
    add("rollaxis", T3, *places)
for axis in (None, 0, (0, -1)):
    add("squeeze", ONES, axis)
add("squeeze", F)
for axis in (0, -1, (0, 3), (1, -1)):
    add("expand_dims", F, axis)
add("expand_dims", 2.0, 0)
for name in ("atleast_1d", "atleast_2d", "atleast_3d"):
    for x in (SCALAR, V, F, T3, 3.0):
        add(name, x)
    add(name, SCALAR, V, F)
add("broadcast_to", W, (3, 4))
add("broadcast_to", ONES, (2, 3, 4))
add("broadcast_to", SCALAR, (2,))
add("broadcast_to", SCALAR, 3)
add("broadcast_to", 2.0, (2,))
add("broadcast_arrays", ONES, F)
add("broadcast_arrays", W, SCALAR, F)
for axis in (None, 0, 1, (0, 1), -1):
    add("flip", F, axis)
add("fliplr", F)
add("flipud", F)
for k in range(-1, 5):
    add("rot90", F, k)
add("rot90", T3, 1, (1, 2))
add("rot90", T3, 1, (2, 0))
for shift, axis in ((1, None), (-2, 0), (5, 1), ((1, 2), (0, 1)), (1, (0, 1)), ((1, 2), 0), (0, 0)):
    add("roll", F, shift, axis)
add("roll", F, np.int32(2).reshape(()), axis=1)
add("roll", F, np.array([1, -3]), axis=(0, 1))
add("roll", EMPTY, 1, 0)

# ---- joined

add("concatenate", [F, I])
add("concatenate", [F, I], axis=1)
add("concatenate", (F, C), axis=None)
add("concatenate", [V, W])
add("concatenate", T3)
add("concatenate", T3, axis=1)
add("concatenate", [F, F], dtype="float16", _vjp=False)
add("concat", [V, W])
add("concat", [F, F], axis=-1)
for arrays, axis in (([F, I], 0), ([F, I], -1), ([F, F], 1), (T3, 1), ([1.0, 2.0], 0), ([V], 0)):
    add("stack", arrays, axis=axis)
add("stack", [1, 2.0])
add("stack", [SCALAR, 1])
add("vstack", [V, V])
add("vstack", [F, W])
add("vstack", [SCALAR, SCALAR])
add("hstack", [V, W])
add("hstack", [F, F])
add("hstack", [SCALAR, V])
add("dstack", [V, V])
add("dstack", [F, F])
add("dstack", [T3, T3])
add("column_stack", [V, V])
add("column_stack", [F, np.ones(3, "f4")])
for name in ("vstack", "hstack", "dstack", "column_stack"):
    add(name, T3)
    add(name, F)
add("append", F, V)
add("append", F, W[None], axis=0)
add("append", V, 2.0)
add("append", I, 1.5)
add("block", [[F, F], [F, F]])
add("block", [[F], [W]])
add("block", [F, I])
add("block", [V, 1.0])
add("block", [1.0, 2.0])
add("block", F)

# ---- taken apart

add("split", V, 3)
add("split", V, [1, 4])
add("split", V, (2,))
add("split", V, [])
add("split", F, 2, axis=1)
add("split", F, [1], axis=-1)
for cuts in ([2, 10], [4, 2], [-2]):  # JAX refuses these
    add("split", V, cuts, _jax=False)
add("array_split", V, 4)
add("array_split", F, 3, axis=1)
add("vsplit", F, 3)
add("hsplit", F, 2)
add("hsplit", V, 2)
add("dsplit", T3, [1, 3])
add("unstack", T3)
add("unstack", T3, axis=-1)

# ---- repeated

for x, reps in ((V, 2), (F, (2,)), (F, (2, 1)), (F, (2, 1, 3)), (SCALAR, (2, 3)), (F, 0)):
    add("tile", x, reps)
add("repeat", F, 2)
add("repeat", F, 2, axis=1)
add("repeat", F, 0, axis=0)
add("repeat", 2.0, 3)
add("repeat", EMPTY, 3, axis=0)
add("repeat", F, np.array([1, 0, 2]), axis=0, _jax=False, _vmap=False)
add("repeat", F, [2, 1, 1, 3], axis=1, _jax=False)
add("repeat", V, np.array([2]), _jax=False, _vmap=False)
for total in (2, 3, 5):
    add(
        "repeat",
        F,
        np.array([1, 0, 2]),
        axis=0,
        total_repeat_length=total,
        _numpy=lambda x, times, axis, total_repeat_length: np.concatenate(
            [np.repeat(x, times, axis), x[-1:], x[-1:]]
        )[:total_repeat_length],
    )
add(
    "repeat",
    V,
    2,
    total_repeat_length=5,
    _numpy=lambda x, n, total_repeat_length: np.repeat(x, n)[:total_repeat_length],
)
add("resize", V, (2, 2))
add("resize", V, (4, 4))
add("resize", F, 5)
add("resize", EMPTY, (2,))

# ---- padded

WIDTHS = ((1, 2), (0, 3))
for values in (3.0, (1.0, 2.0), ((1.0, 2.0), (3.0, 4.0))):
    add("pad", F, WIDTHS, constant_values=values)
for widths in (1, (1, 2), ((1, 2),)):
    add("pad", F, widths)
add("pad", V, [2])
add("pad", I, 1, constant_values=2.5)
for mode in (
    "edge",
    "wrap",
    "reflect",
    "symmetric",
    "maximum",
    "minimum",
    "mean",
    "median",
    "linear_ramp",
):
    add("pad", F, WIDTHS, mode)
    add("pad", V, 2, mode)
    add("pad", I, 1, mode)
for mode in ("wrap", "reflect", "symmetric"):
    add("pad", V[:3], 7, mode)
    add("pad", V[:1], 3, mode)
    add("pad", V[:2], (3, 8), mode)
for mode in ("reflect", "symmetric"):
    for x, widths in ((V, 2), (F, WIDTHS), (V[:3], 7), (V[:1], 3)):
        add("pad", x, widths, mode, reflect_type="odd")
for mode in ("maximum", "mean", "median", "minimum"):
    add("pad", V, 2, mode, stat_length=2)
    add("pad", F, 1, mode, stat_length=((1, 2), (9, 1)))
add("pad", V, 3, "linear_ramp", end_values=(5, -4))
add("pad", F, 1, "linear_ramp", end_values=((5, -4), (1, 2)))
add("pad", V, 3, "empty", _numpy=False)
add("pad", F, {0: 1, 1: (0, 2)}, _jax=False)

# ---- edited

add("delete", V, 1)
add("delete", V, -1)
add("delete", V, [0, 3], _jax=False)
add("delete", F, slice(1, 3), axis=1)
add("delete", F, 0)
add("delete", F, np.array([True, False, True]), axis=0, _jax=False, _vmap=False)
add("delete", V, np.array([1, 1, 2]), _jax=False, _vmap=False)
add(
    "delete",
    V,
    np.array([1, -1]),
    assume_unique_indices=True,
    _numpy=lambda x, at, **_: np.delete(x, at),
)
add("insert", V, 1, 9.0)
add("insert", V, -1, 3)
add("insert", V, 6, 3)
add("insert", V, np.array([1, 3]), np.array([8.0, 9.0], "f4"))
add("insert", V, slice(1, 3), 9)
add("insert", F, 1, 5, axis=0)
add("insert", F, 1, np.arange(3.0).astype("f4"), axis=1)
add("insert", F, np.array([0, 2, 2]), 7, axis=1)
add("insert", F, np.array([1]), np.ones((1, 4), "f4"), axis=0)
ZEROS = np.array([0, 0, 1, 2, 0, 3, 0.0])
for x in (ZEROS, np.zeros(3)):
    for trim in ("fb", "f", "b"):
        add("trim_zeros", x, trim, _jax=False, _vmap=False)
add("trim_zeros", np.pad(np.ones((2, 2)), 2), _jax=False, _vmap=False)
BITS, BYTES = rng.integers(0, 2, (3, 11)).astype("u1"), rng.integers(0, 256, (2, 3)).astype("u1")
for options in ({}, {"axis": 0}, {"axis": 1}, {"axis": -1, "bitorder": "little"}):
    add("packbits", BITS, **options)
    add("packbits", BITS > 0, **options)
    add("unpackbits", BYTES, **options)
    add("unpackbits", BYTES, count=5, **options)
add("unpackbits", BYTES, count=60)
add("unpackbits", BYTES, count=-3, axis=1, _jax=False)


@pytest.mark.parametrize("call", CALLS, ids=repr)
def test_call(call):
    check(call)


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
def test_types_are_those_of_jax():
    check_types_of_jax([call for call in CALLS if call.jax])


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
def test_values_are_those_of_jax():
    check_values_of_jax([call for call in CALLS if call.jax and call.numpy is False])


def test_broadcast_shapes():
    assert jnp.broadcast_shapes((2, 1), (3,), 1) == (2, 3)
    assert jnp.broadcast_shapes() == ()


def test_pad_by_a_function():
    def ends(row, widths, axis, options):
        return row.at[: widths[0]].set(10 * axis + options["more"])

    padded = jnp.pad(jnp.ones((2, 2)), 1, ends, more=5)
    want = [[15, 5, 5, 5], [15, 1, 1, 0], [15, 1, 1, 0], [15, 0, 0, 0]]
    assert np.array_equal(padded, want)


# ---- lists of tuples, which published programs join

JOINED = {
    "vstack": ([(1.0,), (2.0,)], [[1.0], [2.0]]),
    "hstack": ([(1.0, 2.0), (3.0,)], [1.0, 2.0, 3.0]),
    "dstack": ([(1.0,), (2.0,)], [[[1.0, 2.0]]]),
    "column_stack": ([(1.0, 2.0), (3.0, 4.0)], [[1.0, 3.0], [2.0, 4.0]]),
    "stack": ([(1.0, 2.0), (3.0, 4.0)], [[1.0, 2.0], [3.0, 4.0]]),
    "concatenate": ([(1.0, 2.0), (3.0,)], [1.0, 2.0, 3.0]),
}


@pytest.mark.parametrize("name", JOINED)
def test_tuples_are_joined_with_a_warning(name):
    given, want = JOINED[name]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = getattr(jnp, name)(given)
    assert found.tolist() == want
    (warning,) = caught
    assert warning.category is DeprecationWarning
    assert warning.filename == __file__  # the user's line
    assert str(warning.message) == (
        f"{name} requires ndarray or scalar arguments, got <class 'tuple'> at position 0. "
        "In a future JAX release this will be an error."
    )


def test_tuples_of_traced_values_are_joined():
    def f(x):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return jnp.vstack([(x,), (2 * x,)]).sum()

    assert pullback.grad(f)(1.0) == 3.0


def test_an_array_is_a_sequence_of_its_rows():
    assert jnp.vstack(jnp.ones((2, 3))).shape == (2, 3)
    assert jnp.concatenate(jnp.ones((2, 3))).shape == (6,)


def test_numpy_arrays_stay_numpys_in_reshape():
    x = np.arange(6.0)  # float64, and known while tracing: libraries count on both
    got = jnp.reshape(x, (2, -1), order="F")
    assert type(got) is np.ndarray and got.dtype == np.float64
    assert got.tolist() == [[0, 2, 4], [1, 3, 5]]
    assert pullback.jit(lambda: int(jnp.reshape(x, (3, 2)).argmax()))() == 5
    assert jnp.reshape(np.float32(2), (1, 1)).tolist() == [[2]]
    with pytest.raises(TypeError, match=r"an array of shape .6,. cannot be reshaped"):
        jnp.reshape(x, 4)


def test_axes_and_shapes_may_be_any_collection():
    x = jnp.array(F)
    assert jnp.sum(x, axis=range(2)) == F.sum() and jnp.max(x, axis={0, 1}) == F.max()
    assert jnp.expand_dims(x, range(2)).shape == (1, 1, 3, 4)
    assert jnp.reshape(x, range(3, 5)).shape == jnp.zeros(range(3, 5)).shape == (3, 4)
    assert jnp.transpose(x, reversed((0, 1))).shape == (4, 3)
    assert jnp.moveaxis(x, range(2), (1, 0)).shape == (4, 3)
    with pytest.raises(TypeError, match="axis must be an integer"):
        jnp.sum(x, axis=1.0)
    with pytest.raises(TypeError, match="axis must be an integer"):
        jnp.sum(x, axis="a")


# ---- mistakes


def test_errors():
    x = jnp.array(F)
    mistakes = {
        "an array of shape (3, 4) cannot be reshaped into shape (5,).": lambda: x.reshape(5),
        "cannot reshape array of shape (3, 4) (size 12) into shape (5, -1).": lambda: x.reshape(
            5, -1
        ),
        "can only specify one unknown dimension.": lambda: jnp.reshape(x, (-1, -1)),
        "transpose needs each axis exactly once.": lambda: jnp.transpose(x, (0, 0)),
        "matrix_transpose needs an array with at least two axes.": lambda: jnp.matrix_transpose(V),
        "only axes of length 1 can be squeezed.": lambda: jnp.squeeze(x, 0),
        "axis 3 is out of bounds for array of dimension 3.": lambda: jnp.expand_dims(x, 3),
        "moveaxis needs as many sources as destinations.": lambda: jnp.moveaxis(x, (0, 1), 0),
        "Incompatible shapes for broadcasting: (3, 4) and requested shape (4, 3).": lambda: (
            jnp.broadcast_to(x, (4, 3))
        ),
        "rot90 needs two different axes.": lambda: jnp.rot90(x, 1, (0, 0)),
        "Need at least one array to concatenate.": lambda: jnp.concatenate([]),
        "Need at least one array to stack.": lambda: jnp.stack([]),
        "Zero-dimensional arrays cannot be concatenated.": lambda: jnp.concatenate([1.0, 2.0]),
        "concatenate needs arrays of shapes that agree on all axes but axis 0.": lambda: (
            jnp.concatenate([x, jnp.ones((3, 3))])
        ),
        "All input arrays of stack must have the same shape.": lambda: jnp.stack([x, x[0]]),
        "concatenate takes a sequence of arrays.": lambda: jnp.concatenate(1.0),
        "block does not allow tuples.": lambda: jnp.block((x, x)),
        "the lists of block must be nested equally deep.": lambda: jnp.block([x, [x]]),
        "array split does not result in an equal division.": lambda: jnp.split(V, 4),
        "split needs a positive number of parts.": lambda: jnp.split(V, 0),
        "repeats may not contain negative values.": lambda: jnp.repeat(x, -1),
        "repeat needs one number of repetitions, or one for each element along the axis.": lambda: (
            jnp.repeat(x, jnp.array([1, 2]), axis=1)
        ),
        "index can't contain negative values.": lambda: jnp.pad(x, -1),
        "jnp.pad has no mode 'mirror'.": lambda: jnp.pad(x, 1, "mirror"),
        "unsupported keyword arguments for mode 'edge': end_values.": lambda: jnp.pad(
            x, 1, "edge", end_values=1
        ),
        "can't extend empty axis 0 using mode 'edge'.": lambda: jnp.pad(EMPTY, 1, "edge"),
        "index 9 is out of bounds for axis with size 6.": lambda: jnp.delete(V, 9),
        "the argument `shape` of jnp.reshape must be an integer.": lambda: jnp.reshape(x, 1.5),
    }
    for what, mistake in mistakes.items():
        assert message(mistake)[0] == what


def test_the_error_of_a_reshape():
    what, got, where, fix = message(lambda: jnp.ones((2, 3)).reshape(4))
    assert what == "an array of shape (2, 3) cannot be reshaped into shape (4,)."
    assert got == "  Got: f32[2,3], 6 elements, for 4"
    assert where.startswith("  Where: ") and "test_numpy_shaping.py" in where
    assert fix == "  Fix: the number of elements must stay the same; one size may be -1."


def test_a_traced_size_must_be_static():
    f = pullback.jit(lambda n: jnp.broadcast_to(1.0, (n,)))
    what, got, _, fix = message(lambda: f(3))
    assert what == (
        "the argument `shape` of jnp.broadcast_to decides a shape or an axis, so it must be known "
        "while tracing."
    )
    assert got.startswith("  Got: i32[] traced by jit")
    assert fix == (
        "  Fix: make it static (static_argnums or static_argnames of jit), or a Python integer."
    )
