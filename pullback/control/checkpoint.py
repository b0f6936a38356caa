"""checkpoint: a call whose residuals are not kept but computed again in the backward pass.

Where it is differentiated, the tape keeps the inputs of the call (and what a policy names), and one
entry: the whole program. Its transpose runs the program again on a tape of its own and pulls that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..core.primitive import Linear, Primitive
from ..core.program import ClosedProgram, Equation, Program, Var, has_effects, run_closed
from ..core.trace import inside
from ..core.types import ArrayType
from ..engines import numpy as numpy_engine
from ..transforms.simplify import dead_code
from ..transforms.stage import (
    Mask,
    batch_program,
    derived,
    jvp_program,
    kept,
    split_program,
    transpose_program,
)
from .call import ProgramPrimitive, jit_p, present, spread


class Checkpoint(ProgramPrimitive):
    """Call the program `jaxpr`; `policy(primitive, *types, **params)` says what is kept of it."""

    def typing(self, *types: Any, jaxpr: Any, policy: Any, prevent_cse: bool) -> list[ArrayType]:
        self.check_inputs(types, jaxpr.in_avals)
        return jaxpr.out_avals  # type: ignore[no-any-return]

    def eval(self, *xs: Any, jaxpr: Any, policy: Any, prevent_cse: bool) -> Any:
        return numpy_engine.compiled(jaxpr)(*xs)

    def forward(self, trace: Any, primals: Any, tangents: Any, params: Any) -> Any:
        jaxpr = params["jaxpr"]
        active = tuple(t is not None for t in tangents)
        n = len(jaxpr.out_avals)
        program, has_tangent = jvp_program(jaxpr, active, (False,) * n)
        with inside(trace.tangents):
            outs = checkpoint_p(*primals, *present(tangents), **{**params, "jaxpr": program})
        return outs[:n], spread(outs[n:], has_tangent)

    def record(self, tape: Any, args: Any, params: Any) -> Any:
        jaxpr, policy = params["jaxpr"], params["policy"]
        unknown = tuple(type(a) is Linear for a in args)
        parts = _two_programs(jaxpr, unknown, policy)
        with inside(tape.parent):
            known_args = [a for a in args if type(a) is not Linear]
            found = jit_p(*known_args, jaxpr=parts.now, name="checkpoint")
        n_known = parts.unknown_out.count(False)
        entered = iter(
            tape.enter(checkpoint_p, [*found[n_known:], *args], {**params, "jaxpr": parts.again})
        )
        known_outs = iter(found[:n_known])
        return [next(entered) if u else next(known_outs) for u in parts.unknown_out]

    def transpose(self, cts: Any, *args: Any, jaxpr: Any, **params: Any) -> list[Any]:
        linear = tuple(type(a) is Linear for a in args)
        given = tuple(ct is not None for ct in cts)
        program, found = transpose_program(jaxpr, linear, given, (False,) * sum(linear))
        known = [a for a in args if type(a) is not Linear]
        # Not `jit`, whose program is opened in the one around it: common equations would then be
        # shared with the forward pass, and what should be computed again would be kept.
        outs = checkpoint_p(*known, *present(cts), **{**params, "jaxpr": program})
        rest = iter(spread(outs, found))
        return [next(rest) if is_linear else None for is_linear in linear]

    def batch(self, trace: Any, values: Any, axes: Any, params: Any) -> Any:
        jaxpr = params["jaxpr"]
        program, out_axes = batch_program(
            jaxpr, trace.size, tuple(axes), (False,) * len(jaxpr.out_avals), trace.axis_name
        )
        with inside(trace.parent):
            return checkpoint_p(*values, **{**params, "jaxpr": program}), out_axes


checkpoint_p = Checkpoint()


class Name(Primitive):
    """x, under a name by which a policy can keep it."""

    def typing(self, x: Any, *, name: str) -> ArrayType:
        return x  # type: ignore[no-any-return]

    def eval(self, x: Any, *, name: str) -> Any:
        return x

    def jvp(self, primals: Any, tangents: Any, out: Any, *, name: str) -> Any:
        return tangents[0]

    def transpose(self, ct: Any, x: Any, *, name: str) -> list[Any]:
        return [ct]

    def vmap(self, size: int, args: Any, axes: Any, *, name: str) -> Any:
        return name_p(args[0], name=name), axes[0]

    def lower(self, x: Any, *, name: str) -> Any:
        return x


name_p = Name()


@dataclass
class _Parts:
    """A program in two, for the forward and the backward pass."""

    now: ClosedProgram
    """From the known inputs to the known outputs, then what a policy keeps."""
    again: ClosedProgram
    """From what was kept, then all inputs, to the unknown outputs."""
    unknown_out: Mask


@kept
def _two_programs(closed: ClosedProgram, unknown: Any, policy: Any) -> _Parts:
    """What is done now and what in the backward pass; see `_Parts`."""
    split = split_program(closed, unknown, (False,) * len(closed.out_avals))
    p = closed.program
    saved, equations = _saved(p, unknown, policy)
    known_in = [v for v, u in zip(p.invars, unknown, strict=True) if not u]
    save = ClosedProgram(
        dead_code(Program(p.constvars, known_in, saved, equations, name=p.name)), closed.consts
    )
    n_known = len(split.known.out_avals) - split.residual_count

    def now(*xs: Any) -> list[Any]:
        # What both compute, the engine computes once: equal equations are shared.
        return [*run_closed(split.known, xs)[:n_known], *run_closed(save, xs)]

    at_hand = set(saved)
    rest = [eq for eq in p.eqns if not eq.outvars or not all(v in at_hand for v in eq.outvars)]
    unknown_outs = [a for a, u in zip(p.outvars, split.unknown_out, strict=True) if u]
    again = dead_code(Program(p.constvars, [*saved, *p.invars], unknown_outs, rest, name=p.name))
    return _Parts(
        derived(now, [v.aval for v in known_in], "checkpoint"),
        ClosedProgram(again, closed.consts),
        split.unknown_out,
    )


def _saved(p: Program, unknown: Any, policy: Any) -> tuple[list[Var], list[Equation]]:
    """The variables that the policy keeps, and the equations without effects that lead to them."""
    known = {v for v, u in zip(p.invars, unknown, strict=True) if not u} | set(p.constvars)
    saved: list[Var] = []
    equations = []
    for eq in p.eqns:
        if all(type(a) is not Var or a in known for a in eq.invars) and not has_effects(eq):
            equations.append(eq)
            known.update(eq.outvars)
            if policy is not None and _keeps(policy, eq):
                saved += eq.outvars
    return saved, equations


def _keeps(policy: Any, eq: Equation) -> bool:
    return bool(policy(eq.primitive, *[a.aval for a in eq.invars], **eq.params))
