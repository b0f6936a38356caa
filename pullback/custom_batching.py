"""A vmap rule of the user's own: custom_vmap, and sequential_vmap, which maps with a loop."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from . import checks
from .control.custom_batch import custom_vmap_call
from .core.errors import error, noted_error
from .core.pytree import PyTreeDef, flatten
from .core.trace import EVAL, state
from .custom import CustomFunction
from .lax.mapping import map as lax_map


class custom_vmap(CustomFunction):
    """A function with a rule of its own for `vmap`.

    Args:
      fun: a function of pytrees of arrays, without side effects.

    The rule, set with `def_vmap`, is used when the function is mapped, also under `jit` and in the
    forward mode derivative of the mapped function. In reverse mode the value comes from the rule
    too; the derivative of `vmap(grad(f))` is that of the function's own operations, that of
    `grad` of a mapped `f` is that of the rule's.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> @pullback.custom_batching.custom_vmap
      ... def f(x, y):
      ...     return x + y
      >>> @f.def_vmap
      ... def f_vmap(axis_size, in_batched, xs, y):
      ...     print("of", axis_size, "elements:", in_batched)
      ...     return xs + y, True
      >>> print(pullback.vmap(f, in_axes=(0, None))(jnp.arange(3.0), 1.0))
      of 3 elements: [True, False]
      [1. 2. 3.]
    """

    vmap_rule: Callable[..., tuple[Any, Any]] | None = None

    def __init__(self, fun: Callable[..., Any]) -> None:
        super().__init__(fun)

    def def_vmap(self, vmap_rule: Callable[..., tuple[Any, Any]]) -> Callable[..., tuple[Any, Any]]:
        """Set the rule; returns it.

        ``vmap_rule(axis_size, in_batched, *args) -> (out, out_batched)``: arguments that are mapped
        have the axis in front; `in_batched` is a list with the structure of the arguments, of bools
        that say which are; `out_batched` has the structure of the result and says the same of it.
        """
        checks.callable_(vmap_rule, "def_vmap")
        self.vmap_rule = vmap_rule
        return vmap_rule

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.vmap_rule is None:
            raise noted_error(
                AttributeError,
                f"No batching rule defined for custom_vmap function {self.__name__} "
                "using def_vmap.",
                fix="define one with @f.def_vmap, or leave custom_vmap out.",
            )
        if state.trace is EVAL:
            return self._plain(args, kwargs)
        leaves, in_tree = self._leaves(self._positional(args, kwargs))
        trees: list[PyTreeDef] = []

        def call(*leaves: Any) -> list[Any]:
            outs, tree = flatten(self.fun(*in_tree.unflatten(leaves)))
            trees.append(tree)
            return [checks.output_array(y, self.__name__) for y in outs]

        def rule(size: int, mapped: Sequence[bool], *leaves: Any) -> tuple[list[Any], list[bool]]:
            outs, out_mapped, tree = self._apply_rule(size, mapped, leaves, in_tree)
            trees.append(tree)
            return outs, out_mapped

        outs = custom_vmap_call(*leaves, call=call, rule=rule, name=self.__name__)
        return trees[0].unflatten(outs)

    def _apply_rule(self, size: int, mapped: Any, leaves: Any, in_tree: Any) -> Any:
        assert self.vmap_rule is not None
        name = getattr(self.vmap_rule, "__name__", "vmap_rule")
        args, batched = in_tree.unflatten(leaves), list(in_tree.unflatten(mapped))
        _check_takes(self.vmap_rule, name, len(args))
        pair = self.vmap_rule(size, batched, *args)
        if not (isinstance(pair, (tuple, list)) and len(pair) == 2):
            raise error(
                TypeError,
                f"custom vmap rule {name} must return a pair: the result, and which parts of it "
                "are mapped.",
                got=f"{pair!r:.80}",
                fix="end the rule with `return out, out_batched`; for one array, `return out, "
                "True`.",
            )
        outs, tree = flatten(pair[0])
        marks, mark_tree = flatten(pair[1])
        if tree != mark_tree:
            raise error(
                ValueError,
                "structure of output value and output batching specification returned by custom "
                f"vmap rule ({name}) do not match.",
                got=f"Output values: {tree}, Batching spec: {mark_tree}",
                fix="give one bool for each array of the result, in the same containers.",
            )
        outs = [checks.output_array(y, f"custom vmap rule {name}") for y in outs]
        for y, m in zip(outs, marks, strict=True):
            if m and y.shape[:1] != (size,):
                raise error(
                    ValueError,
                    f"custom vmap rule {name} must give mapped results with the mapped axis, of "
                    f"length {size}, in front.",
                    got=y.aval.str_short(),
                    fix="move the axis to the front, or say False for a result without it.",
                )
        return outs, [bool(m) for m in marks], tree


def _check_takes(rule: Callable[..., Any], name: str, count: int) -> None:
    try:
        inspect.signature(rule).bind(*range(count + 2))
    except TypeError as cause:
        raise error(
            TypeError,
            f"custom vmap rule {name} must take the size of the axis, which arguments are mapped, "
            "and the arguments.",
            got=f"{name}{inspect.signature(rule)} for {count} arguments: {cause}",
            fix="write def rule(axis_size, in_batched, *args).",
        ) from None
    except ValueError:
        return  # its parameters are not known


def sequential_vmap(f: Callable[..., Any]) -> custom_vmap:
    """`f`, which `vmap` maps with a loop: one element after the other, in the memory of one.

    Example:
      >>> import pullback
      >>> import pullback.numpy as jnp
      >>> @pullback.custom_batching.sequential_vmap
      ... def f(x, y):
      ...     return x * y
      >>> print(pullback.vmap(f, in_axes=(0, None))(jnp.arange(3.0), 2.0))
      [0. 2. 4.]
    """
    checks.callable_(f, "sequential_vmap")
    mapped_f = custom_vmap(f)

    def rule(axis_size: int, in_batched: list[Any], *args: Any) -> tuple[Any, Any]:
        leaves, tree = flatten(tuple(args))
        marks = flatten(tuple(in_batched))[0]

        def element(ones: Any) -> Any:
            rest = iter(ones)
            return f(*tree.unflatten([next(rest) if m else x for x, m in zip(leaves, marks)]))

        out = lax_map(element, [x for x, m in zip(leaves, marks) if m])
        outs, out_tree = flatten(out)
        return out, out_tree.unflatten([True] * len(outs))

    mapped_f.def_vmap(rule)
    return mapped_f


__all__ = ["custom_vmap", "sequential_vmap"]
