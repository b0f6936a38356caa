"""Programs as data: what libraries that read, rewrite and run jaxprs call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ...checks import shaped
from ...core import dtypes
from ...core.array import Array, Tracer
from ...core.errors import ConcretizationTypeError, error
from ...core.program import (
    ClosedProgram,
    Equation,
    Literal,
    Program,
    Var,
    check_program,
    has_effects,
    run_program,
    sub_programs,
    trace_program,
)
from ...core.trace import Trace, host_array, inside, state, type_of
from ...core.types import ArrayType, array_type
from .functions import WrappedFun


class _Like(type):
    """A class with JAX's constructor, whose instances are those of a class of Pullback."""

    of: type
    make: Callable[..., Any]

    def __call__(cls, *args: Any, **options: Any) -> Any:
        return cls.make(*args, **options)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.of)

    def __subclasscheck__(cls, other: Any) -> bool:
        return cls in type.mro(other) or issubclass(other, cls.of)


class AbstractValue(metaclass=_Like):
    """The type of a value."""

    of = ArrayType

    @staticmethod
    def make(*args: Any, **options: Any) -> Any:
        raise TypeError("AbstractValue has no instances of its own: use ShapedArray.")


class ShapedArray(metaclass=_Like):
    """`ShapedArray(shape, dtype, weak_type=False)`: the type of an array."""

    of = ArrayType

    @staticmethod
    def make(
        shape: Any,
        dtype: Any,
        weak_type: bool = False,
        *,
        sharding: Any = None,
        **placement: Any,
    ) -> ArrayType:
        """The type; where arrays are placed makes no difference here."""
        return array_type(tuple(map(int, shape)), dtypes.canonical(dtype), bool(weak_type))


class DropVar(Var):
    """A variable that nobody reads."""

    __slots__ = ()


def get_aval(x: Any) -> ArrayType:
    """The type of a value."""
    return type_of(x)


def valid_jaxtype(x: Any) -> bool:
    """Whether `x` is an array, or a number that is one at once."""
    try:
        type_of(x)
    except TypeError:
        return False
    return True


def mapped_aval(size: int, axis: int | None, aval: ArrayType) -> ArrayType:
    """The type of one element along `axis`."""
    return aval if axis is None else aval.without_axis(axis % aval.ndim)


def unmapped_aval(size: int, axis: int | None, aval: ArrayType, *_: Any) -> ArrayType:
    """The type of `size` elements along a new `axis`."""
    return aval if axis is None else aval.with_axis(axis % (aval.ndim + 1), size)


def primal_dtype_to_tangent_dtype(dtype: Any) -> Any:
    """The dtype of tangents: that of a float itself, float0 for others."""
    return array_type((), dtype).tangent().dtype


def concrete_or_error(force: Any, val: Any, context: str = "") -> Any:
    """`force(val)`, or `val`, if its value is known."""
    if isinstance(val, Tracer):
        known = val.known()
        if known is None:
            raise error(
                ConcretizationTypeError,
                f"a value is needed that is not known while tracing. {context}".rstrip(),
                got=val.describe(),
                fix="make the argument static (static_argnums).",
            )
        val = known
    return val if force is None else force(val)


# ---- running


def eval_jaxpr(
    jaxpr: Program, consts: Sequence[Any], *args: Any, propagate_source_info: bool = True
) -> list[Any]:
    """Do the equations of `jaxpr` on `args`, one after another, in the current trace."""
    arrays = [a if isinstance(a, Array) else host_array(a) for a in args]
    return run_program(jaxpr, consts, arrays)


def jaxpr_as_fun(closed: ClosedProgram, *args: Any) -> Any:
    """The function of flat arrays that a closed jaxpr is; with `args` its results."""
    if args:
        return eval_jaxpr(closed.program, closed.consts, *args)

    def run(*args: Any) -> list[Any]:
        return eval_jaxpr(closed.program, closed.consts, *args)

    return run


# ---- looking


def subjaxprs(jaxpr: Program) -> Iterator[Program]:
    """The programs in the parameters of the equations."""
    for eq in jaxpr.eqns:
        yield from sub_programs(eq.params)


def jaxprs_in_params(params: dict[str, Any]) -> Iterator[Program]:
    """The programs in the parameters of an equation."""
    yield from sub_programs(params)


def check_jaxpr(jaxpr: Program) -> None:
    """Raise a TypeError unless the program is well typed."""
    check_program(jaxpr)


def gensym(suffix: str = "") -> Callable[[ArrayType], Var]:
    """A function that makes new variables."""
    return Var


def new_jaxpr_eqn(
    invars: Sequence[Any],
    outvars: Sequence[Var],
    primitive: Any,
    params: dict[str, Any],
    effects: Any = None,
    source_info: Any = None,
    ctx: Any = None,
) -> Equation:
    """A new equation."""
    return Equation(invars, outvars, primitive, params, effects, source_info, ctx)


# ---- writing


def trace_to_jaxpr_dynamic(
    fun: WrappedFun, in_avals: Sequence[ArrayType], **options: Any
) -> tuple[Program, list[ArrayType], list[Any]]:
    """The program of a flat function, the types of its results, and the values of its constants."""
    closed = trace_program(fun.call_wrapped, in_avals, fun.f)
    closed.program.debug_info = fun.debug_info
    return closed.program, closed.out_avals, closed.consts


