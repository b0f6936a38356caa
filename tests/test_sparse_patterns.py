"""Patterns found from programs miss no nonzero, of any primitive, of any random program; and of
functions whose patterns are known they are exactly these."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from programs import LOOPS, STAGED, programs
from properties import arrays, function_of, generator, label, push, values
from test_random_programs import function_of as run_of
from test_random_programs import total_of, tried

import pullback
import pullback.numpy as jnp
from examples import EXAMPLES
from pullback import lax, sparse
from pullback.core import dtypes
from pullback.core.array import HostArray
from pullback.core.primitive import Absent, Primitive
from pullback.core.program import trace_program
from pullback.core.trace import type_of
from pullback.ops.elementwise import add
from pullback.ops.structural import zeros
from pullback.sparse.index_sets import singletons
from pullback.sparse.propagation import CONTROL, RULES, propagate, rule_of
from pullback.sparse.structure import tangent_pattern
from pullback.sparse.values import Value
from pullback.transforms import batch, reverse

pytestmark = pytest.mark.usefixtures("x64")


# ---- every primitive


CASES = [(e, d) for e in EXAMPLES if e.order for d in e.derivative_dtypes]
FAMILIES = sorted({e.primitive.name for e, _ in CASES})


def of_family(name):
    for example, dtype in CASES:
        if example.primitive.name == name:
            function, args, count = inexact_first(example, dtype)
            if 0 < sum(x.size for x in args[:count]) <= 60:
                yield label(example, dtype), function, args, count


def test_examples_reach_every_rule():
    met = {e.primitive for e, _ in CASES}
    without = {p for p in (*CONTROL, *RULES) if p not in met}
    # These have no derivative of their own, or examples of integers only.
    assert {p.name for p in without} <= {"stop_gradient", "floor", "ceil", "round", "custom_lin"}


def inexact_first(example, dtype):
    """The example as a function of its inexact arguments, then the others."""
    args = arrays(example.args(dtype))
    order = sorted(range(len(args)), key=lambda i: not dtypes.is_inexact(args[i].dtype))
    call = function_of(example, dtype)

    def function(*xs):
        back = [None] * len(xs)
        for i, x in zip(order, xs, strict=True):
            back[i] = x
        return call(*back)

    count = sum(dtypes.is_inexact(x.dtype) for x in args)
    return function, [args[i] for i in order], count


def dense_jacobian(function, args, count):
    """Rows of inexact results; a column for each element of the first `count` arguments."""
    total, start, basis = sum(x.size for x in args[:count]), 0, []
    for x in args[:count]:
        part = np.zeros((total, x.size), x.dtype)
        part[np.arange(start, start + x.size), np.arange(x.size)] = 1
        basis.append(HostArray(part.reshape(total, *x.shape)))
        start += x.size
    if not total:
        return None
    rest = [None] * (len(args) - count)
    outs, axes = batch.vmap(
        lambda *ts: push(function, args, [*ts, *rest]), total, basis, [0] * count
    )
    columns = []
    for y, axis in zip(values(outs), axes, strict=True):
        y = np.broadcast_to(y, (total, *y.shape)) if axis is None else np.moveaxis(y, axis, 0)
        columns.append(y.reshape(total, int(np.prod(y.shape[1:]))))
    return np.concatenate(columns, 1).T if columns else None


def check_sound(where, found, out_types, dense):
    """Each nonzero of the dense Jacobian is in the pattern."""
    if dense is None:
        return
    rows = np.repeat([dtypes.is_inexact(t.dtype) for t in out_types], [t.size for t in out_types])
    found = found.toarray()[rows]
    missing = np.argwhere(np.isfinite(dense) & (dense != 0) & ~found)
    assert not len(missing), f"{where}: {len(missing)} nonzeros are missing, first {missing[0]}"


@pytest.mark.parametrize("family", FAMILIES)
def test_no_nonzero_of_a_tangent_is_missing(family):
    for where, function, args, count in of_family(family):
        found = tangent_pattern(function, [type_of(x) for x in args], count)
        check_sound(where, *found, dense_jacobian(function, args, count))


@pytest.mark.parametrize("family", FAMILIES)
def test_no_nonzero_is_missing_where_the_other_arguments_are_known(family):
    """Indices, masks and factors are then constants, which rules look at."""
    for where, function, args, count in of_family(family):
        for i in range(count):

            def alone(x, i=i, function=function, args=args):
                return function(*args[:i], x, *args[i + 1 :])

            found = tangent_pattern(alone, [type_of(args[i])], 1)
            check_sound(f"{where} by argument {i}", *found, dense_jacobian(alone, [args[i]], 1))


@pytest.mark.parametrize("family", FAMILIES)
def test_no_nonzero_is_missing_of_what_a_program_itself_says(family):
    """The rules of the primitives themselves, also of those that no tangent consists of."""
    for where, function, args, count in of_family(family):
        types, total, start = [type_of(x) for x in args], sum(x.size for x in args[:count]), 0
        program = trace_program(function, types)
        inputs = []
        for i, t in enumerate(types):
            inputs.append(Value(t, singletons(t.shape, start, total) if i < count else None))
            start += t.size
        parts = []
        for v in propagate(program, inputs):
            none = scipy.sparse.csr_array((v.aval.size, total), dtype=bool)
            parts.append(none if v.sets is None else v.sets.matrix())
        found = scipy.sparse.vstack(parts, format="csr")
        check_sound(where, found, program.out_avals, dense_jacobian(function, args, count))


def test_a_rule_that_misses_something_would_be_found():
    (where, function, args, count) = next(of_family("cumsum"))
    found, types = tangent_pattern(function, [type_of(x) for x in args], count)
    dense = dense_jacobian(function, args, count)
    found.data[-1] = False
    found.eliminate_zeros()
    with pytest.raises(AssertionError, match="1 nonzeros are missing"):
        check_sound(where, found, types, dense)


# ---- random programs


@tried(100)
@given(programs(also=[*STAGED, *LOOPS]))
def test_random_programs(program):
    function, args = run_of(program), arrays(program.arguments(generator()))
    count = len(args)
    found = tangent_pattern(function, program.avals, count)
    check_sound(program, *found, dense_jacobian(function, args, count))


@tried(40)
@given(programs(steps=8, also=[*STAGED, *LOOPS]))
def test_second_derivatives_of_random_programs(program):
    total, args = total_of(program), arrays(program.arguments(generator()))
    count = len(args)

    def gradient(*xs):
        _, tape, places = reverse.linearize(total, xs, [True] * count)
        back = tape.pull(places, [HostArray(np.float64(1))])
        return [zeros(type_of(x)) if ct is None else ct for x, ct in zip(xs, back, strict=True)]

    found = tangent_pattern(gradient, program.avals, count)
    check_sound(program, *found, dense_jacobian(gradient, args, count))


# ---- patterns that are known


def of(f, n=6):
    return sparse.pattern(f)(jnp.ones(n)).toarray().astype(int)


def rows(text):
    return np.array([[int(c) for c in line] for line in text.split()])


EYE = "100000 010000 001000 000100 000010 000001"
LOWER = "100000 110000 111000 111100 111110 111111"
SHIFTED = "010000 001000 000100 000010 000001 000001"
INDEX = np.array([1, 1, 3])


@pytest.mark.parametrize(
    ("f", "want"),
    [
        pytest.param(jnp.sin, EYE, id="elementwise"),
        pytest.param(jnp.cumsum, LOWER, id="cumsum"),
        pytest.param(jnp.sum, "111111", id="sum"),
        pytest.param(lambda x: x / jnp.sum(x), "\n".join(["111111"] * 6), id="dense"),
        pytest.param(
            lambda x: x * np.array([1.0, 0, 2, 0, 0, 3]),
            "100000 000000 001000 000000 000000 000001",
            id="constant zeros",
        ),
        pytest.param(
            lambda x: jnp.where(np.arange(6) < 3, x, x[::-1]),
            "100000 010000 001000 001000 010000 100000",
            id="known mask",
        ),
        pytest.param(
            lambda x: jnp.where(x < 3, x, x[::-1]),
            "100001 010010 001100 001100 010010 100001",
            id="unknown mask",
        ),
        pytest.param(lambda x: x[INDEX], "010000 010000 000100", id="gather"),
        pytest.param(
            lambda x: x.at[INDEX].add(x[:3]),
            "100000 110000 001000 001100 000010 000001",
            id="scatter-add",
        ),
        pytest.param(
            lambda x: x.at[INDEX].set(x[:3]),
            "100000 110000 001000 001000 000010 000001",
            id="scatter",
        ),
        pytest.param(
            lambda x: jnp.sort(x.reshape(2, 3)),
            "111000 111000 111000 000111 000111 000111",
            id="sort",
        ),
        pytest.param(
            lambda x: jnp.convolve(x, np.array([1.0, 0.0, 2.0]), "same"),
            "010000 101000 010100 001010 000101 000010",
            id="convolution with a zero",
        ),
        pytest.param(
            lambda x: np.diag([1.0, 0, 1, 1, 0, 1]) @ x,
            "100000 000000 001000 000100 000000 000001",
            id="product with a constant matrix",
        ),
        pytest.param(
            lambda x: jnp.floor(x) + lax.stop_gradient(x), "000000 " * 6, id="no derivative"
        ),
        pytest.param(lambda x: jnp.argmax(x) * 1.0, "000000", id="argmax"),
        pytest.param(
            lambda x: pullback.vmap(jnp.linalg.det)(jnp.stack([x[:4], x[2:]]).reshape(2, 2, 2)),
            "111100 001111",
            id="a stack of matrices",
        ),
        pytest.param(
            lambda x: jnp.fft.rfft(x.reshape(2, 3)).real, "111000 111000 000111 000111", id="fft"
        ),
        pytest.param(
            lambda x: lax.dynamic_slice(x, (jnp.int32(x[0]),), (2,)),
            "111111 111111",
            id="unknown index",
        ),
        pytest.param(
            lambda x: lax.dynamic_update_slice(x, x[:1] * 2, (jnp.int32(x[0]),)),
            "100000 110000 101000 100100 100010 100001",
            id="update at an unknown index",
        ),
        pytest.param(
            lambda x: lax.reduce_window(x, 0.0, lax.add, (2,), (2,), "VALID"),
            "110000 001100 000011",
            id="windows",
        ),
        pytest.param(
            lambda x: lax.fori_loop(0, 5, lambda i, y: y.at[i].set(2 * y[i + 1]), x),
            SHIFTED,
            id="fori_loop",
        ),
        pytest.param(lambda x: lax.scan(lambda c, e: (c * e, c * e), 1.0, x)[1], LOWER, id="scan"),
        pytest.param(
            lambda x: lax.scan(lambda c, e: (c * e, c * e), 1.0, x, reverse=True)[1],
            "111111 011111 001111 000111 000011 000001",
            id="reversed scan",
        ),
        pytest.param(lambda x: lax.map(lambda e: e * e, x), EYE, id="map"),
        pytest.param(
            lambda x: lax.while_loop(lambda y: y[0] < 9, lambda y: 2 * y, x),
            EYE,
            id="while_loop, no mixing",
        ),
        pytest.param(
            lambda x: lax.while_loop(lambda y: y[5] < 9, lambda y: y.at[1:].add(y[:-1]), x),
            LOWER,
            id="while_loop, any number of rounds",
        ),
        pytest.param(
            lambda x: lax.cond(x[0] > 1, lambda y: y, lambda y: y[::-1], x),
            "100001 010010 001100 001100 010010 100001",
            id="cond",
        ),
        pytest.param(lambda x: pullback.jit(pullback.checkpoint(jnp.sin))(x), EYE, id="checkpoint"),
        pytest.param(lambda x: ROUNDED(x), EYE, id="custom_jvp: its rule counts"),
        pytest.param(lambda x: BACKWARD(x), SHIFTED, id="custom_vjp: its rule counts"),
    ],
)
def test_exact(f, want):
    np.testing.assert_array_equal(of(f), rows(want))


@pullback.custom_jvp
def ROUNDED(x):
    return jnp.round(x)


ROUNDED.defjvp(lambda primals, tangents: (ROUNDED(*primals), tangents[0]))


@pullback.custom_vjp
def BACKWARD(x):
    return jnp.append(x[1:], x[5])


BACKWARD.defvjp(
    lambda x: (BACKWARD(x), None), lambda _, ct: (jnp.append(0.0, ct[:5]).at[5].add(ct[5]),)
)


def test_long_loops_without_unrolling():
    n = 3000  # more rounds than are multiplied one by one
    x = jnp.ones(n)
    found = sparse.pattern(lambda x: lax.scan(lambda c, e: (c + 1, c * e), 1.0, x)[1])(x)
    assert found.nnz == n and (found != scipy.sparse.eye_array(n, dtype=bool)).nnz == 0
    found = sparse.pattern(lambda x: lax.scan(lambda c, e: (c, c[0] * e), x[:2], x)[1])(x)
    assert found.nnz == 2 * n - 1
    found = sparse.pattern(lambda x: lax.scan(lambda c, e: (c[::-1] * 2, e), x[:2], x)[0])(x)
    np.testing.assert_array_equal(found[:, :3].toarray(), rows("110 110"))
    assert found.nnz == 4  # a closure: it is not known that the number of rounds is even


def test_hessian_patterns():
    x = jnp.ones(5)
    pattern = sparse.pattern(lambda x: jnp.sum(x[1:] * x[:-1] ** 2), of="hessian")(x)
    np.testing.assert_array_equal(
        pattern.toarray(), rows("11000 11100 01110 00111 00010").astype(bool)
    )
    assert sparse.pattern(lambda x: jnp.sum(3 * x), of="hessian")(x).nnz == 0
    assert sparse.pattern(lambda x: jnp.sum(x) ** 2, of="hessian")(x).nnz == 25


def test_hessian_patterns_of_loops():
    """The counter is known backward too."""

    def chain(x):
        return lax.fori_loop(
            0, x.size - 1, lambda i, s: s + (x[i + 1] - x[i] ** 2) ** 2, jnp.float64(0)
        )

    x = jnp.ones(300)
    found = sparse.pattern(chain, of="hessian")(x)
    assert found.nnz == 3 * 300 - 2
    assert (abs(found.tocoo().row - found.tocoo().col) <= 1).all()

    def repeated(x):  # how often is not known
        limit = jnp.sum(x)
        start = (jnp.float64(0), x)
        rounds = lambda c: (c[0] + 1, jnp.sin(c[1]) * c[1])  # noqa: E731
        return jnp.sum(lax.while_loop(lambda c: c[0] < limit, rounds, start)[1])

    found = sparse.pattern(repeated, of="hessian")(x)
    assert found.nnz == 300 and (found != scipy.sparse.eye_array(300, dtype=bool)).nnz == 0


def test_large_and_dense_patterns_cost_little():
    n = 100_000
    x = pullback.ShapeDtypeStruct((n,), jnp.float64)
    assert sparse.pattern(lambda x: x[1:] - x[:-1] ** 2)(x).nnz == 2 * (n - 1)
    assert sparse.pattern(lambda x: jnp.mean(x / jnp.linalg.norm(x)))(x).nnz == n
    with pytest.raises(ValueError, match=r"the pattern has 10,000,000,000 nonzeros: too many"):
        sparse.pattern(lambda x: x / jnp.linalg.norm(x))(x)


def test_trees_and_several_arguments():
    def f(p, y):
        return {"a": p["w"] * y[0], "b": jnp.sum(y)}

    p, y = {"w": jnp.ones((2, 2)), "unused": jnp.ones(1)}, jnp.ones(2)
    found = sparse.pattern(f, argnums=(0, 1))(p, y).toarray().astype(int)
    # Columns: unused, w, y; rows: a, b.
    want = "0100010 0010010 0001010 0000110 0000011"
    np.testing.assert_array_equal(found, rows(want))
    np.testing.assert_array_equal(sparse.pattern(f, argnums=1)(p, y).toarray(), found[:, 5:])


class Mixing(Primitive):
    """A primitive of a user's own, of which nothing is said but its rules."""

    def typing(self, x):
        return x

    def eval(self, x):
        return x[::-1] * 2

    def jvp(self, primals, tangents, out):
        return self(*tangents)

    def transpose(self, ct, x):
        return [self(ct)]

    vmap = Absent("not needed")
    lower = Absent("not needed")


mixing = Mixing()


def test_unknown_primitives_are_dense():
    assert rule_of(mixing) is None
    np.testing.assert_array_equal(
        of(lambda x: jnp.append(x[0], mixing(x[:3])), 4), rows("1000 1110 1110 1110")
    )


class Doubling(Mixing):
    """One that other primitives can stand for."""

    def lower(self, x):
        return add(x, x)


doubling = Doubling()


def test_unknown_primitives_are_opened_if_others_say_what_they_mean():
    assert rule_of(doubling) is None
    np.testing.assert_array_equal(of(doubling), rows(EYE))
