"""NumPy-style indexing: reading and updating, against NumPy, against JAX, and against itself."""

from __future__ import annotations

import contextlib
import warnings

import numpy as np
import peer
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import arrays, compare_vjp_with_jvp, map_over, values

from pullback.core import dtypes
from pullback.core.array import HostArray
from pullback.core.errors import NonConcreteBooleanIndexError
from pullback.core.program import check_program, run_closed, trace_program
from pullback.core.settings import enable_x64
from pullback.core.trace import host_array
from pullback.numpy.indexing import AtIndexer, getitem
from pullback.ops.elementwise import mul
from pullback.ops.sorting import argsort


def array(x, dtype=None):
    return host_array(np.asarray(x, dtype))


def numbers(shape):
    """Different numbers in an array of float32."""
    return np.arange(1, 1 + int(np.prod(shape)), dtype=np.float32).reshape(shape)


def is_array(part):
    return isinstance(part, np.ndarray) and part.dtype != bool


# ---- random indices


@st.composite
def slices(draw, n):
    ends = st.none() | st.integers(-n - 2, n + 2)
    step = draw(st.none() | st.integers(-3, 3).filter(bool))
    return slice(draw(ends), draw(ends), step)


@st.composite
def index_parts(draw, shape, outside=0):
    """An index of any kind for an array of `shape`, with integers up to `outside` too large."""
    block = draw(st.sampled_from([(), (1,), (2,), (3, 1), (2, 2), (0,)]))
    parts, axis, ellipsis = [], 0, False
    while axis < len(shape):
        n = shape[axis]
        kinds = ["slice", "new", "array", "mask", "flag", "masks", "stop"] + ["int"] * (n > 0)
        kind = draw(st.sampled_from(kinds if ellipsis else [*kinds, "ellipsis"]))
        low, high = -n - outside, n - 1 + outside
        if kind == "stop":
            break
        if kind == "new":
            parts.append(None)
        elif kind == "ellipsis":
            ellipsis = True
            parts.append(Ellipsis)
            axis += draw(st.integers(0, len(shape) - axis))
        elif kind == "flag":
            parts.append(draw(st.booleans()))
            if len(parts) > 6:
                break
        elif kind == "int":
            parts.append(draw(st.integers(low, high)))
            axis += 1
        elif kind == "slice":
            parts.append(draw(slices(n)))
            axis += 1
        elif kind == "array":
            size = draw(st.sampled_from([block, (1,), ()])) if n else (0,)
            each = st.integers(low, high) if n else st.just(0)
            flat = [draw(each) for _ in range(int(np.prod(size)))]
            parts.append(np.array(flat, draw(st.sampled_from(["i4", "i8", "i1"]))).reshape(size))
            axis += 1
        else:
            rank = 2 if kind == "masks" and axis + 1 < len(shape) else 1
            size = shape[axis : axis + rank]
            flat = [draw(st.booleans()) for _ in range(int(np.prod(size)))]
            parts.append(np.array(flat, bool).reshape(size))
            axis += rank
    return tuple(parts) if len(parts) != 1 or draw(st.booleans()) else parts[0]


@st.composite
def cases(draw, outside=0):
    """A shape and an index that NumPy accepts for it."""
    shape = tuple(draw(st.lists(st.integers(0, 4), min_size=0, max_size=4)))
    index = draw(index_parts(shape, outside))
    if outside:
        return shape, index
    try:
        np.zeros(shape)[index]
    except IndexError:  # arrays that do not broadcast; too many indices because of the ellipsis
        return shape, Ellipsis
    return shape, index


def with_arrays(index, change):
    """The index with its integer arrays replaced."""
    if isinstance(index, tuple):
        return tuple(change(i) if is_array(i) else i for i in index)
    return change(index) if is_array(index) else index


def arrays_of(index):
    return [i for i in (index if isinstance(index, tuple) else (index,)) if is_array(i)]


def traced(function, index):
    """`function(index)` with the index's arrays traced; the program is type-checked too."""
    given_arrays = arrays_of(index)

    def call(*tracers):
        each = iter(tracers)
        return [function(with_arrays(index, lambda _: next(each)))]

    inputs = [array(a) for a in given_arrays]
    closed = trace_program(call, [i.aval for i in inputs])
    check_program(closed.program)
    return run_closed(closed, inputs)[0]


