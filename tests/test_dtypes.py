"""Dtypes: all of ml_dtypes', the promotion of every pair beside JAX's, and random keys."""

from __future__ import annotations

import contextlib
import copy
import itertools
import pickle

import ml_dtypes
import numpy as np
import peer
import pytest
from forced import by_name

import pullback as pb
import pullback.numpy as jnp
from pullback import dtypes, lax, random
from pullback.core import dtypes as core
from pullback.core.settings import enable_x64
from pullback.ops import elementwise

SMALL = ["int1", "int2", "int4", "uint1", "uint2", "uint4", "bfloat16",
         "float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn", "float8_e3m4", "float8_e4m3",
         "float8_e4m3b11fnuz", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2",
         "float8_e5m2fnuz", "float8_e8m0fnu"]  # fmt: skip
NUMPYS = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
          "float16", "float32", "float64", "complex64", "complex128"]  # fmt: skip
ALL = NUMPYS + SMALL


def numpy_dtype(name):
    return np.dtype(getattr(ml_dtypes, name, name))


# ---- every dtype


NOT_IN_STABLEHLO = ("int1", "uint1", "float6_e2m3fn", "float6_e3m2fn")


def written(names):
    """Those that StableHLO has, when jit is forced to XLA."""
    return by_name(names, NOT_IN_STABLEHLO, "StableHLO has not this dtype")


@pytest.mark.parametrize("name", written(ALL))
def test_a_dtype_has_its_name_and_makes_arrays(name):
    scalar, dtype = getattr(jnp, name), numpy_dtype(name)
    assert np.dtype(scalar) == dtype == scalar and scalar.__name__.startswith(name)
    with pb.enable_x64():
        values = [1, 2, 1] if name == "float8_e8m0fnu" else [1, 0, 1]
        made = jnp.asarray(values, dtype)
        assert made.dtype == dtype and scalar(1).dtype == dtype
        assert jnp.zeros((2, 0), scalar).dtype == dtype
        np.testing.assert_array_equal(np.asarray(made), np.array(values).astype(dtype))
        back = made.astype(jnp.complex64)
        np.testing.assert_array_equal(back, np.array(values).astype(dtype).astype(np.complex64))
        assert pb.jit(lambda x: x[::-1])(made).dtype == dtype
        assert core.short_name(dtype) in str(pb.make_jaxpr(lambda x: x[0])(made))


NARROW = [n for n in SMALL if n not in ("float8_e8m0fnu",)]
"""float8_e8m0fnu has powers of two only: neither 0 nor negative numbers."""

OPERATIONS = {
    "add": (lambda x, y: x + y, lambda x, y: x + y),
    "multiply": (lambda x, y: x * y, lambda x, y: x * y),
    "maximum": (jnp.maximum, np.maximum),
    "less": (lambda x, y: x < y, lambda x, y: x < y),
    "equal": (lambda x, y: x == y, lambda x, y: x == y),
    "where": (lambda x, y: jnp.where(x > y, x, y), lambda x, y: np.where(x > y, x, y)),
    "concatenate": (lambda x, y: jnp.concatenate([x, y]), lambda x, y: np.concatenate([x, y])),
    "index": (lambda x, y: x[jnp.array([1, 0])], lambda x, y: x[np.array([1, 0])]),
    "sort": (lambda x, y: jnp.sort(x), lambda x, y: np.sort(x)),
    "argmax": (lambda x, y: jnp.argmax(x), lambda x, y: np.argmax(x)),
    "max": (lambda x, y: jnp.max(x), lambda x, y: np.max(x)),
    "set": (lambda x, y: x.at[0].set(y[1]), lambda x, y: np.array([y[1], *x[1:]])),
    "reshape": (lambda x, y: jnp.outer(x, y).reshape(-1), lambda x, y: np.outer(x, y).reshape(-1)),
}


@pytest.mark.parametrize("name", written(NARROW))
@pytest.mark.parametrize("operation", OPERATIONS)
def test_operations_on_small_dtypes(name, operation):
    """Small numbers are exact in float32, where NumPy computes; the results are rounded."""
    dtype = numpy_dtype(name)
    x, y = (np.array(v).astype(dtype) for v in ([1, 0, 1], [0, 1, 1]))
    ours, numpys = OPERATIONS[operation]
    want = numpys(x.astype(np.float32), y.astype(np.float32))
    for function in (ours, pb.jit(ours)):
        got = function(jnp.asarray(x), jnp.asarray(y))
        want_dtype = want.dtype if want.dtype.kind in "bi" else dtype
        if operation != "argmax":
            assert got.dtype == want_dtype
        rounded = want.astype(dtype) if want.dtype.kind == "f" else want
        np.testing.assert_array_equal(
            np.asarray(got).astype(np.float32), rounded.astype(np.float32)
        )


