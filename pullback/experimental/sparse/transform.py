"""sparsify: a function of dense arrays made one of sparse arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ... import checks, lax
from ...core.primitive import Primitive
from ...core.program import ClosedProgram, Literal, Program, trace_program
from ...core.pytree import flatten
from ...core.trace import type_of
from ...core.types import ArrayType, array_type
from .api import todense_p
from .base import JAXSparse
from .bcoo.array import BCOO
from .bcsr import BCSR, BCSR_RULES
from .rules import KEEPS_ZERO, LINEAR, RULES, like, nonlinear, would_be_dense


def sparsify(f: Callable[..., Any], use_tracer: bool = False) -> Callable[..., Any]:
    """`f`, which takes sparse arrays (BCOO, BCSR) in place of dense ones.

    `f` is run once with stand-ins for dense arrays; then each of its operations is done on what
    there is, by sparse rules where an operand is sparse.

    Args:
      f: a function of pytrees of arrays; keyword arguments are taken as they are.
      use_tracer: accepted for compatibility: there is one way only.

    Raises:
      NotImplementedError: at the call, where an operation has no sparse rule.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback.experimental import sparse
      >>> @sparse.sparsify
      ... def f(m, v):
      ...     return 2 * m.T @ v
      >>> m = sparse.BCOO.fromdense(jnp.arange(12).reshape(3, 4))
      >>> print(f(m, jnp.array([3, 4, 2])))
      [ 64  82 100 118]
    """

    def wrapped(*args: Any, **params: Any) -> Any:
        leaves, in_tree = flatten(args, is_sparse)
        leaves = [x if is_sparse(x) else checks.input_array(x, "sparsify") for x in leaves]
        trees: list[Any] = []

        def flat(*xs: Any) -> list[Any]:
            outs, tree = flatten(f(*in_tree.unflatten(xs), **params), is_sparse)
            trees.append(tree)
            return [checks.output_array(y, "sparsify") for y in outs]

        closed = trace_program(flat, [_dense_type(x) for x in leaves], f)
        return trees[0].unflatten(run_sparse(closed.program, closed.consts, leaves))

    return checks.named_like(wrapped, f, "sparsify")  # type: ignore[no-any-return]


def is_sparse(x: Any) -> bool:
    """Is it a sparse array?"""
    return isinstance(x, JAXSparse)


def _dense_type(x: Any) -> ArrayType:
    if is_sparse(x):
        return array_type(x.shape, x.dtype, type_of(x.data).weak_type)
    return type_of(x)


def run_sparse(program: Program, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
    """The program's outputs for arguments of which some are sparse."""
    env: dict[Any, Any] = dict(zip(program.constvars, consts, strict=True))
    env.update(zip(program.invars, args, strict=True))

    def read(atom: Any) -> Any:
        return atom.array if type(atom) is Literal else env[atom]

    for eq in program.eqns:
        values = [read(a) for a in eq.invars]
        if any(map(is_sparse, values)):
            outs = _operation(eq.primitive, values, eq.params)
        else:
            outs = eq.primitive(*values, **eq.params)
            outs = outs if eq.primitive.multiple_results else [outs]
        env.update(zip(eq.outvars, outs, strict=True))
    return [read(a) for a in program.outvars]


def _operation(primitive: Primitive, values: list[Any], params: dict[str, Any]) -> list[Any]:
    name = primitive.name
    program = primitive.called_program(params)
    if name == "checkpoint":
        program = params["jaxpr"]
    if isinstance(program, ClosedProgram):
        # Calls of programs: jit, checkpoint, functions with derivative rules of their own. The
        # derivative is then that of the operations inside.
        return run_sparse(program.program, program.consts, values)
    if name in _CONTROL:
        return _CONTROL[name](values, **params)  # type: ignore[no-any-return]
    if primitive is todense_p:
        return [values[0].todense()]
    if name in LINEAR:
        return [like(values[0], primitive(values[0].data, **params))]
    if name in KEEPS_ZERO:
        return [nonlinear(values[0], lambda data: primitive(data, **params))]
    rules = BCSR_RULES if any(isinstance(v, BCSR) for v in values) else RULES
    if name not in rules:
        raise would_be_dense(name)
    return [rules[name](*values, **params)]


# ---- loops and branches: sparse arrays are pytrees, so they can be carried


def _plain(x: Any) -> Any:
    """A sparse array of which nothing is known besides its shape: so that structures agree."""
    if isinstance(x, BCOO):
        return BCOO((x.data, x.indices), shape=x.shape)
    if isinstance(x, BCSR):
        return BCSR((x.data, x.indices, x.indptr), shape=x.shape)
    return x


def _called(closed: ClosedProgram, *args: Any) -> list[Any]:
    return [_plain(y) for y in run_sparse(closed.program, closed.consts, args)]


def _cond(values: list[Any], *, branches: Sequence[ClosedProgram]) -> list[Any]:
    index, *operands = values
    functions = [lambda *xs, b=b: _called(b, *xs) for b in branches]
    return lax.switch(index, functions, *map(_plain, operands))  # type: ignore[no-any-return]


def _while(
    values: list[Any],
    *,
    cond_jaxpr: ClosedProgram,
    body_jaxpr: ClosedProgram,
    cond_nconsts: int,
    body_nconsts: int,
) -> list[Any]:
    of_cond, rest = values[:cond_nconsts], values[cond_nconsts:]
    of_body, carry = rest[:body_nconsts], rest[body_nconsts:]
    return lax.while_loop(  # type: ignore[no-any-return]
        lambda c: _called(cond_jaxpr, *of_cond, *c)[0],
        lambda c: _called(body_jaxpr, *of_body, *c),
        [_plain(x) for x in carry],
    )


def _scan(
    values: list[Any],
    *,
    jaxpr: ClosedProgram,
    num_consts: int,
    num_carry: int,
    length: int,
    reverse: bool,
    unroll: Any,
) -> list[Any]:
    consts, rest = values[:num_consts], values[num_consts:]
    carry, xs = rest[:num_carry], rest[num_carry:]
    if any(map(is_sparse, xs)):
        raise would_be_dense("scan over the rows of a sparse array")

    def body(c: list[Any], x: list[Any]) -> tuple[list[Any], list[Any]]:
        outs = _called(jaxpr, *consts, *c, *x)
        return outs[:num_carry], outs[num_carry:]

    start = [_plain(x) for x in carry]
    last, ys = lax.scan(body, start, xs, length=length, reverse=reverse, unroll=unroll)
    return [*last, *ys]


_CONTROL: dict[str, Callable[..., list[Any]]] = {"cond": _cond, "while": _while, "scan": _scan}

__all__ = ["is_sparse", "run_sparse", "sparsify"]