@given(cases())
def test_reading_is_numpys(case):
    shape, index = case
    x = numbers(shape)
    want = x[index]
    for got in (
        getitem(HostArray(x), index),
        getitem(HostArray(x), with_arrays(index, array)),
        traced(lambda i: getitem(HostArray(x), i), index),
        run(lambda y: getitem(y, index), x),
        AtIndexer(HostArray(x))[index].get(mode="clip"),
        AtIndexer(HostArray(x))[index].get(mode="fill"),
    ):
        assert got.dtype == np.float32
        np.testing.assert_array_equal(np.asarray(got._value), want, strict=False)
        assert got.shape == want.shape


def run(function, *xs):
    """The result of a program of `function`."""
    inputs = [HostArray(x) for x in xs]
    closed = trace_program(lambda *ys: [function(*ys)], [i.aval for i in inputs])
    check_program(closed.program)
    return run_closed(closed, inputs)[0]


def numpy_update(name, x, index, new):
    out = x.copy()
    if name == "set":
        out[index] = new
        return out
    ufunc = {
        "add": np.add,
        "subtract": np.subtract,
        "multiply": np.multiply,
        "min": np.minimum,
        "max": np.maximum,
    }[name]
    if out[index].size:
        ufunc.at(out, index, new)
    return out


UPDATES = ("set", "add", "subtract", "multiply", "min", "max")


@given(cases(), st.sampled_from(UPDATES), st.booleans())
def test_updating_is_numpys(case, name, scalar):
    shape, index = case
    x = numbers(shape)
    place = x[index]
    new = np.float32(2) if scalar else (numbers(place.shape) % 7 - 3).astype("f4")
    if name == "set" and not scalar and any(True for _ in arrays_of(index)):
        new = numpy_update("set", x, index, new)[index]  # one value where places meet
    want = numpy_update(name, x, index, new)

    def update(y, i, v):
        return getattr(AtIndexer(y)[i], name)(v)

    for got in (
        update(HostArray(x), index, HostArray(new)),
        update(HostArray(x), index, float(new) if scalar else HostArray(new)),
        traced(lambda i: update(HostArray(x), i, HostArray(new)), index),
        run(lambda y, v: update(y, index, v), x, new),
    ):
        assert (got.shape, got.dtype) == (x.shape, np.float32)
        np.testing.assert_allclose(np.asarray(got._value), want, rtol=1e-6)


@given(cases())
def test_derivatives_of_reading_and_updating(case):
    shape, index = case
    rng = np.random.default_rng(0)
    with enable_x64():
        x = rng.normal(size=shape)
        new = rng.normal(size=x[index].shape)
        t, u = rng.normal(size=x.shape), rng.normal(size=new.shape)
        compare_vjp_with_jvp("x[i]", lambda y: [getitem(y, index)], [x], [t], rng)
        for name in ("set", "add", "multiply", "max"):

            def update(y, v, name=name):
                return [getattr(AtIndexer(y)[index], name)(v)]

            compare_vjp_with_jvp(f"x.at[i].{name}", update, [x, new], [t, u], rng)
            # Values with one number for all: the cotangents of all places are added.
            if new.size:
                compare_vjp_with_jvp(name, update, [x, new.mean()], [t, np.float64(1.5)], rng)


@given(cases())
def test_vmap_of_reading_and_updating(case):
    shape, index = case
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, *shape)).astype("f4")
    new = rng.normal(size=(3, *x[0][index].shape)).astype("f4")
    moved = with_arrays(index, lambda a: np.stack([a, a, a]))  # the same places for each element
    stacked = arrays_of(moved)

    def function(y, v, *at):
        each = iter(at)
        i = with_arrays(index, lambda _: next(each))
        return [getitem(y, i), AtIndexer(y)[i].set(v), AtIndexer(y)[i].add(v)]

    looped = [function(HostArray(a), HostArray(v), *arrays_of(index)) for a, v in zip(x, new)]
    want = [np.stack(ys) for ys in zip(*map(values, looped))]
    zeros = [0] * len(stacked)
    for mapped in ([0, 0, *zeros], [0, 0, *[None] * len(stacked)]):
        indices = stacked if mapped[2:] == zeros else arrays_of(index)
        got = map_over(function, 3, arrays([x, new, *indices]), mapped)
        for g, w in zip(got, want):
            np.testing.assert_allclose(g, w, rtol=1e-6)


def test_vmap_over_indices_alone():
    x = HostArray(numbers((4, 3)))
    rows = np.array([2, 0, -1, 7], np.int32)
    got = map_over(lambda i: [getitem(x, i), AtIndexer(x)[i].add(1.0)], 4, [HostArray(rows)], [0])
    np.testing.assert_array_equal(got[0], x._value[[2, 0, 3, 3]])
    for g, i in zip(got[1], (2, 0, 3, None)):
        want = x._value.copy()
        if i is not None:
            want[i] += 1
        np.testing.assert_array_equal(g, want)


