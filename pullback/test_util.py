"""Checks of derivatives against finite differences, to any order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from . import checks
from .api import jvp, vjp
from .core import dtypes
from .core.array import HostArray
from .core.errors import error, explain
from .core.pytree import flatten
from .core.trace import host_array

# A central difference with step h has an error of h^2 |f'''| / 6 + u |f| / h (u: unit roundoff).
# With h = u^(1/3) both are about u^(2/3), 4e-11 in float64 and 2.4e-5 in float32, times the scale
# of f and its derivatives. The tolerances leave a factor of 1e4 (float64) and 400 for that scale
# and for rounding inside f.
_STEP = {"float16": 0.08, "bfloat16": 0.16, "float32": 5e-3, "float64": 6e-6}
_TOLERANCE = {"float16": 0.1, "bfloat16": 0.3, "float32": 1e-2, "float64": 4e-7}


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int,
    modes: Sequence[str] = ("fwd", "rev"),
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
) -> None:
    """Check the derivatives of `f` at `args` against central differences, up to `order`.

    Args:
      f: a function of pytrees of float or complex arrays.
      args: the point, a sequence of arguments.
      order: 1 for first derivatives, 2 for those of the derivatives as well, and so on.
      modes: ``"fwd"`` for jvp, ``"rev"`` for vjp.
      atol, rtol: tolerances; by default by dtype, at least 4e-7 (float64) or 1e-2 (float32).
      eps: the step; by default the cube root of the unit roundoff, and where the derivative
        does not agree with that, a 16th and a 256th of it.

    Raises:
      AssertionError: a derivative disagrees; the message names mode, order and both values.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.test_util import check_grads
      >>> check_grads(jnp.sin, (1.0,), order=2)
    """
    for mode in modes:
        if mode not in ("fwd", "rev"):
            raise error(
                ValueError,
                f"check_grads has no mode {mode!r}.",
                got=f"modes={modes!r}",
                fix='use "fwd" and "rev".',
            )
    _check(f, tuple(args), order, tuple(modes), (atol, rtol, eps), "")


def _check(f: Any, args: Any, order: int, modes: Any, tolerances: Any, path: str) -> None:
    rng = np.random.RandomState(0)
    atol, rtol, eps = tolerances
    for mode in modes:
        where = f"{path}{mode} "
        if mode == "fwd":
            check_jvp(f, partial(jvp, f), args, atol, rtol, eps, where)
        else:
            check_vjp(f, partial(vjp, f), args, atol, rtol, eps, where)
        if order > 1:
            derived = _pushed if mode == "fwd" else _pulled
            direction = _random_like(args if mode == "fwd" else f(*args), rng)
            _check(
                partial(derived, f, direction), args, order - 1, modes, tolerances, where + "of "
            )


def _pushed(f: Any, direction: Any, *args: Any) -> Any:
    return jvp(f, args, direction)[1]


def _pulled(f: Any, direction: Any, *args: Any) -> Any:
    return vjp(f, *args)[1](direction)


def check_jvp(
    f: Callable[..., Any],
    f_jvp: Callable[..., Any],
    args: Sequence[Any],
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
    err_msg: str = "",
) -> None:
    """Check a jvp of `f` against central differences, in a random direction, and its value.

    Args:
      f: a function of pytrees of float or complex arrays.
      f_jvp: gives ``(f(*args), its tangent)`` for ``(args, tangents)``: ``partial(jvp, f)``, or a
        rule of your own.
      args: the point, a sequence of arguments.
      atol, rtol, eps: as in `check_grads`.
      err_msg: stands in front of the message.

    Raises:
      AssertionError: the value or the derivative disagrees.

    Example:
      >>> from functools import partial
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> from pullback.test_util import check_jvp
      >>> check_jvp(jnp.sin, partial(pullback.jvp, jnp.sin), (1.0,))
    """
    args = tuple(args)
    direction = _random_like(args, np.random.RandomState(0))
    out, analytic = f_jvp(args, direction)
    _compare(out, f(*args), atol, rtol, err_msg + "jvp: value against the function's own")

    def compare(numeric: Any) -> None:
        where = err_msg + "jvp: derivative against central differences"
        _compare(analytic, numeric, atol, rtol, where)

    _at_some_step(compare, f, args, direction, eps)


def check_vjp(
    f: Callable[..., Any],
    f_vjp: Callable[..., Any],
    args: Sequence[Any],
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
    err_msg: str = "",
) -> None:
    """Check a vjp of `f`: <ct, J t> by central differences must be <J' ct, t>.

    Args:
      f: a function of pytrees of float or complex arrays.
      f_vjp: gives ``(f(*args), pull)`` for ``*args``: ``partial(vjp, f)``, or a rule of your own.
      args: the point, a sequence of arguments.
      atol, rtol, eps: as in `check_grads`.
      err_msg: stands in front of the message.

    Raises:
      AssertionError: the value or the derivative disagrees.

    Example:
      >>> from functools import partial
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> from pullback.test_util import check_vjp
      >>> check_vjp(jnp.sin, partial(pullback.vjp, jnp.sin), (1.0,))
    """
    args = tuple(args)
    rng = np.random.RandomState(1)
    out, pull = f_vjp(*args)
    _compare(out, f(*args), atol, rtol, err_msg + "vjp: value against the function's own")
    direction, ct = _random_like(args, rng), _random_like(out, rng)
    analytic = _inner(pull(ct), direction)

    def compare(numeric: Any) -> None:
        where = err_msg + "vjp: <J' ct, t> against <ct, J t>"
        _compare(analytic, _inner(ct, numeric), atol, rtol, where, args)

    _at_some_step(compare, f, args, direction, eps)


def _at_some_step(compare: Any, f: Any, args: Any, direction: Any, eps: float | None) -> None:
    """Compare with central differences; a function of large higher derivatives needs less step.

    A wrong derivative agrees with the differences at no step.
    """
    step = eps or max(_STEP[_real_name(x)] for x in flatten(args)[0])
    try:
        return compare(_central_difference(f, args, direction, step))
    except AssertionError:
        if eps is not None:
            raise
        for part in (16, 256):
            try:
                return compare(_central_difference(f, args, direction, step / part))
            except AssertionError:
                continue
        raise


def _central_difference(f: Any, args: Any, direction: Any, step: float) -> Any:
    leaves, tree = flatten(args)
    dots = flatten(direction)[0]

    def at(s: float) -> list[np.ndarray]:
        moved = [_moved(x, t, s) for x, t in zip(leaves, dots, strict=True)]
        return [np.asarray(y) for y in flatten(f(*tree.unflatten(moved)))[0]]

    out_tree = flatten(f(*args))[1]
    pairs = zip(at(step), at(-step), strict=True)
    return out_tree.unflatten([(_wide(hi) - _wide(lo)) / (2 * step) for hi, lo in pairs])


def _moved(x: Any, t: Any, s: float) -> Any:
    x = np.asarray(host_array(x))
    if not dtypes.is_inexact(x.dtype):
        return HostArray(x)
    return HostArray((_wide(x) + s * _wide(np.asarray(t))).astype(x.dtype))


def _wide(x: np.ndarray) -> np.ndarray:
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


def _random_like(tree: Any, rng: Any) -> Any:
    leaves, treedef = flatten(tree)
    found: list[Any] = []
    for x in leaves:
        t = checks.input_array(x, "check_grads").aval
        if not dtypes.is_inexact(t.dtype):
            found.append(np.zeros(t.shape, dtypes.float0))
            continue
        value = rng.standard_normal(t.shape)
        if dtypes.kind(t.dtype) == "c":
            value = value + 1j * rng.standard_normal(t.shape)
        found.append(HostArray(np.asarray(value).astype(t.dtype), t.weak_type))
    return treedef.unflatten(found)


def _inner(xs: Any, ys: Any) -> float:
    # The real part of the plain bilinear product: this API's transpose is not the conjugate one,
    # and it is a transpose of maps between real spaces: those of conj and abs are not C-linear.
    total = 0.0
    for x, y in zip(flatten(xs)[0], flatten(ys)[0], strict=True):
        x, y = np.asarray(x), np.asarray(y)
        if x.dtype != dtypes.float0 and y.dtype != dtypes.float0:
            total += float(np.real(np.sum(_wide(x) * _wide(y))))
    return total


def _real_name(x: Any) -> str:
    dtype = checks.input_array(x, "check_grads").dtype
    return dtypes.real_dtype(dtype).name if dtypes.is_inexact(dtype) else "float64"


def _compare(
    analytic: Any, numeric: Any, atol: Any, rtol: Any, message: str, like: Any = None
) -> None:
    pairs = zip(flatten(analytic)[0], flatten(numeric)[0], strict=True)
    default = max(
        (_tolerance(x) for x in flatten(analytic if like is None else like)[0]), default=0
    )
    for a, n in pairs:
        a, n = np.asarray(a), np.asarray(n)
        if a.dtype == dtypes.float0:
            continue
        scale = max(1.0, float(np.max(np.abs(_wide(n)), initial=0.0)))
        limits = (default * scale if atol is None else atol, default if rtol is None else rtol)
        if not np.allclose(_wide(a), _wide(n), limits[1], limits[0], equal_nan=True):
            raise AssertionError(
                explain(
                    f"{message} disagrees.",
                    got=f"analytic {a}, numeric {n}, atol {limits[0]:g}, rtol {limits[1]:g}",
                    fix="check the rule; or the function is not smooth here, or ill-conditioned.",
                )
            )


def _tolerance(x: Any) -> float:
    dtype = np.asarray(x).dtype if not isinstance(x, float) else np.dtype(np.float32)
    if dtype == dtypes.float0 or not dtypes.is_inexact(dtype):
        return 0.0
    return _TOLERANCE[dtypes.real_dtype(dtype).name]
