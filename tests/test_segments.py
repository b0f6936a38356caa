"""Reductions over segments, against NumPy's ufunc.at and JAX."""

from __future__ import annotations

import numpy as np
import peer
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import segments
from pullback.test_util import check_grads

IDS = np.array([2, 0, 2, -1, 5, 3, 0, 2])
"""With one below and one beyond the range of four segments; segment 1 has no row."""

CASES = {
    "sum": (np.add, lambda d: 0),
    "prod": (np.multiply, lambda d: 1),
    "max": (np.maximum, lambda d: -np.inf if d.kind == "f" else np.iinfo(d).min),
    "min": (np.minimum, lambda d: np.inf if d.kind == "f" else np.iinfo(d).max),
}


def expected(name, data, ids, count):
    ufunc, start = CASES[name]
    out = np.full((count, *data.shape[1:]), start(data.dtype), data.dtype)
    inside = (ids >= 0) & (ids < count)
    ufunc.at(out, ids[inside], data[inside])
    return out


def draw(dtype, shape):
    rng = np.random.default_rng(7)
    return rng.integers(-4, 5, shape).astype(dtype) + (0.25 if dtype == "float32" else 0)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float32", "int32", "int8"])
@pytest.mark.parametrize("shape", [(8,), (8, 3), (8, 0)])
def test_values(name, dtype, shape):
    data = draw(dtype, shape).astype(dtype)
    reduce = getattr(segments, f"segment_{name}")
    want = expected(name, data, IDS, 4)
    for function in (reduce, pb.jit(reduce, static_argnames=("num_segments", "bucket_size"))):
        for bucket in (None, 3, 100):
            got = function(data, IDS, num_segments=4, bucket_size=bucket)
            assert got.dtype == want.dtype
            np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_the_number_of_segments_is_that_of_the_largest(name):
    data, ids = draw("float32", (4,)), np.array([0, 3, 3, 1])
    reduce = getattr(segments, f"segment_{name}")
    np.testing.assert_allclose(reduce(data, ids), expected(name, data, ids, 4), rtol=1e-6)
    assert reduce(data[:0], ids[:0]).shape == (0,)
    assert reduce(data[:0], ids[:0], 3).tolist() == expected(name, data[:0], ids[:0], 3).tolist()


@pytest.mark.parametrize("name", CASES)
def test_one_row_stands_for_all(name):
    reduce = getattr(segments, f"segment_{name}")
    for one, rows in ((2.0, (8,)), (jnp.full(1, 3.0), (8,)), (draw("float32", (1, 3)), (8, 3))):
        want = expected(name, np.broadcast_to(np.float32(one), rows), IDS, 4)
        np.testing.assert_allclose(reduce(one, IDS, 4), want, rtol=1e-6)
        np.testing.assert_allclose(reduce(one, IDS, 4, bucket_size=3), want, rtol=1e-6)
        np.testing.assert_allclose(reduce(one, IDS.reshape(2, 4), 4), want, rtol=1e-6)
    with pytest.raises(ValueError, match="one axis"):
        reduce(2.0, IDS.reshape(2, 4), 4, bucket_size=3)


def test_modes_and_promises():
    data, ids = jnp.arange(1.0, 4.0), jnp.array([0, 1, 7])
    assert segments.segment_sum(data, ids, 2, mode="clip").tolist() == [1, 5]
    assert segments.segment_sum(data, ids, 2, mode="drop").tolist() == [1, 2]
    assert segments.segment_sum(data, ids, 2, True, True).tolist() == [1, 2]
    assert segments.segment_max(jnp.array([True, False]), jnp.array([0, 1]), 3).tolist() == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("bucket", [None, 3])
def test_derivatives(name, bucket):
    reduce = getattr(segments, f"segment_{name}")
    data = np.random.default_rng(3).permutation(np.linspace(0.5, 2.0, 16)).reshape(8, 2)

    def finite(x):
        out = reduce(x, IDS, 4, bucket_size=bucket)
        return jnp.where(jnp.isfinite(out), out, 0.0)

    with pb.enable_x64():
        check_grads(finite, (data,), order=2)


@pytest.mark.parametrize("name", CASES)
def test_vmap(name):
    reduce = getattr(segments, f"segment_{name}")
    data, ids = draw("float32", (5, 8)), np.stack([np.roll(IDS, i) for i in range(5)])
    got = pb.vmap(lambda x, i: reduce(x, i, 4))(data, ids)
    np.testing.assert_allclose(got, [expected(name, x, i, 4) for x, i in zip(data, ids)], rtol=1e-6)


@pytest.mark.skipif(not peer.INSTALLED, reason="the real JAX is not installed")
def test_signatures_are_those_of_jax():
    import inspect

    import jax.ops

    for name in CASES:
        ours = inspect.signature(getattr(segments, f"segment_{name}"))
        theirs = inspect.signature(getattr(jax.ops, f"segment_{name}"))
        assert [(p.name, p.default) for p in ours.parameters.values()] == [
            (p.name, p.default) for p in theirs.parameters.values()
        ]


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: segments.segment_sum(jnp.ones(3), jnp.zeros(2, int)), ValueError, "each row"),
        (lambda: segments.segment_sum(jnp.ones(3), jnp.zeros((), int)), ValueError, "each row"),
        (
            lambda: segments.segment_sum(jnp.ones((2, 3)), jnp.zeros((2, 3), int)),
            ValueError,
            "each row",
        ),
        (lambda: segments.segment_sum(jnp.ones(2), jnp.ones(2)), TypeError, "must be integers"),
        (
            lambda: segments.segment_sum(jnp.ones(2), jnp.zeros(2, int), -1),
            ValueError,
            "must be non-negative",
        ),
        (
            lambda: segments.segment_sum(jnp.ones(2), jnp.zeros(2, int), 1, bucket_size=0),
            ValueError,
            "at least one row",
        ),
        (
            lambda: pb.jit(segments.segment_sum)(jnp.ones(2), jnp.zeros(2, int)),
            pb.errors.ConcretizationTypeError,
            "the number of segments depends on traced values.",
        ),
    ],
)
def test_messages(call, kind, text):
    with pytest.raises(kind, match=text) as caught:
        call()
    assert all(f"  {part}:" in str(caught.value) for part in ("Got", "Where", "Fix"))


def test_they_are_in_ops_as_in_jax():
    for name in ("segment_sum", "segment_prod", "segment_max", "segment_min"):
        assert getattr(pb.ops, name) is getattr(segments, name)
    with pytest.raises(AttributeError, match="has no attribute 'segment_mean'"):
        pb.ops.segment_mean  # noqa: B018
