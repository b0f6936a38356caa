"""Steps in reverse order, from a bounded number of kept states: Revolve as a loop.

The number of steps need not be known before the program runs. Of the schedules with so many kept
states, that of A. Griewank and A. Walther ("Algorithm 799: Revolve", 2000) repeats the fewest
steps: with c states and r the smallest number for which ``l <= binomial(c + r, c)``, it does
``r l - binomial(c + r, r - 1)`` steps again, of l.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import lax
from .. import numpy as jnp
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
    table = jnp.asarray(_binomials(most, slots))

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
    """After how many of `length` steps the next state is kept, of `free` that there may be.

    The part before it is pulled through last, with as many kept states and one repetition less; the
    part behind it with one state less. Column 0 of the table is for -1 repetitions.
    """
    repetitions = jnp.sum(table[free] < length)  # a column: the first that is enough
    before = table[free, jnp.maximum(repetitions - 2, 0)]
    return jnp.maximum(1, jnp.maximum(before, length - table[free - 1, repetitions]))


def _binomials(most: int, slots: int) -> np.ndarray:
    """``binomial(c + r, c)`` for c kept states (rows) and r from -1; at most `most`."""
    columns = [np.zeros(slots + 1, np.int64), np.ones(slots + 1, np.int64)]
    while columns[-1][min(2, slots)] < most and slots > 1:
        last = columns[-1]
        new = last.copy()
        for c in range(1, slots + 1):  # Pascal's rule
            new[c] = min(most, new[c - 1] + last[c])
        columns.append(new)
    return np.stack(columns, axis=1)


__all__ = ["pulled_through"]
