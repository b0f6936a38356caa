"""Derivative rules of the user's own: custom_jvp, custom_vjp, closure_convert."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from . import checks
from .control.custom import custom_jvp_call, custom_vjp_call
from .core import dtypes
from .core.array import Array, Tracer
from .core.errors import UnexpectedTracerError, error
from .core.literals import NUMBERS, typed
from .core.program import run_program, trace_program
from .core.pytree import PyTreeDef, flatten
from .core.trace import EVAL, state, type_of
from .core.types import ArrayType
from .ops.barriers import stop_gradient
from .ops.elementwise import add_any, convert_element_type
from .ops.structural import zeros
from .symbolic_zeros import SymbolicZero as SymbolicZero
from .symbolic_zeros import zero_from_primal as zero_from_primal


class CustomFunction:
    """What both kinds have in common: the function, its arguments by position, its name."""

    def __init__(
        self,
        fun: Callable[..., Any],
        nondiff_argnums: Sequence[int] | int = (),
        nondiff_argnames: Sequence[str] | str = (),
    ) -> None:
        checks.callable_(fun, type(self).__name__)
        self.fun = self.__wrapped__ = fun
        self._signature = _signature(fun)
        numbers = (nondiff_argnums,) if isinstance(nondiff_argnums, int) else nondiff_argnums
        names = (nondiff_argnames,) if isinstance(nondiff_argnames, str) else nondiff_argnames
        self.nondiff_argnums = (*numbers, *(self._number(name) for name in names))
        self.__name__ = getattr(fun, "__name__", type(self).__name__)
        self.__qualname__ = getattr(fun, "__qualname__", self.__name__)
        self.__doc__ = getattr(fun, "__doc__", None)
        self.__module__ = getattr(fun, "__module__", __name__)

    def _number(self, name: str) -> int:
        """The position of the parameter of this name."""
        parameters = list(self._signature.parameters) if self._signature else []
        if name not in parameters:
            raise error(
                ValueError,
                f"nondiff_argnames names {name!r}, which the function does not have.",
                got=f"{getattr(self.fun, '__name__', self.fun)}({', '.join(parameters)})",
                fix="use the name of a parameter.",
            )
        return parameters.index(name)

    def _positional(self, args: Any, kwargs: Any) -> tuple[Any, ...]:
        """All arguments by position: keywords and defaults go where the signature says."""
        if self._signature is None:
            if kwargs:
                raise self._bad_call(
                    "it has no signature, so it takes no keyword arguments", kwargs
                )
            return tuple(args)
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as cause:
            raise self._bad_call(str(cause), kwargs) from cause
        bound.apply_defaults()
        if bound.kwargs:
            raise self._bad_call(
                f"keyword arguments {sorted(bound.kwargs)} cannot be put in a position", kwargs
            )
        return bound.args

    def _plain(self, args: Any, kwargs: Any) -> Any:
        """The function itself, outside of all transformations: numbers stay numbers."""
        if kwargs or self.nondiff_argnums or not all([isinstance(x, Array) for x in args]):
            fixed, dynamic = self._split(self._positional(args, kwargs))
            leaves, tree = flatten(tuple(dynamic))
            given: Any = tree.unflatten([self._argument(x) for x in leaves])
            args = tuple(self._joined(fixed, given))
        out = self.fun(*args)
        if isinstance(out, Array):
            return out
        outs, tree = flatten(out)
        checked = [y if type(y) in NUMBERS else checks.output_array(y, self.__name__) for y in outs]
        return tree.unflatten(checked)

    def _bad_call(self, why: str, kwargs: Any) -> TypeError:
        return error(
            TypeError,
            f"{type(self).__name__} function {self.__name__}: {why}.",
            got=f"keywords {sorted(kwargs)}" if kwargs else "",
            fix="pass arguments that the function's signature can put in positions.",
        )

    def _split(self, args: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Arguments that are not differentiated, and the others."""
        n = len(args)
        numbers = {i % n for i in self.nondiff_argnums} if n else set()
        fixed = [args[i] for i in sorted(numbers)]
        return fixed, [x for i, x in enumerate(args) if i not in numbers]

    def _joined(self, fixed: Sequence[Any], others: Sequence[Any]) -> list[Any]:
        n = len(fixed) + len(others)
        numbers = {i % n for i in self.nondiff_argnums} if n else set()
        f, o = iter(fixed), iter(others)
        return [next(f) if i in numbers else next(o) for i in range(n)]

    def _leaves(self, dynamic: Any) -> tuple[list[Any], Any]:
        leaves, tree = flatten(tuple(dynamic))
        return [self._input(x) for x in leaves], tree

    def _argument(self, x: Any) -> Any:
        number = typed(x)
        return self._input(x) if number is None else number

    def _input(self, x: Any) -> Array:
        return checks.input_array(x, f"{type(self).__name__} function {self.__name__}")


