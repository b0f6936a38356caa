"""Example: one call of a primitive, on which the tests try every rule of that primitive."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOATS = ("float16", "bfloat16", "float32", "float64")
COMPLEX = ("complex64", "complex128")
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
INTS = SIGNED + UNSIGNED
BOOL = ("bool",)
INEXACT = FLOATS + COMPLEX
REAL = FLOATS + INTS
NUMBERS = INEXACT + INTS
ALL = NUMBERS + BOOL
WIDE = ("float32", "float64")
"""What LAPACK and SciPy compute in themselves."""


class Example:
    """`primitive(*args, **params)`, at each of `dtypes`.

    An argument is a spec (`F(3, 4)`, `positive(3)`, `I(3, below=5)`), a NumPy array or a number.
    Arguments of a float or complex dtype, and all specs but `I` and `B`, take the dtype under test;
    integers and bools keep theirs, for they are indices, masks and counts.

    | option | meaning |
    |---|---|
    | `params` | a dict, or a function from the dtype under test to one |
    | `dtypes` | the dtypes that the primitive claims for these arguments |
    | `order` | derivatives are compared up to this order: 0, 1 or 2 |
    | `smooth` | False: not differentiable here, so not compared with finite differences (the
      reverse rule is still compared with the forward rule) |
    | `linear_in` | the arguments it is linear in together: `(0,)`; `((0,), (1,))`: in each alone |
    | `skip` | property -> the reason why it is not tested, e.g. `{"vmap": "..."}`: a name of
      properties.PROPERTIES, "jax", "weak" (weak arguments) or "staged vjp" (under recordings) |
    | `directions` | specs of tangents, where not every direction makes sense: `symmetric(3, 3)`
      for a matrix of which only one triangle is read |
    | `scale` | how much larger the tolerance of finite differences must be, for steep functions |
    | `id` | what tells it from the other examples of its primitive in a test's name |
    """

    def __init__(
        self,
        primitive: Any,
        args: Any,
        params: dict[str, Any] | Callable[[np.dtype], dict[str, Any]] | None = None,
        *,
        dtypes: tuple[str, ...] = FLOATS,
        order: int = 2,
        smooth: bool = True,
        linear_in: tuple[Any, ...] | None = None,
        skip: dict[str, str] | None = None,
        directions: tuple[Any, ...] | None = None,
        scale: float = 1.0,
        id: str | None = None,
    ) -> None:
        self.primitive, self.specs = primitive, tuple(args)
        self.given_params = params or {}
        self.dtypes = tuple(map(np.dtype, (BFLOAT16 if d == "bfloat16" else d for d in dtypes)))
        self.order, self.smooth, self.scale = order, smooth, scale
        self.linear_in = tuple(g if isinstance(g, tuple) else (g,) for g in linear_in or ())
        if linear_in and all(isinstance(g, int) for g in linear_in):
            self.linear_in = (tuple(linear_in),)
        self.skip, self.directions = skip or {}, directions
        self.id = id

    def params(self, dtype: Any) -> dict[str, Any]:
        """The parameters of the call at this dtype."""
        given = self.given_params
        return given(np.dtype(dtype)) if callable(given) else given

    def args(self, dtype: Any, rng: np.random.Generator | None = None) -> list[np.ndarray]:
        """The arguments at this dtype: the same ones each time, unless `rng` is given."""
        if rng is None:
            rng = np.random.default_rng(zlib.crc32(f"{self.primitive.name} {self.id}".encode()))
        return [_build(spec, np.dtype(dtype), rng) for spec in self.specs]

    def tangents(self, dtype: Any, rng: np.random.Generator) -> list[np.ndarray | None]:
        """A random direction for each argument; None for those that have no derivative."""
        args = self.args(dtype)
        specs = self.directions or [Spec(x.shape, _any, x.dtype.name) for x in args]
        return [
            _build(spec, np.dtype(dtype), rng) if x.dtype.kind in "fc" else None
            for spec, x in zip(specs, args, strict=True)
        ]

    @property
    def derivative_dtypes(self) -> tuple[np.dtype, ...]:
        """float64 and complex128, if claimed: the dtypes in which derivatives are compared."""
        return tuple(d for d in self.dtypes if d in ("float64", "complex128"))

    def with_args(self, *args: Any, id: str) -> Example:
        """The same call with other arguments."""
        made = Example.__new__(Example)
        vars(made).update(vars(self), specs=args, id=id)
        return made

    def __repr__(self) -> str:
        shapes = ",".join(
            "x".join(map(str, s.shape)) or "()" if hasattr(s, "shape") else repr(s)
            for s in self.specs
        )
        return f"{self.primitive.name}[{self.id or shapes}]"


# ---- arguments


@dataclass(frozen=True)
class Spec:
    """A random argument: `make(rng, shape, dtype)` in float64, complex128 or an integer dtype."""

    shape: tuple[int, ...]
    make: Callable[[np.random.Generator, tuple[int, ...], np.dtype], Any]
    dtype: str | None = None
    """The dtype of the argument; None: the one under test."""


def F(*shape: int) -> Spec:
    """Numbers around zero, of the dtype under test: also integers, complex numbers or bools."""
    return Spec(shape, _any)


def between(low: float, high: float, *shape: int) -> Spec:
    """Numbers of the dtype under test between `low` and `high` (both parts of complex ones)."""
    return Spec(shape, lambda rng, shape, dtype: _between(rng, shape, dtype, low, high))


def positive(*shape: int) -> Spec:
    """Between 0.5 and 3; integers from 1 to 3."""
    return between(0.5, 3.0, *shape)


def unit(*shape: int) -> Spec:
    """Between -0.9 and 0.9."""
    return between(-0.9, 0.9, *shape)


def distinct(*shape: int) -> Spec:
    """Numbers at least 0.4 apart (integers: 1), for `max`, `sort` and what has kinks at ties."""
    return Spec(shape, _distinct)


def off_integers(*shape: int) -> Spec:
    """Numbers at least 0.1 away from multiples of 0.5, for `floor`, `round`, `sign`, `abs`."""
    return Spec(shape, lambda rng, shape, dtype: _off_integers(rng, shape, dtype))


def C(*shape: int) -> Spec:
    """Complex numbers, whatever float dtype is under test, of its precision."""
    return Spec(shape, _any, "complex")


def R(*shape: int) -> Spec:
    """Real numbers, whatever complex dtype is under test, of its precision."""
    return Spec(shape, _any, "real")


def I(*shape: int, below: int = 4, start: int = 0, dtype: str = "int32") -> Spec:  # noqa: E743
    """Integers, `start` to `below` - 1, whatever dtype is under test."""
    return Spec(shape, lambda rng, shape, _: rng.integers(start, below, shape), dtype)


def B(*shape: int) -> Spec:
    """Bools, whatever dtype is under test."""
    return Spec(shape, lambda rng, shape, _: rng.random(shape) < 0.5, "bool")


def positive_definite(*shape: int) -> Spec:
    """Hermitian positive definite matrices of shape `(..., n, n)`."""
    return Spec(shape, _positive_definite)


def symmetric(*shape: int) -> Spec:
    """Symmetric, or Hermitian, matrices of shape `(..., n, n)`."""
    return Spec(shape, _symmetric)


def well_conditioned(*shape: int) -> Spec:
    """Matrices with singular values well apart and between 0.5 and 3."""
    return Spec(shape, _well_conditioned)


def triangular(*shape: int, lower: bool = True) -> Spec:
    """Triangular matrices with a diagonal away from zero."""
    return Spec(shape, lambda rng, shape, dtype: _triangular(rng, shape, dtype, lower))


def _build(spec: Any, dtype: np.dtype, rng: np.random.Generator) -> np.ndarray:
    if not isinstance(spec, Spec):
        value = np.asarray(spec)
        with np.errstate(all="ignore"):
            return value.astype(dtype) if value.dtype.kind in "fc" else value
    target = dtype
    if spec.dtype == "complex":
        target = np.dtype("c16" if dtype == "float64" else "c8")
    elif spec.dtype == "real":
        target = np.zeros((), dtype).real.dtype
    elif spec.dtype is not None:
        target = np.dtype(spec.dtype)
    with np.errstate(all="ignore"):
        return np.asarray(spec.make(rng, spec.shape, target)).astype(target)


def _any(rng: Any, shape: Any, dtype: np.dtype) -> Any:
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind == "u":
        return rng.integers(0, 8, shape)
    if dtype.kind == "i":
        return rng.integers(-5, 6, shape)
    if dtype.kind == "c":
        return rng.normal(size=shape) + 1j * rng.normal(size=shape)
    return rng.normal(size=shape)


def _between(rng: Any, shape: Any, dtype: np.dtype, low: float, high: float) -> Any:
    if dtype.kind in "iu":
        low = max(low, 0) if dtype.kind == "u" else low
        return rng.integers(int(np.ceil(low)), int(np.floor(high)) + 1, shape)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    real = rng.uniform(low, high, shape)
    return real + 1j * rng.uniform(low, high, shape) if dtype.kind == "c" else real


def _distinct(rng: Any, shape: Any, dtype: np.dtype) -> Any:
    n = int(np.prod(shape))
    order = rng.permutation(n).reshape(shape)
    if dtype.kind in "biu":
        return order if dtype.kind != "i" else order - n // 2
    values = 0.5 * (order - n / 2) + rng.uniform(0, 0.1, shape)
    return values + 1j * rng.normal(size=shape) if dtype.kind == "c" else values


def _off_integers(rng: Any, shape: Any, dtype: np.dtype) -> Any:
    if dtype.kind in "biu":
        return _any(rng, shape, dtype)

    def part() -> Any:
        return 0.5 * rng.integers(-6, 6, shape) + rng.uniform(0.1, 0.4, shape)

    return part() + 1j * part() if dtype.kind == "c" else part()


def _positive_definite(rng: Any, shape: Any, dtype: np.dtype) -> Any:
    a = _any(rng, shape, dtype)
    return a @ np.swapaxes(a.conj(), -1, -2) / shape[-1] + np.eye(shape[-1])


def _symmetric(rng: Any, shape: Any, dtype: np.dtype) -> Any:
    a = _any(rng, shape, dtype)
    return (a + np.swapaxes(a.conj(), -1, -2)) / 2


def _well_conditioned(rng: Any, shape: Any, dtype: np.dtype) -> Any:
    u, _, v = np.linalg.svd(_any(rng, shape, dtype), full_matrices=False)
    n = u.shape[-1]
    s = np.linspace(0.5, 3.0, n) if n else np.zeros(0)
    return (u * s) @ v


def _triangular(rng: Any, shape: Any, dtype: np.dtype, lower: bool) -> Any:
    a = 0.5 * _any(rng, shape, dtype)
    part = np.tril(a, -1) if lower else np.triu(a, 1)
    return part + np.eye(shape[-1]) * rng.uniform(1.0, 2.0, (*shape[:-2], 1, shape[-1]))