@pytest.mark.parametrize("name", [n for n in SMALL if "float" in n and n != "float8_e8m0fnu"])
def test_derivatives_of_small_floats(name):
    x = jnp.asarray([1.0, 0.5], numpy_dtype(name))
    got = pb.grad(lambda v: (v * v).sum().astype(jnp.float32))(x)
    assert got.dtype == x.dtype
    np.testing.assert_array_equal(np.asarray(got, np.float32), [2.0, 1.0])


def test_limits():
    assert jnp.finfo("bfloat16").eps == 2**-7 and jnp.finfo(jnp.float4_e2m1fn).max == 6
    assert jnp.iinfo(jnp.int4).min == -8 and jnp.iinfo("uint2").max == 3
    assert jnp.finfo(jnp.complex64).eps == np.finfo(np.float32).eps
    assert jnp.finfo(jnp.ones(2)).bits == 32
    with pytest.raises(ValueError, match="not inexact"):
        jnp.finfo("int32")


# ---- promotion


def candidates(x64):
    """All dtypes that arrays have, strong; and the Python numbers, which are weak."""
    strong = [numpy_dtype(n) for n in ALL]
    kept = [d for d in strong if x64 or core.canonical(d) == d]
    return [np.zeros((), d) for d in kept] + [1, 1.0, 1j]


@pytest.mark.skipif(not peer.INSTALLED, reason="the real JAX is not installed")
@pytest.mark.parametrize("mode", ["standard", "strict"])
@pytest.mark.parametrize("x64", [False, True])
def test_every_pair_promotes_as_in_jax(mode, x64):
    import jax

    different = []
    with contextlib.ExitStack() as stack:
        for library in (pb, jax):
            stack.enter_context(library.enable_x64(x64))
            stack.enter_context(library.numpy_dtype_promotion(mode))
        for x, y in itertools.product(candidates(x64), repeat=2):
            found = []
            for library in (pb, jax):
                refusal = library.dtypes.TypePromotionError
                try:
                    pair = library.dtypes.result_type(x, y, return_weak_type_flag=True)
                except refusal:
                    found.append("TypePromotionError")
                else:
                    found.append((np.dtype(pair[0]).name, pair[1]))
            if found[0] != found[1]:
                different.append((np.asarray(x).dtype, np.asarray(y).dtype, *found))
    assert not different


RANKS = [
    lambda: jnp.ones(3) + jnp.ones((2, 3)),
    lambda: jnp.isclose(jnp.ones(3), jnp.ones((2, 3))),
    lambda: jnp.maximum(jnp.ones(3), jnp.ones((2, 3))),
    lambda: jnp.arctan2(jnp.ones(3), jnp.ones((2, 3))),
]


@pytest.mark.parametrize("call", RANKS)
def test_rank_promotion(call):
    want = call()
    with pb.numpy_rank_promotion("raise"):
        with pytest.raises(ValueError, match=r"not be broadcast together: .* promote"):
            call()
        assert (jnp.ones((2, 3)) + 1.0).shape == (2, 3)
        assert (jnp.ones((2, 3)) * jnp.ones((1, 3))).shape == (2, 3)
    with pb.numpy_rank_promotion("warn"), pytest.warns(UserWarning, match="promote the rank"):
        assert call().tolist() == want.tolist()


# ---- pullback.dtypes

