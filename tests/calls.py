"""Call: one call of a function of `pullback.numpy`, on which the tests try what must hold of it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from properties import agree, arrays, compare_vjp_with_jvp, generator, random_like, same, values

import pullback.numpy as jnp
from pullback.core.array import Array
from pullback.core.program import check_program, run_closed, trace_program
from pullback.core.settings import enable_x64
from pullback.core.trace import host_array, type_of
from pullback.transforms import batch
from pullback.tree import flatten

TOLERANCE = 4e-6
_HALF = 2e-3


class Call:
    """`jnp.name(*args, **options)`; arrays among the arguments may stand in tuples and lists.

    | option of the test | meaning |
    |---|---|
    | `_numpy` | the meaning: NumPy's function of that name if True; another function; or False if
      there is none |
    | `_jax` | whether to compare with JAX, traced: the types, and the values of what has no NumPy
      meaning |
    | `_vjp` | whether to compare derivatives; by default, if an argument is of a float dtype |
    | `_vmap` | whether to compare `vmap` with a loop |
    | `_tolerance` | relative to the largest number of the result |
    """

    def __init__(
        self,
        name: str,
        *args: Any,
        _numpy: Any = True,
        _jax: bool = True,
        _vjp: bool = True,
        _vmap: bool = True,
        _tolerance: float = TOLERANCE,
        **options: Any,
    ) -> None:
        self.name, self.args, self.options = name, args, options
        self.numpy, self.jax, self.vjp, self.vmap = _numpy, _jax, _vjp, _vmap
        self.tolerance = _tolerance

    def leaves(self) -> list[Any]:
        """The arrays among the arguments."""
        return [x for x in flatten(self.args)[0] if isinstance(x, np.ndarray)]

    def on(self, module: Any, leaves: Any) -> Any:
        """The call in another namespace, with other arrays."""
        found, tree = flatten(self.args)
        rest = iter(leaves)
        args = tree.unflatten([next(rest) if isinstance(x, np.ndarray) else x for x in found])
        function = module
        for part in self.name.split("."):
            function = getattr(function, part)
        return function(*args, **self.options)

    def flat(self, *leaves: Any) -> list[Any]:
        """The call on other arrays, as a flat list of results."""
        return flatten(self.on(jnp, leaves))[0]

    def __repr__(self) -> str:
        shown = [type_of(x).str_short() for x in self.leaves()]
        shown += [f"{k}={_brief(v)}" for k, v in self.options.items()]
        shown += [_brief(x) for x in self.args if not flatten(x)[0] or type(x) in (int, float, str)]
        return f"{self.name}({', '.join(shown)})"


def _brief(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return type_of(value).str_short()
    return getattr(value, "__name__", repr(value))[:40]


def check_numpy(call: Call) -> None:
    """The values of NumPy, computed in float64 where it can be."""
    got = values(call.flat(*canonical(call.leaves())))
    with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
        if callable(call.numpy):
            want = call.numpy(*call.args, **call.options)
        else:
            want = call.on(np, call.leaves())
    want = [np.asarray(w) for w in flatten(want)[0]]
    assert len(got) == len(want), f"{call}: {len(got)} results instead of {len(want)}"
    for g, w in zip(got, want, strict=True):
        assert g.shape == w.shape, f"{call}: shape {g.shape} instead of {w.shape}"
        kind = np.dtype(g.dtype).kind
        if kind in "fc":
            wide = "c16" if "c" in (kind, w.dtype.kind) else "f8"
            near = max(call.tolerance, 5e-3 if g.dtype.itemsize == 2 else 0)
            ok = agree(g.astype(wide), w.astype(wide), near)
        else:
            ok = np.array_equal(g, w)
        assert ok, f"{call}:\ngot  {g!r}\nwant {w!r}"


def check_types_of_jax(calls: list[Call]) -> None:
    """Shapes, dtypes and weak types of JAX, which need not compile for that."""
    import jax

    with warnings.catch_warnings(action="ignore"):
        types = jax.eval_shape(_together(calls, jax.numpy), [c.leaves() for c in calls])
    wrong = []
    for call, avals in zip(calls, types, strict=True):
        want = [_type_name(t) for t in jax.tree.leaves(avals)]
        got = [_type_name(y) for y in call.flat(*canonical(call.leaves()))]
        if got != want:
            wrong.append(f"{call}: {got} instead of {want}")
    assert not wrong, "\n".join(wrong)


def check_values_of_jax(calls: list[Call]) -> None:
    """Values of JAX, all calls compiled together, without optimisations: 50 ms a call."""
    import jax

    quickly = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
    with warnings.catch_warnings(action="ignore"):
        jitted = jax.jit(_together(calls, jax.numpy), compiler_options=quickly)
        wants = jitted([c.leaves() for c in calls])
    wrong = []
    for call, want in zip(calls, wants, strict=True):
        got = values(call.flat(*canonical(call.leaves())))
        want = [np.asarray(w) for w in jax.tree.leaves(want)]
        near = max([_HALF if w.dtype.itemsize == 2 else call.tolerance for w in want])
        try:
            same(repr(call), "against JAX", got, want, near)
        except AssertionError as problem:
            wrong.append(str(problem))
    assert not wrong, "\n".join(wrong)


def _together(calls: list[Call], module: Any) -> Any:
    def together(all_leaves: Any) -> Any:
        return [c.on(module, leaves) for c, leaves in zip(calls, all_leaves, strict=True)]

    return together


def _type_name(y: Any) -> str:
    return f"{np.dtype(y.dtype).name}{list(y.shape)}{' weak' if y.weak_type else ''}"


def canonical(leaves: Any) -> list[Any]:
    """Arrays of the dtypes that are stored: 32 bits."""
    return [host_array(x) for x in leaves]


def check_jit(call: Call) -> None:
    """Recorded as a well typed program, and that run: what the eager call gives."""
    leaves = canonical(call.leaves())
    closed = trace_program(call.flat, [x.aval for x in leaves])
    check_program(closed.program)
    got, want = run_closed(closed, leaves), call.flat(*leaves)
    assert [_type_name(y) for y in got] == [_type_name(y) for y in want], f"{call}: types"
    same(repr(call), "program against eager", values(got), values(want), call.tolerance)


def check(call: Call) -> None:
    """All that can be checked without JAX."""
    if call.numpy:
        check_numpy(call)
    if call.vjp:
        check_derivative(call)
    if call.vmap:
        check_vmap(call)
    if call.jax:
        check_jit(call)


def check_derivative(call: Call) -> None:
    """<ct, J t> = <J' ct, t> in float64."""
    with enable_x64(True):
        args = [_wide(x) for x in call.leaves()]
        rng = generator()
        ts = [random_like([x], rng)[0] if x.dtype.kind in "fc" else None for x in args]
        if any(t is not None for t in ts):
            compare_vjp_with_jvp(repr(call), call.flat, args, ts, rng)