class PartialVal(tuple[Any, Any]):
    """A value that is known, or only its type: `(None, value)` or `(type, None)`."""

    def __new__(cls, pair: tuple[Any, Any]) -> PartialVal:
        return tuple.__new__(cls, pair)

    @classmethod
    def known(cls, const: Any) -> PartialVal:
        """A known value."""
        return cls((None, const))

    @classmethod
    def unknown(cls, aval: Any) -> PartialVal:
        """A value of which the type is known."""
        return cls((aval, None))

    def is_known(self) -> bool:
        """Whether the value is known."""
        return self[0] is None

    def get_known(self) -> Any:
        """The value, or None."""
        return self[1] if self.is_known() else None

    def get_aval(self) -> ArrayType:
        """The type."""
        return type_of(self[1]) if self.is_known() else self[0]


def trace_to_jaxpr_nounits(
    fun: WrappedFun, pvals: Sequence[PartialVal], instantiate: bool | Sequence[bool] = False
) -> tuple[Program, list[PartialVal], list[Any]]:
    """The program of what depends on the unknown arguments; the rest is computed now.

    The program gives the unknown results; known ones are in the second value. With `instantiate`
    known ones become results of the program too.
    """
    parent = state.trace
    known = [p.get_known() for p in pvals]
    types = [p.get_aval() for p in pvals if not p.is_known()]
    found: list[PartialVal] = []

    def flat(*unknown: Any) -> list[Any]:
        rest = iter(unknown)
        args = [k if p.is_known() else next(rest) for p, k in zip(pvals, known, strict=True)]
        recorder = state.trace
        with inside(_Partial(recorder, parent)):
            outs = list(fun.call_wrapped(*args))
        forced = [instantiate] * len(outs) if isinstance(instantiate, bool) else instantiate
        kept = []
        for y, force in zip(outs, forced, strict=True):
            if force or (isinstance(y, Tracer) and y.owner is recorder):
                found.append(PartialVal.unknown(type_of(y)))
                kept.append(y)
            else:
                found.append(PartialVal.known(y if isinstance(y, Array) else host_array(y)))
        return kept

    closed = trace_program(flat, types, fun.f)
    return closed.program, found, closed.consts


class _Partial(Trace):
    """A trace that writes down what depends on traced values of `recorder`, and does the rest."""

    def __init__(self, recorder: Any, parent: Any) -> None:
        super().__init__(parent)
        self.recorder = recorder

    def process(self, primitive: Any, args: Any, params: Any) -> Any:
        """Record or do."""
        unknown = any(isinstance(a, Tracer) and a.owner is self.recorder for a in args)
        target = self.recorder if unknown else self.parent
        with inside(target):
            return target.process(primitive, args, params)


def dce_jaxpr(
    jaxpr: Program, used_outputs: bool | Sequence[bool], instantiate: bool | Sequence[bool] = False
) -> tuple[Program, list[bool]]:
    """The program for the used results only, and which of its inputs that needs.

    With `instantiate` inputs stay, needed or not.
    """
    n_out, n_in = len(jaxpr.outvars), len(jaxpr.invars)
    used = [used_outputs] * n_out if isinstance(used_outputs, bool) else used_outputs
    forced = [instantiate] * n_in if isinstance(instantiate, bool) else instantiate
    outvars = [a for a, u in zip(jaxpr.outvars, used, strict=True) if u]
    live = {a for a in outvars if type(a) is not Literal}
    kept: list[Equation] = []
    for eq in reversed(jaxpr.eqns):
        if any(v in live for v in eq.outvars) or has_effects(eq):
            live.update(a for a in eq.invars if type(a) is not Literal)
            kept.append(eq)
    used_inputs = [v in live or f for v, f in zip(jaxpr.invars, forced, strict=True)]
    invars = [v for v, u in zip(jaxpr.invars, used_inputs, strict=True) if u]
    return jaxpr.replace(invars=invars, outvars=outvars, eqns=kept[::-1]), used_inputs


def convert_constvars_jaxpr(jaxpr: Program) -> Program:
    """The same program with its constants as first inputs."""
    return jaxpr.replace(constvars=[], invars=[*jaxpr.constvars, *jaxpr.invars])


def dce_jaxpr_consts(
    jaxpr: Program, used_outputs: Sequence[bool], instantiate: bool | Sequence[bool] = False
) -> tuple[Program, list[bool], list[bool]]:
    """`dce_jaxpr`, and which of the constants are needed."""
    n = len(jaxpr.constvars)
    if not isinstance(instantiate, bool):
        instantiate = [False] * n + list(instantiate)
    new, used = dce_jaxpr(convert_constvars_jaxpr(jaxpr), used_outputs, instantiate)
    consts = sum(used[:n])
    new = new.replace(constvars=new.invars[:consts], invars=new.invars[consts:])
    return new, used[:n], used[n:]


def shaped_abstractify(x: Any) -> ArrayType:
    """The type of an array, or of anything with a shape and a dtype."""
    return shaped(x, "shaped_abstractify")


# ---- what this engine has no use for


class AbstractToken(metaclass=_Like):
    """The type of tokens, which order effects on other engines. Nothing is an instance."""

    of = type(NotImplemented)

    @staticmethod
    def make(*args: Any, **options: Any) -> Any:
        raise TypeError("this engine has no tokens.")


class Token:
    """A value that orders effects on other engines; here effects are in order as they come."""

    def block_until_ready(self) -> None:
        """Nothing to wait for."""


def call_impl(f: WrappedFun, *args: Any, **params: Any) -> Any:
    """Call the function."""
    return f.call_wrapped(*args)


def physical_aval(aval: ArrayType) -> ArrayType:
    """The type of the memory of an array: keys are arrays of words."""
    if not dtypes.is_key(aval.dtype):
        return aval
    words = aval.dtype[0]
    base, shape = words.subdtype or (words, ())
    return array_type((*aval.shape, *shape), base)