# ---- against JAX: what is out of bounds, dtypes, weak types


def theirs(name, x, index, new, options):
    import jax.numpy as jnp

    with warnings.catch_warnings(action="ignore"):
        at = jnp.asarray(x).at[with_arrays(index, jnp.asarray)]
        return at.get(**options) if name == "get" else getattr(at, name)(new, **options)


OUTSIDE = [
    (6,),
    (-6,),
    (np.array([5, -6, 0, -1]),),
    (np.array([0, 9]), slice(1, None)),
    (slice(None), np.array([3, -4, 1])),
    (np.array([0, 5]), 1),
    (np.array([0, 1]), 7),
    (np.array([[0], [6]]), np.array([0, -5])),
    (slice(0, 9, 2), np.array([1, 3])),
    (np.uint8(200),),
    (np.array([1, 250], np.uint8), None),
    (-1, slice(None)),
]
MODES = [
    {},
    {"mode": "clip"},
    {"mode": "fill"},
    {"mode": "drop"},
    {"mode": "promise_in_bounds"},
    {"mode": "fill", "fill_value": 7},
    {"wrap_negative_indices": False},
    {"wrap_negative_indices": False, "mode": "fill"},
    {"wrap_negative_indices": False, "mode": "clip"},
]


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
@pytest.mark.parametrize("options", MODES, ids=str)
@pytest.mark.parametrize("index", OUTSIDE, ids=str)
def test_out_of_bounds_is_as_in_jax(index, options):
    x = numbers((5, 3))
    for name in ("get", "set", "add", "min"):
        if name != "get" and "fill_value" in options:
            continue
        new = np.float32(-2)
        want = np.asarray(theirs(name, x, index, new, options))
        ours = with_arrays(index, array)

        def call(i, name=name, new=new):
            at = AtIndexer(HostArray(x))[i]
            return at.get(**options) if name == "get" else getattr(at, name)(new, **options)

        np.testing.assert_array_equal(np.asarray(call(ours)._value), want)
        np.testing.assert_array_equal(np.asarray(traced(call, index)._value), want)


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
@pytest.mark.parametrize("dtype", ["int8", "int32", "float32", "bfloat16", "complex64", "bool"])
@pytest.mark.parametrize("new", [2, 2.5, 1j, True, 300, np.float32(1.5), np.int8(3)], ids=repr)
def test_dtypes_of_updates_are_as_in_jax(dtype, new):
    import jax.numpy as jnp

    x = jnp.arange(4).astype(dtype)
    y = HostArray(np.asarray(x))
    for name in ("set", "add", "multiply", "divide", "power", "min", "max"):
        for index in (1, np.array([1, 1]), slice(None)):
            want = got = None
            with warnings.catch_warnings(record=True) as theirs_said:
                warnings.simplefilter("always")
                with contextlib.suppress(TypeError):
                    want = getattr(x.at[index], name)(new)
            with warnings.catch_warnings(record=True) as ours_said:
                warnings.simplefilter("always")
                with contextlib.suppress(TypeError):
                    got = getattr(AtIndexer(y)[index], name)(new)
            # JAX refuses some; its power overflows at 300; it drops imaginary parts before bool.
            if want is None or (name == "power" and new == 300) or (dtype == "bool" and new == 1j):
                continue
            assert got is not None, f"{name} {index}"
            assert (got.dtype, got.weak_type) == (want.dtype, want.weak_type), f"{name} {index}"
            a, b = np.asarray(got._value), np.asarray(want)
            wide = "c8" if a.dtype.kind == "c" else "f8"
            np.testing.assert_allclose(a.astype(wide), b.astype(wide), rtol=1e-2, err_msg=name)
            assert warned(ours_said) == warned(theirs_said), f"{name} {index}"


def warned(said):
    return any("safely cast" in str(w.message) for w in said)


# ---- single cases


def test_a_simple_index_is_a_view():
    x = HostArray(numbers((3, 4)))
    for index in (1, -1, slice(0, 2), (1, 2), (slice(None), 1), None, ..., (0, None, ...)):
        got = getitem(x, index)
        np.testing.assert_array_equal(np.asarray(got._value), x._value[index])
        assert got.shape == x._value[index].shape
        assert not got.size or got.ndim == 0 or np.shares_memory(got._value, x._value)