class custom_jvp(CustomFunction):
    """A function with a forward rule of its own, which serves reverse mode too.

    Args:
      fun: a function of pytrees of arrays, without side effects.
      nondiff_argnums: positions of arguments that are not arrays, such as functions; the rule
        gets them first.
      nondiff_argnames: the same by name.

    The rule, set with `defjvp` or `defjvps`, is used whenever the function is differentiated; it
    must be linear in the tangents.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> @pullback.custom_jvp
      ... def f(x, y):
      ...     return jnp.sin(x) * y
      >>> @f.defjvp
      ... def f_jvp(primals, tangents):
      ...     (x, y), (dx, dy) = primals, tangents
      ...     return f(x, y), jnp.cos(x) * dx * y + jnp.sin(x) * dy
      >>> print(pullback.grad(f)(2.0, 3.0))
      -1.2484405
    """

    jvp: Callable[..., Any] | None = None
    symbolic_zeros = False

    def defjvp(self, jvp: Callable[..., Any], symbolic_zeros: bool = False) -> Callable[..., Any]:
        """Set the rule `jvp(primals, tangents) -> (primal_out, tangent_out)`; returns it.

        With `symbolic_zeros`, a tangent known to be zero is a `SymbolicZero`.
        """
        self.jvp, self.symbolic_zeros = jvp, symbolic_zeros
        return jvp

    def defjvps(self, *jvps: Callable[..., Any] | None) -> None:
        """Set one rule for each argument: `rule(tangent, primal_out, *primals)`; None is zero."""
        if self.nondiff_argnums:
            raise error(
                TypeError,
                "Can't use ``defjvps`` with ``nondiff_argnums``.",
                got=f"nondiff_argnums={self.nondiff_argnums}",
                fix="write one rule for all arguments with defjvp.",
            )

        def jvp(primals: Any, tangents: Any) -> Any:
            out = self(*primals)
            outs, tree = flatten(out)
            total: list[Any] = [None] * len(outs)
            for rule, t in zip(jvps, tangents, strict=False):
                if rule is not None:
                    terms = flatten(rule(t, out, *primals))[0]
                    total = [
                        d if s is None else add_any(s, d) for s, d in zip(total, terms, strict=True)
                    ]
            filled = [
                zeros(type_of(y)) if t is None else t for t, y in zip(total, outs, strict=True)
            ]
            return out, tree.unflatten(filled)

        self.defjvp(jvp)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.jvp is None:
            raise error(
                AttributeError,
                f"No JVP defined for custom_jvp function {self.__name__} using defjvp.",
                got="a call without a rule",
                fix="define one with @f.defjvp, or leave custom_jvp out.",
            )
        if state.trace is EVAL:
            return self._plain(args, kwargs)
        fixed, dynamic = self._split(self._positional(args, kwargs))
        # The rule says nothing of these arguments: no derivative goes through them.
        fixed = [stop_gradient(x) if isinstance(x, Tracer) else x for x in fixed]
        leaves, in_tree = self._leaves(dynamic)
        trees: list[PyTreeDef] = []

        def call(*leaves: Any) -> list[Any]:
            out = self.fun(*self._joined(fixed, in_tree.unflatten(leaves)))
            outs, tree = flatten(out)
            trees.append(tree)
            return [checks.output_array(y, self.__name__) for y in outs]

        def rule(*xs: Any) -> list[Any]:
            outs, dots, tree = self._apply_rule(fixed, xs, in_tree)
            trees.append(tree)
            return [*outs, *dots]

        outs = custom_jvp_call(*leaves, call=call, jvp=rule, name=self.__name__)
        return trees[0].unflatten(outs)

    def _apply_rule(self, fixed: Any, xs: Any, in_tree: Any) -> Any:
        n = len(xs) // 2
        primals = xs[:n]
        dots = [self._tangent_in(x, t) for x, t in zip(primals, xs[n:], strict=True)]
        assert self.jvp is not None
        pair = self.jvp(*fixed, in_tree.unflatten(primals), in_tree.unflatten(dots))
        name = (
            f"Custom JVP rule {getattr(self.jvp, '__name__', 'jvp')} for function {self.__name__}"
        )
        if not (isinstance(pair, (tuple, list)) and len(pair) == 2):
            raise error(
                TypeError,
                f"{name} must produce a pair (list or tuple of length two) representing primal and "
                "tangent outputs.",
                got=f"{pair!r:.80}",
                fix="end the rule with `return primal_out, tangent_out`.",
            )
        outs, tree = flatten(pair[0])
        found, dot_tree = flatten(pair[1], lambda x: isinstance(x, SymbolicZero))
        if tree != dot_tree:
            raise error(
                TypeError,
                f"{name} must produce primal and tangent outputs with equal container (pytree) "
                "structures.",
                got=f"{tree} and {dot_tree}",
                fix="return the tangents in the same containers as the values.",
            )
        outs = [checks.output_array(y, name) for y in outs]
        return outs, [_tangent_out(name, y, t) for y, t in zip(outs, found, strict=True)], tree

    def _tangent_in(self, x: Any, t: Any) -> Any:
        if t is None:
            return zero_from_primal(x, self.symbolic_zeros)
        return t


