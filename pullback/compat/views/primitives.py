"""A primitive that a library makes at run time, with rules as JAX calls them.

JAX says that a tangent or cotangent is zero with a `Zero`, and that an input of a transpose rule
is to be found with an `UndefinedPrimal`. Pullback says None and `Linear`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core import dtypes
from ...core import primitive as core
from ...core.array import Array, HostArray
from ...core.errors import error
from ...core.primitive import Linear
from ...core.program import trace_program
from ...core.pytree import register
from ...core.trace import EVAL, host_array, inside, state, type_of
from ...core.types import ArrayType
from ...ops.structural import zeros


def written(aval: ArrayType) -> str:
    """`float32[3]`"""
    return repr(aval).removeprefix("ShapedArray(").removesuffix(")")


class Zero:
    """A tangent or cotangent known to be zero, of type `aval`."""

    __slots__ = ("aval",)

    def __init__(self, aval: ArrayType) -> None:
        self.aval = aval

    def instantiate(self) -> Any:
        """Zeros in memory, of dtype float0 where the type says so."""
        if self.aval.dtype == dtypes.float0:
            return np.zeros(self.aval.shape, dtypes.float0)
        return zeros(self.aval)

    def __repr__(self) -> str:
        return f"Zero({written(self.aval)})"


class UndefinedPrimal:
    """An input that an operation is linear in, as a transpose rule sees it."""

    __slots__ = ("aval",)

    def __init__(self, aval: ArrayType) -> None:
        self.aval = aval

    def __repr__(self) -> str:
        return f"UndefinedPrimal({written(self.aval)})"


register(Zero, lambda z: ((), z.aval), lambda aval, _: Zero(aval))
register(UndefinedPrimal, lambda u: ((), u.aval), lambda aval, _: UndefinedPrimal(aval))


@dataclass(frozen=True)
class AxisData:
    """The axis of a vmap, as a batching rule gets it."""

    name: Any
    size: int
    spmd_name: Any = None
    explicit_mesh_axis: Any = None


Rule = Callable[..., Any]


class AnyPrimitive(type):
    """The class of `jax.extend.core.Primitive`: every primitive is an instance of that."""

    def __instancecheck__(cls, instance: Any) -> bool:
        if cls is Primitive:
            return isinstance(instance, core.Primitive)
        return type.__instancecheck__(cls, instance)


class Primitive(core.Primitive, metaclass=AnyPrimitive):
    """A primitive that gets its name and its rules one by one.

    Args:
      name: how printed programs show it.

    Rules that are not set are missing: a transformation that needs one raises NotImplementedError.

    Example:
      >>> import pullback
      >>> from pullback import compat
      >>> compat.install()
      >>> from jax.extend.core import Primitive
      >>> from jax.interpreters import ad
      >>> from jax.core import ShapedArray
      >>> double = Primitive("double")
      >>> _ = double.def_impl(lambda x: 2 * x)
      >>> _ = double.def_abstract_eval(lambda x: ShapedArray(x.shape, x.dtype))
      >>> ad.deflinear(double, lambda ct: [double.bind(ct)])
      >>> print(pullback.jit(pullback.grad(double.bind))(1.0))
      2.0
      >>> compat.uninstall()
    """

    multiple_results = False  # type: ignore[misc]
    effects: bool = False
    foldable = False  # type: ignore[misc]

    def __init__(self, name: str) -> None:
        # Not registered: the tables of Pullback's own primitives are not for these.
        self.name = name  # type: ignore[misc]
        self.rules: dict[str, Rule] = {}

    # ---- setting the rules

    def def_impl(self, impl: Rule) -> Rule:
        """Set what the operation does to arrays; returns it."""
        self.rules["impl"] = impl
        return impl

    def def_abstract_eval(self, abstract_eval: Rule) -> Rule:
        """Set the type, or the list of types, of the results for given types; returns it."""
        self.rules["abstract_eval"] = lambda *types, **params: (
            abstract_eval(*types, **params),
            frozenset(),
        )
        return abstract_eval

    def def_effectful_abstract_eval(self, abstract_eval: Rule) -> Rule:
        """The same for a rule that returns the types and the set of effects."""
        self.rules["abstract_eval"] = abstract_eval
        self.effects = True
        return abstract_eval

    def def_bind_with_trace(self, bind_with_trace: Rule) -> Rule:
        """Set what `bind` does with `(trace, args, avals, params)`; returns it."""
        self.rules["bind_with_trace"] = bind_with_trace
        return bind_with_trace

    # ---- using them

    def bind(self, *args: Any, **params: Any) -> Any:
        """Apply the primitive: hand it to the current trace."""
        own = self.rules.get("bind_with_trace")
        if own is not None:
            return own(state.trace, args, [type_of(a) for a in args], params)
        if state.trace is EVAL:
            return self.impl(
                *[a if isinstance(a, Array) else host_array(a) for a in args], **params
            )
        return state.trace.process(self, args, params)

    __call__ = bind

    def bind_with_trace(self, trace: Any, args: Any, types: Any, params: Any) -> Any:
        """`bind` in another trace than the current one."""
        with inside(trace):
            return self.bind(*args, **params)

    def impl(self, *args: Any, **params: Any) -> Any:
        """Do the operation on arrays."""
        return self.needed("impl", "Evaluation rule")(*args, **params)

    def abstract_eval(self, *types: Any, **params: Any) -> tuple[Any, Any]:
        """The types of the results, and the set of effects."""
        found = self.needed("abstract_eval", "Abstract evaluation")(*types, **params)
        return found  # type: ignore[no-any-return]

    def needed(self, name: str, title: str) -> Rule:
        """The rule `name`, or an error that speaks of it as `title`."""
        rule = self.rules.get(name)
        if rule is None:
            raise error(
                NotImplementedError,
                f"{title} for '{self.name}' not implemented.",
                got=f"primitive {self.name} with rules for: {', '.join(self.rules) or 'nothing'}",
                fix="register the rule before the primitive is used in this way.",
            )
        return rule

    # ---- as Pullback's traces and engines call them

    @property
    def weak_from(self) -> Any:  # type: ignore[override]
        """The types of results say whether they are weak, where there is a rule for types."""
        return "typing" if "abstract_eval" in self.rules else ()

    def typing(self, *types: Any, **params: Any) -> Any:
        with inside(EVAL):  # what it computes on its way is no part of the program
            return self.abstract_eval(*types, **params)[0]

    def eval(self, *values: Any, **params: Any) -> Any:
        with inside(EVAL):
            out = self.impl(*[HostArray(v) for v in values], **params)
        if self.multiple_results:
            return [host_array(y)._value for y in out]
        return host_array(out)._value

    def evaluate(self, args: Sequence[Any], params: Any) -> Any:
        with inside(EVAL):
            return list(self.impl(*[host_array(a) for a in args], **params))

    def forward(self, trace: Any, primals: list[Any], tangents: list[Any], params: Any) -> Any:
        rule = self.needed("jvp", "Differentiation rule")
        return apply_jvp(rule, self.multiple_results, trace, primals, tangents, params)

    def transpose(self, ct: Any, *args: Any, **params: Any) -> Any:
        rule = self.needed("transpose", "Transpose rule")
        return apply_transpose(rule, self, ct, args, params)

    def batch(self, trace: Any, values: list[Any], axes: list[Any], params: Any) -> Any:
        rule = self.needed("batch", "Batching rule")
        return apply_batch(rule, self, trace, values, axes, params)

    def lowered_program(self, types: Sequence[ArrayType], params: Any) -> Any:
        """The program of the function that the library lowers this primitive to."""
        function = getattr(self.rules.get("lowering"), "lowered_function", None)
        if function is None:
            return None
        single = not self.multiple_results

        def flat(*xs: Any) -> Any:
            out = function(*xs, **params)
            return [out] if single else out

        with inside(EVAL):
            return trace_program(flat, types)

    jvp: Any = core.Method("forward", "the rule gives value and tangent together")
    vmap: Any = core.Method("batch", "the rule is told the axis")
    lower: Any = core.Method("lowered_program", "the lowering is registered later")


def array(x: Any) -> Any:
    """`x` as an Array: JAX's rules never see a Python number."""
    return x if isinstance(x, Array) else host_array(x)


