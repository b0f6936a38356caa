"""Array: its operators and methods, NumPy both ways, printing, and what it refuses."""

from __future__ import annotations

import copy
import inspect
import operator
import pickle
import warnings

import ml_dtypes
import numpy as np
import peer
import pytest

import pullback
import pullback.numpy as jnp
from pullback.core.array import Array, HostArray, Tracer
from pullback.core.array_methods import ArrayMethods

RNG = np.random.default_rng(0)
X = RNG.uniform(1, 4, (2, 3)).astype("float32")
Y = RNG.uniform(1, 4, (2, 3)).astype("float32")
N = RNG.integers(1, 6, (2, 3)).astype("int32")
M = RNG.integers(1, 6, (2, 3)).astype("int32")


def same(got, want):
    assert isinstance(got, jnp.ndarray)
    want = np.asarray(want)
    assert got.shape == want.shape
    np.testing.assert_allclose(np.asarray(got), want, rtol=1e-6)


# ---- operators

FLOAT_OPERATORS = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow"]
INTEGER_OPERATORS = ["and_", "or_", "xor", "lshift", "rshift", "add", "sub", "mul", "floordiv"]
COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"]


@pytest.mark.parametrize("name", FLOAT_OPERATORS + COMPARISONS)
def test_operators_of_floats(name):
    op = getattr(operator, name)
    x, y = jnp.array(X), jnp.array(Y)
    same(op(x, y), op(X, Y))
    same(op(x, Y), op(X, Y))
    same(op(X, y), op(X, Y))
    same(op(x, 2.0), op(X, np.float32(2)))
    same(op(2.0, y), op(np.float32(2), Y))
    same(op(x, 2), op(X, np.float32(2)))
    same(op(np.float32(2), y), op(np.float32(2), Y))
    same(op(x, y[0]), op(X, Y[0]))


@pytest.mark.parametrize("name", INTEGER_OPERATORS + COMPARISONS)
def test_operators_of_integers(name):
    op = getattr(operator, name)
    x, y = jnp.array(N), jnp.array(M)
    same(op(x, y), op(N, M))
    same(op(N, y), op(N, M))
    same(op(x, 2), op(N, 2))
    same(op(20, y), op(20, M))


def test_operators_of_one_operand():
    x, n = jnp.array(X), jnp.array(N)
    same(-x, -X)
    same(abs(-x), X)
    same(~n, ~N)
    same(~(x > 2), ~(X > 2))
    assert +x is x
    for got, want in zip(divmod(x, 2), divmod(X, np.float32(2))):
        same(got, want)
    for got, want in zip(divmod(7.0, x), divmod(np.float32(7), X)):
        same(got, want)
    same(x @ x.T, X @ X.T)
    same(X @ x.T, X @ X.T)
    same(x.T @ X, X.T @ X)
    assert round(jnp.array(2.5)) == 2 and round(jnp.array(2.5)).dtype == np.int32
    np.testing.assert_allclose(round(jnp.array(2.567), 1), 2.6, rtol=1e-6)


def test_python_operands_stay_weak():
    assert (jnp.array([1.0], jnp.bfloat16) * 2.0).dtype == ml_dtypes.bfloat16
    assert (jnp.array([1], jnp.int8) + 1).dtype == np.int8
    assert (jnp.array(1.0) + 1).weak_type and not (jnp.ones(1) + 1).weak_type
    assert (jnp.arange(2) + 1.0).weak_type


class Foreign:
    def __radd__(self, other):
        return "radd"

    def __rmatmul__(self, other):
        return "rmatmul"

    def __lt__(self, other):
        return "lt"


class Convertible:
    def __jax_array__(self):
        return jnp.array([1.0, 2.0])