def _tangent_out(name: str, y: Any, t: Any) -> Any:
    if isinstance(t, SymbolicZero) or getattr(t, "dtype", None) == dtypes.float0:
        return None
    t = checks.output_array(t, name)
    want, have = type_of(y), type_of(t)
    if not dtypes.is_inexact(want.dtype):
        return None
    if want.shape != have.shape or want.dtype != have.dtype:
        raise error(
            TypeError,
            f"{name} must produce primal and tangent outputs with equal shapes and dtypes.",
            got=f"primal {want.str_short()} and tangent {have.str_short()}",
            fix="make the tangent of each output an array of the output's shape and dtype.",
        )
    return t


class CustomVJPPrimal:
    """An argument of a fwd rule with symbolic zeros: its value and whether it is differentiated."""

    __slots__ = ("perturbed", "value")

    def __init__(self, value: Any, perturbed: bool) -> None:
        self.value, self.perturbed = value, perturbed

    def __repr__(self) -> str:
        return f"CustomVJPPrimal(value={self.value!r}, perturbed={self.perturbed})"


def custom_vjp_primal_tree_values(tree: Any) -> Any:
    """The arguments of a fwd rule with symbolic zeros as plain values, in their containers."""
    leaves, treedef = flatten(tree)
    for x in leaves:
        if not isinstance(x, CustomVJPPrimal):
            raise error(
                TypeError,
                "custom_vjp_primal_tree_values takes the arguments of a fwd rule.",
                got=f"a leaf of type {type(x).__name__}",
                fix="set symbolic_zeros=True in defvjp; else the arguments are plain values.",
            )
    return treedef.unflatten([x.value for x in leaves])


class custom_vjp(CustomFunction):
    """A function with a reverse rule of its own. Forward mode on it raises a TypeError.

    Args:
      fun: a function of pytrees of arrays, without side effects.
      nondiff_argnums: positions of arguments that are not arrays, such as functions; the backward
        rule gets them first.
      nondiff_argnames: the same by name.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> @pullback.custom_vjp
      ... def f(x, y):
      ...     return jnp.sin(x) * y
      >>> def f_fwd(x, y):
      ...     return f(x, y), (jnp.cos(x), jnp.sin(x), y)
      >>> def f_bwd(residuals, ct):
      ...     cos_x, sin_x, y = residuals
      ...     return cos_x * ct * y, sin_x * ct
      >>> f.defvjp(f_fwd, f_bwd)
      >>> print(pullback.grad(f)(2.0, 3.0))
      -1.2484405
    """

    fwd: Callable[..., Any] | None = None
    bwd: Callable[..., Any] | None = None
    symbolic_zeros = False

    def defvjp(
        self,
        fwd: Callable[..., Any],
        bwd: Callable[..., Any],
        symbolic_zeros: bool = False,
        optimize_remat: bool = False,
    ) -> None:
        """Set `fwd(*args) -> (out, residuals)` and `bwd(residuals, ct) -> tuple of cotangents`.

        A cotangent of None is zero. `optimize_remat` is accepted for compatibility.
        """
        self.fwd, self.bwd, self.symbolic_zeros = fwd, bwd, symbolic_zeros

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.fwd is None or self.bwd is None:
            raise error(
                AttributeError,
                f"No VJP defined for custom_vjp function {self.__name__} using defvjp.",
                got="a call without rules",
                fix="define them with f.defvjp(fwd, bwd), or leave custom_vjp out.",
            )
        if state.trace is EVAL:
            return self._plain(args, kwargs)
        fixed, dynamic = self._split(self._positional(args, kwargs))
        self._check_fixed(fixed)
        leaves, in_tree = self._leaves(dynamic)
        rules = _VjpRules(self, fixed, in_tree, [type_of(x) for x in leaves])
        outs = custom_vjp_call(
            *leaves, call=rules.call, fwd=rules.forward, bwd=rules.backward, name=self.__name__
        )
        return rules.out_trees[0].unflatten(outs)

    def _check_fixed(self, fixed: Any) -> None:
        for x in flatten(fixed)[0]:
            if isinstance(x, Tracer):
                raise error(
                    UnexpectedTracerError,
                    f"custom_vjp function {self.__name__} got a traced value as a nondiff_argnums "
                    "argument.",
                    got=x.describe(),
                    fix="pass arrays as ordinary arguments and return None as their cotangent; "
                    "nondiff_argnums is for functions, strings and the like.",
                )


