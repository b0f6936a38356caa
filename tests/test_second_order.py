"""Every function of `numpy` and `nn` that has derivatives: first and second ones are right.

In float64 against central differences, in forward and reverse mode; and `vmap` against a loop.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import test_numpy_reductions
import test_numpy_searching
import test_numpy_shaping
from calls import Call, check_vmap

import pullback as pb
import pullback.numpy as jnp
from pullback import nn
from pullback.core.settings import enable_x64
from pullback.test_util import check_grads


def F(*shape):
    """Numbers on both sides of 0, all different and none near 0 or an integer."""
    count = int(np.prod(shape))
    values = 0.3 + 0.37 * np.arange(count) % 0.93 + 0.0013 * np.arange(count) ** 1.5
    signs = np.where(np.arange(count) % 3 == 1, -1.0, 1.0)
    return (values * signs).reshape(shape)


def P(*shape):
    """Positive numbers."""
    return np.abs(F(*shape)) + 0.1


def U(*shape):
    """Numbers in (0, 1)."""
    return 0.05 + 0.9 * np.abs(np.sin(3.1 * np.arange(1, 1 + int(np.prod(shape)))).reshape(shape))


def S(n):
    """A symmetric positive definite matrix."""
    a = np.sin(np.arange(n * n)).reshape(n, n)
    return a @ a.T + n * np.eye(n)


I32 = np.array([2, 0, 1], np.int32)

ONE = {
    "abs absolute fabs negative positive square conj conjugate real exp exp2 expm1 sin cos "
    "cosh tanh arcsinh asinh arctan atan sinc i0 sign floor ceil trunc rint deg2rad degrees rad2deg"
    " cbrt nan_to_num angle reciprocal copy modf round around tan sinh radians": F,
    "sqrt log log2 log10 log1p": P,
    "arcsin asin arccos acos arctanh atanh": U,
    "arccosh acosh": lambda *s: P(*s) + 1.5,
}
TWO = {
    "add subtract multiply maximum minimum fmax fmin logaddexp logaddexp2 hypot arctan2 atan2 "
    "copysign divide true_divide heaviside nextafter": (F, lambda *s: P(*s)[::-1]),
    "power pow float_power": (P, F),
    "mod remainder fmod floor_divide divmod": (lambda *s: 3 * F(*s), lambda *s: P(*s)[::-1] + 0.4),
}


def calls() -> list[Call]:
    found = []
    for names, make in ONE.items():
        found += [Call(name, make(5)) for name in names.split()]
    for names, (x, y) in TWO.items():
        found += [Call(name, x(5), y(5)) for name in names.split()]
        found += [Call(name, x(2, 1), y(3)) for name in names.split()[:1]]
    return found


A, B, V, W = F(3, 4), F(4, 2), F(4), F(3)
CONTRACTIONS = [
    Call("dot", A, B),
    Call("dot", V, V[::-1] + 1),
    Call("matmul", F(2, 3, 4), B),
    Call("inner", A, F(2, 4)),
    Call("outer", W, V),
    Call("vdot", V, V[::-1] + 1),
    Call("vecdot", A, F(3, 4) + 1),
    Call("matvec", A, V),
    Call("vecmat", W, A),
    Call("tensordot", A, B, axes=1),
    Call("kron", F(2, 2), F(2)),
    Call("cross", W, W[::-1]),
    Call("einsum", "ij,jk,k->i", A, B, F(2)),
    Call("einsum", "ii->i", F(3, 3)),
    Call("trace", F(3, 3)),
    Call("linalg.multi_dot", [A, B, F(2, 2)]),
]
SHAPES = [
    Call("diag", W),
    Call("diag", F(3, 3), k=1),
    Call("diagflat", F(2, 2)),
    Call("diagonal", A),
    Call("tril", A),
    Call("triu", A, k=1),
    Call("vander", W),
    Call("where", A > 0, A, 2.0 * A),
    Call("clip", A, -0.6, 0.6),
    Call("linspace", W, W + 2, 4),
    Call("logspace", W, W + 1, 3),
    Call("geomspace", P(3), P(3) + 2, 3),
    Call("meshgrid", W, V),
    Call("full_like", W, 2.0),
    Call("array", [W, W + 1]),
    Call("asarray", W),
    Call("full", (3,), W),
    Call("astype", W, float),
    Call("ldexp", W, I32),
    Call("piecewise", V, [V > 0], [jnp.sin, jnp.cos]),
    Call("apply_along_axis", lambda r: jnp.sin(r).sum(), 0, A),
    Call("apply_over_axes", jnp.sum, A, (0,)),
]
LINALG = [
    Call("linalg.cholesky", S(3)),
    Call("linalg.inv", S(3)),
    Call("linalg.det", S(3)),
    Call("linalg.slogdet", S(3)),
    Call("linalg.solve", S(3), W),
    Call("linalg.norm", A),
    Call("linalg.norm", A, 1),
    Call("linalg.norm", W, 3),
    Call("linalg.matrix_power", S(3) / 4, 3),
    Call("linalg.matrix_power", S(3), -2),
    Call("linalg.tensorsolve", S(4).reshape(2, 2, 2, 2), F(2, 2)),
    Call("linalg.tensorinv", S(4).reshape(2, 2, 2, 2)),
    Call("linalg.vector_norm", W),
    Call("linalg.matrix_norm", A),
    Call("linalg.outer", W, V),
    Call("linalg.cross", W, W[::-1]),
]


def C(*shape):
    """Complex numbers off the cuts of the functions below."""
    return F(*shape) * 0.6 + 1j * (0.2 + 0.3 * U(*shape))


COMPLEX_NAMES = """
    exp expm1 sin cos tan sinh cosh tanh sqrt log log1p log2 log10 arcsin arccos arctan arcsinh
    arccosh arctanh square reciprocal conj real imag abs angle negative exp2 sinc sign sum prod
    mean cumsum cumprod var std
