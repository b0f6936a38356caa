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

_ONLY_THEIRS = ("sharding", "out_sharding", "accuracy", "dimensions")
"""Parameters that JAX's primitives have and ours do not: None does for all."""


_QUICKLY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""The programs run once, so time spent on optimising them is lost: half of all."""

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
    return INSTALLED and (name in _FUNCTIONS or name in _primitives())


def call(name: str, calls: Any) -> list[list[np.ndarray]]:
    """What JAX's primitive gives for each `(args, params)` of `calls`, on the CPU, with 64 bits.

    They are compiled together: of a call alone, nearly all the time goes into starting to compile.
    """
    import jax  # a second or more, and only where a test needs it

    with jax.enable_x64(True), warnings.catch_warnings(action="ignore"):
        functions = [_function(name, args, params) for args, params in calls]

        def together(all_args: Any) -> Any:
            return [f(*args) for f, args in zip(functions, all_args, strict=True)]

        outs = jax.jit(together, compiler_options=_QUICKLY)([args for args, _ in calls])
    return [
        [np.asarray(y) for y in (out if isinstance(out, (list, tuple)) else [out])] for out in outs
    ]


def _function(name: str, args: Any, params: dict[str, Any]) -> Any:
    """The primitive with our parameters and with those that only JAX asks for."""
    import jax

    bind = getattr(jax.lax, _FUNCTIONS[name]) if name in _FUNCTIONS else _primitives()[name].bind
    params = {key: _theirs(value) for key, value in params.items()}
    params |= {key: None for key in _asked_for.get(name, ())}
    if name in _asked_for:
        return functools.partial(bind, **params)
    while True:
        try:
            jax.jit(functools.partial(bind, **params)).lower(*args)
        except (KeyError, TypeError) as problem:
            missing = [n for n in re.findall(r"'(\w+)'", str(problem)) if n in _ONLY_THEIRS]
            if set(missing) <= set(params):
                raise
            params |= dict.fromkeys(missing)
            _asked_for[name] = _asked_for.get(name, ()) + tuple(missing)
        else:
            _asked_for.setdefault(name, ())
            return functools.partial(bind, **params)


_asked_for: dict[str, tuple[str, ...]] = {}


def value_and_pullback(program: Any, args: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Outputs of a random program, and cotangents of its inputs for ones at each output."""
    import jax
    import jax.numpy as jnp

    def cond(p: Any, *operands: Any, bodies: Any) -> Any:
        on_false, on_true = (lambda *xs, b=b: b.run(bind, xs) for b in bodies)
        return jax.lax.cond(jnp.sum(p) > 0, on_true, on_false, *operands)

    def scan(carry: Any, constant: Any, xs: Any, *, body: Any, reverse: bool) -> Any:
        def step(c: Any, x: Any) -> Any:
            return tuple(body.run(bind, [c, constant, x]))

        return list(jax.lax.scan(step, carry, xs, reverse=reverse))

    def repeat(carry: Any, constant: Any, *, body: Any, times: int) -> Any:
        def step(i: int, c: Any) -> Any:
            return body.run(bind, [c, constant])[0]

        return jax.lax.fori_loop(0, times, step, carry)

    special = {
        "jit": lambda *xs, body: jax.jit(lambda *xs: body.run(bind, xs))(*xs),
        "cond": cond,
        "scan": scan,
        "while": repeat,
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
        outs, cts = jax.jit(both, compiler_options=_QUICKLY)(*args)
        if not all(np.isfinite(ct).all() for ct in cts):
            # Where XLA does not optimise, it may compute the operand of a maximum again, rounded
            # in another way; none is then equal to the maximum, and JAX divides by their number.
            outs, cts = jax.jit(both)(*args)
    return [np.asarray(y) for y in outs], [np.asarray(ct) for ct in cts]