QUESTIONS = [
    "D.canonicalize_dtype('float64')",
    "D.canonicalize_dtype(int)",
    "D.canonicalize_dtype(key.dtype)",
    "D.canonicalize_dtype('no such')",
    *[f"D.itemsize_bits('{n}')" for n in ("int4", "float32", "bool", "complex128")],
    "D.itemsize_bits(jnp.float4_e2m1fn)",
    "D.itemsize_bits(key.dtype)",
    "D.result_type(1, return_weak_type_flag=True)",
    "D.result_type(1, np.int8(1), return_weak_type_flag=True)",
    "D.result_type(np.int32)",
    "D.result_type()",
    *[f"D.scalar_type_of({x})" for x in ("1", "True", "1j", "'int8'", "jnp.bfloat16", "'x'")],
    "D.float0",
    "jnp.issubdtype(D.float0, np.generic)",
    "jnp.issubdtype(D.prng_key, D.extended)",
    "jnp.issubdtype(key.dtype, D.prng_key)",
    "jnp.issubdtype(key.dtype, D.extended)",
    "jnp.issubdtype(key.dtype, np.integer)",
    "jnp.issubdtype('float32', D.extended)",
    "jnp.issubdtype(jnp.bfloat16, np.floating)",
    "jnp.issubdtype('int4', jnp.signedinteger)",
    "jnp.issubdtype(np.float32, np.float64)",
    "jnp.isdtype(jnp.bfloat16, 'real floating')",
    "jnp.isdtype(jnp.int4, ('integral', 'bool'))",
    "jnp.isdtype(jnp.float32, 'foo')",
    "jnp.promote_types('int4', 'int8')",
    "jnp.promote_types('int8', 'uint8')",
    "key.dtype.type.__name__",
    "(key.itemsize, key.nbytes, key.size, key.ndim, key.shape)",
    "isinstance(key, type(key)) and not isinstance(1.0, type(key))",
]


@pytest.mark.skipif(not peer.INSTALLED, reason="the real JAX is not installed")
@pytest.mark.parametrize("question", QUESTIONS)
def test_answers_are_those_of_jax(question):
    import jax

    answers = []
    for library in (jax, pb):
        names = {
            "D": library.dtypes,
            "jnp": library.numpy,
            "np": np,
            "key": library.random.key(0),
        }
        try:
            answers.append(eval(question, names))
        except (TypeError, ValueError) as problem:
            answers.append(type(problem).__name__)
    assert answers[0] == answers[1]


# ---- random keys: what moves keys moves their bits

KEYS = random.split(random.key(3), 6)

MOVES = {
    "index": lambda x, m: x[2],
    "slice": lambda x, m: x[1:4:2],
    "by array": lambda x, m: x[m.array([5, 0])],
    "new axis": lambda x, m: x[None, :3],
    "reshape": lambda x, m: m.stack([x[i] for i in (0, 2, 1)]),
    "concatenate": lambda x, m: m.concatenate([x, x[:2]]),
    "expand_dims": lambda x, m: m.expand_dims(x, 0),
    "repeat": lambda x, m: m.repeat(x, 2, axis=0),
    "roll": lambda x, m: m.roll(x, 1, axis=0),
    "flip": lambda x, m: m.flip(x, axis=0),
    "take": lambda x, m: m.take(x, m.array([1, 1]), axis=0),
    "split": lambda x, m: m.split(x, 2)[1],
    "zeros": lambda x, m: m.zeros_like(x),
}


@pytest.mark.parametrize("name", MOVES)
def test_moving_keys_moves_their_bits(name):
    want = MOVES[name](np.asarray(random.key_data(KEYS)), np)
    for function in (MOVES[name], pb.jit(MOVES[name], static_argnums=1)):
        got = function(KEYS, jnp)
        assert jnp.issubdtype(got.dtype, dtypes.prng_key)
        np.testing.assert_array_equal(random.key_data(got), want)


def test_shapes_of_keys():
    data = np.asarray(random.key_data(KEYS)).reshape(2, 3, 2)
    square = KEYS.reshape(2, 3)
    for got in (square, jnp.reshape(KEYS, (2, 3)), square.T.T, jnp.moveaxis(square.T, 0, 1)):
        np.testing.assert_array_equal(random.key_data(got), data)
    assert jnp.broadcast_to(KEYS[0], (2, 2)).shape == (2, 2)
    assert jnp.full((3,), KEYS[0]).shape == (3,) and jnp.array([KEYS[0]] * 2).shape == (2,)
    assert [k.shape for k in KEYS] == [()] * 6 and len(KEYS) == 6
    chosen = jnp.where(jnp.arange(6) > 2, KEYS, KEYS[0])
    assert (chosen == KEYS).tolist() == [True, False, False, True, True, True]
    assert (KEYS.at[0].set(KEYS[1]) == KEYS[1]).tolist() == [True, True] + [False] * 4
    assert (KEYS[2] != KEYS).sum() == 5


