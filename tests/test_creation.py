"""New arrays: shapes, values, dtypes and weak types as JAX's, and what is refused."""

from __future__ import annotations

import io
import warnings

import ml_dtypes
import numpy as np
import peer
import pytest

import pullback
import pullback.numpy as jnp
from pullback.core.settings import enable_x64

# Each expression is evaluated with jnp as pullback.numpy and as jax.numpy.
EXPRESSIONS = """
jnp.zeros(3)
jnp.zeros(())
jnp.zeros((2, 3), dtype=int)
jnp.zeros([2, 0], jnp.bfloat16)
jnp.zeros(np.int64(2), bool)
jnp.ones((2,), complex)
jnp.ones(2, dtype="int8")
jnp.empty((2, 2))
jnp.full((2,), 1.0)
jnp.full((), 2)
jnp.full((2, 3), jnp.arange(3))
jnp.full(2, 1.5, dtype=jnp.float16)
jnp.full(2, True)
jnp.zeros_like(1.0)
jnp.zeros_like(np.ones((2, 2)))
jnp.ones_like(2)
jnp.ones_like(jnp.arange(3), dtype=float)
jnp.ones_like(jnp.arange(3), shape=(2,))
jnp.empty_like(jnp.ones(2))
jnp.full_like(jnp.array(1.0), 2)
jnp.full_like(jnp.ones(2), jnp.arange(2))
jnp.full_like(jnp.arange(3), 1.7)
jnp.full_like(jnp.arange(3), 1.7, dtype=jnp.float32)
jnp.array(1)
jnp.array(1.5)
jnp.array(True)
jnp.array(1j)
jnp.array(np.float64(2))
jnp.array(np.arange(3))
jnp.array(np.arange(3.0))
jnp.array([1, 2])
jnp.array([1, 2.5])
jnp.array([True, 2])
jnp.array([1, 2j])
jnp.array([])
jnp.array([[], []])
jnp.array([[1, 2], [3, 4]], dtype=jnp.float16)
jnp.array([np.float32(1), 2])
jnp.array([np.float16(1), np.int8(2)])
jnp.array((np.arange(3), [1, 2, 3]))
jnp.array([jnp.arange(2), jnp.ones(2)])
jnp.array([jnp.array(1.0), 2])
jnp.array([[jnp.array(1), 2], [3, jnp.float32(4)]])
jnp.array(jnp.array(1.0))
jnp.array(jnp.array(1.0), dtype=jnp.float32)
jnp.array(1, ndmin=3)
jnp.array(np.ones((2, 2)), ndmin=1)
jnp.array(range(3))
jnp.array(memoryview(b"abc"))
jnp.array(1.7, dtype=int)
jnp.array([1.7, -1.7], dtype=int)
jnp.array(np.array([1.0, 2.0]), dtype=bool)
jnp.asarray(2)
jnp.asarray(2, dtype=jnp.int8)
jnp.asarray(jnp.array(1.0))
jnp.asarray([1.0, 2.0], dtype="bfloat16")
jnp.copy(jnp.array(1.0))
jnp.astype(jnp.ones(2), int)
jnp.astype(jnp.array([1.5, 0.0]), bool)
jnp.astype(jnp.array([0j, 1j]), bool)
jnp.arange(3)
jnp.arange(3.0)
jnp.arange(2.5)
jnp.arange(1, 7, 2)
jnp.arange(0, 1, 0.25)
jnp.arange(5, 0, -2)
jnp.arange(3, 3)
jnp.arange(-2)
jnp.arange(3, dtype=jnp.float16)
jnp.arange(0, 300, 100, dtype=jnp.bfloat16)
jnp.arange(np.int8(3))
jnp.arange(jnp.array(3))
jnp.arange(1.5, 4)
jnp.arange(1, 4, dtype="uint8")
jnp.linspace(0, 1, 5)
jnp.linspace(0, 1, 5, endpoint=False)
jnp.linspace(0, 10, 4, dtype=int)
jnp.linspace(1, 2, 1)
jnp.linspace(1, 2, 0)
jnp.linspace(jnp.zeros(2), jnp.ones(2), 3)
jnp.linspace(jnp.zeros(2), 1, 3, axis=-1)
jnp.linspace(0, 1j, 3)
jnp.linspace(0, 1, 3, retstep=True)
jnp.linspace(0, 1, 3, dtype=jnp.float16)
jnp.logspace(0, 2, 3)
jnp.logspace(0, 3, 4, base=2)
jnp.logspace(0, 2, 3, dtype=int)
jnp.geomspace(1, 1000, 4)
jnp.geomspace(-1, -8, 4)
jnp.eye(3)
jnp.eye(2, 3, k=1)
jnp.eye(3, k=-1, dtype=int)
jnp.eye(0)
jnp.eye(2, k=jnp.array(1))
jnp.identity(2, dtype=bool)
jnp.tri(3)
jnp.tri(2, 3, k=1, dtype=int)
jnp.tril(jnp.arange(9).reshape(3, 3))
jnp.tril(jnp.ones((2, 2, 3)), k=-1)
jnp.triu(jnp.arange(9).reshape(3, 3), k=1)
jnp.triu(jnp.ones((2, 2), bool))
jnp.diag(jnp.arange(3))
jnp.diag(jnp.arange(2.0), k=1)
jnp.diag(jnp.arange(2.0), k=-2)
jnp.diag(jnp.arange(6).reshape(2, 3))
jnp.diag(jnp.arange(6).reshape(2, 3), k=1)
jnp.diag(jnp.arange(6).reshape(2, 3), k=-1)
jnp.diag(jnp.arange(6).reshape(2, 3), k=5)
jnp.diagflat(jnp.array([[1, 2], [3, 4]]), 1)
jnp.diagonal(jnp.arange(24).reshape(2, 3, 4))
jnp.diagonal(jnp.arange(24).reshape(2, 3, 4), 1, 1, 2)
jnp.diagonal(jnp.arange(24).reshape(2, 3, 4), -1, 2, 0)
jnp.diagonal(jnp.arange(24).reshape(2, 3, 4), 9)
jnp.vander(jnp.array([1, 2, 3]))
jnp.vander(jnp.array([1.0, 2.0]), 3, increasing=True)
jnp.meshgrid(jnp.arange(3), jnp.arange(2))
jnp.meshgrid(jnp.arange(3), jnp.arange(2), indexing="ij")
jnp.meshgrid(jnp.arange(3), jnp.arange(2), jnp.arange(4.0), sparse=True)
jnp.meshgrid(jnp.arange(2))
jnp.indices((2, 3))
jnp.indices((2, 3), dtype=float, sparse=True)
jnp.fromfunction(lambda i, j: i * 10 + j, (2, 3))
jnp.fromfunction(lambda i, j, k: i - k, (2, 1, 2), dtype=int)
jnp.mgrid[0:3]
jnp.mgrid[0:2, 1:3]
jnp.mgrid[0:1:3j, 0:2]
jnp.ogrid[0:2, 0:3]
jnp.ogrid[0:1:4j]
jnp.r_[1:4, 0, 4]
jnp.r_[jnp.array([1, 2]), 0.5, 0:1:3j]
jnp.r_["0,2", jnp.array([1, 2]), jnp.array([3, 4])]
jnp.r_["r", 1, 2]
jnp.r_["c", 1, 2]
jnp.r_["1,2,0", jnp.array([1, 2]), jnp.array([3, 4])]
jnp.c_[jnp.array([1, 2]), jnp.array([3, 4])]
jnp.c_[jnp.ones((2, 2)), jnp.zeros(2)]
jnp.frombuffer(b"abcd", dtype=jnp.uint8)
jnp.fromstring("1 2 3", dtype=int, sep=" ")
""".strip().splitlines()