def test_foreign_operands_get_their_turn():
    x = jnp.ones(2)
    assert x + Foreign() == "radd"
    assert x @ Foreign() == "rmatmul"
    assert (x > Foreign()) == "lt"
    assert (x == "text") is False and (x != None) is True  # noqa: E711
    for wrong in (None, "text", object()):
        with pytest.raises(TypeError, match="unsupported operand"):
            x + wrong
    same(x + Convertible(), [2.0, 3.0])
    same(Convertible() * x, [1.0, 2.0])


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda x: operator.add(x, [1, 2]), r"for \+: 'Array' and 'list'"),
        (lambda x: operator.add([1, 2], x), r"for \+: 'list' and 'Array'"),
        (lambda x: x * (1, 2), r"for \*: 'Array' and 'tuple'"),
        (lambda x: x == [1, 2], r"for ==: 'Array' and 'list'"),
    ],
)
def test_lists_are_no_operands(call, message):
    with pytest.raises(TypeError, match=r"unsupported operand type\(s\) " + message) as caught:
        call(jnp.ones(2))
    assert "Fix: convert lists with jnp.array(...)." in str(caught.value)


def test_augmented_assignment_makes_a_new_array():
    x = y = jnp.ones(2)
    x += 1
    assert y.tolist() == [1, 1] and x.tolist() == [2, 2]
    z = np.ones(2)
    z = z + x
    assert isinstance(z, jnp.ndarray)


# ---- elements


def test_items_cannot_be_assigned():
    x = jnp.ones(3)
    with pytest.raises(TypeError, match="immutable") as caught:
        x[0] = 2.0
    assert "use x = x.at[idx].set(y)" in str(caught.value)
    with pytest.raises(TypeError, match="immutable"):
        pullback.jit(lambda x: x.__setitem__(0, 1.0))(x)
    with pytest.raises(TypeError, match="deletion"):
        del x[0]


def test_iteration_and_membership():
    x = jnp.array(X)
    for got, want in zip(x, X):
        same(got, want)
    assert [float(v) for v in jnp.arange(3.0)] == [0, 1, 2]
    with pytest.raises(TypeError, match="iteration over a 0-d array"):
        iter(jnp.array(1.0))
    assert 2 in jnp.arange(3) and 5 not in jnp.arange(3)
    with pytest.raises(ValueError, match="one-dimensional"):
        operator.contains(x, 1)
    with pytest.raises(TypeError, match="unsupported operand type"):
        operator.contains(x, None)


def test_tracers_are_iterated_and_unpacked():
    def f(x):
        a, b, c = x
        return a * b + sum(row for row in x) * c

    x = jnp.array([2.0, 3.0, 5.0])
    assert pullback.grad(f)(x).tolist() == [3 + 5, 2 + 5, 5 + 10]
    assert pullback.jit(f)(x) == 6 + 50
    assert pullback.vmap(f)(jnp.stack([x, x])).tolist() == [56, 56]
    with pytest.raises(TypeError, match="iteration over a 0-d array"):
        pullback.jit(lambda x: list(x))(1.0)
    assert pullback.jit(lambda x: len(list(x)))(jnp.zeros((0, 2))) == 0


# ---- methods: each against NumPy's method of the same name

