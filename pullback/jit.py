"""jit and its relatives: functions become programs, kept by the types of the arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import MethodType
from typing import Any
from weakref import ReferenceType

from . import checks
from .core.device import Device
from .core.errors import error
from .core.program import trace_program
from .core.pytree import PyTreeDef, flatten, flatten_call, leaf_paths
from .core.settings import updated
from .core.trace import KnownTrace, inside, state
from .device_calls import device_of, on_device
from .dispatch import Calls, trace_call
from .engines.choice import check_wish

# What the first call needs is imported here, so that it need not wait for it.
from .engines.native import calling as _calling  # noqa: F401
from .engines.native import stored as _stored  # noqa: F401
from .ops.structural import zeros
from .sharded_calls import NOWHERE, Places, default_device, placement
from .stages import Explanation, Lowered, Signature, Traced, struct
from .stages import ShapeDtypeStruct as ShapeDtypeStruct
from .static_arguments import Static


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
    engine: str | None = None,
) -> Any:
    """`fun` as a program: it is traced once for each new combination of argument types.

    Args:
      fun: a pure function of pytrees of arrays. Without it, `jit` is a decorator with options.
      static_argnums: positional arguments that are Python values (hashable): a new value traces
        anew.
      static_argnames: the same by name.
      donate_argnums, donate_argnames: arguments that will not be used again. The XLA engine uses
        their memory for results of as many bytes, and their arrays are then deleted; a UserWarning
        names those that fit no result, which stay. The other engines leave all as they are. Memory
        that NumPy sees as well is never written to: then the result gets memory of its own.
      device, backend: an old way to say where the program runs: on that device, or on the first of
        that platform ("cpu", "gpu", "cuda", "tpu"). The arguments are moved there. Say it with
        `device_put` instead.
      in_shardings: how the positional arguments are spread over devices: a pytree of Shardings
        (with a mesh in use also PartitionSpecs), of the structure of the upper part of the tuple of
        arguments. None: as the arrays are.
      out_shardings: the same for the results. None: as XLA decides.
      compiler_options: XLA's flags by their names, for programs that the XLA engine runs; the
        other engines have no such options, and do not look at them. Nor does a call that is
        differentiated or batched, or is part of another program.
      keep_unused, inline: accepted for compatibility.
      engine: what runs the program: "native" (compiled to machine code), "xla" or "numpy". None: as
        the setting `pullback_engine` says; that is "auto" unless it is changed: xla for large
        programs of what it is clearly quicker at, such as Fourier transforms of many lines
        (docs/xla.md), if jaxlib is installed; else native if that engine has code for the whole
        program, else numpy. `explain` tells which it is.

    Returns:
      A function of the same arguments and results. It has `trace` and `lower` (see `stages`),
      `eval_shape`, `explain`, `clear_cache` and `__wrapped__`.

    Raises:
      ValueError: an option names an argument that `fun` does not have, or one both as static and
        as donated; or, when it is called, XLA does not know one of the compiler_options.
      TypeError: compiler_options is no dict of names and values.
      JaxRuntimeError: when it is called: an array is donated, and an argument once more.
      RuntimeError: there is no such backend, or something is missing for it; or, when it is called,
        an array was donated before.
      NotImplementedError: when it is called: the engine that is named has no code for the program.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> print(pullback.jit(lambda x: jnp.sin(x) ** 2)(1.0))
      0.7080734
    """
    bound = device_of(device, backend, in_shardings, out_shardings)
    if fun is None:
        return lambda f: jit(
            f,
            device=device,
            backend=backend,
            static_argnums=static_argnums,
            static_argnames=static_argnames,
            donate_argnums=donate_argnums,
            donate_argnames=donate_argnames,
            in_shardings=in_shardings,
            out_shardings=out_shardings,
            compiler_options=compiler_options,
            engine=engine,
        )
    checks.callable_(fun, "jit")
    check_wish(engine)
    static = Static(fun, static_argnums, static_argnames)
    donated = None
    if donate_argnums is not None or donate_argnames is not None:
        donated = Static(fun, donate_argnums, donate_argnames, "donate")
        _check_apart(static, donated)
    places = Places(in_shardings, out_shardings, options=compiler_options)
    return PjitFunction(fun, static, donated, engine, places, bound)


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
    """What `jit` returns. Programs know it by this name: it is that of JAX's.

    `__call__` is a slot, so that each object has its own: at first a Python function, and, once it
    is called again, a C function. Python finds it as it finds any method, without a frame.
    """

    __slots__ = ("__call__", "__dict__", "__weakref__", "_calls", "_device", "_donated")
    __call__: Callable[..., Any]

    def __init__(
        self,
        fun: Callable[..., Any],
        static: Static,
        donated: Static | None = None,
        engine: str | None = None,
        places: Places | None = None,
        device: Device | None = None,
    ) -> None:
        given = places or NOWHERE
        places = Places(given.ins, given.outs, donated, static, given.given_options)
        self._calls, self._donated = Calls(places.applied(fun), static, engine, places), donated
        checks.named_like(self, fun, "jit")
        self._calls.name = self.__name__  # type: ignore[attr-defined]
        self._device = device
        if device is None:
            self._calls.owner = ReferenceType(self)
            self.becomes(self._calls.call)
        else:
            self.becomes(on_device(self._calls, device))

    def becomes(self, function: Callable[..., Any]) -> None:
        """From now on a call is a call of `function`."""
        # By the slot itself, for a subclass may define the name anew.
        PjitFunction.__call__.__set__(self, function)  # type: ignore[attr-defined]

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<PjitFunction of {self._calls.fun!r}>"

    def __reduce__(self) -> Any:
        calls = self._calls
        fun = self.__wrapped__  # type: ignore[attr-defined]
        return type(self), (
            fun,
            calls.static,
            self._donated,
            calls.engine,
            calls.places,
            self._device,
        )

    @property
    def __signature__(self) -> inspect.Signature:
        # Without it `inspect` takes an object with __get__ for a method written in C.
        return inspect.signature(self._calls.fun)

    # ---- looking at the program

    def trace(self, *args: Any, **kwargs: Any) -> Traced:
        """The program for arguments of these types (arrays or ShapeDtypeStructs)."""
        calls = self._calls
        terms = calls.places.terms(args, kwargs)
        static, args, kwargs = calls.static.split(args, kwargs)
        leaves, in_tree = flatten_call(args, kwargs)
        types = [checks.shaped(x, "jit") for x in leaves]
        names = leaf_paths(args, "args") + leaf_paths(kwargs, "kwargs")
        names = calls.static.argument_names(names)
        traced = trace_call(calls.fun, calls.static, static, in_tree, types, names)
        calls.places.tell(traced, args, kwargs)
        device = self._device or default_device(leaves, traced.placed)
        signature = Signature(
            closed=traced.closed,
            in_tree=traced.in_tree,
            out_tree=traced.tree,
            types=types,
            donated=list(terms.donated) or [False] * len(types),
            names=names,
            fun_name=traced.name,
            call=lambda leaves, terms, at: traced.call_now(leaves, calls.engine, terms, at),
            engine=calls.engine,
            terms=terms,
            places=placement(traced.closed, leaves, types, traced.placed, traced.name, device),
        )
        return Traced(signature)

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """The program, ready to compile."""
        return self.trace(*args, **kwargs).lower()

    def eval_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The structure, shapes and dtypes of the result."""
        return self.trace(*args, **kwargs).out_info

    def explain(self, *args: Any, **kwargs: Any) -> Explanation:
        """How arguments of these types are computed: by which engine, why, and how.

        Print it to read it. Where it is the native engine, `ir` and `assembly` are the code.

        Example:
          >>> import pullback
          >>> import pullback.numpy as jnp
          >>> print(pullback.jit(jnp.add, engine="numpy").explain(1.0, 2.0))
          engine: numpy, because it was asked for
        """
        return self.trace(*args, **kwargs).explain()

    def clear_cache(self) -> None:
        """Forget all programs."""
        self._calls.cache.clear()
        self._calls.forget()
        updated()

    def _cache_size(self) -> int:
        return len(self._calls.cache)


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
