"""Tables of rules, as `jax.interpreters` has them: read and write, for every primitive.

Writing `primitive_transposes[p] = rule` changes what Pullback does with `p` from then on, also for
its own primitives; deleting the entry brings the former rule back.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from functools import partial
from inspect import getattr_static
from typing import Any

from ...core.errors import error
from ...core.primitive import Absent, Linear, Method, all_primitives
from ...core.primitive import Primitive as CorePrimitive
from ...core.trace import state, type_of
from ...ops.elementwise import mul
from ...transforms import forward
from ...transforms.batch import BatchTrace
from .functions import Store, WrappedFun, wrap_init
from .primitives import (
    AxisData,
    Primitive,
    Rule,
    UndefinedPrimal,
    Zero,
    apply_batch,
    apply_jvp,
    apply_transpose,
    array,
    no_zero,
)


class RuleTable(MutableMapping[Any, Rule]):
    """One kind of rule for all primitives."""

    kind: str

    def __init__(self) -> None:
        self.given: dict[Any, Rule] = {}
        """What was written for Pullback's own primitives."""

    def __setitem__(self, primitive: Any, rule: Rule) -> None:
        if made_by_library(primitive):
            primitive.rules[self.kind] = rule
        elif getattr(rule, "of", None) is primitive:  # the rule as it was before
            self.given.pop(primitive, None)
            self.remove(primitive)
        else:
            self.given[primitive] = rule
            self.install(primitive, rule)

    def __delitem__(self, primitive: Any) -> None:
        if made_by_library(primitive):
            del primitive.rules[self.kind]
        else:
            del self.given[primitive]
            self.remove(primitive)

    def __getitem__(self, primitive: Any) -> Rule:
        if made_by_library(primitive):
            return primitive.rules[self.kind]  # type: ignore[no-any-return]
        if primitive in self.given:
            return self.given[primitive]
        if not isinstance(primitive, CorePrimitive) or not self.settled(primitive):
            raise KeyError(primitive)
        rule = self.view(primitive)
        rule.of = primitive  # type: ignore[attr-defined]
        return rule

    def __contains__(self, primitive: object) -> bool:
        try:
            self[primitive]
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[Any]:
        return (p for p in all_primitives() if p in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def settled(self, primitive: Any) -> bool:
        """Whether Pullback's own primitive has a rule of this kind."""
        return True

    def install(self, primitive: Any, rule: Rule) -> None:
        """Have Pullback's own primitive follow `rule`."""
        raise NotImplementedError

    def remove(self, primitive: Any) -> None:
        """Undo `install`."""
        raise NotImplementedError

    def view(self, primitive: Any) -> Rule:
        """The rule of Pullback's own primitive, to be called as JAX calls rules."""
        raise NotImplementedError


def made_by_library(primitive: Any) -> bool:
    """Whether a primitive was made with `jax.extend.core.Primitive`, so that it keeps its rules."""
    return Primitive in type(primitive).__mro__


def _drop(primitive: Any, *names: str) -> None:
    for name in names:  # written on the instance, they hid what the class has
        vars(primitive).pop(name, None)


class JvpRules(RuleTable):
    """`rule(primals, tangents, **params) -> (outputs, tangents)`"""

    kind = "jvp"

    def settled(self, primitive: Any) -> bool:
        return not isinstance(type(primitive).__dict__.get("jvp"), Absent)

    def install(self, primitive: Any, rule: Rule) -> None:
        def forward_rule(trace: Any, primals: Any, tangents: Any, params: Any) -> Any:
            several = primitive.multiple_results
            return apply_jvp(rule, several, trace, primals, tangents, params)

        # On the instance; the traces look there first.
        vars(primitive).update(forward=forward_rule, own_forward=True, slope=None)

    def remove(self, primitive: Any) -> None:
        _drop(primitive, "forward", "own_forward", "slope")

    def view(self, primitive: Any) -> Rule:
        cls = type(primitive)
        slope = getattr_static(cls, "slope")

        def rule(primals: Any, tangents: Any, **params: Any) -> Any:
            trace = forward.JVPTrace(state.trace)
            primals = [array(x) for x in primals]
            tangents = [no_zero(t) for t in tangents]
            several = primitive.multiple_results
            dot: Any
            # Of the class, not what this table may have put in its place.
            if slope is not None and tangents[0] is not None:
                out = primitive(*primals, **params)
                factor = slope.__get__(primitive, cls)(out, *primals, **params)
                dot = None if factor is None else mul(tangents[0], factor)
            elif any(t is not None for t in tangents):
                out, dot = cls.forward(primitive, trace, primals, tangents, params)
            else:
                out = primitive(*primals, **params)
                dot = [None] * len(out) if several else None
            if several:
                return out, [_or_zero(y, t) for y, t in zip(out, dot, strict=True)]
            return out, _or_zero(out, dot)

        return rule


def _or_zero(y: Any, tangent: Any) -> Any:
    return Zero(type_of(y).tangent()) if tangent is None else tangent


class TransposeRules(RuleTable):
    """`rule(cotangents, *args, **params) -> cotangents`"""

    kind = "transpose"

    def settled(self, primitive: Any) -> bool:
        own = getattr_static(type(primitive), "transpose")
        return not isinstance(own, (Absent, Method))

    def install(self, primitive: Any, rule: Rule) -> None:
        def transpose(ct: Any, *args: Any, **params: Any) -> list[Any]:
            return apply_transpose(rule, primitive, ct, args, params)

        vars(primitive).update(transpose=transpose)

    def remove(self, primitive: Any) -> None:
        _drop(primitive, "transpose")

    def view(self, primitive: Any) -> Rule:
        cls = type(primitive)
        own = getattr_static(cls, "transpose").__get__(primitive, cls)

        def rule(ct: Any, *args: Any, **params: Any) -> Any:
            ct = [no_zero(c) for c in ct] if primitive.multiple_results else no_zero(ct)
            if ct is None:
                return [None] * len(args)
            places = [
                Linear(i, 1, None, (), None, a.aval) if type(a) is UndefinedPrimal else array(a)
                for i, a in enumerate(args)
            ]
            return own(ct, *places, **params)

        return rule


class FancyBatchRules(RuleTable):
    """`rule(axis_data, args, dims, **params) -> (outputs, dims)`"""

    kind = "batch"

    def install(self, primitive: Any, rule: Rule) -> None:
        def batch(trace: Any, values: Any, axes: Any, params: Any) -> Any:
            return apply_batch(rule, primitive, trace, values, axes, params)

        vars(primitive).update(batch=batch, own_batch=True)

    def remove(self, primitive: Any) -> None:
        _drop(primitive, "batch", "own_batch")

    def view(self, primitive: Any) -> Rule:
        def rule(axis_data: Any, args: Any, dims: Any, **params: Any) -> Any:
            trace = BatchTrace(state.trace, axis_data.size, axis_data.name)
            if all(d is None for d in dims):
                out = primitive(*args, **params)
                return out, [None] * len(out) if primitive.multiple_results else None
            own = type(primitive).batch
            return own(primitive, trace, [array(a) for a in args], list(dims), params)

        return rule


class AxisBatchRules(MutableMapping[Any, Rule]):
    """`rule(axis_size, axis_name, trace_type, args, dims, **params)`, kept in the fancy table."""

    def __init__(self, table: FancyBatchRules) -> None:
        self.table = table

    def __setitem__(self, primitive: Any, rule: Rule) -> None:
        self.table[primitive] = self.to_fancy(primitive, rule)

    def __getitem__(self, primitive: Any) -> Rule:
        fancy = self.table[primitive]
        return getattr(fancy, "batcher", None) or self.from_fancy(fancy)

    def __delitem__(self, primitive: Any) -> None:
        del self.table[primitive]

    def __contains__(self, primitive: object) -> bool:
        return primitive in self.table

    def __iter__(self) -> Iterator[Any]:
        return iter(self.table)

    def __len__(self) -> int:
        return len(self.table)

    def to_fancy(self, primitive: Any, rule: Rule) -> Rule:
        """The rule as the fancy table keeps it, with the given one as its `batcher`."""

        def fancy(axis_data: Any, args: Any, dims: Any, **params: Any) -> Any:
            return rule(axis_data.size, axis_data.name, None, args, dims, **params)

        return fancy

    def from_fancy(self, fancy: Rule) -> Rule:
        """A rule of the fancy table as this table gives it."""

        def batcher(size: Any, name: Any, _: Any, args: Any, dims: Any, **params: Any) -> Any:
            return fancy(AxisData(name, size), args, dims, **params)

        return batcher


class BatchRules(AxisBatchRules):
    """`rule(args, dims, **params) -> (outputs, dims)`, called only where something is mapped."""

    def to_fancy(self, primitive: Any, rule: Rule) -> Rule:
        def fancy(axis_data: Any, args: Any, dims: Any, **params: Any) -> Any:
            if all(d is None for d in dims):
                out = primitive.bind(*args, **params)
                return out, [None] * len(out) if primitive.multiple_results else None
            return rule(args, dims, **params)

        fancy.batcher = rule  # type: ignore[attr-defined]
        return fancy

    def from_fancy(self, fancy: Rule) -> Rule:
        def batcher(args: Any, dims: Any, **params: Any) -> Any:
            return fancy(AxisData(None, _size(args, dims)), args, dims, **params)

        return batcher


def _size(args: Any, dims: Any) -> int:
    return next((x.shape[d] for x, d in zip(args, dims, strict=True) if d is not None), 1)


primitive_jvps = JvpRules()
primitive_transposes = TransposeRules()
fancy_primitive_batchers = FancyBatchRules()
axis_primitive_batchers = AxisBatchRules(fancy_primitive_batchers)
primitive_batchers = BatchRules(fancy_primitive_batchers)


# ---- families of rules


def deflinear2(primitive: Any, transpose_rule: Rule) -> None:
    """The operation is linear in all arguments; `transpose_rule(ct, *args, **params)`."""
    primitive_jvps[primitive] = partial(_linear_jvp, primitive)
    primitive_transposes[primitive] = partial(_linear_transpose, primitive, transpose_rule)


def deflinear(primitive: Any, transpose_rule: Rule) -> None:
    """The same with `transpose_rule(ct, **params)`."""
    deflinear2(primitive, lambda ct, *_, **params: transpose_rule(ct, **params))


def _linear_jvp(primitive: Any, primals: Any, tangents: Any, **params: Any) -> Any:
    out = primitive.bind(*primals, **params)
    if all(type(t) is Zero for t in tangents):
        if primitive.multiple_results:
            return out, [Zero(type_of(y).tangent()) for y in out]
        return out, Zero(type_of(out).tangent())
    return out, primitive.bind(*[instantiate_zeros(t) for t in tangents], **params)


def _linear_transpose(primitive: Any, rule: Rule, ct: Any, *args: Any, **params: Any) -> Any:
    if type(ct) is Zero:
        return [Zero(a.aval) for a in args]
    return rule(ct, *args, **params)


def defjvp(primitive: Any, *rules: Rule | None) -> None:
    """One rule for each argument: `rule(tangent, *primals, **params)`; None is zero."""
    defjvp2(primitive, *(r and partial(_without_answer, r) for r in rules))


def _without_answer(rule: Rule, t: Any, answer: Any, *primals: Any, **params: Any) -> Any:
    return rule(t, *primals, **params)


def defjvp2(primitive: Any, *rules: Rule | None) -> None:
    """One rule for each argument: `rule(tangent, answer, *primals, **params)`; None is zero."""

    def jvp(primals: Any, tangents: Any, **params: Any) -> Any:
        out = primitive.bind(*primals, **params)
        total: Any = Zero(type_of(out).tangent())
        for rule, t in zip(rules, tangents, strict=False):
            if rule is not None and type(t) is not Zero:
                total = add_tangents(total, rule(t, out, *primals, **params))
        return out, total

    primitive_jvps[primitive] = jvp


def defbilinear(primitive: Any, lhs_rule: Rule, rhs_rule: Rule) -> None:
    """The operation is linear in each of two arguments.

    The cotangents are `lhs_rule(ct, x, y, **params)`, `rhs_rule(ct, x, y, **params)`.
    """

    def lhs_jvp(t: Any, x: Any, y: Any, **params: Any) -> Any:
        return primitive.bind(t, y, **params)

    def rhs_jvp(t: Any, x: Any, y: Any, **params: Any) -> Any:
        return primitive.bind(x, t, **params)

    def transpose(ct: Any, x: Any, y: Any, **params: Any) -> Any:
        if type(x) is UndefinedPrimal:
            return [Zero(x.aval) if type(ct) is Zero else lhs_rule(ct, x, y, **params), None]
        return [None, Zero(y.aval) if type(ct) is Zero else rhs_rule(ct, x, y, **params)]

    defjvp(primitive, lhs_jvp, rhs_jvp)
    primitive_transposes[primitive] = transpose


def add_tangents(x: Any, y: Any) -> Any:
    """The sum of two tangents, of which each may be a Zero."""
    if type(x) is Zero:
        return y
    return x if type(y) is Zero else x + y


def instantiate_zeros(t: Any) -> Any:
    """`t`, with zeros in memory if it is a Zero."""
    return t.instantiate() if type(t) is Zero else t


def is_undefined_primal(x: Any) -> bool:
    """Whether an argument of a transpose rule is an input to find the cotangent of."""
    return type(x) is UndefinedPrimal


def get_primitive_transpose(primitive: Any) -> Rule:
    """The transpose rule of a primitive."""
    try:
        return primitive_transposes[primitive]
    except KeyError as cause:
        raise error(
            NotImplementedError,
            f"Transpose rule (for reverse-mode differentiation) for '{primitive}' not implemented.",
            got=f"primitive {primitive}",
            fix="register one in jax.interpreters.ad.primitive_transposes.",
        ) from cause


# ---- transformations of flat functions


def jvp(
    fun: WrappedFun, has_aux: bool = False, instantiate: bool = True, transform_stack: bool = True
) -> Any:
    """A function of `(primals, tangents)`; with `has_aux` also one that gives the second result."""
    store = Store()

    def run(primals: Any, tangents: Any) -> Any:
        def flat(*xs: Any) -> Any:
            if not has_aux:
                return fun.call_wrapped(*xs)
            out, aux = fun.call_wrapped(*xs)
            store.store(aux)
            return out

        outs, dots = forward.jvp(flat, [array(x) for x in primals], [no_zero(t) for t in tangents])
        filled = [_tangent(y, t, instantiate) for y, t in zip(outs, dots, strict=True)]
        return outs, filled

    wrapped = wrap_init(run, debug_info=fun.debug_info)
    return (wrapped, lambda: store.val) if has_aux else wrapped


def _tangent(y: Any, t: Any, instantiate: bool) -> Any:
    if t is not None:
        return t
    zero = Zero(type_of(y).tangent())
    return zero.instantiate() if instantiate else zero