class _VjpRules:
    """One call of a custom_vjp function: its function and rules on flat lists."""

    def __init__(
        self, of: custom_vjp, fixed: list[Any], in_tree: Any, types: list[ArrayType]
    ) -> None:
        self.of, self.fixed, self.in_tree, self.types = of, fixed, in_tree, types
        self.out_trees: list[PyTreeDef] = []
        self.residuals: dict[Any, tuple[PyTreeDef, list[Any]]] = {}
        """For each mask of active inputs: what else the residuals are than arrays."""

    def call(self, *leaves: Any) -> list[Any]:
        """The function itself."""
        of = self.of
        outs, tree = flatten(of.fun(*of._joined(self.fixed, self.in_tree.unflatten(leaves))))
        self.out_trees.append(tree)
        return [checks.output_array(y, of.__name__) for y in outs]

    def forward(self, active: Any, *leaves: Any) -> tuple[list[Any], list[Any]]:
        """The user's fwd: outputs and residuals."""
        of = self.of
        if of.symbolic_zeros:
            leaves = tuple(CustomVJPPrimal(x, a) for x, a in zip(leaves, active, strict=True))
        assert of.fwd is not None
        pair = of.fwd(*of._joined(self.fixed, self.in_tree.unflatten(leaves)))
        name = (
            f"Custom VJP fwd rule {getattr(of.fwd, '__name__', 'fwd')} for function {of.__name__}"
        )
        if not (isinstance(pair, (tuple, list)) and len(pair) == 2):
            raise error(
                TypeError,
                f"{name} must produce a pair (list or tuple of length two) where the first element "
                "represents the primal output and the second element represents residuals.",
                got=f"{pair!r:.80}",
                fix="end the rule with `return out, residuals`; residuals may be None.",
            )
        outs, tree = flatten(pair[0])
        residuals, residual_tree = flatten(pair[1])
        self.out_trees.append(tree)
        # Python numbers stay what they are: rules use them in `if`.
        fixed = [r if type(r) in NUMBERS else None for r in residuals]
        self.residuals[active] = residual_tree, fixed
        return [checks.output_array(y, name) for y in outs], [
            checks.output_array(r, name) for r in residuals if type(r) not in NUMBERS
        ]

    def backward(self, active: Any, residuals: list[Any], cts: Any) -> list[Any]:
        """The user's bwd: a cotangent, or None for zero, for each leaf of the arguments."""
        of = self.of
        filled = [
            (SymbolicZero(t) if of.symbolic_zeros else checks.zero_filled(None, t))
            if ct is None
            else ct
            for ct, t in cts
        ]
        tree, fixed = self.residuals[active]
        arrays = iter(residuals)
        kept = tree.unflatten([next(arrays) if r is None else r for r in fixed])
        ct_tree = self.out_trees[-1].unflatten(filled)
        assert of.bwd is not None
        found = of.bwd(*self.fixed, kept, ct_tree)
        return self._flat_cotangents(found)

    def _flat_cotangents(self, found: Any) -> list[Any]:
        of = self.of
        name = (
            f"Custom VJP bwd rule {getattr(of.bwd, '__name__', 'bwd')} for function {of.__name__}"
        )
        parts = self.in_tree.children()
        if isinstance(found, list):
            found = tuple(found)
        if not isinstance(found, tuple) or len(found) != len(parts):
            raise error(
                TypeError,
                f"{name} must produce a tuple of length equal to the primal args tuple.",
                got=f"{found!r:.80} for {len(parts)} arguments",
                fix="return one cotangent, or None, for each argument: `return (ct,)` for one.",
            )
        flat: list[Any] = []
        for i, (part, ct) in enumerate(zip(parts, found, strict=True)):
            if ct is None:
                flat += [None] * part.num_leaves
                continue
            leaves = _leaves_for(part, ct)
            if leaves is None:
                raise error(
                    TypeError,
                    f"{name} must produce an output with the same structure as the primal args.",
                    got=f"{flatten(ct, _no_cotangent)[1]} for argument {i} of {part}",
                    fix="return each cotangent in the same containers as its argument.",
                )
            types = self.types[len(flat) : len(flat) + len(leaves)]
            flat += [_cotangent(name, i, c, t) for c, t in zip(leaves, types, strict=True)]
        return flat