METHODS = {
    "all": (), "any": (), "argmax": (), "argmin": (1,), "argsort": (), "clip": (1.5, 2.5),
    "conj": (), "conjugate": (), "copy": (), "cumprod": (1,), "cumsum": (), "diagonal": (1,),
    "flatten": (), "max": (0,), "mean": (), "min": (1,), "prod": (), "ravel": (),
    "repeat": (2, 1), "reshape": (3, 2), "round": (1,), "squeeze": (), "std": (0,), "sum": (1,),
    "swapaxes": (0, 1), "take": (np.array([0, 2]), 1), "trace": (), "transpose": (1, 0),
    "var": (), "ptp": (1,),
}  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_methods_are_those_of_numpy(name):
    want = np.ptp(X, 1) if name == "ptp" else getattr(X, name)(*METHODS[name])
    np.testing.assert_allclose(getattr(jnp.array(X), name)(*METHODS[name]), want, rtol=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_methods_of_traced_arrays(name):
    def call(x):
        return getattr(x, name)(*METHODS[name])

    x = jnp.array(X)
    want = call(x)
    np.testing.assert_allclose(pullback.jit(call)(x), want, rtol=1e-6)
    np.testing.assert_allclose(pullback.vmap(call)(jnp.stack([x, x]))[1], want, rtol=1e-6)
    if jnp.issubdtype(want.dtype, jnp.floating):
        out, _ = pullback.vjp(call, x)
        np.testing.assert_allclose(out, want, rtol=1e-6)
        out, _ = pullback.jvp(call, (x,), (x,))
        np.testing.assert_allclose(out, want, rtol=1e-6)


def test_no_slot_of_a_tracer_hides_a_method():
    for kind in all_tracers(Tracer):
        for name in kind.__dict__.get("__slots__", ()):
            # `dtype` is kept in a slot because it is read often: it means the same.
            assert name == "dtype" or not hasattr(Array, name), f"{kind.__name__}.{name}"


def all_tracers(kind):
    for sub in kind.__subclasses__():
        yield sub
        yield from all_tracers(sub)


def test_methods_with_keywords():
    x = jnp.array(X)
    same(x.sum(axis=0, keepdims=True), X.sum(axis=0, keepdims=True))
    same(x.mean(axis=(0, 1), dtype=jnp.float16).astype(float), X.mean(dtype="float16"))
    same(x.var(ddof=1), X.var(ddof=1))
    same(x.reshape((3, -1)), X.reshape(3, 2))
    same(x.reshape(-1, order="F"), X.reshape(-1, order="F"))
    same(x.transpose(), X.T)
    same(x.transpose((1, 0)), X.T)
    same(x.transpose(None), X.T)
    same(x.sort(axis=0), np.sort(X, axis=0))
    same(x.sort(descending=True), np.sort(X)[:, ::-1])
    same(jnp.array([1.0, 3.0]).searchsorted(2.0), 1)
    same(x.dot(x.T), X.dot(X.T))
    same(jnp.array([0, 1]).choose([jnp.array([1, 2]), jnp.array([3, 4])]), [1, 4])
    same(x.compress(jnp.array([True, False]), axis=0), X[:1])
    same(x.nonzero()[0], X.nonzero()[0])
    same(x.max(where=x < 2, initial=0.0), X.max(where=X < 2, initial=0.0))
    assert sorted(x.argpartition(1)[0].tolist()) == [0, 1, 2]
    assert x.item(1) == X.item(1) and x.tolist() == X.tolist()
    assert x.tobytes() == X.tobytes()


def test_properties():
    x = jnp.array(X)
    same(x.T, X.T)
    same(jnp.stack([x, x]).mT, np.stack([X.T, X.T]))
    z = jnp.array([1 + 2j])
    same(z.real, [1.0])
    same(z.imag, [2.0])
    same(z.conj(), [1 - 2j])
    assert x.real is x
    assert (x.ndim, x.size, x.itemsize, x.nbytes, len(x)) == (2, 6, 4, 24, 2)
    same(x.at[0, 1].set(9.0), np.where(np.arange(6).reshape(2, 3) == 1, np.float32(9), X))
    with pytest.raises(NotImplementedError, match=r"arr\.flat"):
        _ = x.flat
    assert x.__array_namespace__() is jnp
    with pytest.raises(TypeError, match="unsized"):
        len(jnp.array(1))


def test_views_of_bits():
    x = np.array([[1.0, -2.0], [0.5, 3.0]], "float32")
    for dtype in ("int32", "uint8", "uint16", "float16", "complex64"):
        got = jnp.array(x).view(dtype)
        np.testing.assert_array_equal(np.asarray(got), x.view(dtype))
    z = np.array([1 + 2j, 3 - 4j], "complex64")
    np.testing.assert_array_equal(np.asarray(jnp.array(z).view("float32")), z.view("float32"))
    assert jnp.array(1.0, jnp.float32).view(jnp.int32) == 0x3F800000
    np.testing.assert_array_equal(np.asarray(jnp.array(N).byteswap()), N.byteswap())
    with pytest.raises(ValueError, match="divisor"):
        jnp.ones((2, 3), jnp.int8).view(jnp.int16)
    with pytest.raises(ValueError, match="0d array"):
        jnp.array(1.0).view(jnp.int16)


def test_methods_of_tracers_are_the_same():
    def f(x):
        y = (x.T @ x).sum(axis=0).reshape(3, 1).astype(jnp.float32)
        return (y.at[0].add(1.0).squeeze() ** 2).mean() + x.max()

    x = jnp.array(X)
    want = f(x)
    np.testing.assert_allclose(pullback.jit(f)(x), want, rtol=1e-6)
    gradient = pullback.grad(f)(x)
    step = 1e-3 * RNG.normal(size=X.shape).astype("float32")
    change = f(jnp.array(X + step)) - f(jnp.array(X - step))
    np.testing.assert_allclose((gradient * step).sum() * 2, change, rtol=2e-2)


# ---- NumPy and Python


def test_numpy_functions_give_numpy_arrays():
    x = jnp.array(X)
    pairs = [(np.sin(x), np.sin(X)), (np.add(X, x), X + X), (np.vstack([x, X]), np.vstack([X, X]))]
    for got, want in pairs:
        assert type(got) is np.ndarray
        np.testing.assert_allclose(got, want, rtol=1e-6)
    assert np.asarray(x).dtype == np.float32
    assert np.array(x, "float64").dtype == np.float64
    assert np.linalg.norm(x) == pytest.approx(float(np.linalg.norm(X)))


def test_operators_with_numpy_give_arrays():
    x = jnp.array(X)
    ops = (operator.add, operator.mul, operator.pow, operator.mod, operator.eq, operator.lt)
    for made in (np.float64(2) * x, X @ x.T, *[op(X, x) for op in ops], *[op(x, X) for op in ops]):
        assert isinstance(made, jnp.ndarray)
        assert made.dtype in (np.float32, np.bool_)
    assert isinstance(np.arange(3) + jnp.arange(3), jnp.ndarray)


def test_what_numpy_sees_cannot_be_written():
    x = jnp.array(X)
    seen = np.asarray(x)
    with pytest.raises(ValueError, match="read-only"):
        seen[0, 0] = 5
    own = np.array(x)
    own[0, 0] = 5
    same(x, X)


def test_later_changes_to_the_source_are_not_seen():
    source = X.copy()
    x, y = jnp.array(source), jnp.asarray(source)
    source[:] = 0
    same(x, X)
    same(y, X)


def test_conversion_to_python():
    assert float(jnp.array(2.5)) == 2.5 and int(jnp.array(3)) == 3
    assert complex(jnp.array(1j)) == 1j and bool(jnp.array(True))
    assert [10, 20, 30][jnp.array(1)] == 20 and list(range(jnp.array(2))) == [0, 1]
    assert f"{jnp.array(1.23456):.2f}" == "1.23"
    for wrong in (float, int, complex):
        with pytest.raises(TypeError, match="Only scalar arrays"):
            wrong(jnp.ones(1))
    with pytest.raises(TypeError, match="integer scalar"):
        [1, 2][jnp.array(1.0)]
    with pytest.raises(ValueError, match="ambiguous"):
        bool(jnp.ones(2))
    with pytest.raises(TypeError, match="unhashable"):
        hash(jnp.ones(2))


def test_copies_and_pickles():
    x = jnp.array(X)
    weak = jnp.array(1.0)
    for y in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        same(y, X)
    assert pickle.loads(pickle.dumps(weak)).weak_type
    made = pickle.loads(pickle.dumps(jnp.array([1.0], jnp.bfloat16)))
    assert made.dtype == ml_dtypes.bfloat16


def test_dlpack_goes_both_ways():
    same(jnp.from_dlpack(X), X)
    np.testing.assert_array_equal(np.from_dlpack(jnp.array(X)), X)


# ---- places


def test_where_an_array_is():
    x = jnp.array(X)
    (device,) = x.devices()
    assert device is x.device and device.platform == "cpu"
    assert x.sharding.device_set == {device} and x.sharding.shard_shape((2, 3)) == (2, 3)
    assert x.is_fully_addressable and x.is_fully_replicated
    (shard,) = x.addressable_shards
    same(shard.data, X)
    assert shard.index == (slice(None), slice(None))
    assert x.addressable_data(0) is x
    assert x.is_ready() and x.platform() == "cpu" and x.clone() is x
    put = x.to_device(device)
    assert put.committed and not x.committed
    same(put, X)
    assert x.on_device_size_in_bytes() == 24
    assert x.block_until_ready() is x


def test_a_deleted_array_fails():
    x = jnp.array(X)
    assert not x.is_deleted()
    x.delete()
    x.delete()
    assert x.is_deleted() and x.shape == (2, 3) and x.dtype == np.float32
    for use in (lambda: x + 1, lambda: np.asarray(x), lambda: x[0], lambda: repr(x), x.tolist):
        with pytest.raises(RuntimeError, match=r"Array has been deleted with shape=f32\[2,3\]"):
            use()


# ---- printing


def arrays(module):
    """The same arrays made by pullback.numpy or by jax.numpy."""
    rng = np.random.default_rng(1)
    shapes = [(), (1,), (0,), (2, 0), (3,), (7,), (9,), (11,), (2, 3), (3, 4, 2), (2000,), (40, 40)]
    for dtype in ("bool_", "int8", "uint8", "int32", "bfloat16", "float16", "float32", "complex64"):
        for shape in shapes:
            x = rng.normal(size=shape) * 10
            if dtype == "complex64":
                x = x + 1j * rng.normal(size=shape)
            elif "int" in dtype:
                x = np.abs(x).astype(int)
            elif dtype == "bool_":
                x = x > 0
            yield module.asarray(x, dtype=getattr(module, dtype))
    numbers = (1.0, 2, 1j, True, complex(1, -0.0), -0.0, np.inf, np.nan, 1e10, 1e-10, 123456789)
    for number in numbers:
        yield module.asarray(number)
    for n in (3, 9, 11, 13):
        yield module.full((n,), 1.5)
        yield module.full((2, n), 1j)


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
def test_arrays_print_as_in_jax():
    import jax

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for got, want in zip(arrays(jnp), arrays(jax.numpy)):
            assert repr(got) == repr(want)
            assert str(got) == str(want)


@pytest.mark.parametrize(
    "array, want",
    [
        (jnp.array([1.0, 2.5]), "Array([1. , 2.5], dtype=float32)"),
        (jnp.array(complex(1, -0.0)), "Array(1.-0.j, dtype=complex64, weak_type=True)"),
        (jnp.array(3), "Array(3, dtype=int32, weak_type=True)"),
        (jnp.zeros((0, 2)), "Array([], shape=(0, 2), dtype=float32)"),
        (jnp.array([1], jnp.bfloat16), "Array([1], dtype=bfloat16)"),
        (jnp.eye(2), "Array([[1., 0.],\n       [0., 1.]], dtype=float32)"),
    ],
)
def test_printed_form(array, want):
    assert repr(array) == want


def test_print_options():
    x = jnp.array([1.23456, 1e-5])
    small = jnp.array_repr(x, precision=2, suppress_small=True)
    assert small == "Array([1.23, 0.  ], dtype=float32)"
    assert jnp.array_str(x, precision=3) == "[1.235e+00 1.000e-05]"
    with jnp.printoptions(precision=2):
        assert repr(jnp.array(1.23456)) == "Array(1.23, dtype=float32, weak_type=True)"


def test_isinstance():
    assert isinstance(jnp.ones(1), jnp.ndarray) and isinstance(jnp.ones(1), pullback.Array)
    assert not isinstance(np.ones(1), pullback.Array)
    seen = []
    pullback.jit(lambda x: seen.append(isinstance(x, pullback.Array)))(1.0)
    assert seen == [True]
    assert type(jnp.ones(1)) is HostArray


# ---- dtypes


def test_scalar_types():
    assert jnp.float32(3).dtype == np.float32 and not jnp.float32(3).weak_type
    assert jnp.float32 == np.float32 and jnp.float32 == np.dtype("float32")
    assert np.dtype("float32") == jnp.float32 and jnp.float32 != jnp.float16
    assert np.dtype(jnp.bfloat16) == ml_dtypes.bfloat16
    assert np.zeros(1, jnp.float32).dtype == np.float32
    assert isinstance(np.float32(1), jnp.float32) and not isinstance(1.0, jnp.float32)
    assert {jnp.float32: 1}[jnp.float32] == 1 and hash(jnp.float32) == hash(np.float32)
    assert pickle.loads(pickle.dumps(jnp.float32)) is jnp.float32
    assert jnp.float32.dtype == np.float32 and repr(jnp.int8) == "<class 'pullback.numpy.int8'>"
    assert jnp.issubdtype(jnp.bfloat16, jnp.floating) and not jnp.issubdtype(int, jnp.inexact)
    assert jnp.finfo(jnp.bfloat16).bits == 16 and jnp.iinfo(jnp.int4).max == 7
    assert jnp.isdtype(jnp.float32, ("integral", "real floating"))


def test_questions_about_arrays():
    assert jnp.shape(np.ones((2, 3))) == (2, 3) and jnp.ndim(1.0) == 0 and jnp.size(X) == 6
    assert jnp.size(X, 1) == 3 and jnp.size(X, (0, 1)) == 6
    assert jnp.iscomplexobj(1j) and jnp.isrealobj(X) and not jnp.iscomplexobj(None)
    assert jnp.isscalar(1) and jnp.isscalar(jnp.array(1)) and not jnp.isscalar(jnp.ones(1))
    with pytest.warns(DeprecationWarning, match="shape requires ndarray"):
        assert jnp.shape([[1, 2]]) == (1, 2)


def test_type_checkers_see_what_is_installed():
    declared = {
        name for name in vars(ArrayMethods) if not name.startswith("__") or name in OPERATORS
    }
    own = {"aval", "shape", "dtype", "weak_type", "ndim", "size", "itemsize", "nbytes", "elsewhere"}
    installed = {
        name for name in vars(Array) if name not in own and (name[:2] != "__" or name in OPERATORS)
    }
    assert declared == installed - {"block_until_ready"}
    for name, method in vars(ArrayMethods).items():
        if callable(method) and name in declared:
            seen = list(inspect.signature(method).parameters)
            assert seen == list(inspect.signature(getattr(Array, name)).parameters), name


OPERATORS = {name for name in vars(ArrayMethods) if name.startswith("__")} & set(vars(Array)) - {
    "__module__",
    "__doc__",
    "__weakref__",
    "__hash__",
}


@pytest.mark.parametrize("dtype", [">f4", ">i4"])
def test_bytes_in_another_order_are_refused(dtype):
    x = np.arange(3).astype(dtype)
    double = pullback.jit(lambda y: y * 2)
    for use in (jnp.asarray, jnp.sin, jnp.ones(3).__add__, pullback.device_put, double):
        with pytest.raises(TypeError, match=rf"not a valid array[^$]*dtype='{dtype}'"):
            use(x)
    with pytest.raises(TypeError, match=r"Fix: have its bytes in this machine's order"):
        jnp.sin(x)


def test_a_deleted_array_has_no_text():
    x = jnp.ones(3)
    x.delete()
    for show in (str, repr, format):
        with pytest.raises(RuntimeError, match="Array has been deleted"):
            show(x)
