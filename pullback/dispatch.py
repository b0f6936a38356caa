"""A call of a jitted function: the program for its arguments is found, or made, and run.

Here a call is done in Python. Once a function is called again, the native engine's entry stands
before this: it does the calls that it knows, and leaves the others to `Calls.call`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FunctionType
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, WeakSet

from . import checks
from .control.call import jit_p
from .core.array import Array, HostArray, Tracer
from .core.checking import is_shared, offence, search_inside
from .core.errors import error
from .core.lazy import lazy
from .core.program import ClosedProgram, hoist_tracers, trace_program
from .core.pytree import PyTreeDef, flatten, flatten_call, leaf_paths
from .core.settings import Combination, combination, updated, values
from .core.trace import EVAL, DeviceTrace, host_array, inside, state
from .engines.choice import (
    AUTO,
    HOST_ENGINES,
    PLAIN,
    Choice,
    Terms,
    choose,
    key_of,
    terms_of,
)
from .sharded_calls import NOWHERE, Away, Places, gathered, on_devices, run_placed
from .static_arguments import Static
from .watching import after_tracing, before_tracing, timed

entry = lazy("pullback.engines.native.entry")
entry_plan = lazy("pullback.engines.native.entry_plan")
calling = lazy("pullback.engines.native.calling")


_MANY_CALLS = 4096
"""So many calls through Python pay for the import of the entry and of llvmlite (0.1 s)."""


def _entry_is_here() -> bool:
    return "pullback.engines.native.entry" in sys.modules


class Calls:
    """The calls of one jitted function.

    Attributes:
      engine: the engine that was asked for, or None: as the settings say.
      owner: the object that users call, if it wants its `__call__` made quick.
    """

    __slots__ = (
        "__weakref__",
        "cache",
        "count",
        "engine",
        "fun",
        "latest",
        "name",
        "owner",
        "places",
        "quick",
        "static",
    )

    def __init__(
        self,
        fun: Callable[..., Any],
        static: Static,
        engine: str | None,
        places: Places | None = None,
    ) -> None:
        self.fun, self.static, self.engine = fun, static, engine
        self.places = NOWHERE if places is None else places
        self.cache = _cache_of(fun, static)
        self.count = 0
        self.name = ""
        self.owner: ReferenceType[Any] | None = None
        self.quick: ReferenceType[Any] | None = None
        """What the entry tries. The entry holds it, and this object; so this is no cycle."""
        self.latest: Any = None
        """What was last given to the entry."""

    def call(self, /, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        now = combination()
        if now.disabled:
            return self.fun(*args, **kwargs)
        traced, leaves = self.find(args, kwargs, now)
        wish = self.engine or now.engine
        terms = PLAIN if self.places.plain else self.terms(traced, args, kwargs)
        result = traced.call(leaves, now, wish, terms)
        self.count += 1
        traced.count += 1
        again = max(self.count, traced.count)
        if again > 1 and (traced.is_native or again > _MANY_CALLS or _entry_is_here()):
            self._quicken(traced, args, kwargs, now, key_of(wish, terms))
        return result

    def terms(self, traced: TracedCall, args: Any, kwargs: Any) -> Terms:
        """How a program is compiled for calls of this function."""
        found = traced.terms.get(self.places.manner)
        if found is None:
            found = traced.terms[self.places.manner] = self.places.terms(args, kwargs)
        return found

    def find(self, args: Any, kwargs: Any, now: Combination) -> tuple[TracedCall, list[Any]]:
        """The program for these arguments, and the arrays in them."""
        static: Any = ()
        if self.static.names or self.static.numbers:
            static, args, kwargs = self.static.split(args, kwargs)
        leaves, in_tree = flatten_call(args, kwargs)
        away = False
        for i, x in enumerate(leaves):
            if type(x) is not HostArray:
                if not isinstance(x, Array):
                    leaves[i] = x = self._argument(x, i, args, kwargs)
                away |= x.elsewhere
        types = tuple([x.aval for x in leaves])
        axes = state.axes
        key = (in_tree, types, static, now.program, tuple(axes.items()) if axes else ())
        traced = self.cache.get(key)
        if traced is None:
            traced = self.trace(static, in_tree, list(types), args, kwargs)
            if not traced.consts:  # it used a value of an outer trace, which is gone next time
                self.cache[key] = traced
        if away:
            leaves = Away(leaves)
        return traced, leaves

    def trace(
        self, static: Any, in_tree: PyTreeDef, types: Any, args: Any, kwargs: Any
    ) -> TracedCall:
        """A new program."""
        names = leaf_paths(args, "args") + leaf_paths(kwargs, "kwargs")
        names = self.static.argument_names(names)
        before_tracing(self.fun, types, self.cache)  # type: ignore[arg-type]
        traced = timed(
            "/jax/core/compile/jaxpr_trace_duration",
            self.name,
            types,
            lambda: trace_call(self.fun, self.static, static, in_tree, types, names),
        )
        self.places.tell(traced, args, kwargs)
        return traced

    def _argument(self, x: Any, i: int, args: Any, kwargs: Any) -> Array:
        try:
            return host_array(x)
        except TypeError as cause:
            names = leaf_paths(args, "args") + leaf_paths(kwargs, "kwargs")
            raise error(
                TypeError,
                f"jit: argument {self.static.argument_names(names)[i]} of type "
                f"{type(x).__name__} is not a valid array.",
                got=f"{x!r:.80}",
                fix="name it in static_argnums or static_argnames if it is a hashable Python "
                "value, or register its class as a pytree.",
            ) from cause

    def _quicken(
        self, traced: TracedCall, args: Any, kwargs: Any, now: Combination, key: Any
    ) -> None:
        """Have the entry do calls like this one."""
        latest = (traced, now, key, len(args), tuple(kwargs), self.count == 1)
        if latest == self.latest:
            return  # the entry has it, and leaves calls like this one to Python all the same
        if state.trace is not EVAL or state.axes or now.checked or traced.consts:
            return
        self.latest = latest
        if self.count == 1:  # it may be the only call: `jit(f)(x)` in a loop
            traced.flatten_quickly(now, key)
            return
        plan = traced.plan(args, kwargs, self.static, now, key)
        if plan is None:
            traced.flatten_quickly(now, key)
            return
        programs = self.programs()
        if programs is None:
            owner = None if self.owner is None else self.owner()
            if owner is None:
                return
            function, programs = entry.entry(self.call)
            self.quick = ReferenceType(programs)
            owner.becomes(function)
            _quick.add(self)
        programs.add(plan)

    def forget(self) -> None:
        """Have the entry forget its programs."""
        self.latest = None
        programs = self.programs()
        if programs is not None:
            programs.clear()

    def programs(self) -> Any:
        """What the entry tries; None if there is no entry."""
        return None if self.quick is None else self.quick()


_quick: WeakSet[Calls] = WeakSet()
"""Those that have an entry."""
_caches: WeakKeyDictionary[Any, dict[Any, dict[Any, TracedCall]]] = WeakKeyDictionary()


def _cache_of(fun: Any, static: Static) -> dict[Any, TracedCall]:
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
    for calls in list(_quick):
        calls.forget()
    updated()


class TracedCall:
    """One program of a jitted function, with the trees of its arguments and results."""

    __slots__ = (
        "choices",
        "closed",
        "consts",
        "count",
        "flat",
        "in_tree",
        "is_native",
        "name",
        "out_tree",
        "placed",
        "plans",
        "runs",
        "terms",
        "tree",
        "weak",
    )

    def __init__(
        self, closed: ClosedProgram, consts: list[Any], in_tree: Any, out_tree: Any, name: str
    ) -> None:
        self.closed, self.consts, self.name = closed, consts, name
        """`consts`: values of an outer trace that the function used."""
        self.in_tree, self.tree = in_tree, out_tree
        self.out_tree = None if out_tree.is_leaf() else out_tree
        self.weak = [t.weak_type for t in closed.out_avals]
        self.placed = on_devices(closed)
        """Where arguments and results are to be; None: in the memory of the process, as usual."""
        self.terms: dict[Any, Terms] = {}
        """How it is compiled, for each manner of `jit`."""
        self.choices: dict[Any, Choice] = {}
        self.is_native = False
        self.count = 0
        self.runs: dict[Any, Callable[..., Sequence[Any]]] = {}
        """For each engine that was asked for, the program as a function of arrays."""
        self.flat: set[Any] = set()
        """Those for which this function was made quick, if it could be."""
        self.plans: dict[Any, Any] = {}
        """For each form of a call the entry's plan, or None: it cannot be done by the entry."""

    def call(self, leaves: list[Any], now: Combination, wish: str, terms: Terms = PLAIN) -> Any:
        """Run the program, or write the call down if a transformation is going on."""
        outs: Sequence[Any]
        if state.trace is EVAL and not self.consts:
            if now.checked:  # the arguments are needed to find what made a NaN
                terms = terms_of((), terms.options)
            if (self.placed is not None or type(leaves) is Away) and wish not in HOST_ENGINES:
                outs = run_placed(self.closed, leaves, self.placed, self.name, terms)
            else:
                run = self.runs.get(key_of(wish, terms)) or self.compile(wish, terms)
                outs = run(*leaves)
            if now.checked:
                self._check(outs, leaves)
        elif type(state.trace) is DeviceTrace and state.trace.parent is EVAL and not self.consts:
            return self._call_on(state.trace.device, leaves, now, wish, terms)
        else:
            outs = jit_p(*self.consts, *leaves, jaxpr=self.closed, name=self.name)
        return self._rebuilt(outs)

    def _call_on(
        self, device: Any, leaves: list[Any], now: Combination, wish: str, terms: Terms
    ) -> Any:
        """`call` where `device` is the default one; None: the memory of the process."""
        with inside(EVAL):
            if device is None or wish in HOST_ENGINES or any(isinstance(x, Tracer) for x in leaves):
                return self.call(leaves, now, wish, terms)
            if now.checked:
                terms = terms_of((), terms.options)
            outs = run_placed(self.closed, leaves, self.placed, self.name, terms, device)
            if now.checked:
                self._check(outs, leaves)
        return self._rebuilt(outs)

    def _check(self, outs: Sequence[Any], leaves: list[Any]) -> None:
        """Raise if a result has a NaN: the program is run again, one operation after the other."""
        found = next((f for f in map(offence, outs) if f is not None), None)
        if found is not None:
            got = "its compiled program gives it; one operation after the other gives none"
            if any(map(is_shared, (*leaves, *outs))):
                got = "it is in a part of this process; the others must take part in a search"
            else:
                search_inside(jit_p, leaves, {"jaxpr": self.closed, "name": self.name})
            for i, x in enumerate(leaves):
                if offence(x) is not None:
                    got = f"array {i} of the arguments, {x.aval.str_short()}, has it already"
            raise error(
                FloatingPointError,
                f"invalid value ({found[0]}) encountered in the result of {self.name}.",
                got=got,
                fix="look at the arguments, for overflow, and for differences of large numbers.",
            )

    def call_now(
        self, leaves: list[Any], engine: str | None, terms: Terms = PLAIN, places: Any = None
    ) -> Any:
        """`call` under the settings of this thread; where `places` says, if it does."""
        now = combination()
        if places is None:
            return self.call(gathered(leaves), now, engine or now.engine, terms)
        if now.checked:
            terms = terms_of((), terms.options)
        outs = places.compiled(terms)(leaves)
        if now.checked:
            self._check(outs, leaves)
        return self._rebuilt(outs)

    def compile(self, wish: str = AUTO, terms: Terms = PLAIN) -> Callable[..., Sequence[Any]]:
        """Have an engine make it ready; the program as a function of arrays."""
        choice = timed(
            "/jax/core/compile/backend_compile_duration",
            self.name,
            self.closed.in_avals,
            lambda: choose(self.closed, wish, terms),
        )
        key = key_of(wish, terms)
        self.choices[key] = choice
        self.is_native |= choice.kernel is not None or choice.on_arrays is not None
        run = self.runs[key] = self._run_of(choice)
        return run

    def _run_of(self, choice: Choice) -> Callable[..., Sequence[Any]]:
        """The compiled program as a function of arrays."""
        if choice.on_arrays is not None:
            return choice.on_arrays
        weak = self.weak

        def run(*leaves: Any) -> Sequence[Any]:
            try:
                found = choice.run(*[x._value for x in leaves])
            except AttributeError:
                for x in leaves:
                    host_array(x)  # a tracer that escaped: say so
                raise
            return [HostArray(y, w) for y, w in zip(found, weak, strict=True)]

        return run

    def plan(self, args: Any, kwargs: Any, static: Static, now: Combination, made: Any) -> Any:
        """How the entry does calls like this one under these settings; None if it cannot.

        `made` is the key of the compiled program.
        """
        choice = self.choices.get(made)
        if choice is None or entry.why_not():
            return None
        key = len(args), tuple(kwargs), made
        if key not in self.plans:
            fixed = {i: x for i, x in enumerate(args) if static.has(i, len(args))}
            named = {k: v for k, v in kwargs.items() if k in static.names}
            call = entry_plan.Call(
                self.in_tree, self.tree, len(args), tuple(kwargs), {**fixed, **named}
            )
            try:
                self.plans[key] = self._new_plan(call, now, choice)
            except entry_plan.Unsuitable:
                self.plans[key] = None
        plan = self.plans[key]
        if plan is not None:
            plan.serves(now)
        return plan

    def _new_plan(self, call: Any, now: Combination, choice: Choice) -> Any:
        if choice.kernel is not None:
            return entry_plan.Plan(choice.kernel, call, now, calling.failed(choice.kernel))
        types = entry_plan.Kernel(0, 0, self.closed.in_avals, self.closed.out_avals)
        fail = calling.failed(types)
        if choice.on_arrays is None:
            return entry_plan.Plan(types, call, now, fail, choice.run)
        compiled = choice.compiled
        device = entry_plan.Device(*compiled.arrays())
        return entry_plan.Plan(types, call, now, fail, compiled.on_buffers, device)

    def flatten_quickly(self, now: Combination, key: Any) -> None:
        """Let the entry run the program where Python has to take the containers apart."""
        choice = self.choices.get(key)
        if choice is None or key in self.flat or entry.why_not():
            return
        tree = flatten_call(tuple(self.closed.in_avals), {})[1]
        call = entry_plan.Call(tree, flatten((0,) * len(self.weak))[1], len(self.closed.in_avals))
        self.flat.add(key)
        with suppress(entry_plan.Unsuitable):
            plan = self._new_plan(call, now, choice)
            self.runs[key], programs = entry.entry(_following(plan, self.runs[key]))
            programs.add(plan)

    def _rebuilt(self, outs: Sequence[Any]) -> Any:
        return outs[0] if self.out_tree is None else self.out_tree.unflatten(outs)


def _following(plan: Any, run: Callable[..., Any]) -> Callable[..., Any]:
    """`run`, called where the settings have changed: from now on the plan is for these."""

    def follow(*leaves: Any) -> Any:
        now = combination()
        found = run(*leaves)  # if it raises, the next call asks again
        if not (now.checked or now.disabled):
            plan.serves(now)
        return found

    return follow


def trace_call(
    fun: Any, static: Static, static_values: Any, in_tree: PyTreeDef, types: Any, names: Any
) -> TracedCall:
    """The program of `fun` for arguments of these types."""
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
    return TracedCall(closed, consts, in_tree, out_trees[0], name)


__all__ = ["Calls", "TracedCall", "forget_programs", "trace_call"]
