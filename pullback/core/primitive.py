"""A primitive is one class that holds all its rules. Calling it hands it to the current trace."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from .array import HostArray, Tracer
from .errors import MissingRule, error
from .trace import EVAL, Trace, host_array, inside, quiet, spread, state
from .types import ArrayType

RULES = ("typing", "eval", "jvp", "transpose", "vmap", "lower")


class Primitive:
    """Base of every primitive. A member settles each name in RULES, or its definition fails.

    | rule | signature | answers |
    |---|---|---|
    | `typing` | `(*types, **params) -> type` | what comes out, before it exists; raises user
      errors |
    | `eval` | `(*arrays, **params) -> array` | the meaning, in NumPy |
    | `jvp` | `(primals, tangents, out, **params) -> tangent` | forward; a tangent of None is zero |
    | `transpose` | `(ct, *args, **params) -> list` | one cotangent or None for each argument;
      linear ones are `Linear` |
    | `vmap` | `(size, args, axes, **params) -> out, axis` | an axis of None is not mapped |
    | `lower` | `CORE`, or `(*args, **params) -> out` | CORE: every compiled engine knows it; else
      the same meaning by other primitives |

    With `multiple_results`, `typing`, `eval` and the outputs of `jvp` and `vmap` are lists.
    """

    name: ClassVar[str]
    multiple_results: ClassVar[bool] = False
    call_primitive: ClassVar[bool] = False
    weak_from: ClassVar[tuple[int, ...] | slice | str | None] = None
    """The arguments that decide whether the result is weak: all if None, never weak if ().

    With "weak_type", the parameter of this name decides; with "typing", the eager call asks
    `typing`, which costs about 1 us.
    """

    identity: ClassVar[bool] = False
    """Whether it changes nothing where types of argument and result agree, as `copy` and `reshape`:
    engines then leave it out."""

    foldable: ClassVar[bool] = True
    """Whether engines may do it once, before the program runs, if its arguments are constants."""

    calls_user: ClassVar[bool] = False
    """Whether a function of the user's is called when it runs, or when it is transposed."""

    at_once: Any = None
    """What is done in place of `eval` outside every transformation and program, where something is
    faster for single calls. It gives what `eval` gives, up to rounding."""

    own_forward: ClassVar[bool] = False
    own_batch: ClassVar[bool] = False
    """Whether `forward` and `batch` are overridden: if not, traces do what they do in place."""
    slope: Any = None
    """`slope(out, x, **params)`, where the tangent is just `mul(t, slope)`: forward and reverse
    mode then skip the dispatch of the rule: grad(sin) at a number costs 8.5 us, not 10.3."""

    def __init_subclass__(cls, family: bool = False, name: str | None = None) -> None:
        cls.own_forward = cls.forward is not Primitive.forward
        cls.own_batch = cls.batch is not Primitive.batch
        cls.name = name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        missing = [] if family else [rule for rule in RULES if not hasattr(cls, rule)]
        if missing:
            raise error(
                MissingRule,
                f"primitive {cls.__name__} settles no rule for: {', '.join(missing)}.",
                got=f"class {cls.__qualname__}",
                fix="write the rule in the class, or write `rule = Absent('the reason')`.",
            )

    def __init__(self) -> None:
        _instances[type(self)] = self

    def __call__(self, *args: Any, **params: Any) -> Any:
        return state.trace.process(self, args, params)

    def bind(self, *args: Any, **params: Any) -> Any:
        """The same as a call: the name that interpreters of programs use."""
        return state.trace.process(self, args, params)

    def bind_with_trace(self, trace: Any, args: Any, types: Any, params: Any) -> Any:
        """`bind` in another trace than the current one; `types` are those of `args`."""
        with inside(trace):
            return trace.process(self, args, params)

    def get_bind_params(self, params: dict[str, Any]) -> dict[str, Any]:
        """The keyword arguments of `bind` that make an equation with these parameters."""
        return params

    def impl(self, *args: Any, **params: Any) -> Any:
        """The operation done at once, outside every transformation."""
        return EVAL.process(self, args, params)

    def abstract_eval(self, *types: ArrayType, **params: Any) -> tuple[Any, Any]:
        """What `typing` says, and the set of effects."""
        own = {self.name} if getattr(self, "effects", False) else ()
        return self.typing(*types, **params), frozenset(own)  # type: ignore[attr-defined]

    def evaluate(self, args: Sequence[Any], params: Any) -> Any:
        """Outside every transformation: unwrap, `eval`, wrap. Used where there are many results."""
        arrays = [host_array(a) for a in args]
        if any([a.elsewhere for a in arrays]):
            return spread.operation(self, arrays, params)
        run = self.at_once or self.eval  # type: ignore[attr-defined]
        with quiet():
            outs = run(*[a._value for a in arrays], **params)
        types = self.typing(*[a.aval for a in arrays], **params)  # type: ignore[attr-defined]
        return [HostArray(y, t.weak_type) for y, t in zip(outs, types, strict=True)]

    def enter_program(self, record: Any, args: Sequence[Any], params: Any) -> tuple[Any, Any]:
        """Arguments and parameters of the equation in a program. Functions become programs here."""
        return args, params

    def called_program(self, params: Any) -> Any:
        """The program whose equations could stand in place of this one, if there is one."""
        return None

    def keeps(self, args: Sequence[Any], results: Sequence[Any]) -> bool:
        """Whether the result is the one argument itself."""
        if not self.identity or len(args) != 1:
            return False
        x, y = args[0].aval, results[0].aval
        return bool(x.shape == y.shape and x.dtype == y.dtype)

    def lowered_program(self, types: Sequence[ArrayType], params: Any) -> Any:
        """The same for an engine, which does not transform it: `called_program`, or the program
        that the user's lowering of this primitive makes for arguments of these types."""
        return self.called_program(params)

    def forward(self, trace: Any, primals: list[Any], tangents: list[Any], params: Any) -> Any:
        """Output and tangent. `trace.parent` does the primal, `trace.tangents` the tangent."""
        out = trace.parent.process(self, primals, params)
        before = state.trace
        state.trace = trace.tangents
        try:
            return out, self.jvp(primals, tangents, out, **params)  # type: ignore[attr-defined]
        finally:
            state.trace = before

    def record(self, tape: Any, args: list[Any], params: Any) -> Any:
        """Enter this operation on a tape; those of `args` that are Linear are its linear inputs.

        Primitives over programs override this: they split into what can be computed now and
        what is linear.
        """
        return tape.enter(self, args, params)

    def batch(self, trace: Any, values: list[Any], axes: list[Any], params: Any) -> Any:
        """Output and its mapped axis, computed in the trace around the `vmap`."""
        with inside(trace.parent):
            return self.vmap(trace.size, values, axes, **params)  # type: ignore[attr-defined]

    def shown(self, params: dict[str, Any]) -> dict[str, Any]:
        """The parameters that printed programs show."""
        return params

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> Any:
        return _find, (type(self),)


