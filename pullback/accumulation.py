"""Jacobians between forward and reverse mode: elimination of the vertices of the linearization.

Forward mode multiplies the local partials of a program from the inputs on, reverse mode from the
outputs on. In between there are many other orders, which cost fewer multiplications for most
functions with several inputs and several outputs (Griewank and Walther, Evaluating Derivatives,
2008, chapters 9 and 10). The graph, and the orders, are in `transforms/elimination.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import checks
from .control.custom import custom_jvp_call
from .core import dtypes
from .core.array import Array, HostArray
from .core.errors import error
from .core.program import run_closed, trace_program
from .core.pytree import flatten
from .core.trace import EVAL, inside, state, type_of
from .ops.contraction import dot_general
from .ops.elementwise import convert_element_type
from .ops.slicing import concatenate, slice_along
from .ops.stacking import stack
from .ops.structural import broadcast_in_dim, reshape
from .transforms.batch import BatchTrace, BatchTracer
from .transforms.elimination import Graph, contract, trim
from .transforms.orders import (
    Order,
    best_order,
    costed,
    dense_cost,
    forward_order,
    reverse_order,
)
from .transforms.partials import Builder
from .transforms.reverse import linearize
from .transforms.stage import trace_body


class AccumulationCost(NamedTuple):
    """Multiplications that the Jacobian of a function takes, by the mode that computes it.

    Only products of partial derivatives are counted, not the function and its local partials, which
    are the same in every mode; products with 1 and -1, and those of constants, are none.
    """

    inputs: int
    """Scalars that are differentiated with respect to."""
    outputs: int
    """Scalars that come out."""
    vertices: int
    """Intermediate scalars of the linearization."""
    edges: int
    """Local partials."""
    forward: int
    """Elimination in the order of the program: forward mode that knows all zeros."""
    reverse: int
    """Elimination in the reverse order: reverse mode that knows all zeros."""
    cross: int
    """The order that `mode='cross'` uses."""
    rule: str
    """The rule that found this order."""
    dense_forward: int
    """Forward mode as `jacfwd` does it: each local partial times each input."""
    dense_reverse: int
    """Reverse mode as `jacrev` does it: each local partial times each output."""
    blocks: int
    """Operations taken as a whole, such as loops: what is done inside them is not counted."""


def accumulation_cost(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0
) -> Callable[..., AccumulationCost]:
    """What the Jacobian of `fun` costs in forward, reverse and cross mode.

    Args:
      fun: a function whose result is a pytree of arrays.
      argnums: the positional argument, or the several, to differentiate with respect to.

    Returns:
      A function of the same arguments, or of `ShapeDtypeStruct`s in their place, since no value is
      needed. It gives an `AccumulationCost`.

    Raises:
      TypeError: complex or integer inputs.
      ValueError: the function has too many scalars to be taken apart.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> def f(x):  # 2 inputs, 1 vertex between them and 3 outputs
      ...     s = jnp.tanh(x[0] * x[1])
      ...     return jnp.stack([jnp.sin(s), jnp.cos(s), jnp.exp(s)])
      >>> cost = pullback.accumulation_cost(f)(jnp.ones(2))
      >>> print(cost.dense_forward, cost.dense_reverse, cost.cross)
      12 18 8
    """
    checks.callable_(fun, "accumulation_cost")
    positions = checks.positions(argnums)

    def cost_of(*args: Any, **kwargs: Any) -> AccumulationCost:
        chosen = checks.chosen_arguments(args, positions, argnums, "accumulation_cost")
        leaves, in_tree = flatten(chosen)
        rest = [
            None if i in positions or i - len(args) in positions else a for i, a in enumerate(args)
        ]
        others, other_tree = flatten(rest)
        types = [checks.shaped(x, "accumulation_cost") for x in (*leaves, *others)]
        for t in types[: len(leaves)]:
            _check_float(t, "input")
        found: list[AccumulationCost] = []

        def function(*xs: Any) -> list[Any]:
            values = other_tree.unflatten(xs[len(leaves) :])

            def flat(*new: Any) -> list[Any]:
                given = in_tree.unflatten(new)
                out = fun(*checks.replaced_arguments(values, positions, argnums, given), **kwargs)
                return _outputs(flatten(out)[0])

            _, graph, builder = _graph_of(flat, xs[: len(leaves)], [True] * len(leaves), fun)
            found.append(_cost(graph, builder.blocks))
            return []

        trace_program(function, types, fun, "accumulation_cost")
        return found[0]

    return checks.named_like(cost_of, fun, "accumulation_cost")  # type: ignore[no-any-return]


def _cost(graph: Graph, blocks: int) -> AccumulationCost:
    best, (dense_forward, dense_reverse) = _planned(graph), dense_cost(graph)
    return AccumulationCost(
        inputs=len(graph.sources),
        outputs=len(graph.sinks),
        vertices=len(graph.inner()),
        edges=sum(len(ins) for ins in graph.preds.values()),
        forward=costed(graph, "forward", forward_order(graph)).multiplications,
        reverse=costed(graph, "reverse", reverse_order(graph)).multiplications,
        cross=best.multiplications,
        rule=best.rule,
        dense_forward=dense_forward,
        dense_reverse=dense_reverse,
        blocks=blocks,
    )


def cross_jacobian(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
) -> Callable[..., Any]:
    """`jacobian(fun, mode='cross')`: see there."""
    checks.callable_(fun, "jacobian")
    positions = checks.positions(argnums)

    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        chosen = checks.chosen_arguments(args, positions, argnums, "jacobian")
        leaves, in_tree = flatten(chosen)
        leaves = [checks.input_array(x, "jacobian") for x in leaves]
        for x in leaves:
            _check_float(type_of(x), "input")
        trees: list[Any] = []

        def flat(*new: Any) -> list[Any]:
            given = in_tree.unflatten(new)
            out = fun(*checks.replaced_arguments(args, positions, argnums, given), **kwargs)
            out, aux = checks.pair(out, "jacobian") if has_aux else (out, None)
            outs, out_tree = flatten(out)
            extras, extra_tree = flatten(aux)
            trees.extend([out_tree, extra_tree, len(outs)])
            return [*_outputs(outs), *extras]

        outs, rows = _accumulated(flat, leaves, [True] * len(leaves), fun, lambda: trees[2])
        out_tree, extra_tree, n = trees
        blocks = _blocks(rows, [type_of(y) for y in outs[:n]], [type_of(x) for x in leaves])
        jac = out_tree.unflatten([in_tree.unflatten(row) for row in blocks])
        return (jac, extra_tree.unflatten(outs[n:])) if has_aux else jac

    return checks.named_like(jacobian_of, fun, "jacobian")  # type: ignore[no-any-return]


def preaccumulate(fun: Callable[..., Any]) -> Callable[..., Any]:
    """`fun` with its Jacobian as its derivative: one small matrix in place of all residuals.

    Args:
      fun: a function of pytrees of arrays that can be traced as under `jit`, with few inputs and
        outputs and many operations between them.

    Returns:
      The same function. Whoever differentiates it, in whatever mode, finds its Jacobian J computed
      at once by elimination (as `jacobian(fun, mode='cross')` does): forward mode multiplies by J,
      reverse mode by its transpose, and all that is kept for the backward pass is J. Under `vmap`
      there is one J for each element. So the memory of reverse mode is outputs times inputs for
      each call, however long `fun` is (Griewank and Walther 2008, section 10.2: preaccumulation at
      the level of statements or blocks). Values may be closed over, traced ones too.

    Raises:
      TypeError: the derivative passes through complex numbers.
      ValueError: the function has too many scalars to be taken apart.

    A single `jvp` or gradient of a large function is slower so, since a whole Jacobian is computed.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> def newton(a):  # the square root, in many steps
      ...     x = 1.0
      ...     for _ in range(20):
      ...         x = 0.5 * (x + a / x)
      ...     return x
      >>> print(pullback.grad(pullback.preaccumulate(newton))(4.0))
      0.25
    """
    checks.callable_(fun, "preaccumulate")

    def accumulated(*args: Any, **kwargs: Any) -> Any:
        if state.trace is EVAL:
            return fun(*args, **kwargs)
        leaves, in_tree = flatten((args, kwargs))
        leaves = [checks.input_array(x, "preaccumulate") for x in leaves]
        trees: list[Any] = []

        def flat(*xs: Any) -> list[Any]:
            new_args, new_kwargs = in_tree.unflatten(xs)
            outs, tree = flatten(fun(*new_args, **new_kwargs))
            trees.append(tree)
            return [checks.output_array(y, "preaccumulate") for y in outs]

        program, consts = trace_body(flat, [type_of(x) for x in leaves], fun, "preaccumulate")

        def rule(*xs: Any) -> list[Any]:
            half = len(xs) // 2
            return _pushed(program, xs[:half], xs[half:])

        name = getattr(fun, "__name__", "preaccumulate")
        outs = custom_jvp_call(*consts, *leaves, call=program, jvp=rule, name=name)
        return trees[0].unflatten(outs)

    return checks.named_like(accumulated, fun, "preaccumulate")  # type: ignore[no-any-return]


def _pushed(program: Any, primals: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
    """Outputs and their tangents: the Jacobian times the given tangents."""
    active = [t is not None and dtypes.is_inexact(type_of(t).dtype) for t in tangents]
    counts = [dtypes.is_inexact(t.dtype) for t in program.out_avals]
    hidden: list[Any] = []

    def function(*xs: Any) -> list[Any]:
        outs = run_closed(program, xs)
        hidden.append(outs)
        return outs

    outs, rows = _accumulated(function, primals, active, None, lambda: None)
    given = [t for t, a in zip(tangents, active, strict=True) if a]
    floats = [type_of(y) for y, c in zip(outs, counts, strict=True) if c]
    if not given or not floats:
        return [*outs, *[None] * len(outs)]
    dtype = max((t.dtype for t in (*floats, *map(type_of, given))), key=lambda d: d.itemsize)
    matrix = _matrix(rows, sum(type_of(t).size for t in given), dtype)
    flat = [_as(reshape(t, new_sizes=(type_of(t).size,)), dtype) for t in given]
    vector = flat[0] if len(flat) == 1 else concatenate(*flat, dimension=0)
    product = dot_general(
        matrix,
        vector,
        dimension_numbers=(((1,), (0,)), ((), ())),
        precision=None,
        preferred_element_type=dtype,
    )
    dots: list[Any] = []
    start = 0
    for y, c in zip(outs, counts, strict=True):
        t = type_of(y)
        if not c:
            dots.append(None)
            continue
        part = slice_along(product, 0, start, start + t.size)
        dots.append(reshape(_as(part, t.dtype), new_sizes=t.shape))
        start += t.size
    return [*outs, *dots]


# ---- the Jacobian as rows of scalars


Row = list[Any]
"""One value for each scalar input: a float or a scalar in the current trace; None is zero."""


def _graph_of(
    function: Callable[..., Any],
    primals: Sequence[Any],
    wrt: Sequence[bool],
    of: Any,
    count: Callable[[], int | None] = lambda: None,
) -> tuple[list[Any], Graph, Builder]:
    """The values of `function`, and the graph of its derivative, without idle vertices."""
    outs, tape, places = linearize(function, primals, wrt, of)
    n = count()
    if n is not None:
        places = places[:n]
    kinds = [type_of(y) for y in outs[: len(places)]]
    keep = [dtypes.is_inexact(t.dtype) for t in kinds]
    places = [p if k else None for p, k in zip(places, keep, strict=True)]
    tape.forget_dead(places)
    builder = Builder()
    graph = builder.graph
    inputs: list[Any] = [[(graph.source(), 1.0) for _ in range(t.size)] for t in tape.avals]
    found = builder.write(tape, places, inputs)
    for elements, t, k in zip(found, kinds, keep, strict=True):
        for e in elements or [None] * (t.size if k else 0):
            sink = graph.sink()
            if e is not None:
                graph.connect(e[0], sink, e[1], builder.algebra)
    trim(graph)
    contract(graph, builder.algebra)
    return outs, graph, builder


def _accumulated(
    function: Callable[..., Any],
    primals: Sequence[Any],
    wrt: Sequence[bool],
    of: Any,
    count: Callable[[], int | None],
) -> tuple[list[Any], list[Row]]:
    """The values of `function`, and for each scalar of its float outputs a row of the Jacobian."""
    outs, graph, builder = _graph_of(function, primals, wrt, of, count)
    for v in _planned(graph).vertices:
        graph.eliminate(v, builder.algebra)
    number = builder.algebra.number
    rows = []
    for sink in graph.sinks:
        ins = graph.preds[sink]
        rows.append([number(ins[s]) if s in ins else None for s in graph.sources])
    return outs, rows


_plans: dict[Any, Order] = {}
_MOST_PLANS = 256


def _planned(graph: Graph) -> Order:
    """The best order, found once for graphs that are the same."""
    left = graph.abstract()
    key = (tuple(left.sources), tuple(left.sinks), tuple(left.edges()))
    if key not in _plans:
        if len(_plans) >= _MOST_PLANS:
            _plans.clear()
        _plans[key] = best_order(left)
    return _plans[key]


def _blocks(rows: list[Row], out_types: Sequence[Any], in_types: Sequence[Any]) -> list[list[Any]]:
    """For each output, for each input, the array of derivatives."""
    found, top = [], 0
    for y in out_types:
        below, blocks, left = rows[top : top + y.size], [], 0
        for x in in_types:
            values = [v for row in below for v in row[left : left + x.size]]
            blocks.append(_array(values, y.dtype, (*y.shape, *x.shape)))
            left += x.size
        found.append(blocks)
        top += y.size
    return found


def _matrix(rows: list[Row], width: int, dtype: Any) -> Any:
    return _array([v for row in rows for v in row], dtype, (len(rows), width))


def _array(values: Row, dtype: Any, shape: tuple[int, ...]) -> Any:
    """The array with these elements."""
    if all(v is None or isinstance(v, float) for v in values):
        known = np.array([0.0 if v is None else v for v in values], np.float64)
        return HostArray(known.astype(dtype).reshape(shape))
    scalars = [_scalar(v, dtype) for v in values]
    if not shape:
        return scalars[0]
    flat = _stacked(scalars)
    return flat if len(shape) == 1 else reshape(flat, new_sizes=shape)


def _stacked(scalars: list[Any]) -> Any:
    """The scalars as a vector. Under vmap the mapped axis is put last.

    One array for each entry of the Jacobian is then written as it is, and all are turned together
    afterwards: a third of the time of writing each with gaps (50 entries, 10,000 points).
    """
    trace = state.trace
    mapped = [type(x) is BatchTracer and x.owner is trace for x in scalars]
    if type(trace) is not BatchTrace or not any(mapped):
        return stack(*scalars, axis=0)
    with inside(trace.parent):
        rows = [
            x.value if m else broadcast_in_dim(x, shape=(trace.size,), broadcast_dimensions=())
            for x, m in zip(scalars, mapped, strict=True)
        ]
        return BatchTracer(trace, stack(*rows, axis=0), 1)


def _scalar(v: Any, dtype: Any) -> Any:
    if v is None or isinstance(v, float):
        return HostArray(np.asarray(0.0 if v is None else v).astype(dtype)[()])
    return _as(v, dtype)


def _as(x: Any, dtype: Any) -> Any:
    if type_of(x).dtype == dtype:
        return x
    return convert_element_type(x, new_dtype=dtype, weak_type=False)


def _outputs(outs: Sequence[Any]) -> list[Any]:
    """The results of the function, which must be floats."""
    arrays = [y if isinstance(y, Array) else checks.output_array(y, "jacobian") for y in outs]
    for y in arrays:
        _check_float(type_of(y), "output")
    return arrays


def _check_float(t: Any, what: str) -> None:
    if dtypes.kind(t.dtype) != "f":
        raise error(
            TypeError,
            f"jacobian with mode='cross' takes real-valued functions, but an {what} is "
            f"{dtypes.long_name(t.dtype)}.",
            got=t.str_short(),
            fix="convert to a float; for complex numbers use mode='forward' or mode='reverse'.",
        )


__all__ = ["AccumulationCost", "accumulation_cost", "cross_jacobian", "preaccumulate"]