"""
COMPLEX = [
    *[Call(name, C(4)) for name in COMPLEX_NAMES.split()],
    *[
        Call(name, C(4), C(4)[::-1] + 0.7)
        for name in ["multiply", "divide", "power", "logaddexp", "dot", "vdot"]
    ],
    Call("matmul", C(2, 3), C(3, 2)),
    Call("einsum", "ij,kj->ik", C(2, 3), F(4, 3)),
    Call("linalg.norm", C(2, 3)),
    Call("linalg.inv", S(3) + 0.3j * C(3, 3)),
    Call("linalg.det", C(3, 3)),
]


def _others() -> list[Call]:
    """Two calls of each function in the tables of other tests, with no two numbers equal."""
    found: dict[str, list[Call]] = {}
    for module in (test_numpy_reductions, test_numpy_searching, test_numpy_shaping):
        for call in module.CALLS:
            floats = [x for x in call.leaves() if x.dtype.kind == "f" and x.size]
            if call.vjp and floats and len(found.setdefault(call.name, [])) < 2:
                found[call.name].append(call)
    return [call for group in found.values() for call in group]


CALLS = [*calls(), *CONTRACTIONS, *SHAPES, *LINALG, *COMPLEX]


def _apart(x: np.ndarray) -> np.ndarray:
    """In float64, finite, and no two numbers equal: there is no derivative at a tie."""
    if x.dtype.kind not in "fc":
        return x
    wide = np.where(np.isfinite(x), x, 0.5).astype(
        np.complex128 if x.dtype.kind == "c" else np.float64
    )
    rank = np.argsort(np.argsort(wide.reshape(-1), kind="stable"), kind="stable")
    return wide + (1 + rank.reshape(x.shape)) * 0.0137


def check(call: Call) -> None:
    with enable_x64(True):
        leaves = [_apart(x) if call in OTHERS else x for x in call.leaves()]
        where = [i for i, x in enumerate(leaves) if x.dtype.kind in "fc"]

        def function(*floats):
            full = list(leaves)
            for i, x in zip(where, floats, strict=True):
                full[i] = x
            outs = call.flat(*full)
            return [y for y in outs if jnp.issubdtype(y.dtype, jnp.inexact)]

        check_grads(function, [leaves[i] for i in where], order=2)


OTHERS = _others()


@pytest.mark.parametrize("call", [*CALLS, *OTHERS], ids=repr)
def test_derivatives_to_second_order(call):
    check(call)


NN = {
    "celu elu gelu hard_sigmoid hard_silu hard_swish hard_tanh identity leaky_relu log_sigmoid "
    "mish relu relu6 selu sigmoid silu soft_sign softplus sparse_plus sparse_sigmoid squareplus "
    "swish tanh log_softmax softmax logsumexp logmeanexp standardize": (F(5) * 1.7,),
    "glu": (F(3, 4),),
    "log1mexp": (P(4),),
    "dot_product_attention": (F(1, 3, 2, 4), F(1, 5, 2, 4) + 0.2, F(1, 5, 2, 4) - 0.1),
}
NN = [(name, args) for names, args in NN.items() for name in names.split()]


@pytest.mark.parametrize("name, args", NN, ids=[name for name, _ in NN])
def test_derivatives_of_nn_to_second_order(name, args):
    function = getattr(nn, name)
    with enable_x64(True):
        check_grads(function, args, order=2)
        rows = [args, [x[::-1] for x in args]]
        got = pb.vmap(function)(*[jnp.stack(xs) for xs in zip(*rows, strict=True)])
        want = jnp.stack([function(*row) for row in rows])
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("call", CALLS, ids=repr)
def test_vmap_is_a_loop(call):
    with enable_x64(True):
        check_vmap(call)


PIECEWISE_CONSTANT = """
    allclose argwhere array_equal array_equiv bincount bitwise_and bitwise_count bitwise_invert
    bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor equal flatnonzero
    gcd greater greater_equal invert isclose iscomplex isfinite isinf isnan isneginf isposinf
    isreal lcm left_shift less less_equal logical_and logical_not logical_or logical_xor
    not_equal packbits right_shift signbit unpackbits spacing intersect1d setdiff1d setxor1d
    union1d unique_values
