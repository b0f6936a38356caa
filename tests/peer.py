"""The real JAX, where it is installed: the same primitive by the same name."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
import warnings
from typing import Any

import numpy as np

INSTALLED = importlib.util.find_spec("jax") is not None

_DEFAULTS = {"sharding": None, "out_sharding": None, "accuracy": None, "dimensions": None}
"""Parameters that JAX's primitives have and ours do not."""


_FUNCTIONS = {
    "gather": "gather",
    "scatter": "scatter",
    **{f"scatter-{op}": f"scatter_{op}" for op in ("add", "sub", "mul", "min", "max")},
}
"""Primitives called by a function of jax.lax, which fills in parameters such as a program."""


def _theirs(value: Any) -> Any:
    """A parameter as JAX's own class where it is of ours: dimension numbers and modes."""
    import jax

    kind = type(value)
    if not kind.__module__.startswith("pullback."):
        return value
    theirs = getattr(jax.lax, kind.__name__)
    return theirs[value.name] if hasattr(value, "name") else theirs(*value)


_MODULES = (
    "jax.extend.core.primitives",
    "jax._src.lax.lax",  # where split and others are, which the public list lacks
)


@functools.cache
def _primitives() -> dict[str, Any]:
    found = {}
    for module in map(importlib.import_module, reversed(_MODULES)):
        for name in dir(module):
            if name.endswith("_p") and hasattr(getattr(module, name), "bind"):
                found[getattr(module, name).name] = getattr(module, name)
    return found


def knows(name: str) -> bool:
    """Whether JAX is here and has a primitive of this name."""
    return INSTALLED and name in _primitives()


def call(name: str, args: Any, params: dict[str, Any]) -> list[np.ndarray]:
    """What JAX's primitive gives, compiled for the CPU, with 64-bit types."""
    import jax  # a second or more, and only where a test needs it

    primitive = _primitives()[name]
    bind = getattr(jax.lax, _FUNCTIONS[name]) if name in _FUNCTIONS else primitive.bind
    params = {key: _theirs(value) for key, value in params.items()}
    while True:
        bound = functools.partial(bind, **params)
        try:
            with jax.enable_x64(True), warnings.catch_warnings(action="ignore"):
                out = jax.jit(bound)(*args)
            break
        except (KeyError, TypeError) as problem:
            missing = [n for n in re.findall(r"'(\w+)'", str(problem)) if n in _DEFAULTS]
            if set(missing) <= set(params):
                raise
            params.update((n, _DEFAULTS[n]) for n in missing if n not in params)
    return [np.asarray(y) for y in (out if primitive.multiple_results else [out])]


def value_and_pullback(program: Any, args: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Outputs of a random program, and cotangents of its inputs for ones at each output."""
    import jax
    import jax.numpy as jnp

    special = {
        "concatenate": lambda *xs, dimension: jax.lax.concatenate(xs, dimension),
        "conj": lambda x, *, input_dtype: jnp.conj(x),
        "copy": jnp.copy,
    }

    def bind(name: str, operands: Any, params: dict[str, Any]) -> list[Any]:
        if name in ("add", "sub", "mul"):  # JAX's own do not take a scalar for any shape
            operands = jnp.broadcast_arrays(*operands)
        function = special.get(name) or getattr(jax.lax, name)
        out = function(*operands, **params)
        return list(out) if isinstance(out, (list, tuple)) else [out]

    def both(*xs: Any) -> Any:
        outs, back = jax.vjp(lambda *xs: program.run(bind, xs), *xs)
        return outs, back([jnp.ones_like(y) for y in outs])

    with jax.enable_x64(True), warnings.catch_warnings(action="ignore"):
        outs, cts = jax.jit(both)(*args)
    return [np.asarray(y) for y in outs], [np.asarray(ct) for ct in cts]