def test_the_cheapest_primitives():
    x = HostArray(numbers((3, 4)))
    i = array(1, "int32")

    def names(function, *args):
        program = trace_program(lambda *xs: [function(*xs)], [a.aval for a in args]).program
        return [eq.primitive.name for eq in program.eqns]

    assert names(lambda y: getitem(y, 1), x) == ["slice", "squeeze"]
    assert names(lambda y: getitem(y, (slice(None), slice(1, 3))), x) == ["slice"]
    assert names(lambda y: getitem(y, slice(None, None, -1)), x) == ["rev"]
    assert names(lambda y: getitem(y, (None, Ellipsis)), x) == ["reshape"]
    assert names(lambda y: getitem(y, Ellipsis), x) == []
    assert names(lambda y, i: getitem(y, i), x, i)[-2:] == ["dynamic_slice", "reshape"]
    assert "gather" not in names(lambda y, i: getitem(y, (slice(1, 2), i)), x, i)
    assert names(lambda y: getitem(y, np.array([0, 2])), x) == ["gather"]
    assert names(lambda y: AtIndexer(y)[:].add(1.0), x)[-1] == "add"
    assert names(lambda y: AtIndexer(y)[1].set(1.0), x)[-1] == "dynamic_update_slice"
    assert names(lambda y: AtIndexer(y)[1].add(1.0), x)[-1] == "scatter-add"


def test_masks_promise_that_no_place_is_named_twice():
    x = HostArray(numbers((3,)))
    mask = np.array([True, False, True])
    closed = trace_program(lambda y: [AtIndexer(y)[mask].set(0.0)], [x.aval])
    assert closed.program.eqns[-1].params["unique_indices"]
    closed = trace_program(lambda y: [AtIndexer(y)[np.array([0, 0])].set(0.0)], [x.aval])
    assert not closed.program.eqns[-1].params["unique_indices"]


def test_the_last_of_several_values_stays():
    rng = np.random.default_rng(0)
    x, index, new = np.zeros(50), rng.integers(0, 50, (40, 30)), rng.normal(size=(40, 30))
    want = x.copy()
    for i, v in zip(index.reshape(-1), new.reshape(-1)):
        want[i] = v
    with enable_x64():
        for at in (index, np.asfortranarray(index)):
            got = AtIndexer(HostArray(x))[at].set(HostArray(new))
            np.testing.assert_array_equal(got._value, want)

        def update(y, v):
            return [AtIndexer(y)[index].set(v)]

        compare_vjp_with_jvp("set", update, [x, new], [x + 1, rng.normal(size=new.shape)], rng)


def test_lists_of_integers_inside_a_tuple():
    x = numbers((3, 4))
    mask = [True, False, True]
    for index in (([0, 2],), ([0, 2], [1, 3]), (slice(None), [[0], [1]]), (mask,), ([],)):
        np.testing.assert_array_equal(getitem(HostArray(x), index)._value, x[index])
    i = array(2, "int32")
    got = traced_list(x, i)
    np.testing.assert_array_equal(got._value, x[[0, 2]])


def traced_list(x, i):
    closed = trace_program(lambda i: [getitem(HostArray(x), ([0, i],))], [i.aval])
    return run_closed(closed, [i])[0]


def test_values_from_lists_and_numpy():
    x = HostArray(numbers((2, 2)))
    np.testing.assert_array_equal(AtIndexer(x)[0].set([7, 8])._value, [[7, 8], [3, 4]])
    np.testing.assert_array_equal(AtIndexer(x)[:].add([[1.0], [2.0]])._value, [[2, 3], [5, 6]])
    np.testing.assert_array_equal(AtIndexer(x)[:, 1].set(np.array([5, 6]))._value, [[1, 5], [3, 6]])


def test_apply_counts_how_often_an_element_is_named():
    x = HostArray(numbers((4,)))
    at = AtIndexer(x)
    double = lambda v: mul(v, HostArray(np.float32(2)))  # noqa: E731
    np.testing.assert_array_equal(at[np.array([1, 1, 3, 1])].apply(double)._value, [1, 16, 3, 8])
    np.testing.assert_array_equal(at[1:3].apply(double)._value, [1, 4, 6, 4])
    np.testing.assert_array_equal(at[np.array([9, 0])].apply(double)._value, [2, 2, 3, 4])
    i = array([0, 2], "int32")
    closed = trace_program(lambda i: [at[i].apply(double, unique_indices=True)], [i.aval])
    np.testing.assert_array_equal(run_closed(closed, [i])[0]._value, [2, 2, 6, 4])


