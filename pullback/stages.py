"""A jitted function step by step: traced, lowered, compiled; and what can be asked at each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, runtime_checkable

from . import checks
from .core import dtypes
from .core.array import Tracer
from .core.device import CPU
from .core.errors import error
from .core.lazy import lazy
from .core.program import ClosedProgram
from .core.pytree import PyTreeDef, flatten_call
from .core.settings import values
from .core.sharding import SingleDeviceSharding
from .core.types import ArrayType, array_type
from .engines import numpy as numpy_engine
from .engines.choice import (
    HOST_ENGINES,
    PLAIN,
    Choice,
    Terms,
    choose,
    jaxlib_is_installed,
    options_of,
    terms_of,
)
from .transforms.cost import Memory, cost_of, memory_of
from .transforms.simplify import simplify

xla = lazy("pullback.engines.xla.program")

CompilerOptions = dict[str, str | bool]


class ShapeDtypeStruct:
    """A shape and a dtype: the type of an array without its values."""

    __slots__ = ("dtype", "shape", "sharding", "weak_type")

    def __init__(
        self, shape: Sequence[int], dtype: Any, *, sharding: Any = None, weak_type: bool = False
    ) -> None:
        t = checks.array_type_of(shape, dtype)
        self.shape, self.dtype, self.sharding, self.weak_type = (
            t.shape,
            t.dtype,
            sharding,
            weak_type,
        )

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return array_type(self.shape, self.dtype).size

    def update(self, **kwargs: Any) -> ShapeDtypeStruct:
        """The same with some of the arguments of the class changed."""
        names = ("shape", "dtype", "sharding", "weak_type")
        return ShapeDtypeStruct(**{**{n: getattr(self, n) for n in names}, **kwargs})

    @classmethod
    def like(cls, x: Any) -> ShapeDtypeStruct:
        """The shape, dtype and sharding of `x`, an array or another of these."""
        return cls(
            x.shape,
            x.dtype,
            sharding=x.sharding if isinstance(x, ShapeDtypeStruct) else None,
            weak_type=getattr(x, "weak_type", False),
        )

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        weak = ", weak_type=True" if self.weak_type else ""
        return f"ShapeDtypeStruct(shape={self.shape}, dtype={checks.dtype_name(self.dtype)}{weak})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ShapeDtypeStruct):
            return NotImplemented
        return (self.shape, self.dtype, self.weak_type) == (
            other.shape,
            other.dtype,
            other.weak_type,
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype, self.weak_type))


def struct(t: ArrayType) -> ShapeDtypeStruct:
    """The shape and dtype of a type, and whether it is weak."""
    return ShapeDtypeStruct(t.shape, t.dtype, weak_type=t.weak_type)


@dataclass(frozen=True, slots=True)
class ArgInfo:
    """The type of one array among the arguments, and whether it is donated."""

    _aval: ArrayType
    donated: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._aval.shape

    @property
    def dtype(self) -> Any:
        """The type of the elements."""
        return self._aval.dtype


@runtime_checkable
class Wrapped(Protocol):
    """What `jit` returns: a function that can also be traced and lowered."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""

    def trace(self, *args: Any, **kwargs: Any) -> Traced:
        """The program for arguments of these types."""

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """The program, ready to compile."""


@dataclass
class Signature:
    """What every step knows: the trees of arguments and results, and the call that runs it."""

    closed: ClosedProgram
    """Its first inputs may be values that the function closes over."""
    in_tree: PyTreeDef
    out_tree: PyTreeDef
    types: list[ArrayType]
    donated: list[bool]
    names: list[str]
    fun_name: str
    call: Callable[[list[Any], Terms, Any], Any]
    engine: str | None = None
    """The engine that was asked for."""
    terms: Terms = PLAIN
    """Which arguments are donated, and the compiler's options."""
    places: Any = None
    """The `Placement` of a program for arrays on other devices, or on a mesh; else None."""

    @property
    def wish(self) -> str:
        """The engine that was asked for, here or by the setting."""
        return self.engine or str(values.pullback_engine)

    @property
    def placed(self) -> Any:
        """`places`, if the engine that runs the program looks at them."""
        return None if self.wish in HOST_ENGINES else self.places

    @property
    def own_terms(self) -> Terms:
        """`terms`; none if the first inputs are values that the function closes over."""
        return self.terms if len(self.closed.in_avals) == len(self.types) else PLAIN

    @property
    def choice(self) -> Choice:
        """The program, compiled by the engine that runs it under the settings of this thread."""
        if self.placed is not None:
            made = self.placed.compiled(self.own_terms)
            return Choice("xla", "its arrays are on devices", made, compiled=made)
        return choose(self.closed, self.wish, self.own_terms)


