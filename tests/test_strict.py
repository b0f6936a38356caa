"""No function mixes dtypes or ranks inside: what the user's strict modes refuse is the user's own.

Each public function is called with arrays of one float dtype and one rank, in every way of a list
that it takes. What works must work with strict promotion and without rank promotion too, and with
the same result.
"""

from __future__ import annotations

import importlib
import inspect
import warnings

import numpy as np
import pytest

import pullback as pb
import pullback.numpy as jnp
from pullback import random
from pullback.tree import leaves

MODULES = [
    "numpy", "numpy.fft", "numpy.linalg", "lax", "lax.linalg", "nn", "random", "segments",
    "scipy.cluster.vq", "scipy.fft", "scipy.integrate", "scipy.linalg", "scipy.ndimage",
    "scipy.signal", "scipy.special", "scipy.stats",
]  # fmt: skip

KEY = random.key(0)
ROW, SQUARE, CUBE, NUMBER = (
    jnp.asarray(np.random.default_rng(len(s)).uniform(0.2, 0.8, s).astype(np.float32))
    for s in ((3,), (3, 3), (2, 2, 3), ())
)
POSITIVE = jnp.asarray((2 * np.eye(3) + 0.3).astype(np.float32))
COMPLEX = ROW.astype(jnp.complex64)
PLACES = jnp.array([0, 2, 1])

WAYS = [
    (SQUARE,), (ROW,), (POSITIVE,), (CUBE,), (NUMBER,), (COMPLEX,), ([ROW, ROW],), (3,), ((3, 3),),
    (SQUARE, SQUARE), (ROW, ROW), (POSITIVE, POSITIVE), (NUMBER, NUMBER), (COMPLEX, COMPLEX),
    (SQUARE, SQUARE, SQUARE), (ROW, ROW, ROW), (ROW,) * 4, (ROW,) * 5, (ROW, jnp.sort(ROW)),
    (ROW, 3), (SQUARE, 1), (SQUARE, 1, 0), (SQUARE, (3, 3)), ((3,), 2.0), (ROW, 2.0), (2.0, ROW),
    (ROW, 0.1, 0.5), (ROW, ROW, 2), (0.0, 1.0), (0, 1, 3), ("ij,jk->ik", SQUARE, SQUARE),
    (ROW, PLACES), (SQUARE, PLACES, 0), (PLACES, 3),
    (KEY,), (KEY, (3,)), (KEY, 3), (KEY, ROW), (KEY, ROW, (3,)), (KEY, ROW, ROW),
    (KEY, 0.5, (3,)), (KEY, 2.0, 1.0, (3,)),
]  # fmt: skip

OTHERS = {"save", "savez", "load", "fromfile", "type_of"}

DIFFERENT = {
    "numpy.array_equiv": "compares arrays that may have any dtypes and ranks",
    "nn.soft_sign": "of complex numbers: a complex number over a real one, as in JAX",
    "numpy.linalg.matrix_rank": "rtol broadcasts with all matrices",
    "numpy.linalg.lstsq": "rcond is a number",
    "scipy.signal.welch": "fs is a number",
}


def public_functions(module):
    try:
        found = importlib.import_module(f"pullback.{module}")
    except ModuleNotFoundError:
        return []
    own = getattr(found, "__all__", None) or [n for n in dir(found) if not n.startswith("_")]
    place = found.__name__ if "." in module else f"pullback.{module}"
    functions = [(n, getattr(found, n)) for n in own]
    return [
        (n, f)
        for n, f in functions
        if inspect.isfunction(f) and f.__module__.startswith(place.rpartition(".")[0] or place)
    ]


def outcome(function, args):
    with warnings.catch_warnings(action="ignore"):
        return function(*args)


CASES = [(m, n, f) for m in MODULES for n, f in public_functions(m) if n not in OTHERS]


@pytest.mark.parametrize(
    ("module", "name", "function"), CASES, ids=[f"{m}.{n}" for m, n, _ in CASES]
)
def test_works_in_strict_modes(module, name, function):
    if f"{module}.{name}" in DIFFERENT:
        return
    for args in WAYS:
        if any(x is PLACES for x in args) and module != "segments" and "take" not in name:
            continue
        try:
            want = outcome(function, args)
        except Exception:  # it is not called in this way
            continue
        with pb.numpy_dtype_promotion("strict"), pb.numpy_rank_promotion("raise"):
            got = outcome(function, args)
        for x, y in zip(leaves(got), leaves(want), strict=True):
            if hasattr(y, "dtype") and y.dtype.kind in "biufc":
                np.testing.assert_allclose(x, y, rtol=1e-5)