def no_zero(x: Any) -> Any:
    """What a rule returned for a tangent or cotangent, with None for zero."""
    if x is None or x is Zero or type(x) is Zero:
        return None
    return None if getattr(x, "dtype", None) == dtypes.float0 else array(x)


def apply_jvp(
    rule: Rule, several: bool, trace: Any, primals: Any, tangents: Any, params: Any
) -> tuple[Any, Any]:
    """`rule(primals, tangents, **params)`: outputs and their tangents (None: zero)."""
    primals = tuple(array(x) for x in primals)
    dots = tuple(
        Zero(type_of(x).tangent()) if t is None else t
        for x, t in zip(primals, tangents, strict=True)
    )
    with inside(trace.tangents):
        out, dot = rule(primals, dots, **params)
    if not several:
        return array(out), no_zero(dot)
    outs = [array(y) for y in out]
    if dot is Zero:
        return outs, [None] * len(outs)
    return outs, [no_zero(t) for t in dot]


def apply_transpose(rule: Rule, primitive: Any, ct: Any, args: Any, params: Any) -> list[Any]:
    """`rule(cotangents, *args, **params)`: one cotangent or None for each argument."""
    seen = [UndefinedPrimal(a.aval) if type(a) is Linear else a for a in args]
    if primitive.multiple_results and any(c is None for c in ct):
        types = primitive.typing(
            *[type_of(a) if type(a) is not Linear else a.aval for a in args], **params
        )
        ct = [Zero(t.tangent()) if c is None else c for c, t in zip(ct, types, strict=True)]
    elif primitive.multiple_results:
        ct = list(ct)
    found = rule(ct, *seen, **params)
    if found is None or found is Zero:
        return [None] * len(args)
    return [no_zero(c) for c in found]


