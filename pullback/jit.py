"""jit and its relatives: functions become programs, kept by the types of the arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FunctionType, MethodType
from typing import Any
from weakref import WeakKeyDictionary

from . import checks
from .control.call import jit_p
from .core.array import Array, HostArray, Tracer
from .core.errors import error
from .core.program import ClosedProgram, hoist_tracers, run_closed, trace_program
from .core.pytree import PyTreeDef, flatten, flatten_call, leaf_paths
from .core.settings import program_settings, values
from .core.trace import EVAL, KnownTrace, host_array, inside, state, values_are_checked
from .engines import numpy as numpy_engine
from .ops.structural import zeros
from .stages import Lowered, Signature, Traced, struct
from .stages import ShapeDtypeStruct as ShapeDtypeStruct
from .watching import after_tracing, before_tracing, timed


def jit(
    fun: Callable[..., Any] | None = None,
    /,
    *,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Iterable[str] | None = None,
    donate_argnums: int | Sequence[int] | None = None,
    donate_argnames: str | Iterable[str] | None = None,
    keep_unused: bool = False,
    inline: bool = False,
    device: Any = None,
    backend: str | None = None,
    in_shardings: Any = None,
    out_shardings: Any = None,
    compiler_options: dict[str, Any] | None = None,
) -> Any:
    """`fun` as a program: it is traced once for each new combination of argument types.

    Args:
      fun: a pure function of pytrees of arrays. Without it, `jit` is a decorator with options.
      static_argnums: positional arguments that are Python values (hashable): a new value traces
        anew.
      static_argnames: the same by name.
      donate_argnums, donate_argnames: arguments that will not be used again, whose memory JAX may
        use for results. Here they stay as they are, and can be used again.
      backend: None or "cpu", the only one.
      keep_unused, inline, device, in_shardings, out_shardings, compiler_options: accepted for
        compatibility: there is one device, and its engine has no options.

    Returns:
      A function of the same arguments and results. It has `trace` and `lower` (see `stages`),
      `eval_shape`, `clear_cache` and `__wrapped__`.

    Raises:
      ValueError: an option names an argument that `fun` does not have, or one both as static and
        as donated.
      RuntimeError: there is no such backend.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> print(pullback.jit(lambda x: jnp.sin(x) ** 2)(1.0))
      0.7080734
    """
    _check_backend(backend, device)
    if fun is None:
        return lambda f: jit(
            f,
            static_argnums=static_argnums,
            static_argnames=static_argnames,
            donate_argnums=donate_argnums,
            donate_argnames=donate_argnames,
        )
    checks.callable_(fun, "jit")
    static = Static(fun, static_argnums, static_argnames)
    donated = None
    if donate_argnums is not None or donate_argnames is not None:
        donated = Static(fun, donate_argnums, donate_argnames, "donate")
        _check_apart(static, donated)
    return PjitFunction(fun, static, donated)


def _check_backend(backend: str | None, device: Any) -> None:
    if backend is not None and device is not None:
        raise error(
            ValueError,
            "can't specify both a device and a backend for jit.",
            got=f"device={device} and backend={backend!r}",
            fix="leave one of them out.",
        )
    if backend not in (None, "cpu"):
        raise error(
            RuntimeError,
            f"Unknown backend {backend}.",
            got=f"backend={backend!r}",
            fix='this engine has only "cpu".',
        )


def _check_apart(static: Static, donated: Static) -> None:
    both = {f"{name!r}" for name in static.names & donated.names}
    both |= {f"number {i}" for i in static.numbers & donated.numbers if not both}
    if both:
        raise error(
            ValueError,
            "jit: an argument is both static and donated.",
            got=", ".join(sorted(both)),
            fix="only arrays can be donated: name it in one of the two.",
        )


class PjitFunction:
    """What `jit` returns. Programs know it by this name: it is that of JAX's."""

    def __init__(
        self, fun: Callable[..., Any], static: Static, donated: Static | None = None
    ) -> None:
        self._fun, self._static, self._donated = fun, static, donated
        self._cache = _cache_of(fun, static)
        checks.named_like(self, fun, "jit")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if values.jax_disable_jit:
            return self._fun(*args, **kwargs)
        traced, leaves = self._find(args, kwargs)
        return traced.call(leaves)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<PjitFunction of {self._fun!r}>"

    @property
    def __signature__(self) -> inspect.Signature:
        # Without it `inspect` takes an object with __get__ for a method written in C.
        return inspect.signature(self._fun)

    def _find(self, args: Any, kwargs: Any) -> tuple[_Traced, list[Any]]:
        static: Any = ()
        if self._static:
            static, args, kwargs = self._static.split(args, kwargs)
        leaves, in_tree = flatten_call(args, kwargs)
        types = []
        for i, x in enumerate(leaves):
            if not isinstance(x, Array):
                leaves[i] = x = self._argument(x, i, args, kwargs)
            types.append(x.aval)
        key = (in_tree, tuple(types), static, program_settings(), tuple(state.axes.items()))
        traced = self._cache.get(key)
        if traced is None:
            names = leaf_paths(args, "args") + leaf_paths(kwargs, "kwargs")
            names = self._static.argument_names(names)
            before_tracing(self._fun, types, self._cache)  # type: ignore[arg-type]
            traced = timed(
                "/jax/core/compile/jaxpr_trace_duration",
                self.__name__,  # type: ignore[attr-defined]
                types,
                lambda: _trace(self._fun, self._static, static, in_tree, types, names),
            )
            if not traced.closes_over_traced:
                self._cache[key] = traced
        return traced, leaves

    def _argument(self, x: Any, i: int, args: Any, kwargs: Any) -> Array:
        try:
            return host_array(x)
        except TypeError as cause:
            names = leaf_paths(args, "args") + leaf_paths(kwargs, "kwargs")
            raise error(
                TypeError,
                f"jit: argument {self._static.argument_names(names)[i]} of type "
                f"{type(x).__name__} is not a valid array.",
                got=f"{x!r:.80}",
                fix="name it in static_argnums or static_argnames if it is a hashable Python "
                "value, or register its class as a pytree.",
            ) from cause

    # ---- looking at the program

    def trace(self, *args: Any, **kwargs: Any) -> Traced:
        """The program for arguments of these types (arrays or ShapeDtypeStructs)."""
        donated = self._donated_leaves(args, kwargs)
        static, args, kwargs = self._static.split(args, kwargs)
        leaves, in_tree = flatten_call(args, kwargs)
        types = [checks.shaped(x, "jit") for x in leaves]
        names = leaf_paths(args, "args") + leaf_paths(kwargs, "kwargs")
        names = self._static.argument_names(names)
        traced = _trace(self._fun, self._static, static, in_tree, types, names)
        signature = Signature(
            closed=traced.closed,
            in_tree=traced.in_tree,
            out_tree=traced.tree,
            types=types,
            donated=donated,
            names=names,
            fun_name=traced.name,
            call=traced.call,
        )
        return Traced(signature)

    def _donated_leaves(self, args: Any, kwargs: Any) -> list[bool]:
        """For each array of the arguments that are not static, whether it is donated."""
        chosen, static = self._donated or Static(None, None, None), self._static
        marked = [
            (x, chosen.has(i, len(args)))
            for i, x in enumerate(args)
            if not static.has(i, len(args))
        ]
        marked += [(kwargs[k], k in chosen.names) for k in sorted(kwargs) if k not in static.names]
        return [mark for x, mark in marked for _ in flatten(x)[0]]

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """The program, ready to compile."""
        return self.trace(*args, **kwargs).lower()

    def eval_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The structure, shapes and dtypes of the result."""
        return self.trace(*args, **kwargs).out_info

    def clear_cache(self) -> None:
        """Forget all programs."""
        self._cache.clear()

    def _cache_size(self) -> int:
        return len(self._cache)


_caches: WeakKeyDictionary[Any, dict[Any, dict[Any, _Traced]]] = WeakKeyDictionary()


def _cache_of(fun: Any, static: Static) -> dict[Any, _Traced]:
    """The programs of `fun`, shared by all its `jit`s: `jit(f)(x)` in a loop traces once."""
    if type(fun) is not FunctionType:
        return {}
    key = frozenset(static.numbers), frozenset(static.names)
    return _caches.setdefault(fun, {}).setdefault(key, {})


def forget_programs() -> None:
    """Forget the programs of all jitted functions."""
    for by_static in _caches.values():
        for programs in by_static.values():
            programs.clear()


class _Traced:
    """One program of a jitted function, with the trees of its arguments and results."""

    __slots__ = ("closed", "consts", "in_tree", "name", "out_tree", "run", "tree", "weak")

    def __init__(
        self, closed: ClosedProgram, consts: list[Any], in_tree: Any, out_tree: Any, name: str
    ) -> None:
        self.closed, self.consts, self.name = closed, consts, name
        self.in_tree, self.tree = in_tree, out_tree
        self.out_tree = None if out_tree.is_leaf() else out_tree
        self.run: Any = None
        self.weak = [t.weak_type for t in closed.out_avals]

    @property
    def closes_over_traced(self) -> bool:
        """Whether the function used a value of an outer trace: the program is not kept then."""
        return bool(self.consts)

    def call(self, leaves: list[Any]) -> Any:
        """Run the program, or write the call down if a transformation is going on."""
        outs: Sequence[Any]
        if state.trace is EVAL and not self.consts:
            if values_are_checked():
                return self._rebuilt(run_closed(self.closed, leaves))
            run = self.run
            if run is None:
                run = self.run = timed(
                    "/jax/core/compile/backend_compile_duration",
                    self.name,
                    self.closed.in_avals,
                    lambda: numpy_engine.compiled(self.closed),
                )
            try:
                found = run(*[x._value for x in leaves])
            except AttributeError:
                for x in leaves:
                    host_array(x)  # a tracer that escaped: say so
                raise
            outs = [HostArray(y, w) for y, w in zip(found, self.weak, strict=True)]
        else:
            outs = jit_p(*self.consts, *leaves, jaxpr=self.closed, name=self.name)
        return self._rebuilt(outs)

    def _rebuilt(self, outs: Sequence[Any]) -> Any:
        return outs[0] if self.out_tree is None else self.out_tree.unflatten(outs)


def _trace(
    fun: Any, static: Static, static_values: Any, in_tree: PyTreeDef, types: Any, names: Any
) -> _Traced:
    out_trees: list[PyTreeDef] = []
    traces: list[Any] = []

    def flat(*leaves: Any) -> list[Any]:
        traces.append(state.trace)
        args, kwargs = in_tree.unflatten(leaves)
        args, kwargs = static.join(static_values, args, kwargs)
        outs, tree = flatten(fun(*args, **kwargs))
        out_trees.append(tree)
        return [y if isinstance(y, Array) else checks.output_array(y, "jit") for y in outs]

    closed, consts = hoist_tracers(trace_program(flat, types, fun, "jit", names))
    if values.jax_enable_checks or values.jax_check_tracer_leaks:
        after_tracing(closed, traces[0], fun)
    name = getattr(fun, "__name__", "function")
    return _Traced(closed, consts, in_tree, out_trees[0], name)


class Static:
    """Which arguments are Python values that the program is made for.

    Also, with another `verb`, which are meant by other options of the form `verb_argnums`.
    """

    def __init__(self, fun: Any, numbers: Any, names: Any, verb: str = "static") -> None:
        self.verb = verb
        given = (numbers,) if isinstance(numbers, int) else tuple(numbers or ())
        by_name = (names,) if isinstance(names, str) else tuple(names or ())
        self.parameters = _parameters(fun)
        positional = [
            p.name
            for p in self.parameters
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        self.positional = positional
        for n in given:
            if not isinstance(n, int) or (positional and not self._has(n)):
                raise error(
                    ValueError,
                    f"jit: {verb}_argnums names an argument that the function does not have.",
                    got=f"{verb}_argnums={numbers} for {getattr(fun, '__name__', fun)}"
                    f"({', '.join(positional)})",
                    fix="count positional parameters from 0.",
                )
        self._check_names(by_name, fun)
        self.numbers = set(given) | {positional.index(n) for n in by_name if n in positional}
        self.names = set(by_name) | {
            positional[n] for n in given if -len(positional) <= n < len(positional)
        }

    def _has(self, n: int) -> bool:
        variadic = any(p.kind is p.VAR_POSITIONAL for p in self.parameters)
        return variadic or -len(self.positional) <= n < len(self.positional)

    def _check_names(self, names: Sequence[str], fun: Any) -> None:
        known = {p.name for p in self.parameters}
        open_ended = any(p.kind is p.VAR_KEYWORD for p in self.parameters) or not known
        for name in names:
            if name not in known and not open_ended:
                raise error(
                    ValueError,
                    f"jit: {self.verb}_argnames names {name!r}, which the function does not have.",
                    got=f"{getattr(fun, '__name__', fun)}({', '.join(sorted(known))})",
                    fix="use the name of a parameter.",
                )

    def __bool__(self) -> bool:
        return bool(self.numbers or self.names)

    def has(self, i: int, count: int) -> bool:
        """Whether positional argument `i` of so many is one of these."""
        return i in self.numbers or i - count in self.numbers

    def split(self, args: Any, kwargs: Any, hashable: bool = True) -> tuple[Any, Any, Any]:
        """The static values (hashable, if programs are kept by them), and the other arguments."""
        boxed = _hashable if hashable else _boxed
        if not self:
            return ((), ()), args, kwargs
        numbers = {n % len(args) if n < 0 else n for n in self.numbers}
        static = tuple((i, boxed(x, f"argument {i}")) for i, x in enumerate(args) if i in numbers)
        named = tuple(
            (k, boxed(v, f"argument {k!r}")) for k, v in sorted(kwargs.items()) if k in self.names
        )
        dynamic = tuple(x for i, x in enumerate(args) if i not in numbers)
        return (
            (static, named),
            dynamic,
            {k: v for k, v in kwargs.items() if k not in self.names},
        )

    def join(self, static: Any, args: Any, kwargs: Any) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of the function from static and other ones."""
        if not static:
            return list(args), kwargs
        positions, named = static
        joined = list(args)
        for i, x in positions:
            joined.insert(i, x.value)
        return joined, {**kwargs, **{k: v.value for k, v in named}}

    def argument_names(self, paths: Sequence[str]) -> list[str]:
        """`x['w']` for `args[0]['w']`: paths in the words of the function's parameters."""
        dynamic = [p for i, p in enumerate(self.positional) if i not in self.numbers]
        named = []
        for path in paths:
            head, _, rest = path.partition("[")
            first, _, tail = rest.partition("]")
            if head == "args" and int(first) < len(dynamic):
                path = dynamic[int(first)] + tail
            elif head == "kwargs":
                path = first.strip("'") + tail
            named.append(path)
        return named