def evaluate(expression, module):
    out = eval(expression, {"jnp": module, "np": np})
    return list(out) if isinstance(out, (list, tuple)) else [out]


def quiet():
    return warnings.catch_warnings(action="ignore")


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_arrays_are_made_as_in_jax(expression):
    import jax

    with quiet():
        wanted = evaluate(expression, jax.numpy)
        made = evaluate(expression, jnp)
        assert len(made) == len(wanted)
        for got, want in zip(made, wanted):
            assert got.dtype == want.dtype and got.shape == want.shape
            assert got.weak_type == want.weak_type
            np.testing.assert_allclose(
                np.asarray(got, complex), np.asarray(want, complex), rtol=1e-6
            )


@pytest.mark.skipif(not peer.INSTALLED, reason="jax is not installed")
def test_arrays_with_64_bits_are_made_as_in_jax():
    import jax

    some = [e for e in EXPRESSIONS if "fromfunction" not in e and "bfloat16" not in e][::3]
    with quiet(), enable_x64(), jax.enable_x64(True):
        for expression in some:
            for got, want in zip(evaluate(expression, jnp), evaluate(expression, jax.numpy)):
                assert got.dtype == want.dtype and got.shape == want.shape, expression
                assert got.weak_type == want.weak_type, expression


# ---- conversion