def apply_batch(
    rule: Rule, primitive: Any, trace: Any, values: Any, axes: Any, params: Any
) -> tuple[Any, Any]:
    """`rule(axis_data, args, dims, **params)`: outputs and the axes they are mapped on."""
    axis, args = AxisData(trace.axis_name, trace.size), tuple(array(v) for v in values)
    with inside(trace.parent):
        out, dims = rule(axis, args, tuple(axes), **params)
    if not primitive.multiple_results:
        return array(out), _axis(out, dims)
    outs = [array(y) for y in out]
    if dims is None or isinstance(dims, int):
        dims = [dims] * len(outs)
    return outs, [_axis(y, d) for y, d in zip(outs, dims, strict=True)]


def _axis(x: Any, axis: Any) -> int | None:
    return (
        None
        if axis is None
        else int(axis) % len(np.shape(x) if not isinstance(x, Array) else x.shape)
    )


class CallPrimitive(Primitive):
    """A primitive that calls a WrappedFun: `bind(fun, *args)` is `fun.call_wrapped(*args)`."""

    multiple_results = True  # type: ignore[misc]
    call_primitive = True  # type: ignore[misc]

    def bind(self, *args: Any, **params: Any) -> Any:
        """Call the function: its operations take the place of the call."""
        fun, *rest = args
        return getattr(fun, "call_wrapped", fun)(*[array(a) for a in rest])

    __call__ = bind


call_p = CallPrimitive("core_call")
closed_call_p = CallPrimitive("core_closed_call")


def zeros_like_aval(aval: ArrayType) -> Any:
    """Zeros of this type."""
    return Zero(aval).instantiate()
