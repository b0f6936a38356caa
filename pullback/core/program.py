"""A program (jaxpr) is a list of equations of typed variables, written by running a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from . import dtypes
from .array import HostArray, Tracer
from .checking import here, lines_wanted, standing_at
from .checking import kept as _kept
from .errors import ProgramError, error
from .mesh import Mesh
from .primitive import Primitive
from .printing import print_program
from .trace import Trace, escaped, host_array, running, state, type_of
from .types import ArrayType


class Var:
    """A variable of a program."""

    __slots__ = ("aval",)

    def __init__(self, aval: ArrayType) -> None:
        self.aval = aval


class Literal:
    """A constant number written into an equation."""

    __slots__ = ("array", "aval")

    def __init__(self, array: Any, aval: ArrayType | None = None) -> None:
        if type(array) is not HostArray:
            array = host_array(array)
        self.array, self.aval = array, array.aval if aval is None else aval

    @property
    def val(self) -> Any:
        """The constant, as NumPy holds it."""
        return self.array._value


Atom = Var | Literal


class Effect:
    """What an equation does besides its results."""

    __slots__ = ("name",)

    def __init__(self, name: str = "") -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return self.name or type(self).__name__


class NameStack(NamedTuple):
    """The names of the scopes around an operation: `str` is `outer/inner`."""

    stack: tuple[str, ...] = ()

    def extend(self, name: str) -> NameStack:
        """With one more scope."""
        return NameStack((*self.stack, name))

    def transform(self, name: str) -> NameStack:
        """Inside a transformation."""
        return NameStack((*self.stack, f"{name}()"))

    def __str__(self) -> str:
        return "/".join(self.stack)


class SourceInfo(NamedTuple):
    """Where an operation stands: the scopes around it. A traceback would cost too much to keep.

    `line` is a `checking.Origin` where the settings ask for lines (`pullback_source_lines`).
    """

    traceback: Any = None
    name_stack: NameStack = NameStack()
    line: Any = None

    def replace(self, **changes: Any) -> SourceInfo:
        """The same with some of its parts changed."""
        return self._replace(**changes)


_NOWHERE = SourceInfo()


class Equation:
    """`outvars = primitive[params] invars`"""

    __slots__ = ("ctx", "given_effects", "invars", "outvars", "params", "primitive", "source_info")

    def __init__(
        self,
        invars: Sequence[Atom],
        outvars: Sequence[Var],
        primitive: Primitive,
        params: dict[str, Any],
        effects: Any = None,
        source_info: Any = _NOWHERE,
        ctx: Any = None,
    ) -> None:
        self.primitive, self.invars, self.outvars = primitive, list(invars), list(outvars)
        self.params = params
        self.given_effects, self.source_info, self.ctx = effects, source_info, ctx

    @property
    def effects(self) -> Any:
        """The set of its effects: those it was made with, or those of its primitive."""
        if self.given_effects is not None:
            return self.given_effects
        own: set[Effect] = set()
        if getattr(self.primitive, "effects", False):
            kind = getattr(self.primitive, "effect_of", None)
            own = {Effect(self.primitive.name) if kind is None else kind(self.params)}
        return frozenset(own.union(*(p.effects for p in sub_programs(self.params))))

    def replace(self, **changes: Any) -> Equation:
        """The same equation with some of its parts changed."""
        parts = ("invars", "outvars", "primitive", "params", "effects", "source_info", "ctx")
        have = [self.given_effects if p == "effects" else getattr(self, p) for p in parts]
        return Equation(**{**dict(zip(parts, have)), **changes})

    def __repr__(self) -> str:
        return f"<equation {self.primitive.name} {self.params}>"


class Program:
    """Equations from `constvars` and `invars` to `outvars`. Equal only to itself; never changed.

    `effects`, `debug_info` and `is_high` are what whoever makes a jaxpr says of it; a program
    without effects of its own has those of its equations.
    """

    __slots__ = (
        "__weakref__",
        "constvars",
        "debug_info",
        "eqns",
        "given_effects",
        "invars",
        "is_high",
        "name",
        "outvars",
    )

    def __init__(
        self,
        constvars: Sequence[Var],
        invars: Sequence[Var],
        outvars: Sequence[Atom],
        eqns: Sequence[Equation],
        effects: Any = None,
        debug_info: Any = None,
        is_high: bool = False,
        *,
        name: str = "",
    ) -> None:
        self.constvars, self.invars = list(constvars), list(invars)
        self.outvars, self.eqns, self.name = list(outvars), list(eqns), name
        self.given_effects, self.debug_info, self.is_high = effects, debug_info, is_high

    @property
    def effects(self) -> Any:
        """The set of its effects."""
        if self.given_effects is not None:
            return self.given_effects
        return frozenset().union(*(eq.effects for eq in self.eqns))

    @property
    def in_avals(self) -> list[ArrayType]:
        """The types of the inputs."""
        return [v.aval for v in self.invars]

    @property
    def out_avals(self) -> list[ArrayType]:
        """The types of the outputs."""
        return [v.aval for v in self.outvars]

    def replace(self, **changes: Any) -> Program:
        """The same program with some of its parts changed."""
        parts = ("constvars", "invars", "outvars", "eqns", "debug_info", "is_high", "name")
        have = {p: getattr(self, p) for p in parts}
        if unknown := set(changes) - {*parts, "effects"}:
            raise ValueError(f"Unknown keyword arguments: {sorted(unknown)}")
        return Program(**{"effects": self.given_effects, **have, **changes})

    def pretty_print(self, **options: Any) -> str:
        """The printed form. Options that JAX has for it change nothing."""
        return print_program(self)

    def __str__(self) -> str:
        return print_program(self)

    __repr__ = __str__


class ClosedProgram:
    """A program together with the values of its constants: what `make_jaxpr` returns."""

    __slots__ = ("__weakref__", "cache", "consts", "program")

    def __init__(self, program: Program, consts: Sequence[Any]) -> None:
        self.program, self.consts = program, list(consts)
        self.cache: dict[Any, Any] = {}
        """What has been derived from this program: its derivatives, its compiled forms."""

    @property
    def jaxpr(self) -> Program:
        """The program without the values of its constants."""
        return self.program

    @property
    def eqns(self) -> list[Equation]:
        """The equations."""
        return self.program.eqns

    @property
    def constvars(self) -> list[Var]:
        """The variables of the constants."""
        return self.program.constvars

    @property
    def invars(self) -> list[Var]:
        """The variables of the inputs."""
        return self.program.invars

    @property
    def outvars(self) -> list[Atom]:
        """The outputs."""
        return self.program.outvars

    @property
    def effects(self) -> Any:
        """The set of its effects."""
        return self.program.effects

    @property
    def debug_info(self) -> Any:
        """What its maker says of it."""
        return self.program.debug_info

    @property
    def is_high(self) -> bool:
        """Whether it has equations on types other than arrays: never, but as given."""
        return self.program.is_high

    def replace(
        self, *, jaxpr: Program | None = None, consts: Sequence[Any] | None = None
    ) -> ClosedProgram:
        """The same with another program or other constants."""
        return ClosedProgram(
            self.program if jaxpr is None else jaxpr, self.consts if consts is None else consts
        )

    def map_jaxpr(self, change: Callable[[Program], Program]) -> ClosedProgram:
        """The same with `change` of its program."""
        return ClosedProgram(change(self.program), self.consts)

    def pretty_print(self, **options: Any) -> str:
        """The printed form. Options that JAX has for it change nothing."""
        return print_program(self.program)

    @property
    def in_avals(self) -> list[ArrayType]:
        """The types of the inputs."""
        return self.program.in_avals

    @property
    def out_avals(self) -> list[ArrayType]:
        """The types of the outputs."""
        return self.program.out_avals

    @property
    def literals(self) -> list[Any]:
        """The values of the constants."""
        return self.consts

    def __str__(self) -> str:
        return print_program(self.program)

    __repr__ = __str__


# ---- writing a program


class RecordTracer(Tracer):
    """A value as the recording sees it: a variable."""

    __slots__ = ("place",)  # not `var`: that is a method of every Array

    def __init__(self, trace: RecordTrace, place: Atom) -> None:
        self.owner, self.place = trace, place

    @property
    def aval(self) -> ArrayType:
        """Shape, dtype and weakness."""
        return self.place.aval

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.place.aval.shape

    @property
    def dtype(self) -> Any:
        """The type of the elements."""
        return self.place.aval.dtype

    def describe(self) -> str:
        """The type, and the argument of the traced function that this value is, if it is one."""
        name = self.owner.argument_names.get(id(self.place))
        known = f", the value of argument {name}" if name else ""
        return super().describe() + known


class RecordTrace(Trace):
    """Write each operation down instead of doing it. Values from outside become constants."""

    __slots__ = ("argument_names", "constants", "equations", "inputs", "verb")

    def __init__(self, parent: Any, of: Any = None, verb: str = "jit") -> None:
        super().__init__(parent, of)
        self.verb = verb
        self.inputs: list[Var] = []
        self.equations: list[Equation] = []
        self.constants: dict[int, tuple[Var, Any]] = {}
        self.argument_names: dict[int, str] = {}

    def new_input(self, aval: ArrayType, name: str = "") -> RecordTracer:
        """A new input of the program."""
        var = Var(aval)
        self.inputs.append(var)
        if name:
            self.argument_names[id(var)] = name
        return RecordTracer(self, var)

    def atom(self, x: Any) -> Atom:
        """The variable or literal that stands for `x` in the program."""
        if type(x) is RecordTracer and x.owner is self:
            return x.place
        if isinstance(x, Tracer):
            if not x.owner.alive:
                raise escaped(x)
            known: Any = x
        else:
            known = host_array(x)
            if known._value.ndim == 0 and not dtypes.is_key(known._value.dtype):
                return Literal(known)
        entry = self.constants.get(id(x))
        if entry is None:
            # The entry keeps x alive, so that its id stays its own while this trace lives.
            entry = self.constants[id(x)] = (Var(known.aval), (x, known))
        return entry[0]

    def lift(self, x: Any) -> RecordTracer:
        """`x` as a tracer of this recording."""
        if type(x) is RecordTracer and x.owner is self:
            return x
        return RecordTracer(self, self.atom(x))

    stage = lift

    def process(self, primitive: Any, args: Any, params: Any) -> Any:
        """Write the equation; its output types come from `primitive.typing`."""
        if primitive.multiple_results:
            args, params = primitive.enter_program(self, args, params)
        atoms = [self.atom(a) for a in args]
        out = primitive.typing(*[a.aval for a in atoms], **params)
        if primitive.multiple_results:
            outvars = [Var(t) for t in out]
            self.write(Equation(atoms, outvars, primitive, params))
            return [RecordTracer(self, v) for v in outvars]
        var = Var(out)
        self.write(Equation(atoms, (var,), primitive, params))
        return RecordTracer(self, var)

    def write(self, equation: Equation) -> None:
        """Add an equation, which stands in the scopes that are open now."""
        if state.scopes:
            equation.source_info = SourceInfo(None, NameStack(state.scopes))
        if _kept.lines and lines_wanted():
            equation.source_info = equation.source_info._replace(line=here())
        self.equations.append(equation)

    def finish(self, outputs: Sequence[Any]) -> ClosedProgram:
        """The program written so far, with these outputs."""
        outs = [self.atom(y) for y in outputs]
        pairs = list(self.constants.values())
        program = Program(
            [var for var, _ in pairs],
            self.inputs,
            outs,
            self.equations,
            name=getattr(self.of, "__name__", "") or "",
        )
        return ClosedProgram(program, [known for _, (_, known) in pairs])


def trace_program(
    function: Callable[..., Sequence[Any]],
    avals: Sequence[ArrayType],
    of: Any = None,
    verb: str = "jit",
    names: Sequence[str] = (),
) -> ClosedProgram:
    """The program of `function`, which takes and gives flat lists, at these input types.

    Values of surrounding traces that the function closes over become constants of the program.
    """
    trace = RecordTrace(state.trace, function if of is None else of, verb)
    named = list(names) + [""] * (len(avals) - len(names))
    scopes, state.scopes = state.scopes, ()  # those of a program are its own
    try:
        with running(trace):
            inputs = [trace.new_input(t, name) for t, name in zip(avals, named, strict=True)]
            return trace.finish(function(*inputs))
    finally:
        state.scopes = scopes


# ---- running, closing and checking a program


def run_program(program: Program, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
    """Do the equations one by one in the current trace."""
    env: dict[Var, Any] = dict(zip(program.constvars, consts, strict=True))
    env.update(zip(program.invars, args, strict=True))

    def read(atom: Atom) -> Any:
        return atom.array if type(atom) is Literal else env[atom]  # type: ignore[index]

    with_lines = _kept.lines and lines_wanted()
    for eq in program.eqns:
        args = [read(a) for a in eq.invars]
        if with_lines:
            with standing_at(eq.source_info.line):
                out = eq.primitive(*args, **eq.params)
        else:
            out = eq.primitive(*args, **eq.params)
        if eq.primitive.multiple_results:
            env.update(zip(eq.outvars, out, strict=True))
        else:
            env[eq.outvars[0]] = out
    return [read(a) for a in program.outvars]


def run_closed(closed: ClosedProgram, args: Sequence[Any]) -> list[Any]:
    """`run_program` with the closed program's own constants."""
    return run_program(closed.program, closed.consts, args)