_instances: dict[type[Primitive], Primitive] = {}


def _find(cls: type[Primitive]) -> Primitive:
    return _instances[cls]


def all_primitives() -> list[Primitive]:
    """Every primitive that has been made, in the order of its making."""
    return list(_instances.values())


class Absent:
    """A rule that is missing on purpose, with the reason. Calling it raises MissingRule."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.rule = "rule"

    def __set_name__(self, owner: type[Primitive], name: str) -> None:
        self.rule = name

    def __get__(self, primitive: Any, owner: Any = None) -> Any:
        return self if primitive is None else _Refusal(self, primitive.name)

    def __call__(self, *args: Any, **params: Any) -> Any:
        return _Refusal(self, "this operation")(*args, **params)


class _Refusal:
    """An absent rule of one primitive."""

    def __init__(self, absent: Absent, name: str) -> None:
        self.absent, self.name = absent, name

    def __call__(self, *args: Any, **params: Any) -> Any:
        shown = [str(getattr(a, "aval", a)) for a in args if not isinstance(a, (list, tuple, int))]
        raise error(
            MissingRule,
            f"the {self.absent.rule} rule of {self.name} does not exist: {self.absent.reason}.",
            got=", ".join(shown),
            fix="rewrite the function without this step, or define its derivative with custom_jvp.",
        )


class _Core:
    """Marks a primitive that every compiled engine knows by name."""

    def __repr__(self) -> str:
        return "core"


CORE = _Core()


class Method:
    """Settles a rule that another method of the class takes over, with the reason."""

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason

    def __repr__(self) -> str:
        return f"see {self.name}: {self.reason}"


NOT_LINEAR = Absent("it is not linear, so it cannot stand in the transposed part of a program")


class Linear:
    """An input that an operation is linear in, on a tape and in a transpose rule.

    It is also the tape's entry: the operation that made it, or None for the tape's inputs.
    """

    __slots__ = ("_aval", "args", "count", "index", "params", "primitive")

    def __init__(
        self, index: int, count: int, primitive: Any, args: Any, params: Any, aval: Any
    ) -> None:
        self.index, self.count = index, count
        self.primitive, self.args, self.params = primitive, args, params
        self._aval = aval

    @property
    def aval(self) -> ArrayType:
        """The type, computed only when a rule asks for it."""
        if self._aval is None:
            types = [a.aval for a in self.args]
            self._aval = self.primitive.typing(*types, **self.params)
        return self._aval  # type: ignore[no-any-return]

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.aval.shape

    @property
    def dtype(self) -> Any:
        """The type of the elements."""
        return self.aval.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.aval.shape)


def is_linear(x: Any) -> bool:
    """Whether `x`, in a transpose rule, is an input to find the cotangent of."""
    return type(x) is Linear


__all__ = [
    "CORE",
    "NOT_LINEAR",
    "RULES",
    "Absent",
    "Linear",
    "Method",
    "Primitive",
    "Trace",
    "Tracer",
    "all_primitives",
    "is_linear",
]