class _Value:
    """A static value: equal by type and value, so that 1 and 1.0 and True are three programs."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Value)
            and type(self.value) is type(other.value)
            and bool(self.value == other.value)
        )

    def __hash__(self) -> int:
        return hash(self.value)


def _boxed(x: Any, name: str) -> _Value:
    return _Value(x)


def _hashable(x: Any, name: str) -> _Value:
    if isinstance(x, Tracer):
        raise error(
            ValueError,
            f"jit: static {name} is a traced value.",
            got=x.describe(),
            fix="static arguments must be Python values; pass arrays as ordinary arguments.",
        )
    try:
        hash(x)
    except TypeError as cause:
        raise error(
            ValueError,
            f"jit: non-hashable static arguments are not allowed; {name} is one.",
            got=f"{x!r:.80} of type {type(x).__name__}",
            fix="use a tuple instead of a list, or a frozen dataclass; arrays must not be static.",
        ) from cause
    return _Value(x)


def _parameters(fun: Any) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(fun).parameters.values())
    except (TypeError, ValueError):  # builtins have no signature
        return []


# ---- programs to look at


def make_jaxpr(
    fun: Callable[..., Any],
    static_argnums: int | Sequence[int] = (),
    axis_env: Sequence[tuple[Any, int]] | None = None,
    return_shape: bool = False,
) -> Callable[..., Any]:
    """The function that gives the program (jaxpr) of `fun` for the types of its arguments.

    Example:
      >>> import pullback
      >>> pullback.make_jaxpr(lambda x, y: x * y)(3.0, 4.0)
      { lambda ; a:f32[] b:f32[]. let c:f32[] = mul a b in (c,) }
    """
    checks.callable_(fun, "make_jaxpr")
    static = Static(fun, static_argnums, None)

    def program_of(*args: Any, **kwargs: Any) -> Any:
        static_values, dynamic, named = static.split(args, kwargs)
        leaves, in_tree = flatten((dynamic, named))
        types = [checks.shaped(x, "make_jaxpr") for x in leaves]
        names = static.argument_names(leaf_paths(dynamic, "args") + leaf_paths(named, "kwargs"))
        axes = state.axes
        state.axes = {**axes, **dict(axis_env or ())}
        try:
            out_trees: list[PyTreeDef] = []

            def flat(*leaves: Any) -> list[Any]:
                new, new_named = in_tree.unflatten(leaves)
                new, new_named = static.join(static_values, new, new_named)
                outs, tree = flatten(fun(*new, **new_named))
                out_trees.append(tree)
                return [checks.output_array(y, "make_jaxpr") for y in outs]

            closed = trace_program(flat, types, fun, "make_jaxpr", names)
        finally:
            state.axes = axes
        if not return_shape:
            return closed
        return closed, out_trees[0].unflatten([struct(t) for t in closed.out_avals])

    return checks.named_like(program_of, fun, "make_jaxpr")


def eval_shape(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The structure, shapes and dtypes of `fun(*args, **kwargs)`, without computing it.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> pullback.eval_shape(jnp.dot, jnp.ones((2, 3)), jnp.ones(3))
      ShapeDtypeStruct(shape=(2,), dtype=float32)
    """
    checks.callable_(fun, "eval_shape")
    leaves, in_tree = flatten_call(args, kwargs)
    trees: list[PyTreeDef] = []

    def flat(*leaves: Any) -> list[Any]:
        new, named = in_tree.unflatten(leaves)
        outs, tree = flatten(fun(*new, **named))
        trees.append(tree)
        return [_output_of_any_kind(y) for y in outs]

    types = [checks.shaped(x, "eval_shape") for x in leaves]
    closed = trace_program(flat, types, fun, "eval_shape")
    return trees[0].unflatten([struct(t) for t in closed.out_avals])


def _output_of_any_kind(y: Any) -> Any:
    """A result as an Array; a ShapeDtypeStruct stands for an array of its type."""
    if isinstance(y, ShapeDtypeStruct):
        return zeros(checks.shaped(y, "eval_shape"))
    return checks.output_array(y, "eval_shape")


@contextmanager
def ensure_compile_time_eval() -> Iterator[None]:
    """Inside `with ensure_compile_time_eval():`, operations on known values are done at once.

    Also while a function is traced by `jit`: results are values, so `if` and `bool` work on them.
    """
    with inside(KnownTrace(state.trace)):
        yield


__all__ = [
    "PjitFunction",
    "ShapeDtypeStruct",
    "ensure_compile_time_eval",
    "eval_shape",
    "jit",
    "make_jaxpr",
]
