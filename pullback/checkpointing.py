"""checkpoint (remat): keep the inputs of a function instead of its residuals, and compute again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from . import checks
from .control.checkpoint import checkpoint_p, name_p
from .control.revolve import first_stretch
from .core.array import Array
from .core.errors import error
from .core.pytree import PyTreeDef, flatten, flatten_call, leaf_paths
from .core.trace import type_of
from .static_arguments import Static
from .transforms.stage import trace_body


def checkpoint(
    fun: Callable[..., Any] | None = None,
    *,
    prevent_cse: bool = True,
    policy: Callable[..., bool] | None = None,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Iterable[str] = (),
    concrete: bool = False,
) -> Any:
    """`fun`, which under reverse mode keeps its inputs and is computed again in the backward pass.

    Args:
      fun: a function of pytrees of arrays.
      prevent_cse: accepted for compatibility: the second computation is never merged with the
        first.
      policy: says what to keep all the same: one of `checkpoint_policies`, or a function
        ``policy(primitive, *types, **params) -> bool`` asked for each operation.
      static_argnums: positional arguments that are Python values.
      static_argnames: the same by name.
      concrete: accepted for compatibility.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> f = pullback.checkpoint(lambda x: jnp.sin(jnp.sin(x)))
      >>> print(pullback.grad(f)(1.0))
      0.36003956
    """
    if fun is None:
        options: Any = {"static_argnums": static_argnums, "static_argnames": static_argnames}
        return lambda f: checkpoint(f, policy=policy, **options)
    checks.callable_(fun, "checkpoint")
    static = Static(fun, static_argnums, static_argnames)

    def call(*args: Any, **kwargs: Any) -> Any:
        static_values, dynamic, named = static.split(args, kwargs, hashable=False)
        leaves, in_tree = flatten_call(tuple(dynamic), named)
        leaves = [
            x if isinstance(x, Array) else checks.input_array(x, "checkpoint") for x in leaves
        ]
        trees: list[PyTreeDef] = []

        def flat(*leaves: Any) -> list[Any]:
            new, new_named = static.join(static_values, *in_tree.unflatten(leaves))
            outs, tree = flatten(fun(*new, **new_named))
            trees.append(tree)
            return [checks.output_array(y, "checkpoint") for y in outs]

        names = static.argument_names(leaf_paths(dynamic, "args") + leaf_paths(named, "kwargs"))
        closed, consts = trace_body(flat, [type_of(x) for x in leaves], fun, "checkpoint", names)
        outs = checkpoint_p(*consts, *leaves, jaxpr=closed, policy=policy, prevent_cse=prevent_cse)
        return trees[0].unflatten(outs)

    return checks.named_like(call, fun, "checkpoint")


remat = checkpoint


def checkpoint_chain(
    fs: Iterable[Callable[[Any], Any]], *, checkpoints: int
) -> Callable[[Any], Any]:
    """The functions `fs` one after the other, of which reverse mode keeps few intermediate results.

    With room for ``c`` of them, the argument of the first among them, and ``n <= C(c + r, c)``
    functions, ``P(n, c) = r n - C(c + r, r - 1)`` calls are made to reach results that were not
    kept, the least there can be, and each function is called once more when it is differentiated.
    For loops of one function, `lax.scan` has an argument `checkpoints`.

    Griewank & Walther, "Algorithm 799: Revolve: an implementation of checkpointing for the reverse
    or adjoint mode of computational differentiation", ACM Transactions on Mathematical Software 26
    (2000).

    Args:
      fs: functions of one argument, a pytree of arrays; each takes what the one before it gives.
      checkpoints: how many arguments are kept at any time, at least 1.

    Returns:
      A function of the argument of the first one.

    Raises:
      TypeError: one of `fs` is no function.
      ValueError: there are none, or `checkpoints` is no positive integer.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> f = pullback.checkpoint_chain([jnp.sin] * 10, checkpoints=3)
      >>> print(pullback.grad(f)(1.0))
      0.07929305
    """
    chain = list(fs)
    for f in chain:
        checks.callable_(f, "checkpoint_chain")
    slots = checks.checkpoints(checkpoints, "checkpoint_chain")
    if not chain:
        raise error(
            ValueError,
            "checkpoint_chain needs at least one function.",
            got="an empty list",
            fix="give the functions in the order in which they are called.",
        )
    return _chained(chain, slots)


def _chained(fs: list[Callable[[Any], Any]], slots: int) -> Callable[[Any], Any]:
    """Up to the next result that is kept, which is computed again as a chain, and from there on."""
    if len(fs) == 1:
        return fs[0]
    m = first_stretch(len(fs), slots)
    first, rest = checkpoint(_chained(fs[:m], slots)), _chained(fs[m:], max(slots - 1, 1))

    def chain(x: Any) -> Any:
        return rest(first(x))

    return chain


def checkpoint_name(x: Any, name: str) -> Any:
    """`x`, under a name by which `checkpoint_policies` can keep it. `x` may be a pytree."""
    leaves, tree = flatten(x)
    return tree.unflatten(
        [name_p(checks.input_array(v, "checkpoint_name"), name=name) for v in leaves]
    )


class Offloadable(NamedTuple):
    """What a policy may answer: keep the result in another memory. Here there is only one."""

    src: str
    dst: str


class _Answer:
    """One of the two other answers of a policy; a bool does as well."""

    def __init__(self, name: str, keeps: bool) -> None:
        self.name, self.keeps = name, keeps

    def __bool__(self) -> bool:
        return self.keeps

    def __repr__(self) -> str:
        return self.name


Saveable = _Answer("Saveable", True)
"""What a policy may answer: keep the result."""
Recompute = _Answer("Recompute", False)
"""What a policy may answer: compute the result again."""


class checkpoint_policies:
    """What `checkpoint(policy=...)` keeps."""

    @staticmethod
    def everything_saveable(primitive: Any, *types: Any, **params: Any) -> bool:
        """Keep all: as without checkpoint."""
        return True

    @staticmethod
    def nothing_saveable(primitive: Any, *types: Any, **params: Any) -> bool:
        """Keep the inputs only: the default."""
        return False

    @staticmethod
    def dots_saveable(primitive: Any, *types: Any, **params: Any) -> bool:
        """Keep results of matrix products."""
        return bool(primitive.name == "dot_general")

    checkpoint_dots = dots_saveable

    @staticmethod
    def dots_with_no_batch_dims_saveable(primitive: Any, *types: Any, **params: Any) -> bool:
        """Keep results of matrix products that have no batch dimensions."""
        if primitive.name != "dot_general":
            return False
        batch_lhs, batch_rhs = params["dimension_numbers"][1]
        return not batch_lhs and not batch_rhs

    checkpoint_dots_with_no_batch_dims = dots_with_no_batch_dims_saveable

    @staticmethod
    def save_only_these_names(*names: str) -> Callable[..., bool]:
        """Keep what `checkpoint_name` gave one of these names."""
        chosen = frozenset(names)

        def policy(primitive: Any, *types: Any, **params: Any) -> bool:
            return primitive.name == "name" and params["name"] in chosen

        return policy

    @staticmethod
    def save_any_names_but_these(*names: str) -> Callable[..., bool]:
        """Keep what has a name, but not one of these."""
        left_out = frozenset(names)

        def policy(primitive: Any, *types: Any, **params: Any) -> bool:
            return primitive.name == "name" and params["name"] not in left_out

        return policy

    @staticmethod
    def save_anything_except_these_names(*names: str) -> Callable[..., bool]:
        """Keep all that has not one of these names."""
        left_out = frozenset(names)

        def policy(primitive: Any, *types: Any, **params: Any) -> bool:
            return not (primitive.name == "name" and params["name"] in left_out)

        return policy

    @staticmethod
    def save_from_both_policies(
        first: Callable[..., bool], second: Callable[..., bool]
    ) -> Callable[..., bool]:
        """Keep what either of two policies keeps."""

        def policy(primitive: Any, *types: Any, **params: Any) -> bool:
            return first(primitive, *types, **params) or second(primitive, *types, **params)

        return policy

    @staticmethod
    def offload_dot_with_no_batch_dims(offload_src: str, offload_dst: str) -> Callable[..., Any]:
        """As `dots_with_no_batch_dims_saveable`: there is one memory to keep them in."""

        def policy(primitive: Any, *types: Any, **params: Any) -> Any:
            keeps = checkpoint_policies.dots_with_no_batch_dims_saveable(
                primitive, *types, **params
            )
            return Offloadable(offload_src, offload_dst) if keeps else Recompute

        return policy

    @staticmethod
    def save_and_offload_only_these_names(
        *,
        names_which_can_be_saved: Sequence[str],
        names_which_can_be_offloaded: Sequence[str],
        offload_src: str,
        offload_dst: str,
    ) -> Callable[..., Any]:
        """Keep what has one of these names, be it to save or to offload: there is one memory."""
        saved, offloaded = frozenset(names_which_can_be_saved), set(names_which_can_be_offloaded)
        if both := saved & offloaded:
            raise error(
                ValueError,
                "a name cannot be both saved and offloaded.",
                got=", ".join(sorted(both)),
                fix="name it in one of the two lists.",
            )

        def policy(primitive: Any, *types: Any, **params: Any) -> Any:
            name = params["name"] if primitive.name == "name" else None
            if name in offloaded:
                return Offloadable(offload_src, offload_dst)
            return Saveable if name in saved else Recompute

        return policy