def test_64_bits_asked_for_are_cut_with_a_warning():
    text = (
        "Explicitly requested dtype float64 requested in zeros is not available, and will be "
        "truncated to dtype float32. To enable more dtypes, set the jax_enable_x64 configuration "
        "option or the JAX_ENABLE_X64 shell environment variable. See "
        "https://github.com/jax-ml/jax#current-gotchas for more."
    )
    with pytest.warns(UserWarning) as caught:
        assert jnp.zeros(2, jnp.float64).dtype == np.float32
    assert str(caught[0].message) == text and caught[0].filename == __file__
    for call in (
        lambda: jnp.array([1.0], dtype="float64"),
        lambda: jnp.asarray([1], dtype=jnp.int64),
        lambda: jnp.ones(2).astype(np.complex128),
        lambda: jnp.arange(3, dtype=np.int64),
        lambda: jnp.eye(2, dtype="float64"),
    ):
        with pytest.warns(UserWarning, match="will be truncated"):
            call()
    with enable_x64():
        assert jnp.zeros(2, jnp.float64).dtype == np.float64


def test_what_is_64_bits_wide_by_itself_is_cut_silently():
    assert jnp.array(np.arange(3)).dtype == np.int32
    assert jnp.asarray(np.ones(2)).dtype == np.float32
    assert jnp.zeros(2, float).dtype == np.float32
    assert jnp.array([2.0], dtype=complex).dtype == np.complex64
    with enable_x64():
        assert jnp.array(np.arange(3)).dtype == np.int64
        assert jnp.array(1).dtype == np.int64 and jnp.arange(3).dtype == np.int64
        assert jnp.array([1.5]).dtype == np.float64 and jnp.zeros(1).dtype == np.float64


def test_new_scalars_are_not_shared():
    for make in (
        jnp.zeros,
        jnp.ones,
        lambda s: jnp.full(s, 2.0),
        lambda s: jnp.ones_like(1.0, shape=s),
    ):
        first, second = make(()), make(())
        assert first is not second
        first.delete()
        assert second == make(())


def test_an_array_is_itself_or_a_copy():
    x = jnp.ones(3)
    assert jnp.asarray(x) is x and jnp.asarray(x, dtype=x.dtype) is x
    y = jnp.array(x)
    assert y is not x and y.tolist() == x.tolist()
    assert not jnp.array(jnp.array(1.0), dtype=jnp.float32).weak_type