@dataclass(frozen=True)
class Explanation:
    """How a program is run. `str` of it is meant to be read."""

    engine: str
    """The name of the engine."""
    reason: str
    """Why it is this one."""
    report: Any = ""
    """What the native engine says: loops that were made of several operations, memory."""
    kernel: Any = None
    compiled: Any = None
    """What the XLA engine made."""

    @property
    def ir(self) -> str:
        """What was compiled: LLVM IR for the native engine, StableHLO for XLA; else empty."""
        if self.compiled is not None:
            return str(self.compiled.text)
        return self.kernel.text if self.kernel is not None else ""

    @property
    def hlo(self) -> str:
        """What XLA made of it in all its passes; empty for other engines."""
        return self.compiled.executable.text() if self.compiled is not None else ""

    @property
    def assembly(self) -> str:
        """The machine's instructions; empty for engines other than the native one."""
        return self.kernel.assembly if self.kernel is not None else ""

    def __str__(self) -> str:
        head = f"engine: {self.engine}, because {self.reason}"
        if self.kernel is None:
            return head
        return f"{head}\n{self.report}".rstrip()


class Stage:
    """What can be asked at every step."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature

    @property
    def in_tree(self) -> PyTreeDef:
        """The structure of the arguments: ``(args, kwargs)`` without static ones."""
        return self._signature.in_tree

    @property
    def out_tree(self) -> PyTreeDef:
        """The structure of the result."""
        return self._signature.out_tree

    @property
    def args_info(self) -> Any:
        """The arguments, with an `ArgInfo` for each array."""
        s = self._signature
        infos = [ArgInfo(t, d) for t, d in zip(s.types, s.donated, strict=True)]
        return s.in_tree.unflatten(infos)

    @property
    def in_avals(self) -> Any:
        """The arguments, with the type of each array."""
        return self._signature.in_tree.unflatten(self._signature.types)

    @property
    def out_avals(self) -> Any:
        """The result, with the type of each array."""
        return self._signature.out_tree.unflatten(self._signature.closed.out_avals)

    @property
    def out_info(self) -> Any:
        """The result, with a ShapeDtypeStruct for each array."""
        s = self._signature
        return s.out_tree.unflatten([struct(t) for t in s.closed.out_avals])

    @property
    def donate_argnums(self) -> tuple[int, ...]:
        """The donated ones among the arrays of the arguments, by number."""
        return tuple(i for i, d in enumerate(self._signature.donated) if d)


class Traced(Stage):
    """A function traced for given argument types."""

    @property
    def jaxpr(self) -> ClosedProgram:
        """The program."""
        return self._signature.closed

    @property
    def fun_name(self) -> str:
        """The name of the function."""
        return self._signature.fun_name

    def explain(self) -> Explanation:
        """Which engine runs the program, why, and how."""
        choice = self._signature.choice
        report = "" if choice.kernel is None else choice.kernel.report
        return Explanation(choice.engine, choice.reason, report, choice.kernel, choice.compiled)

    def lower(self, *, lowering_platforms: tuple[str, ...] | None = None) -> Lowered:
        """The program, ready to compile. There is one platform: "cpu"."""
        for name in lowering_platforms or ():
            if name != "cpu":
                raise error(
                    ValueError,
                    f"this engine does not compile for the platform {name!r}.",
                    got=f"lowering_platforms={lowering_platforms!r}",
                    fix='use ("cpu",), or leave it out.',
                )
        return Lowered(self._signature)


class Lowered(Stage):
    """A program, ready to compile."""

    def as_text(self, dialect: str | None = None, *, debug_info: bool = False) -> str:
        """The text of the program.

        `dialect` is "jaxpr", the notation of `make_jaxpr`, or, where jaxlib is installed,
        "stablehlo" or "hlo", which is what XLA compiles. None is "stablehlo" if the engine xla was
        asked for or the arrays are on devices, else "jaxpr". Large constants are arguments in
        StableHLO and HLO. That of a program for a mesh says how arguments, and results of which the
        user said it, are spread: XLA divides it when it is compiled.

        Raises:
          ValueError: the dialect is unknown, or needs jaxlib, which is not installed.
        """
        s = self._signature
        by_xla = s.wish == "xla" or s.placed is not None
        dialect = dialect or ("stablehlo" if by_xla else "jaxpr")
        _check_dialect(dialect)
        if dialect == "jaxpr":
            return str(s.closed)
        if s.placed is not None:
            text = s.placed.stablehlo(s.own_terms)
        else:
            text = xla.stablehlo(s.closed, s.own_terms.donated if by_xla else ())
        return str(text if dialect == "stablehlo" else xla.hlo(text))

    def compiler_ir(self, dialect: str | None = None) -> Any:
        """The program itself; in the dialects of XLA, its text."""
        if dialect in (None, "jaxpr"):
            return self._signature.closed
        return self.as_text(dialect)

    def cost_analysis(self) -> dict[str, float]:
        """An estimate, read off the program: "flops", "transcendentals", "bytes accessed".

        A loop of unknown length counts as one round, a choice as its dearest branch. It is for the
        whole program, also where several devices share the work.
        """
        return _costs(self._signature.closed)

    def compile(
        self,
        compiler_options: CompilerOptions | None = None,
        *,
        device_assignment: tuple[Any, ...] | None = None,
    ) -> Compiled:
        """Compile it. The options are XLA's flags by their names, and are added to those of `jit`;
        other engines have none.

        Raises:
          ValueError: XLA has no such option.
          TypeError: they are no dict of names and values.
        """
        s = self._signature
        if compiler_options:
            options_of(compiler_options)
            both = options_of({**s.terms.chosen, **compiler_options})
            s = replace(s, terms=terms_of(s.terms.donated, both))
        _ = s.choice
        return Compiled(s)


class Compiled(Stage):
    """A compiled program: callable with arguments of exactly the types it was made for."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it.

        Raises:
          TypeError: the arguments have another structure or other types than those it was compiled
            for (a weak type does as well), or are traced by a transformation.
          ValueError: it was compiled for a mesh or a device, and an argument is elsewhere, or
            spread in another way. Arrays that were put nowhere are spread as they are needed.
        """
        s = self._signature
        leaves, tree = flatten_call(args, kwargs)
        if tree != s.in_tree:
            raise error(
                TypeError,
                "Function compiled with input pytree does not match the input pytree it was called "
                "with.",
                got=f"{tree} instead of {s.in_tree}",
                fix="give the arguments in the containers, and by the keywords, that it was "
                "lowered with; leave static arguments out.",
            )
        for x in leaves:
            if isinstance(x, Tracer):
                raise error(
                    TypeError,
                    "Cannot apply JAX transformations to a function lowered and compiled for a "
                    f"particular signature. Detected argument of Tracer type {type(x)}.",
                    got=x.describe(),
                    fix="transform the jitted function instead.",
                )
        leaves = [checks.input_array(x, "a compiled function") for x in leaves]
        wrong = [
            f"Argument {name!r} compiled with {_long(t)} and called with {_long(x.aval)}"
            for x, t, name in zip(leaves, s.types, s.names, strict=True)
            if x.shape != t.shape or x.dtype != t.dtype
        ]
        if wrong:
            raise error(
                TypeError,
                "Argument types differ from the types for which this computation was compiled.",
                got="; ".join(wrong),
                fix="give arguments of the types it was compiled for, or call the jitted function.",
            )
        if s.placed is not None:
            self._check_places(leaves)
        return s.call(leaves, s.own_terms, s.placed)

    call = __call__

    def _check_places(self, leaves: Sequence[Any]) -> None:
        s = self._signature
        wrong = []
        for x, want, name in zip(leaves, s.choice.compiled.ins, s.names, strict=True):
            have = getattr(x, "_sharding", None)
            if have is None or getattr(x, "loose", False):
                continue
            if not have.is_equivalent_to(want, len(x.shape)):
                wrong.append(f"{name}, {x.aval.str_short()}, is {have!r} and not {want!r}")
        if wrong:
            raise error(
                ValueError,
                "Computation was compiled for input shardings that disagree with the shardings of "
                "arguments passed to it.",
                got="; ".join(wrong),
                fix="move them with jax.device_put, or lower the function for where they are.",
            )

    def as_text(self) -> str:
        """What the engine made: LLVM IR, XLA's HLO, or the source of one Python function."""
        choice = self._signature.choice
        if choice.compiled is not None:
            return str(choice.compiled.executable.text())
        if choice.kernel is not None:
            return str(choice.kernel.text)
        return numpy_engine.write_source(simplify(self._signature.closed))[0]

    def cost_analysis(self) -> dict[str, float]:
        """As that of `Lowered`, of the program without what is not used or is computed twice.

        On the engine xla it is what XLA says, which has more entries; where several devices share
        the work, that of one.
        """
        compiled = self._signature.choice.compiled
        if compiled is not None:
            return dict(compiled.executable.costs())
        return _costs(simplify(self._signature.closed))

    def memory_analysis(self) -> Memory:
        """Bytes of arguments, results and what else is alive at once, read off the program.

        On the engine xla they are those of XLA's plan; where several devices share the work, those
        on one. Arguments whose memory results take are in `alias_size_in_bytes`.
        """
        compiled = self._signature.choice.compiled
        if compiled is not None:
            found = compiled.executable.memory()
            names = [f.name for f in fields(Memory)]
            return Memory(**{n: int(getattr(found, n, 0)) for n in names})
        return memory_of(simplify(self._signature.closed).program)

    def runtime_executable(self) -> Any:
        """The function of NumPy arrays that the engine made of the program."""
        return self._signature.choice.run

    @property
    def input_shardings(self) -> Any:
        """The arguments, with the sharding of each array."""
        s = self._signature
        if s.placed is not None:
            return s.in_tree.unflatten(s.choice.compiled.ins)
        return s.in_tree.unflatten([SingleDeviceSharding(CPU)] * len(s.types))

    @property
    def output_shardings(self) -> Any:
        """The result, with the sharding of each array."""
        s = self._signature
        if s.placed is not None:
            return s.out_tree.unflatten(s.choice.compiled.outs)
        return s.out_tree.unflatten([SingleDeviceSharding(CPU)] * s.out_tree.num_leaves)


def _check_dialect(dialect: str) -> None:
    if dialect not in ("jaxpr", "stablehlo", "hlo"):
        raise error(
            ValueError,
            f"unknown dialect: {dialect}.",
            got=f"dialect={dialect!r}",
            fix='use "jaxpr", "stablehlo" or "hlo", or leave it out.',
        )
    if dialect != "jaxpr" and not jaxlib_is_installed():
        raise error(
            ValueError,
            f"the dialect {dialect} needs the package jaxlib, which is not installed.",
            got=f"dialect={dialect!r}",
            fix="install it: pip install 'pullback[xla]'; or use dialect=\"jaxpr\".",
        )


def _costs(closed: ClosedProgram) -> dict[str, float]:
    cost = cost_of(closed.program)
    return {
        "flops": cost.flops,
        "transcendentals": cost.transcendentals,
        "bytes accessed": cost.moved,
    }


def _long(t: ArrayType) -> str:
    return f"{dtypes.long_name(t.dtype)}[{','.join(map(str, t.shape))}]"


__all__ = [
    "ArgInfo",
    "Compiled",
    "CompilerOptions",
    "Explanation",
    "Lowered",
    "ShapeDtypeStruct",
    "Signature",
    "Traced",
    "Wrapped",
    "struct",
]