def _wide(x: np.ndarray) -> np.ndarray:
    if x.dtype.kind == "c":
        return x.astype(np.complex128)
    return x.astype(np.float64) if np.issubdtype(x.dtype, np.floating) else x


def check_vmap(call: Call) -> None:
    """Mapped over axis 0 of all arrays, then of one alone: what a loop gives."""
    leaves = call.leaves()
    rng = generator()
    stacked = [np.stack([_shuffled(x, rng) for _ in range(2)]) for x in leaves]
    choices = [[0] * len(leaves)]
    if len(leaves) > 1:
        choices += [[0 if i == j else None for j in range(len(leaves))] for i in range(len(leaves))]
    for axes in choices:
        given = [s if a == 0 else x for s, x, a in zip(stacked, leaves, axes, strict=True)]
        outs, where = batch.vmap(call.flat, 2, arrays(given), axes)
        for y in outs:
            assert isinstance(y, Array), f"{call}: {y!r}"
        got = [
            np.stack([y, y]) if axis is None else np.moveaxis(y, axis, 0)
            for y, axis in zip(values(outs), where, strict=True)
        ]
        rows = []
        for i in range(2):
            row = [g[i] if a == 0 else g for g, a in zip(given, axes, strict=True)]
            rows.append(values(call.flat(*arrays(row))))
        want = [np.stack(ys) for ys in zip(*rows, strict=True)]
        same(repr(call), f"vmap over {axes}", got, want, max(call.tolerance, 2e-6))


def _shuffled(x: np.ndarray, rng: Any) -> np.ndarray:
    return rng.permutation(x.reshape(-1)).reshape(x.shape) if x.size else x


def message(mistake: Any) -> list[str]:
    """The lines of the error that a function without arguments raises."""
    try:
        mistake()
    except Exception as problem:
        return str(problem).split("\n")
    raise AssertionError("no error was raised")