def test_keys_go_through_transformations():
    bits = [random.bits(k) for k in KEYS]
    assert pb.vmap(random.bits)(KEYS).tolist() == bits
    assert lax.map(random.bits, KEYS).tolist() == bits
    last, scanned = lax.scan(lambda c, k: (k, random.bits(k)), KEYS[0], KEYS)
    assert scanned.tolist() == bits and last == KEYS[-1]
    assert pb.vmap(lambda a, b: a == b, (0, None))(KEYS, KEYS[1]).tolist() == [
        False, True, False, False, False, False,
    ]  # fmt: skip
    assert lax.cond(True, lambda k: k, lambda k: KEYS[1], KEYS[0]) == KEYS[0]
    assert pb.grad(lambda x, k: x * random.normal(k))(1.0, KEYS[0]) == random.normal(KEYS[0])
    assert "key<fry>[6]" in str(pb.make_jaxpr(lambda k: k[0])(KEYS))
    for same in (copy.copy(KEYS), copy.deepcopy(KEYS), pickle.loads(pickle.dumps(KEYS))):
        assert (same == KEYS).all() and jnp.issubdtype(same.dtype, dtypes.prng_key)
    assert random.wrap_key_data(random.key_data(KEYS))[3] == KEYS[3]
    assert random.key_impl(KEYS) == "threefry2x32" and random.clone(KEYS[0]) == KEYS[0]


NOT_NUMBERS = [
    lambda: KEYS + 1,
    lambda: -KEYS,
    lambda: KEYS < KEYS,
    lambda: KEYS == 1,
    lambda: jnp.sum(KEYS),
    lambda: KEYS.max(),
    lambda: jnp.sort(KEYS),
    lambda: jnp.sin(KEYS),
    lambda: KEYS.astype("uint32"),
    lambda: KEYS.view("uint32"),
    lambda: jnp.asarray(KEYS, "uint32"),
    lambda: jnp.ones(2).astype(KEYS.dtype),
    lambda: jnp.pad(KEYS, 1),
    lambda: np.asarray(KEYS),
    lambda: bool(KEYS[0]),
    lambda: float(KEYS[0]),
    lambda: jnp.result_type(KEYS, 1),
    lambda: KEYS.at[0].add(KEYS[1]),
    lambda: pb.grad(lambda k: 1.0)(KEYS[0]),
]


@pytest.mark.parametrize("call", NOT_NUMBERS)
def test_keys_are_no_numbers(call):
    with pytest.raises(TypeError):
        call()


def test_keys_print_as_in_jax():
    key = random.key(0)
    assert repr(key) == "Array((), dtype=key<fry>) overlaying:\n[0 0]"
    assert f"{key}" == str(key) == repr(key)


INTEGER_OPERATIONS = {
    "neg": lax.neg, "abs": lax.abs, "sign": lax.sign, "not": lax.bitwise_not,
    "square": lax.square, "and": lax.bitwise_and, "or": lax.bitwise_or, "xor": lax.bitwise_xor,
    "left": lax.shift_left, "right": lax.shift_right_arithmetic,
    "logical": lax.shift_right_logical, "max": lax.max, "min": lax.min, "add": lax.add,
    "sub": lax.sub, "mul": lax.mul, "div": lax.div, "rem": lax.rem,
}  # fmt: skip


def by_definition(name, x, y, bits, signed):
    """The meaning of an operation on integers of `bits` bits, in Python's own integers."""
    unsigned = x % 2**bits
    value = {
        "neg": lambda: -x, "abs": lambda: abs(x), "sign": lambda: (x > 0) - (x < 0),
        "not": lambda: ~x, "square": lambda: x * x, "and": lambda: x & y, "or": lambda: x | y,
        "xor": lambda: x ^ y, "left": lambda: x << y, "max": lambda: max(x, y),
        "right": lambda: (unsigned - 2**bits * (unsigned >= 2 ** (bits - 1))) >> y,
        "logical": lambda: unsigned >> y, "min": lambda: min(x, y), "add": lambda: x + y,
        "sub": lambda: x - y, "mul": lambda: x * y,
        "div": lambda: abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1),
        "rem": lambda: abs(x) % abs(y) * (-1 if x < 0 else 1),
    }[name]()  # fmt: skip
    value %= 2**bits
    return value - 2**bits if signed and value >= 2 ** (bits - 1) else value


