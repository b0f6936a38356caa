"""For each primitive, how it is written in StableHLO."""

from __future__ import annotations

from . import (
    contraction,
    control,
    decompositions,
    elementwise,
    exported,
    foreign,
    host,
    indexing,
    integers,
    keys,
    linalg,
    linalg_cuda,
    reductions,
    sorting,
    spreading,
    structural,
    windows,
)

RULES = {
    **host.RULES,
    **elementwise.RULES,
    **structural.RULES,
    **reductions.RULES,
    **contraction.RULES,
    **control.RULES,
    **indexing.RULES,
    **integers.RULES,
    **sorting.RULES,
    **spreading.RULES,
    **windows.RULES,
    **keys.RULES,
    **linalg.RULES,
    **decompositions.RULES,
    **linalg_cuda.RULES,
    **exported.RULES,
    **foreign.RULES,
}

__all__ = ["RULES"]
