"""Refs; and programs of several processes, of which this is the only one."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import distributed, lax, ref


def test_reads_and_writes():
    start = jnp.arange(6.0).reshape(2, 3)
    r, want = pb.new_ref(start), np.arange(6.0).reshape(2, 3)
    assert isinstance(r, pb.Ref) and (r.shape, r.dtype, r.ndim, r.size) == ((2, 3), "f4", 2, 6)
    for index, value in [(0, 7.0), ((1, 2), 3.0), (slice(None), 1.0), ((..., 1), [4.0, 5.0])]:
        r[index], want[index] = jnp.asarray(value), value
        np.testing.assert_array_equal(r[...], want)
    r[0] += 1.0
    want[0] += 1
    np.testing.assert_array_equal(r.get(), want)
    np.testing.assert_array_equal(ref.swap(r, 1, 9.0), want[1])
    ref.addupdate(r, (0, jnp.array([0, 0])), 1.0)
    want[1], want[0, 0] = 9, want[0, 0] + 2
    np.testing.assert_array_equal(ref.get(r), want)
    assert start.tolist() == np.arange(6.0).reshape(2, 3).tolist()
    ref.set(r, None, jnp.zeros((2, 3)))
    assert r[1].tolist() == [0, 0, 0] and len(r) == 2
    assert repr(r.aval) == "Ref{f32[2,3]}" and repr(pb.new_ref(1)).startswith("Ref(Array(1")


def test_freeze_ends_a_ref():
    r = pb.empty_ref(pb.ShapeDtypeStruct((2,), jnp.int32))
    r[0] = 3
    assert pb.freeze(r).tolist() == [3, 0]
    with pytest.raises(ValueError, match="after it was frozen"):
        r[0]
    other = pb.new_ref(1.0)
    pb.free_ref(other)
    assert repr(other) == "Ref(freed)"


def cumulated(x):
    total, out = pb.new_ref(0.0), pb.new_ref(jnp.zeros_like(x))
    for i in range(x.shape[0]):
        total[...] += x[i]
        out[i] = total[...]
    return pb.freeze(out)


def test_inside_transformations():
    x = np.arange(1.0, 5.0, dtype=np.float32)
    for function in (cumulated, pb.jit(cumulated)):
        np.testing.assert_allclose(function(x), np.cumsum(x))
    np.testing.assert_allclose(pb.vmap(cumulated)(np.stack([x, 2 * x]))[1], np.cumsum(2 * x))
    gradient = pb.grad(lambda x: jnp.sum(cumulated(x) ** 2))
    want = pb.grad(lambda x: jnp.sum(jnp.cumsum(x) ** 2))(x)
    np.testing.assert_allclose(gradient(x), want)
    np.testing.assert_allclose(pb.jit(gradient)(x), want)


def test_in_another_transformation_it_is_refused():
    r = pb.new_ref(jnp.zeros(2))

    def read(x):
        return x + r[...]

    def write(carry, x):
        r[0] = x
        return carry, x

    for call in (
        lambda: pb.jit(read)(1.0),
        lambda: pb.grad(lambda x: read(x).sum())(1.0),
        lambda: lax.scan(write, 0.0, jnp.ones(2)),
    ):
        with pytest.raises(NotImplementedError, match="in another transformation") as caught:
            call()
        assert "  Fix: make the Ref inside" in str(caught.value)
    assert r[...].tolist() == [0, 0]


def test_dtypes_are_kept():
    r = pb.new_ref(jnp.zeros(2, jnp.int32))
    with pytest.raises(ValueError, match="must have its dtype"):
        r[0] = jnp.float32(1.0)
    r[0] = 2
    assert r[...].dtype == jnp.int32 and not r[...].weak_type


def test_ds():
    r = pb.new_ref(jnp.arange(6).reshape(2, 3))
    for start in (1, jnp.array(1)):
        assert r[0, pb.ds(start, 2)].tolist() == [1, 2]
        assert pb.jit(lambda i: pb.new_ref(jnp.arange(5))[pb.ds(i, 2, 2)])(start).tolist() == [1, 3]
    assert r[pb.ds(2), 1].tolist() == [1, 4] and r[pb.ds(None), 0].tolist() == [0, 3]
    r[0, pb.ds(jnp.array(1), 2)] = 7
    assert r[...].tolist() == [[0, 7, 7], [3, 4, 5]]
    with pytest.raises(NotImplementedError, match="at most one array"):
        r[pb.ds(jnp.array(0), 1), pb.ds(jnp.array(0), 1)]
    with pytest.raises(ValueError, match="whole axis"):
        pb.ds(None, 2)


# ---- what there is only one of


ALONE = """
from pullback import distributed
assert not distributed.is_initialized()
distributed.initialize("localhost:0", 1, 0)
assert distributed.is_initialized()
try:
    distributed.initialize()
except RuntimeError as mistake:
    print(mistake)
distributed.shutdown()
print(distributed.is_initialized())
"""


def test_distributed():
    # In a process of its own: others may have used XLA's devices, which comes too late then.
    run = subprocess.run(
        [sys.executable, "-c", ALONE], capture_output=True, text=True, timeout=550, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "only be called once" in run.stdout
    assert run.stdout.endswith("False\n")
    with pytest.raises(ValueError, match="does not know coordinator_address"):
        distributed.initialize(num_processes=2, process_id=1)