@pytest.mark.parametrize("dtype", ["int1", "int2", "int4", "uint1", "uint2", "uint4"])
@pytest.mark.parametrize("name", INTEGER_OPERATIONS)
def test_narrow_integers_wrap_around(name, dtype):
    limits, operation = jnp.iinfo(dtype), INTEGER_OPERATIONS[name]
    numbers = range(int(limits.min), int(limits.max) + 1)
    seconds = [1] if name in ("neg", "abs", "sign", "not", "square") else numbers
    if name in ("left", "right", "logical"):
        seconds = [y for y in numbers if 0 <= y < limits.bits]
    pairs = [(x, y) for x in numbers for y in seconds if y or name not in ("div", "rem")]
    if name == "abs" and limits.min == 0:
        return  # absolute values are of signed numbers only
    x, y = (jnp.asarray(v, numpy_dtype(dtype)) for v in zip(*pairs))
    got = operation(x) if len(seconds) == 1 and seconds == [1] else operation(x, y)
    assert got.dtype == x.dtype
    want = [by_definition(name, a, b, int(limits.bits), limits.min < 0) for a, b in pairs]
    assert np.asarray(got).astype(int).tolist() == want


WEAK_RESULTS = {
    "hypot": lambda j, x, w: j.hypot(x, w),
    "logaddexp2": lambda j, x, w: j.logaddexp2(x, w),
    "heaviside": lambda j, x, w: [j.heaviside(x, w), j.heaviside(w, x)],
    "gcd": lambda j, x, w: [j.gcd(x, 2), j.lcm(x, 2), j.gcd(2, 2)],
    "logical_and": lambda j, x, w: [j.logical_and(x, w), j.logical_and(w, w)],
    "isin": lambda j, x, w: j.isin(x, w),
    "dot": lambda j, x, w: [j.dot(x > 0, w), j.inner(x > 0, w), j.vdot(w, w)],
    "polyval": lambda j, x, w: j.polyval(x, w),
    "diagflat": lambda j, x, w: j.diagflat(w),
    "insert": lambda j, x, w: j.insert(w, 0, x),
    "sort_complex": lambda j, x, w: j.sort_complex(x),
    "outer": lambda j, x, w: j.outer(x, x),
}
"""Functions of an array and a weak number: what their results are was once wrong."""


@pytest.mark.skipif(not peer.INSTALLED, reason="the real JAX is not installed")
@pytest.mark.parametrize("name", WEAK_RESULTS)
def test_weak_numbers_beside_arrays(name):
    import jax

    def described(library, dtype, number):
        numpy = library.numpy

        def call(x):
            return WEAK_RESULTS[name](numpy, x, number)

        x = numpy.asarray(np.ones(3, dtype))
        outs = library.tree.leaves(library.eval_shape(call, x))
        return [(y.shape, y.dtype, y.weak_type) for y in outs]

    for x64 in (False, True):
        with jax.enable_x64(x64), pb.enable_x64(x64):
            for dtype, number in itertools.product(["bool", "int32"], [2, 1.5]):
                assert described(pb, dtype, number) == described(jax, dtype, number)


def test_bools_in_products_are_the_same_under_jit():
    x = jnp.array([True, False])
    assert jnp.inner(jnp.ones(3, "int8"), 2).dtype == np.int8
    for function in (jnp.outer, jnp.kron, jnp.polyval):
        out = function(x, x)
        np.testing.assert_array_equal(out, pb.jit(function)(x, x))
        assert out.dtype == bool
    z = jnp.array([1.0 + 1.0j, 2.0])
    np.testing.assert_array_equal(pb.jit(jnp.digitize)(z, z), jnp.digitize(z, z))


@pytest.mark.parametrize("new", [np.int64, np.uint64])
@pytest.mark.parametrize("old", ["bfloat16", "float16", "float32", "float64"])
def test_floats_as_integers_of_64_bits(old, new):
    """Limits of 64 bits have no equal among floats."""
    with enable_x64():
        x = jnp.array([1.5, -2.5, 0.0, 300.0], old)
        wanted = np.array([1, -2, 0, 300]) if new is np.int64 else np.array([1, 0, 0, 300])
        assert np.array_equal(x.astype(new), wanted.astype(new))
        far = jnp.array([np.nan, np.inf, -np.inf], old).astype(new)
        assert np.array_equal(far, np.array([0, np.iinfo(new).max, np.iinfo(new).min], new))
        # NumPy's engine compares scalars with the limits.
        convert = elementwise.convert_element_type.eval
        for number in (1.5, -2.5, 300.0):
            one = convert(
                np.asarray(x)[np.asarray(x) == number][0], new_dtype=np.dtype(new), weak_type=False
            )
            assert one == (max(int(number), 0) if new is np.uint64 else int(number))