def test_traced_values_may_stand_in_lists():
    def f(x):
        return jnp.sum(jnp.array([[x, 2.0], [3 * x, x**2]]) * jnp.asarray((1.0, x)))

    # x + 2x + 3x + x^3
    assert float(pullback.grad(f)(2.0)) == 6 + 12
    assert float(pullback.jit(f)(2.0)) == 12 + 8
    assert pullback.vmap(f)(jnp.array([1.0, 2.0])).tolist() == [7.0, 20.0]
    made = pullback.jit(lambda x: jnp.array([x, True, 1]))(jnp.int8(3))
    assert made.dtype == np.int8


def test_arrays_of_other_libraries():
    class Other:
        def __array__(self, dtype=None, copy=None):
            return np.arange(3.0)

    assert jnp.array(Other()).tolist() == [0, 1, 2]
    assert jnp.array([jnp.arange(2), [5, 6]]).tolist() == [[0, 1], [5, 6]]


def test_files():
    assert jnp.fromiter(iter([1, 2]), dtype=int).tolist() == [1, 2]
    for x in (jnp.arange(3.0), jnp.array([1.5, 2.0], jnp.bfloat16)):
        file = io.BytesIO()
        jnp.save(file, x)
        file.seek(0)
        back = jnp.load(file)
        assert back.dtype == x.dtype and back.tolist() == x.tolist()
    file = io.BytesIO()
    jnp.savez(file, a=jnp.ones(2))
    file.seek(0)
    assert jnp.load(file)["a"].tolist() == [1, 1]


# ---- under transformations


def test_diagonals_and_triangles_are_linear():
    x = jnp.arange(12.0).reshape(3, 4)
    for f in (
        jnp.tril,
        jnp.triu,
        jnp.diagonal,
        lambda x: jnp.diag(x, 1),
        lambda x: jnp.diag(x[0], -1),
        lambda x: jnp.diagflat(x),
        lambda x: jnp.diagonal(jnp.stack([x, 2 * x]), -1, 1, 2),
        lambda x: x.trace(),
    ):
        out, pull = pullback.vjp(f, x)
        ct = jnp.arange(1.0, out.size + 1).reshape(out.shape)
        _, pushed = pullback.jvp(f, (x,), (jnp.ones_like(x),))
        np.testing.assert_allclose(jnp.vdot(ct, pushed), pull(ct)[0].sum(), rtol=1e-5)
        each = pullback.vmap(f)(jnp.stack([x, 3 * x]))
        np.testing.assert_allclose(each[1], 3 * f(x), rtol=1e-6)


def test_ranges_are_differentiated():
    def f(a, b):
        return jnp.sum(jnp.linspace(a, b, 5) ** 2) + jnp.sum(jnp.geomspace(1.0, b, 3))

    # sum (a + (b - a) k/4)^2 + 1 + sqrt(b) + b
    da, db = pullback.grad(f, (0, 1))(1.0, 4.0)
    line = np.linspace(1, 4, 5)
    np.testing.assert_allclose(da, np.sum(2 * line * (1 - np.arange(5) / 4)), rtol=1e-5)
    np.testing.assert_allclose(db, np.sum(2 * line * np.arange(5) / 4) + 0.25 + 1, rtol=1e-5)
    x = pullback.jit(lambda n: jnp.linspace(0, n, 3))(4)
    assert x.tolist() == [0, 2, 4]


def test_vander_is_differentiated():
    slope = pullback.grad(lambda x: jnp.sum(jnp.vander(x, 3)))(jnp.array([1.0, 2.0]))
    assert slope.tolist() == [3.0, 5.0]


def test_new_arrays_are_recorded():
    def f(x):
        return x + jnp.zeros(3) + jnp.arange(3) * jnp.eye(3)[0]

    assert pullback.jit(f)(1.0).tolist() == [1.0, 1.0, 1.0]
    names = {eq.primitive.name for eq in pullback.make_jaxpr(f)(1.0).eqns}
    assert {"broadcast_in_dim", "iota"} <= names


# ---- mistakes


