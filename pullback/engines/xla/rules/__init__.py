"""For each primitive, how it is written in StableHLO."""

from __future__ import annotations

from . import (
    contraction,
    control,
    decompositions,
    eigenvalues,
    elementwise,
    eliminations,
    exponential,
    exported,
    foreign,
    host,
    indexing,
    integers,
    keys,
    linalg,
    linalg_cuda,
    matrices,
    places,
    random_numbers,
    reductions,
    sorting,
    special,
    spreading,
    structural,
    triangular,
    windows,
)

_OF_MATRICES = {
    **linalg.RULES,
    **decompositions.RULES,
    **eigenvalues.RULES,
    **exponential.RULES,
    **triangular.RULES,
    **eliminations.RULES,
    **linalg_cuda.RULES,
}

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
    **matrices.guarded(_OF_MATRICES),
    **decompositions.ELEMENTWISE,
    **exported.RULES,
    **foreign.RULES,
    **special.RULES,
    **places.RULES,
    **random_numbers.RULES,
}

__all__ = ["RULES"]
