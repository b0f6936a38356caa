"""Loops on trees: scan, while_loop and fori_loop."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import checks
from ..control.scan import scan_p
from ..control.traced import Body, argument_names, trace_function
from ..control.while_loop import while_p
from ..core import dtypes
from ..core.array import Array, Tracer
from ..core.errors import ConcretizationTypeError, error
from ..core.pytree import PyTreeDef, flatten
from ..core.settings import values
from ..core.trace import host_array, type_of
from ..core.types import ArrayType
from ..ops.comparison import lt
from ..ops.elementwise import add, convert_element_type, like
from ..ops.slicing import slice_along
from ..ops.stacking import stack
from ..ops.structural import squeeze


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
    _split_transpose: bool = False,
    *,
    checkpoints: int | None = None,
) -> tuple[Any, Any]:
    """Run `f` over the elements of `xs` along their first axis, handing on a carry.

    Args:
      f: a function `(carry, x) -> (new carry, y)`. It is traced once, not called for each element;
        the new carry must have the structure, shapes and dtypes of the old one.
      init: the first carry: a pytree of arrays.
      xs: a pytree of arrays of one length, or None if there is only a `length`.
      length: how many times; needed only if `xs` has no arrays.
      reverse: whether to go from the last element to the first.
      unroll: accepted for compatibility.
      checkpoints: how many carries reverse mode may keep, the first among them; others are computed
        again, by the optimal schedule of Griewank & Walther, "Algorithm 799: Revolve" (2000). With
        ``c`` of them, a scan of ``n <= C(c + r, c)`` steps does ``r n - C(c + r, r - 1)`` steps
        again. None: the residuals of all steps are kept.

    Returns:
      The last carry, and the ys stacked along a new first axis.

    Raises:
      TypeError: `f` gives no pair, or a carry of another type than it took.
      ValueError: the arrays of `xs` differ in length, or `checkpoints` is no positive integer.

    Example:
      >>> import pullback.numpy as jnp
      >>> from pullback import lax
      >>> total, sums = lax.scan(lambda c, x: (c + x, c + x), 0.0, jnp.arange(4.0))
      >>> print(total, sums)
      6.0 [0. 1. 3. 6.]
    """
    check_callable("lax.scan: f argument should be a callable.", f)
    _check_unroll(unroll)
    wish = _wish(checkpoints, "scan")
    leaves, in_tree = flatten((init, xs))
    init_tree = in_tree.children()[0]
    n = init_tree.num_leaves
    leaves = [checks.input_array(x, "scan") for x in leaves]
    length = scan_length(leaves[n:], length, in_tree)
    if values.jax_disable_jit:
        return _scan_in_python(f, init, xs, length, reverse)
    carry, elements = leaves[:n], [type_of(x).without_axis(0) for x in leaves[n:]]

    def trace(carry: Sequence[Any]) -> Body:
        return trace_function(f, in_tree, [*map(type_of, carry), *elements], "scan")

    return _scan(f, trace, carry, leaves[n:], in_tree, length, reverse, unroll, wish)


def _scan(
    f: Any,
    trace: Any,
    carry: Any,
    xs: Any,
    in_tree: Any,
    length: int,
    reverse: bool,
    unroll: Any,
    wish: dict[str, int],
) -> tuple[Any, Any]:
    n, init_tree = len(carry), in_tree.children()[0]
    body = trace(carry)
    carry_tree, _ = _pair(body)
    _check_structure("scan body function", init_tree, carry_tree)
    promoted = _promoted(carry, body.closed.out_avals[:n])
    if promoted is not None:
        carry, body = promoted, trace(promoted)
    _check_carry("scan body function", f, in_tree, carry, body.closed.out_avals[:n])
    outs = scan_p(
        *body.consts,
        *carry,
        *xs,
        jaxpr=body.closed,
        length=length,
        num_carry=n,
        num_consts=len(body.consts),
        reverse=bool(reverse),
        unroll=int(unroll),
        **(wish if length else {}),  # without a step there is nothing to keep
    )
    return init_tree.unflatten(outs[:n]), body.out_tree.children()[1].unflatten(outs[n:])


def _pair(body: Body) -> list[PyTreeDef]:
    tree = body.out_tree
    if tree.type in (tuple, list) and tree.num_children == 2:
        return tree.children()  # type: ignore[no-any-return]
    raise error(
        TypeError,
        f"scan body output must be a pair, got {_shown(tree, body.closed.out_avals)}.",
        got=f"a result of structure {tree}",
        fix="end the function with `return new_carry, y`; y may be None.",
    )


def _shown(tree: PyTreeDef, types: Sequence[ArrayType]) -> str:
    return repr(tree.unflatten([_Plain(_long(t)) for t in types]))


class _Plain(str):
    __slots__ = ()
    __repr__ = str.__str__


def _wish(checkpoints: Any, what: str) -> dict[str, int]:
    """The parameter of a loop of which reverse mode may keep so many states."""
    return {} if checkpoints is None else {"checkpoints": checks.checkpoints(checkpoints, what)}


def _check_unroll(unroll: Any) -> None:
    if not isinstance(unroll, (int, np.integer)) or unroll < 0:
        raise error(
            ValueError,
            "`unroll` must be a bool or a non-negative integer.",
            got=f"unroll={unroll!r}",
            fix="leave it out: it does not change results.",
        )


def scan_length(xs: Sequence[Any], length: Any, in_tree: PyTreeDef) -> int:
    """The number of elements along the first axis, which all `xs` have."""
    for x in xs:
        if not x.shape:
            raise error(
                ValueError,
                "scan got value with no leading axis to scan over.",
                got=f"an array of type {type_of(x).str_short()} in xs",
                fix="close over values that are the same in all steps, instead of scanning them.",
            )
    sizes = [x.shape[0] for x in xs]
    if length is not None:
        given = as_integer(length)
        if given is None or given < 0 or any(n != given for n in sizes):
            raise error(
                ValueError,
                f"scan got `length` argument of {length} which disagrees with leading axis sizes "
                f"{sizes}."
                if given is not None and sizes
                else "scan needs a non-negative integer as `length`.",
                got=f"length={length!r}",
                fix="leave `length` out where there are xs, or give their length.",
            )
        return given
    if len(set(sizes)) > 1:
        raise error(
            ValueError,
            f"scan got values with different leading axis sizes: {', '.join(map(str, sizes))}.",
            got=", ".join(type_of(x).str_short() for x in xs),
            fix="give arrays of one length along axis 0.",
        )
    if not sizes:
        raise error(
            ValueError,
            "scan got no values to scan over and `length` not provided.",
            got=f"(init, xs) of structure {in_tree}",
            fix="give length=, the number of steps.",
        )
    return int(sizes[0])


def as_integer(x: Any) -> int | None:
    """`x` as a Python integer, or None if it is none."""
    try:
        return operator.index(x)
    except TypeError:
        return None


def _scan_in_python(f: Any, init: Any, xs: Any, length: int, reverse: bool) -> tuple[Any, Any]:
    """With the setting `jax_disable_jit`: a Python loop, in which values can be looked at."""
    leaves, tree = flatten(xs)
    leaves = [checks.input_array(x, "scan") for x in leaves]
    carry, found = init, []
    order = range(length - 1, -1, -1) if reverse else range(length)
    for i in order:
        carry, y = f(carry, tree.unflatten([element(x, i) for x in leaves]))
        found.append(y)
    if not length:
        raise error(
            ValueError,
            "zero-length scan is not supported in disable_jit() mode.",
            got="length 0",
            fix="leave the setting off: the types of the ys are not known without tracing.",
        )
    rows = [flatten(y) for y in (reversed(found) if reverse else found)]
    columns = zip(*(row for row, _ in rows), strict=True)
    ys = [stack(*[checks.input_array(y, "scan") for y in column], axis=0) for column in columns]
    return carry, rows[0][1].unflatten(ys)


def element(x: Any, i: int) -> Any:
    """`x[i]`, a row of an array, for an integer that is known."""
    return squeeze(slice_along(x, 0, i, i + 1), dimensions=(0,))


# ---- what loops ask of their bodies


def check_callable(message: str, *functions: Any) -> None:
    """Raise TypeError with this message unless all are functions."""
    for f in functions:
        if not callable(f):
            raise error(
                TypeError,
                message,
                got=f"a value of type {type(f).__name__}",
                fix="give a function first; the values that it works on come later.",
            )


def _long(t: ArrayType) -> str:
    return f"{dtypes.long_name(t.dtype)}[{','.join(map(str, t.shape))}]"


def _promoted(carry: Sequence[Any], outs: Sequence[ArrayType]) -> list[Any] | None:
    """The carry with weak values in the dtype that the body gives; None if all is well already."""
    new, changed = [], False
    for x, out in zip(carry, outs, strict=True):
        t = type_of(x)
        if t.weak_type and t.dtype != out.dtype:
            pair = ((t.dtype, True), (out.dtype, out.weak_type))
            top = dtypes.promote_types(pair, values.jax_enable_x64, False)
            if top is not None and top[0] != t.dtype:
                x = convert_element_type(x, new_dtype=top[0], weak_type=False)
                changed = True
        new.append(x)
    return new if changed else None


def _check_structure(what: str, have: PyTreeDef, found: PyTreeDef) -> None:
    if found != have:
        raise error(
            TypeError,
            f"{what} carry input and carry output must have the same pytree structure, but they "
            "differ.",
            got=f"input carry {have}; output carry {found}",
            fix="revise the function so that the carry output has the same pytree structure as the "
            "carry input.",
        )


def _check_carry(
    what: str, f: Any, in_tree: PyTreeDef, carry: Sequence[Any], outs: Sequence[ArrayType]
) -> None:
    pairs = [(type_of(x), out) for x, out in zip(carry, outs, strict=True)]
    if all(t.shape == out.shape and t.dtype == out.dtype for t, out in pairs):
        return
    wrong = []
    for name, (t, out) in zip(argument_names(f, in_tree), pairs, strict=False):
        differ = ["shapes"] * (t.shape != out.shape) + ["dtypes"] * (t.dtype != out.dtype)
        if differ:
            wrong.append(
                f"the input carry {'' if name.isidentifier() else 'component '}{name} has type "
                f"{_long(t)} but the corresponding output carry component has type {_long(out)}, "
                f"so the {' and '.join(differ)} do not match"
            )
    raise error(
        TypeError,
        f"{what} carry input and carry output must have equal types, but they differ.",
        got="; ".join(wrong),
        fix="revise the function so that all output types match the corresponding input types, "
        "e.g. with .astype(x.dtype), or begin with a carry of the type that comes out.",
    )


# ---- while_loop and fori_loop


def while_loop(
    cond_fun: Callable[[Any], Any],
    body_fun: Callable[[Any], Any],
    init_val: Any,
    *,
    checkpoints: int | None = None,
) -> Any:
    """Repeat `body_fun` for as long as `cond_fun` holds.

    Args:
      cond_fun: a function of the carry that gives a scalar bool.
      body_fun: a function of the carry that gives the next one, of the same structure and types.
      init_val: the first carry: a pytree of arrays.
      checkpoints: how many carries reverse mode may keep, the first among them, however many rounds
        there are; others are computed again, as in `scan`. None: outside `jit` the residuals of
        short loops are kept; else those of 4096 rounds, or 16 MB, at a time, and up to 32 carries.

    Returns:
      The first carry for which `cond_fun` does not hold. It has derivatives in forward and in
      reverse mode, of any order. What decides how many rounds there are has none.

    Raises:
      TypeError: `cond_fun` gives no scalar bool, or `body_fun` a carry of another type.
      ValueError: `checkpoints` is no positive integer.

    Example:
      >>> from pullback import lax
      >>> print(lax.while_loop(lambda x: x < 100, lambda x: 2 * x, 1))
      128
    """
    check_callable(
        "lax.while_loop: body_fun and cond_fun arguments should be callable.", body_fun, cond_fun
    )
    carry, tree = flatten(init_val)
    carry = [checks.input_array(x, "while_loop") for x in carry]
    wish = _wish(checkpoints, "while_loop")
    if values.jax_disable_jit:
        try:
            return _python_while(cond_fun, body_fun, tree.unflatten(carry))
        except ConcretizationTypeError:  # the condition is traced, by vmap for example
            pass
    return _while(cond_fun, body_fun, carry, tree, wish)


def _python_while(cond_fun: Any, body_fun: Any, carry: Any) -> Any:
    """With the setting `jax_disable_jit`: a Python loop, in which values can be looked at."""
    while bool(cond_fun(carry)):
        leaves, tree = flatten(body_fun(carry))
        carry = tree.unflatten([checks.input_array(x, "while_loop") for x in leaves])
    return carry


def _while(
    cond_fun: Any,
    body_fun: Any,
    carry: list[Any],
    tree: PyTreeDef,
    wish: dict[str, int],
    of: Any = None,
) -> Any:
    in_tree = flatten((tree.unflatten(carry),))[1]

    def trace(carry: Sequence[Any]) -> Body:
        types = [type_of(x) for x in carry]
        return trace_function(body_fun, in_tree, types, "while_loop", of)

    body = trace(carry)
    _check_structure("while_loop body function", tree, body.out_tree)
    promoted = _promoted(carry, body.closed.out_avals)
    if promoted is not None:
        carry, body = promoted, trace(promoted)
    _check_carry("while_loop body function", body_fun, in_tree, carry, body.closed.out_avals)
    types = [type_of(x) for x in carry]
    cond = trace_function(cond_fun, in_tree, types, "while_loop", of)
    _check_condition(cond)
    outs = while_p(
        *cond.consts,
        *body.consts,
        *carry,
        cond_jaxpr=cond.closed,
        body_jaxpr=body.closed,
        cond_nconsts=len(cond.consts),
        body_nconsts=len(body.consts),
        **wish,
    )
    return tree.unflatten(outs)


def _check_condition(cond: Body) -> None:
    types = cond.closed.out_avals
    if not cond.out_tree.is_leaf():
        what = f"cond_fun must return a boolean scalar, but got pytree {cond.out_tree}."
    elif types[0].shape or types[0].dtype != dtypes.bool_:
        what = f"cond_fun must return a boolean scalar, but got output type(s) {types}."
    else:
        return
    raise error(
        TypeError,
        what,
        got=", ".join(t.str_short() for t in types) or "nothing",
        fix="compare, e.g. x > 0, and reduce arrays with jnp.any or jnp.all.",
    )


def fori_loop(
    lower: Any,
    upper: Any,
    body_fun: Callable[[Any, Any], Any],
    init_val: Any,
    *,
    unroll: int | bool | None = None,
    checkpoints: int | None = None,
) -> Any:
    """Repeat `body_fun(i, carry)` for `i` from `lower` to `upper` - 1.

    Args:
      lower: an integer, the first `i`.
      upper: an integer, one more than the last `i`. Both may be floats: `i` then is one, too.
      body_fun: a function of `i` and the carry that gives the next carry, of the same types.
      init_val: the first carry: a pytree of arrays.
      unroll: accepted for compatibility, where the number of rounds is known.
      checkpoints: how many carries reverse mode may keep; see `scan` and `while_loop`.

    Returns:
      The last carry. Where the bounds are known, this is a `scan`; else it is a `while_loop`. Both
      have derivatives in forward and in reverse mode.

    Example:
      >>> from pullback import lax
      >>> print(lax.fori_loop(1, 5, lambda i, x: x * i, 1))
      24
    """
    check_callable("lax.fori_loop: body_fun argument should be callable.", body_fun)
    wish = _wish(checkpoints, "fori_loop")
    low, high = _known_int(lower), _known_int(upper)
    if low is None or high is None:
        lower, upper = _same_dtype(lower, upper)
        low, high = _known_float(lower), _known_float(upper)
    if low is not None and high is not None:
        unroll = 1 if unroll is None else unroll
        return _fori_by_scan(low, high, body_fun, init_val, unroll, wish)
    if unroll is not None and unroll is not False and unroll != 1:
        raise error(
            ValueError,
            "Can only use `unroll` in `fori_loop` if the loop bounds are statically known.",
            got=f"unroll={unroll!r}",
            fix="leave it out, or give Python integers as bounds.",
        )
    carry, tree = flatten((lower, upper, init_val))
    carry = [checks.input_array(x, "fori_loop") for x in carry]

    def goes_on(loop_carry: Any) -> Any:
        i, upper, _ = loop_carry
        return lt(i, upper)

    def step(loop_carry: Any) -> Any:
        i, upper, x = loop_carry
        return add(i, like(i, 1)), upper, body_fun(i, x)

    return _while(goes_on, step, carry, tree, wish, (body_fun, None))[2]


def _fori_by_scan(
    low: Any, high: Any, body_fun: Any, init_val: Any, unroll: Any, wish: dict[str, int]
) -> Any:
    length = max(int(high) - int(low), 0)
    if values.jax_disable_jit:
        for i in range(length):
            init_val = body_fun(host_array(low + i), init_val)
        return init_val
    _check_unroll(unroll)
    leaves, in_tree = flatten(((low, init_val), None))
    carry = [checks.input_array(x, "fori_loop") for x in leaves]
    of = (body_fun, flatten((low, init_val))[1])

    def step(loop_carry: Any, _: Any) -> Any:
        i, x = loop_carry
        return (add(i, like(i, 1)), body_fun(i, x)), None

    def trace(carry: Sequence[Any]) -> Body:
        types = [type_of(x) for x in carry]
        return trace_function(step, in_tree, types, "fori_loop", of)

    return _scan(step, trace, carry, [], in_tree, length, False, unroll, wish)[0][1]


def _known_int(x: Any) -> int | None:
    """A bound of a loop as a Python integer, where its value is known."""
    if isinstance(x, Tracer):
        x = x.known()
    if isinstance(x, Array):
        return as_integer(x) if x.shape == () else None
    return as_integer(x)


def _known_float(x: Any) -> Any:
    """A bound of a loop that is a float, where its value is known and whole."""
    x = x.known() if isinstance(x, Tracer) else x
    whole = x is not None and x.dtype.kind == "f" and float(x).is_integer()
    return x if whole else None


def _same_dtype(lower: Any, upper: Any) -> tuple[Any, Any]:
    """The bounds as numbers of one dtype; a Python integer takes that of another integer."""
    lower, upper = checks.input_array(lower, "fori_loop"), checks.input_array(upper, "fori_loop")
    a, b = type_of(lower), type_of(upper)
    for t in (a, b):
        if t.shape or dtypes.kind(t.dtype) not in "iuf":
            raise error(
                TypeError,
                "lower and upper arguments to fori_loop must be integer scalars.",
                got=f"{a.str_short()} and {b.str_short()}",
                fix="give integers: Python's, or integer arrays of shape ().",
            )
    if a.dtype == b.dtype:
        return lower, upper
    are_integers = a.dtype.kind in "iu" and b.dtype.kind in "iu"
    if are_integers and a.weak_type and not b.weak_type:
        return convert_element_type(lower, new_dtype=b.dtype, weak_type=False), upper
    if are_integers and b.weak_type and not a.weak_type:
        return lower, convert_element_type(upper, new_dtype=a.dtype, weak_type=False)
    raise error(
        TypeError,
        "lower and upper arguments to fori_loop must have equal types, got "
        f"{dtypes.long_name(a.dtype)} and {dtypes.long_name(b.dtype)}.",
        got=f"{a.str_short()} and {b.str_short()}",
        fix="convert one of them with .astype(...).",
    )