"""
"""Integers, bools or sets: their derivatives are 0 by type, or not what they are used for."""

WITHOUT_ARRAYS = """
    arange array_repr array_str bartlett blackman broadcast_shapes can_cast diag_indices
    einsum_path empty empty_like eye from_dlpack frombuffer fromfile fromfunction fromiter
    fromstring get_printoptions hamming hanning identity indices iscomplexobj isdtype isrealobj
    isscalar issubdtype iterable ix_ kaiser load mask_indices ndim ones ones_like printoptions
    promote_types ravel_multi_index result_type save savez set_printoptions shape size tri
    tril_indices triu_indices unravel_index zeros zeros_like frompyfunc vectorize frexp
"""
"""Nothing to differentiate in: they take shapes, types, functions or files. frexp has a test."""

ELSEWHERE = """
    polyfit roots
"""
"""Tested to second order with the linear algebra that they are made of."""


def named(*texts):
    return {name for text in texts for name in text.split()}


def test_no_function_is_left_out():
    record = json.loads((Path(__file__).parent / "surface" / "names.json").read_text())
    functions = {
        name
        for name in record["modules"]["jax.numpy"]
        if callable(getattr(jnp, name)) and not isinstance(getattr(jnp, name), type)
    }
    tested = {call.name for call in [*CALLS, *OTHERS]}
    assert functions - tested - named(PIECEWISE_CONSTANT, WITHOUT_ARRAYS, ELSEWHERE) == set()
    modern = {n for n in record["modules"]["jax.nn"] if callable(getattr(nn, n))}
    assert modern - {name for name, _ in NN} <= {"one_hot", *SCALED}


SCALED = ("get_scaled_dot_general_config", "scaled_dot_general", "scaled_matmul")
"""Quantised products: their derivatives are straight-through estimates, tested with them."""