def hoist_tracers(closed: ClosedProgram) -> tuple[ClosedProgram, list[Any]]:
    """A program whose first inputs are those constants that are traced values, and these values.

    A program in an equation may keep arrays, but not values of a surrounding trace.
    """
    traced = [isinstance(c, Tracer) for c in closed.consts]
    if not any(traced):
        return closed, []
    p = closed.program
    kept = [v for v, t in zip(p.constvars, traced, strict=True) if not t]
    moved = [v for v, t in zip(p.constvars, traced, strict=True) if t]
    program = Program(kept, [*moved, *p.invars], p.outvars, p.eqns, name=p.name)
    consts = [c for c, t in zip(closed.consts, traced, strict=True) if not t]
    return (
        ClosedProgram(program, consts),
        [c for c, t in zip(closed.consts, traced, strict=True) if t],
    )


def sub_programs(params: dict[str, Any]) -> list[Program]:
    """The programs among the parameters of an equation."""
    found = []
    for value in params.values():
        for item in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(item, Program):
                found.append(item)
            elif isinstance(item, ClosedProgram):
                found.append(item.program)
    return found


def constraints(closed: ClosedProgram) -> list[Any]:
    """The shardings over devices that equations of a program name."""
    found: list[Any] | None = closed.cache.get("constraints")
    if found is None:
        found = []

        def look(program: Program) -> None:
            for eq in program.eqns:
                sharding = eq.params.get("sharding")
                if isinstance(getattr(sharding, "mesh", None), Mesh):
                    found.append(sharding)
                for inner in sub_programs(eq.params):
                    look(inner)

        look(closed.program)
        closed.cache["constraints"] = found
    return found


