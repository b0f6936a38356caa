"""Calls of jitted functions whose arrays are on other devices than the memory of the process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

from .core.array import Array, Tracer
from .core.device import CPU, Device
from .core.errors import error
from .core.lazy import lazy
from .core.mesh import Mesh, PartitionSpec, several
from .core.placing import as_sharding
from .core.program import ClosedProgram, constraints
from .core.pytree import flatten, leaf_paths, prefix_leaves
from .core.sharding import NamedSharding, Sharding, SingleDeviceSharding
from .core.trace import EVAL, DeviceTrace, state
from .engines.choice import Terms, options_of, terms_of
from .ops.spreading import placed
from .static_arguments import NONE, Static

spread = lazy("pullback.engines.xla.spread")

Wishes = tuple[tuple[Sharding | None, ...] | None, tuple[Sharding | None, ...] | None]
"""Where the arguments and the results of a program are to be, as far as the user says it."""


class Away(list[Any]):
    """The arrays of a call, of which some are elsewhere."""


def gathered(leaves: list[Any]) -> list[Any]:
    """The same, as `Away` if some are elsewhere."""
    return Away(leaves) if any([x.elsewhere for x in leaves]) else leaves


def on_devices(closed: ClosedProgram) -> Wishes | None:
    """That a program belongs on devices which its equations or its constants name."""
    if several and constraints(closed):
        return None, None
    if any([c.elsewhere for c in closed.consts]):
        return None, None
    return None


def run_placed(
    closed: ClosedProgram,
    leaves: Sequence[Any],
    wishes: Wishes | None,
    name: str,
    terms: Terms,
    device: Device = CPU,
) -> list[Any]:
    """The results of a program of arrays that are anywhere; `device`: where nobody says where."""
    ins, outs = wishes or (None, None)
    return spread.run(closed, leaves, ins, outs, name, terms, device)  # type: ignore[no-any-return]


class _Standing:
    """The type of an argument, and where it is: what stands for it while nothing is computed."""

    __slots__ = ("_sharding", "aval", "loose", "shape")

    def __init__(self, x: Any, aval: Any) -> None:
        self.aval, self.shape = aval, aval.shape
        self.loose = getattr(x, "loose", False)
        self._sharding = sharding_of(x)
        if self._sharding is not None:
            self._sharding.shard_shape(aval.shape)


def sharding_of(x: Any) -> Sharding | None:
    """Where an array, or a ShapeDtypeStruct, was said to be; None: nowhere in particular."""
    if isinstance(x, Array):
        return getattr(x, "_sharding", None)
    said = getattr(x, "sharding", None)
    if not isinstance(said, (Sharding, Device, PartitionSpec)):
        return None
    found = as_sharding(said)
    abstract = isinstance(found, NamedSharding) and not isinstance(found.mesh, Mesh)
    return None if abstract else found


class Placement:
    """A program of arguments that are, or are to be, on other devices or spread over a mesh."""

    def __init__(
        self, closed: ClosedProgram, standing: list[Any], wishes: Wishes | None, name: str
    ) -> None:
        ins, outs = wishes or (None, None)
        self._all = closed, standing, ins, outs, name

    def compiled(self, terms: Terms) -> Any:
        """The program, compiled for its devices."""
        return spread.prepared(*self._all, terms)

    def stablehlo(self, terms: Terms) -> str:
        """Its text."""
        return str(spread.stablehlo(*self._all, terms))


def default_device(leaves: Sequence[Any], wishes: Wishes | None) -> Device | None:
    """The device of the setting, for a program that nobody puts anywhere."""
    trace = state.trace
    if wishes is not None or type(trace) is not DeviceTrace or trace.parent is not EVAL:
        return None
    said = [x for x in leaves if sharding_of(x) is not None and not getattr(x, "loose", False)]
    return None if said else trace.device


def placement(
    closed: ClosedProgram,
    leaves: Sequence[Any],
    types: Sequence[Any],
    wishes: Wishes | None,
    name: str,
    device: Device | None = None,
) -> Placement | None:
    """That of a program for such arguments; None: all is in the memory of the process.

    `device` is where the arguments are moved to by `jit`, or, if nobody says where, the default.
    """
    if len(closed.in_avals) != len(types):
        return None
    standing = [_Standing(x, t) for x, t in zip(leaves, types, strict=True)]
    if device is not None:
        for s in standing:
            s._sharding = SingleDeviceSharding(device)
    places = [s._sharding for s in standing]
    if wishes is None and all(s is None or s.is_host for s in places):
        return None
    return Placement(closed, standing, wishes, name)


class Places:
    """What a user said in `jit` of where arguments and results are to be.

    Args:
      ins, outs: pytrees of shardings, of the structure of the upper part of the positional
        arguments and of the result; None where nothing is said.
      donated: the arguments whose memory may be used for results.
      static: the arguments that are Python values.
      options: those of XLA's compiler.
    """

    def __init__(
        self,
        ins: Any = None,
        outs: Any = None,
        donated: Static | None = None,
        static: Any = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.ins, self.outs, self.donated, self.static = ins, outs, donated, static
        self.given_options, self.options = options, options_of(options)
        names = (frozenset(), frozenset()) if donated is None else donated.key
        self.manner = names, self.options
        """What `terms` of a program depends on, besides its arguments."""
        self.plain = not donated and not self.options

    def donated_leaves(self, args: Any, kwargs: Any) -> list[bool]:
        """For each array of the arguments that are not static, whether it is donated."""
        chosen, static = self.donated or NONE, self.static or NONE
        marked = [
            (x, chosen.has(i, len(args)))
            for i, x in enumerate(args)
            if not static.has(i, len(args))
        ]
        marked += [(kwargs[k], k in chosen.names) for k in sorted(kwargs) if k not in static.names]
        return [mark for x, mark in marked for _ in flatten(x)[0]]

    def terms(self, args: Any, kwargs: Any) -> Terms:
        """How programs for such arguments, static ones among them, are compiled."""
        return terms_of(self.donated_leaves(args, kwargs), self.options)

    def of_inputs(self, args: Any) -> list[Sharding | None]:
        """Where each array of the positional arguments is to be."""
        if self.ins is None:
            return [None] * len(flatten(args)[0])
        found = prefix_leaves("jit in_shardings", self.ins, args)
        return [as_sharding(s) for s in found]

    def of_outputs(self, out: Any) -> list[Sharding | None]:
        """Where each array of the result is to be."""
        if self.outs is None:
            return [None] * len(flatten(out)[0])
        return [as_sharding(s) for s in prefix_leaves("jit out_shardings", self.outs, out)]

    def tell(self, traced: Any, args: Any, kwargs: Any) -> None:
        """Have a program know where its arguments and results are to be."""
        if self.ins is None and self.outs is None:
            return
        ins = (*self.of_inputs(args), *[None] * len(flatten(kwargs)[0]))
        outs = tuple(self.of_outputs(traced.tree.unflatten([0] * traced.tree.num_leaves)))
        if any(s is not None and not s.is_host for s in (*ins, *outs)):
            _check_arguments(flatten(args)[0], ins, args)
            traced.placed = ins, outs

    def applied(self, fun: Callable[..., Any]) -> Callable[..., Any]:
        """`fun`, whose arguments and results are spread so where a program calls it."""
        if self.ins is None and self.outs is None:
            return fun

        @wraps(fun)
        def spread_out(*args: Any, **kwargs: Any) -> Any:
            fixed = set() if self.static is None else self.static.numbers
            free = tuple(x for i, x in enumerate(args) if i not in fixed)
            moved = iter(_placed_tree(free, self.of_inputs(free)))
            args = tuple(x if i in fixed else next(moved) for i, x in enumerate(args))
            out = fun(*args, **kwargs)
            return _placed_tree(out, self.of_outputs(out))

        return spread_out


NOWHERE = Places()


def _placed_tree(tree: Any, shardings: Sequence[Sharding | None]) -> Any:
    leaves, structure = flatten(tree)
    pairs = zip(leaves, shardings, strict=True)
    return structure.unflatten([placed(x, s) if isinstance(x, Array) else x for x, s in pairs])


def _check_arguments(leaves: Sequence[Any], ins: Sequence[Sharding | None], args: Any) -> None:
    for i, (x, s) in enumerate(zip(leaves, ins)):
        have = sharding_of(x)
        loose = getattr(x, "loose", False)
        if s is None or have is None or isinstance(x, Tracer) or loose:
            continue
        if not have.is_equivalent_to(s, len(x.shape)):
            raise error(
                ValueError,
                "Sharding passed to jit does not match the sharding on the respective arg.",
                got=f"{leaf_paths(args, 'args')[i]} is spread as {have!r}, in_shardings says {s!r}",
                fix="move it with jax.device_put, or leave in_shardings out.",
            )


__all__ = [
    "NOWHERE",
    "Away",
    "Places",
    "default_device",
    "gathered",
    "on_devices",
    "placement",
    "run_placed",
]