def test_random_keys_can_be_read_and_set():
    kind = dtypes.KEY_TYPES["fry"]
    x = np.zeros((3, 2), kind)
    x[kind.names[0]] = np.arange(12).reshape(3, 2, 2)
    keys = HostArray(x)
    columns = (slice(None), np.array([1, 1]))
    for index in (1, (1, 0), np.array([2, 0]), columns, slice(None, None, -1)):
        np.testing.assert_array_equal(np.asarray(getitem(keys, index)._value), x[index])
    outside = AtIndexer(keys)[np.array([0, 5])].get(mode="fill")._value
    assert (outside[kind.names[0]][1] == 2**32 - 1).all()
    got = AtIndexer(keys)[np.array([2])].set(getitem(keys, slice(0, 1)))
    np.testing.assert_array_equal(got._value[2], x[0])
    got = traced(lambda i: getitem(keys, i), np.array(2, "i4"))
    np.testing.assert_array_equal(got._value, x[2])
    mapped = map_over(lambda k: [getitem(k, 1)], 3, [keys], [0])[0]
    np.testing.assert_array_equal(mapped, x[:, 1])


def test_argsort_of_sort():
    x = np.array([[3.0, np.nan, 1.0, -0.0, 0.0], [2, 2, 1, 1, 0]], np.float32)
    np.testing.assert_array_equal(argsort(HostArray(x), 1)._value, np.argsort(x, 1, kind="stable"))


def test_a_large_index_stays_outside():
    x = HostArray(numbers((3,)))
    for big in (2**31, 2**32, 2**40, 2**63, 2**64, -(2**70)):
        want = x._value[2 if big > 0 else 0]
        assert getitem(x, big)._value == want
        assert np.isnan(AtIndexer(x)[big].get(mode="fill")._value)
        np.testing.assert_array_equal(AtIndexer(x)[big].set(0.0)._value, x._value)
    big = np.array([2**32, 1], np.int64)
    np.testing.assert_array_equal(getitem(x, big)._value, [3, 2])
    with enable_x64():
        got = traced(lambda i: AtIndexer(HostArray(numbers((3, 3))))[i, i].get(mode="fill"), big)
    np.testing.assert_array_equal(got._value, [np.nan, 5])


# ---- mistakes

MISTAKES = [
    ([0, 1], TypeError, "Using a non-tuple sequence for multidimensional indexing is not allowed"),
    ("a", TypeError, "no elements named by strings"),
    (1.0, TypeError, "Indexer must have integer or boolean type, got indexer with type float64"),
    (np.array([1.0]), TypeError, "Indexer must have integer or boolean type"),
    (1j, TypeError, "Indexer must have integer or boolean type"),
    (object(), IndexError, "only integers, slices"),
    ((0, 0, 0), IndexError, "Too many indices: array is 2-dimensional, but 3 were indexed"),
    ((Ellipsis, 0, Ellipsis), IndexError, "an index can only have a single ellipsis"),
    (np.array([True]), IndexError, "a boolean index must have the shape of the axes"),
    ((np.zeros(2, int), np.zeros(3, int)), IndexError, "shape mismatch"),
    (slice(0.5, None), TypeError, "no valid slice"),
    (slice(None, None, 0), ValueError, "no valid slice"),
]


@pytest.mark.parametrize(("index", "kind", "text"), MISTAKES, ids=lambda x: str(x)[:20])
def test_mistakes(index, kind, text):
    x = HostArray(numbers((3, 4)))
    with pytest.raises(kind, match=text) as caught:
        getitem(x, index)
    assert "Got: " in str(caught.value) and "Fix: " in str(caught.value)
    with pytest.raises(kind, match=text):
        AtIndexer(x)[index].set(0.0)


def test_an_axis_without_elements():
    x = HostArray(np.zeros((0, 3), "f4"))
    for index in (0, np.array([0]), (slice(None), 0), (np.array([], int),)):
        if index in (0,) or isinstance(index, np.ndarray):
            with pytest.raises(IndexError, match="out of bounds for axis 0 with size 0"):
                getitem(x, index)
        else:
            assert getitem(x, index).size == 0


def test_traced_masks_and_slices_are_explained():
    x = HostArray(numbers((3,)))
    with pytest.raises(NonConcreteBooleanIndexError, match="must be concrete"):
        trace_program(lambda m: [getitem(x, m)], [array([True, False, True]).aval])
    with pytest.raises(IndexError, match="Slice entries must be static integers"):
        trace_program(lambda i: [getitem(x, slice(i, None))], [array(1, "int32").aval])


def test_values_that_do_not_fit():
    x = HostArray(numbers((3, 2)))
    for index, shape in ((0, (3,)), (slice(None), (1, 3, 2)), ((0, 0), (1,))):
        with pytest.raises(ValueError, match="do not fit the elements at the index"):
            AtIndexer(x)[index].set(HostArray(np.zeros(shape, "f4")))
    with pytest.raises(ValueError, match="there is no mode 'wrap'"):
        AtIndexer(x)[0].get(mode="wrap")