def has_effects(eq: Equation) -> bool:
    """Whether the equation does something besides its results: it, or an equation inside it."""
    if getattr(eq.primitive, "effects", False):
        return True
    return any(has_effects(inner) for p in sub_programs(eq.params) for inner in p.eqns)


def check_program(program: Program) -> None:
    """Raise ProgramError unless every variable is bound once and typed as its primitive says."""
    bound: set[Var] = set()

    def bind(var: Var) -> None:
        if var in bound:
            raise error(ProgramError, "a variable is bound twice.", got=str(program), where="")
        bound.add(var)

    def use(atom: Atom, user: str) -> ArrayType:
        if type(atom) is Var and atom not in bound:
            message = f"{user} uses a variable that is not bound."
            raise error(ProgramError, message, got=str(program), where="")
        return atom.aval

    for var in (*program.constvars, *program.invars):
        bind(var)
    for eq in program.eqns:
        types = [use(a, eq.primitive.name) for a in eq.invars]
        out = eq.primitive.typing(*types, **eq.params)  # type: ignore[attr-defined]
        outs = out if eq.primitive.multiple_results else [out]
        have = [v.aval for v in eq.outvars]
        if [(t.shape, t.dtype) for t in outs] != [(t.shape, t.dtype) for t in have]:
            message = f"{eq.primitive.name} gives {outs}, but its variables have types {have}."
            raise error(ProgramError, message, got=str(program), where="")
        for var in eq.outvars:
            bind(var)
        for sub in sub_programs(eq.params):
            check_program(sub)
    for atom in program.outvars:
        use(atom, "the output")


__all__ = [
    "Atom",
    "ClosedProgram",
    "Effect",
    "Equation",
    "Literal",
    "NameStack",
    "Program",
    "RecordTrace",
    "RecordTracer",
    "SourceInfo",
    "Var",
    "check_program",
    "hoist_tracers",
    "print_program",
    "run_closed",
    "run_program",
    "sub_programs",
    "trace_program",
    "type_of",
]
