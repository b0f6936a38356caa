"""Index sets through a whole program: which inputs each element of each result may depend on.

Griewank & Walther, Evaluating Derivatives (2008), chapter 7: sets of indices are propagated as
derivatives are, with unions in place of sums. Each primitive has a rule that does not depend on
values that the inputs decide, so that the sets hold at every point. An operation without a rule is
opened, where it is defined by other operations; where it is not, it counts as dense.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..control.branches import cond_p
from ..control.callbacks import Callback
from ..control.checkpoint import checkpoint_p, name_p
from ..control.counted import counted_scan_p
from ..control.custom import custom_lin, no_forward_mode
from ..control.scan import scan_p
from ..control.while_loop import while_p
from ..core.array import Tracer
from ..core.primitive import CORE, Absent
from ..core.program import ClosedProgram, Literal, Var, trace_program
from ..core.trace import host_array
from ..ops.barriers import optimization_barrier, stop_gradient
from ..ops.elementwise import Elementwise
from ..ops.identities import Identity, device_put
from .combining import COMBINING, FAMILIES, constant, elementwise
from .index_sets import union
from .loops import counted, repeated, scanned
from .moving import MOVING, dense, sparse_product, unchanged
from .values import Call, Rule, Value, evaluated


def propagate(closed: ClosedProgram, inputs: Sequence[Value]) -> list[Value]:
    """The values of the results of a program for these of its inputs."""
    program = closed.program
    env: dict[Var, Value] = {}
    for var, c in zip(program.constvars, closed.consts, strict=True):
        number = None if isinstance(c, Tracer) else host_array(c)._value
        env[var] = Value(var.aval, None, number)
    env.update(zip(program.invars, inputs, strict=True))

    def read(atom: Any) -> Value:
        return Value(atom.aval, None, atom.val) if type(atom) is Literal else env[atom]

    for eq in program.eqns:
        types = [v.aval for v in eq.outvars]
        outs = step(eq.primitive, eq.params, [read(a) for a in eq.invars], types)
        env.update(zip(eq.outvars, outs, strict=True))
    return [read(a) for a in program.outvars]


def step(primitive: Any, params: Any, ins: Sequence[Value], types: Any) -> list[Value]:
    """The values of the results of one equation."""
    if all(v.sets is None for v in ins):
        known = [v.is_known for v in ins]
        if any(known) and not all(known):  # some of the results may be known, as counters are
            inner = _opened(primitive, params)
            if inner is not None:
                return propagate(inner, ins)
            if primitive is scan_p:
                return scanned(Call(primitive, params, ins, types), propagate)
        return evaluated(primitive, params, ins, types)
    call = Call(primitive, params, ins, types)
    found = CONTROL.get(primitive)
    if found is not None:
        return found(call, propagate)  # type: ignore[no-any-return]
    inner = _opened(primitive, params)
    if inner is not None:
        return propagate(inner, ins)
    rule = rule_of(primitive)
    if rule is None:
        inner = _lowered(call)
        if inner is not None:
            return propagate(inner, ins)
        rule = dense
    sets = [s if s is None or not s.is_empty() else None for s in rule(call)]
    return [Value(t, s) for t, s in zip(types, sets, strict=True)]


def rule_of(primitive: Any) -> Rule | None:
    """How index sets go through this primitive; None if nobody has said so."""
    rule = RULES.get(primitive)
    if rule is not None:
        return rule
    if primitive.name == "coo_matmul":  # its package is not imported for it
        return sparse_product
    return next((r for family, r in FAMILIES if isinstance(primitive, family)), None)


RULES: dict[Any, Rule] = {
    **MOVING,
    **COMBINING,
    name_p: unchanged,
    optimization_barrier: unchanged,
    device_put: unchanged,
    stop_gradient: constant,
}

FAMILIES += [(Identity, unchanged), (Elementwise, elementwise), (Callback, dense)]


def _opened(primitive: Any, params: Any) -> Any:
    """The program that the equation calls once, with its operands in their order."""
    if primitive is checkpoint_p:
        return params["jaxpr"]
    called = primitive.called_program(params)
    return called if isinstance(called, ClosedProgram) else None


def _lowered(call: Call) -> ClosedProgram | None:
    """The same by other primitives, for one without a rule."""
    primitive, types = call.primitive, [v.aval for v in call.ins]
    lower = getattr(type(primitive), "lower", None)
    if callable(getattr(type(primitive), "composed", None)):
        return primitive.lowered_program(types, call.params)  # type: ignore[no-any-return]
    if lower is None or isinstance(lower, (type(CORE), Absent)) or not callable(lower):
        return None

    def function(*xs: Any) -> list[Any]:
        out = primitive.lower(*xs, **call.params)
        return list(out) if primitive.multiple_results else [out]

    return trace_program(function, types)


# ---- branches and loops: the rules give values, of which some are known


def _branches(call: Call, propagate: Any) -> list[Value]:
    index, *operands = call.ins
    branches = call.params["branches"]
    if index.is_known:
        chosen = min(max(int(index.number), 0), len(branches) - 1)
        return propagate(branches[chosen], operands)
    each = [propagate(b, operands) for b in branches]
    return [
        Value(t, union([v.sets for v in column], t.shape))
        for t, column in zip(call.outs, zip(*each, strict=True), strict=True)
    ]


def _backward_only(call: Call, propagate: Any) -> list[Value]:
    """The derivative of a custom_vjp function: there is no other pattern than that of its bwd."""
    raise no_forward_mode()


CONTROL: dict[Any, Any] = {
    cond_p: _branches,
    scan_p: scanned,
    while_p: repeated,
    counted_scan_p: counted,
    custom_lin: _backward_only,
}


__all__ = ["CONTROL", "RULES", "propagate", "rule_of", "step"]
