"""The optimal schedule of checkpoints: where to keep a state when a chain of steps is reversed.

To reverse `steps` steps, the state before each of them is needed, the last first. With room for
`slots` states, the first among them, as many others are kept on the way, and what is not kept is
computed again. With `c` slots and no step done more than `r` times, at most ``C(c + r, c)`` steps
can be reversed. For `l` of them, and the least `r` that is enough, ``P(l, c) = r l - C(c + r, r -
1)`` steps are done in all to reach the states that are missing.

Griewank & Walther, "Algorithm 799: Revolve", ACM Transactions on Mathematical Software 26 (2000).
"""

from __future__ import annotations

from math import comb


def reach(slots: int, sweeps: int) -> int:
    """How many steps can be reversed with so many states kept, none done more than `sweeps` times.

    Example:
      >>> from pullback.control.revolve import reach
      >>> reach(3, 2)
      10
    """
    return comb(slots + sweeps, slots) if sweeps >= 0 else 0


def sweeps_needed(steps: int, slots: int) -> int:
    """How often a step must be done at most.

    Example:
      >>> from pullback.control.revolve import sweeps_needed
      >>> sweeps_needed(10, 3), sweeps_needed(11, 3)
      (2, 3)
    """
    if slots == 1:
        return max(steps - 1, 0)
    r = 0
    while reach(slots, r) < steps:
        r += 1
    return r


def advanced_steps(steps: int, slots: int) -> int:
    """How many steps are done to reach states that were not kept: ``P(steps, slots)``.

    Example:
      >>> from pullback.control.revolve import advanced_steps
      >>> advanced_steps(10, 3), advanced_steps(10, 1)
      (15, 45)
    """
    r = sweeps_needed(steps, slots)
    return r * steps - (comb(slots + r, r - 1) if r else 0)


def first_stretch(steps: int, slots: int) -> int:
    """How many steps to go before the next state is kept, of `steps` > 1.

    Example:
      >>> from pullback.control.revolve import first_stretch
      >>> first_stretch(10, 3)
      4
    """
    if slots == 1:
        return steps - 1
    r = sweeps_needed(steps, slots)
    return min(reach(slots, r - 1), steps - reach(slots - 1, r - 1))


__all__ = ["advanced_steps", "first_stretch", "reach", "sweeps_needed"]
