"""Steps in reverse order, from a bounded number of kept states: Revolve as a loop.

The schedule is that of `control/revolve.py`, for numbers of steps that are known before the program
runs. Here they need not be: a table of what can be reversed is part of the program, and the loop
reads off it where to keep the next state.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import lax
from .. import numpy as jnp
from ..control.revolve import reach, sweeps_needed
from ..tree_util import tree_map

Advance = Callable[[Any, Any], Any]
Pull = Callable[[Any, Any, Any], Any]


class _State(NamedTuple):
    left: Any
    """How many steps are still to be pulled back through."""
    top: Any
    """The place of the last kept state."""
    numbers: Any
    """Of each kept state, before which step it is."""
    states: Any
    cotangents: Any
    repeated: Any
    """How many steps have been done again."""


def pulled_through(
    advance: Advance, pull: Pull, start: Any, count: Any, most: int, slots: int, cotangents: Any
) -> tuple[Any, Any]:
    """``pull(i, state, cotangents)`` for the steps ``count - 1, ..., 0``.

    Args:
      advance: ``advance(i, state)`` gives the state after step i.
      pull: gives the cotangents before step i from those after it; `state` is that before it.
      start: the first state, a flat vector.
      count: how many steps there are: an integer, which may be traced.
      most: how many there are at most.
      slots: how many states may be kept, the first one included.
      cotangents: those after the last step.

    Returns:
      The cotangents before the first step, and how many steps were done again for them.
    """
    table = jnp.asarray(_reaches(most, slots))

    def again(s: _State) -> _State:
        number = s.numbers[s.top]
        length = s.left - number
        keeps = (length > 1) & (s.top < slots - 1)
        distance = jnp.where(keeps, _split(table, length, slots - s.top), length - 1)
        state = _advanced(advance, number, distance, s.states[s.top])
        place = jnp.where(keeps, s.top + 1, slots)  # beyond the end: nothing is written
        numbers = s.numbers.at[place].set(number + distance, mode="drop")
        states = s.states.at[place].set(state, mode="drop")
        left = jnp.where(keeps, s.left, s.left - 1)
        cotangents = lax.cond(keeps, lambda *_: s.cotangents, pull, s.left - 1, state, s.cotangents)
        # A state before a step that has been pulled through is of no more use.
        top = jnp.where(keeps, s.top + 1, s.top - ((number == left) & (s.top > 0)))
        return _State(left, top, numbers, states, cotangents, s.repeated + distance)

    zero = jnp.zeros((), int)
    states = jnp.zeros((slots, *start.shape), start.dtype).at[0].set(start)
    numbers = jnp.zeros(slots, int)
    cotangents = tree_map(jnp.asarray, cotangents)
    begin = _State(jnp.asarray(count).astype(int), zero, numbers, states, cotangents, zero)
    end = lax.while_loop(lambda s: s.left > 0, again, begin)
    return end.cotangents, end.repeated


def _advanced(advance: Advance, number: Any, distance: Any, state: Any) -> Any:
    def step(carry: Any) -> Any:
        i, state = carry
        return i + 1, advance(i, state)

    return lax.while_loop(lambda c: c[0] < number + distance, step, (number, state))[1]


def _split(table: Any, length: Any, free: Any) -> Any:
    """`control.revolve.first_stretch` of `length` > 1 steps and `free` > 1 states."""
    sweeps = jnp.sum(table[free] < length)  # the first column that is enough
    return jnp.minimum(table[free, sweeps - 1], length - table[free - 1, sweeps - 1])


def _reaches(most: int, slots: int) -> np.ndarray:
    """`control.revolve.reach`, for numbers of states (rows) and of sweeps; at most `most`."""
    count = (
        sweeps_needed(most, 2) + 1 if slots > 1 else 1
    )  # of two states: more need no more sweeps
    table = [[min(most, reach(c, r)) for r in range(count)] for c in range(slots + 1)]
    return np.array(table, np.int64)


__all__ = ["pulled_through"]