@pytest.mark.parametrize(
    "call, kind, message",
    [
        (lambda: jnp.zeros(2, 3), TypeError, "Cannot interpret .3. as a data type"),
        (lambda: jnp.zeros(-1), ValueError, "no negative lengths"),
        (lambda: jnp.zeros(2.5), TypeError, "must be an integer"),
        (lambda: jnp.zeros(2, dtype="nonsense"), TypeError, "does not name a dtype"),
        (lambda: jnp.zeros(2, dtype=np.longdouble), TypeError, "only arrays of numbers"),
        (lambda: jnp.zeros(2, dtype="U3"), TypeError, "only arrays of numbers"),
        (lambda: jnp.zeros(2, dtype=jnp.ones(1)), ValueError, "Passing an array as a dtype"),
        (lambda: jnp.full((2,), jnp.ones(3)), (ValueError, TypeError), "full"),
        (lambda: jnp.array(None), ValueError, "None is not a valid value for jnp.array"),
        (lambda: jnp.array([1, None]), ValueError, "None is not a valid value for jnp.array"),
        (lambda: jnp.array("text"), TypeError, "type str is not a valid array"),
        (lambda: jnp.array({1, 2}), TypeError, "type set is not a valid array"),
        (lambda: jnp.array(np.array(["a"])), TypeError, "dtype <U1 is not a valid array"),
        (lambda: jnp.array(object()), TypeError, "type object is not a valid array"),
        (lambda: jnp.array([[1, 2], [3]]), ValueError, "must have one shape"),
        (lambda: jnp.array([jnp.ones(2), jnp.ones(3)]), ValueError, "must have one shape"),
        (lambda: jnp.array([2**40]), OverflowError, "does not fit int32"),
        (lambda: jnp.array([1], order="F"), NotImplementedError, "order='K'"),
        (lambda: jnp.arange(0, 3, 0), ValueError, "steps of 0"),
        (lambda: jnp.arange(jnp.ones(2)), ValueError, "arguments must be scalars"),
        (lambda: jnp.arange(1j), ValueError, "arguments must be scalars, and real"),
        (lambda: jnp.linspace(0, 1, -1), ValueError, "must be non-negative"),
        (lambda: jnp.eye(-1), ValueError, "negative dimensions"),
        (lambda: jnp.eye(2, k=1.5), ValueError, "k must be a scalar integer"),
        (lambda: jnp.tril(jnp.ones(2)), ValueError, "must be at least 2D"),
        (lambda: jnp.diag(jnp.ones((1, 1, 1))), ValueError, "diag input must be 1d or 2d"),
        (lambda: jnp.diagonal(jnp.ones(2)), ValueError, "at least two dimensions"),
        (lambda: jnp.diagonal(jnp.ones((2, 2)), 0, 1, 1), ValueError, "cannot be the same"),
        (lambda: jnp.vander(jnp.ones((2, 2))), ValueError, "one-dimensional"),
        (lambda: jnp.meshgrid(jnp.ones((2, 2))), ValueError, "meshgrid takes vectors"),
        (lambda: jnp.r_["nonsense", 1], ValueError, "could not understand directive"),
        (lambda: jnp.r_[1, "r"], ValueError, "placed at the beginning"),
        (lambda: pullback.jit(jnp.arange)(3), TypeError, "must be known while tracing"),
        (lambda: pullback.jit(jnp.zeros)(3), TypeError, "must be known while tracing"),
        (lambda: pullback.jit(jnp.eye)(3), TypeError, "must be known while tracing"),
    ],
)
def test_mistakes_are_explained(call, kind, message):
    with pytest.raises(kind, match=message) as caught:
        call()
    assert "Got: " in str(caught.value) and "Fix: " in str(caught.value)


def test_small_dtypes():
    assert jnp.zeros(2, jnp.float8_e4m3fn).dtype == ml_dtypes.float8_e4m3fn
    assert jnp.array([1, -2], jnp.int4).tolist() == [1, -2]
    assert jnp.arange(3, dtype=jnp.bfloat16).tolist() == [0, 1, 2]