def _leaves_for(part: PyTreeDef, ct: Any) -> list[Any] | None:
    """A cotangent for each leaf of `part`, where None stands for a whole subtree; None if wrong."""
    leaves, tree = flatten(ct, _no_cotangent)
    try:
        below = tree.flatten_up_to(part.unflatten(range(part.num_leaves)))
    except ValueError:
        return None
    counts = [len(flatten(b)[0]) for b in below]
    if any(c is not None and n != 1 for c, n in zip(leaves, counts, strict=True)):
        return None
    return [c for c, n in zip(leaves, counts, strict=True) for _ in range(n)]


def _cotangent(name: str, i: int, c: Any, t: ArrayType) -> Any:
    """What a bwd rule gave for an input of type `t`, which is of argument `i`."""
    if c is None or isinstance(c, SymbolicZero) or not dtypes.is_inexact(t.dtype):
        return None
    if getattr(c, "dtype", None) == dtypes.float0:
        return None
    ct = c if isinstance(c, Array) else checks.output_array(c, "a bwd rule")
    have = type_of(ct)
    if have.shape != t.shape:
        raise error(
            ValueError,
            f"{name} must produce cotangents with the shapes of the primal args.",
            got=f"{have.str_short()} for argument {i} of type {t.str_short()}",
            fix="give each cotangent the shape of its argument: undo broadcasting with a sum.",
        )
    if have.dtype != t.dtype:
        return convert_element_type(ct, new_dtype=t.dtype, weak_type=t.weak_type)
    return ct


def flat_cotangents(name: str, found: Any, types: Sequence[ArrayType]) -> list[Any]:
    """What a rule gave for inputs of these types: a cotangent, or None, for each."""
    leaves, _ = flatten(found, _no_cotangent)
    return [_cotangent(name, i, c, t) for i, (c, t) in enumerate(zip(leaves, types, strict=True))]


def _no_cotangent(x: Any) -> bool:
    return x is None or isinstance(x, SymbolicZero)


def closure_convert(
    fun: Callable[..., Any], *example_args: Any
) -> tuple[Callable[..., Any], list[Any]]:
    """`fun` without its closure: the differentiable values that it closes over become arguments.

    Args:
      fun: a function of pytrees of arrays.
      *example_args: arguments, for their shapes and dtypes.

    Returns:
      ``(converted, consts)`` with ``converted(*args, *consts) == fun(*args)``. Only traced values
      of float or complex dtype are moved; others stay inside.

    Example:
      >>> import pullback
      >>> def f(y):
      ...     g, consts = pullback.closure_convert(lambda x: x * y, 2.0)
      ...     print(len(consts), "value moved")
      ...     return g(3.0, *consts)
      >>> print(pullback.grad(f)(4.0))
      1 value moved
      3.0
    """
    leaves, in_tree = flatten(example_args)
    trees: list[PyTreeDef] = []

    def flat(*leaves: Any) -> list[Any]:
        outs, tree = flatten(fun(*in_tree.unflatten(leaves)))
        trees.append(tree)
        return [checks.output_array(y, "closure_convert") for y in outs]

    closed = trace_program(flat, [checks.shaped(x, "closure_convert") for x in leaves], fun)
    moves = [isinstance(c, Tracer) and dtypes.is_inexact(c.dtype) for c in closed.consts]
    moved = [c for c, m in zip(closed.consts, moves, strict=True) if m]

    def converted(*args: Any) -> Any:
        n = len(args) - len(moved)
        given = iter(args[n:])
        consts = [next(given) if m else c for c, m in zip(closed.consts, moves, strict=True)]
        new, tree = flatten(tuple(args[:n]))
        checks.structure("the arguments", tree, in_tree, "the example arguments")
        return trees[0].unflatten(run_program(closed.program, consts, new))

    return converted, moved


def _signature(fun: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(fun)
    except (TypeError, ValueError):
        return None


__all__ = [
    "CustomVJPPrimal",
    "SymbolicZero",
    "CustomFunction",
    "closure_convert",
    "custom_jvp",
    "custom_vjp",
    "custom_vjp_primal_tree_values",
    "flat_cotangents",
    "zero_from_primal",
]
