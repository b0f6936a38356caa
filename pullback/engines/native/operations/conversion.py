"""Words of one kind as words of another."""

from __future__ import annotations

from typing import Any

from ....ops import barriers, comparison, elementwise, identities, structural
from .. import kinds
from ..kinds import FLOAT32, FLOAT64, Kind, Unsupported, Word
from ..site import Operation, Operations, Site
from .words import binary, cast, chosen, compared, intrinsic, number, unordered


def converted(site: Site, x: Word, old: Kind, new: Kind) -> Word:
    """`x` as numbers of another kind: saturating from floats to integers, 0 for NaN."""
    if old.dtype == new.dtype:
        return x
    if old.family == "c":
        if new.family == "c":
            return tuple(converted(site, part, old.real, new.real) for part in x)
        return converted(site, x[0], old.real, new)
    if new.family == "c":
        return converted(site, x, old, new.real), number(site, 0.0, new.real)
    if new.family == "b":
        return compared(site, old, "ne", x, number(site, 0, old))
    if new.family == "f":
        return _to_float(site, x, old, new)
    if old.family == "f":
        return _float_to_integer(site, x, old, new)
    if new.bits < old.bits:
        return cast(site, "trunc", x, old, new)
    if new.bits == old.bits:
        return x
    return cast(site, "sext" if old.family == "i" else "zext", x, old, new)


def _float_to_integer(site: Site, x: str, old: Kind, new: Kind) -> str:
    """Towards zero; the nearest limit of what is beyond; 0 of NaN.

    LLVM's saturating conversions say the same, and are done lane by lane: 0.64 ns for a number,
    where this takes 0.1.
    """
    top = 1 << (new.bits - (new.family == "i"))
    low = -top if new.family == "i" else 0
    above = compared(site, old, "ge", x, number(site, float(top), old))
    below = compared(site, old, "le", x, number(site, float(low), old))
    # What is narrow, and not negative, fits into 32 bits with a sign: those have an instruction.
    wide = kinds.INT32 if new.bits < 32 else new
    # Of what is beyond the result is poison, which does no harm where it is not chosen.
    found = cast(site, "fptosi" if wide.family == "i" else "fptoui", x, old, wide)
    if wide is not new:
        found = cast(site, "trunc", found, wide, new)
    found = str(chosen(site, new, unordered(site, old, x), number(site, 0, new), found))
    found = str(chosen(site, new, below, number(site, low, new), found))
    return str(chosen(site, new, above, number(site, top - 1, new), found))


def _to_float(site: Site, x: str, old: Kind, new: Kind) -> str:
    if old.family != "f":
        word = cast(site, "sitofp" if old.family == "i" else "uitofp", x, old, new)
    elif old.bits == new.bits:
        word = x
    elif old.bits < new.bits:
        return cast(site, "fpext", x, old, new)
    elif new.dtype.char == "e":
        word = _to_odd(site, x)
    else:  # of float64 ml_dtypes makes bfloat16 through float32, and so do we
        word = cast(site, "fptrunc", x, FLOAT64, new)
    return kinds.rounded(site.code, new, word, site.width)


def _to_odd(site: Site, x: str) -> str:
    """Doubles as floats whose last bit says that something was cut off.

    So a second rounding, to float16, does not see a tie that is none: S. Boldo and G. Melquiond,
    "Emulation of a FMA and correctly rounded sums" (2008).
    """
    ints = kinds.INT32
    near = cast(site, "fptrunc", x, FLOAT64, FLOAT32)
    back = cast(site, "fpext", near, FLOAT32, FLOAT64)
    sizes = [intrinsic(site, FLOAT64, "fabs", word) for word in (back, x)]
    bits = cast(site, "bitcast", near, FLOAT32, ints)
    beyond = compared(site, FLOAT64, "gt", *sizes)
    less = binary(site, ints, "sub", bits, number(site, 1, ints))
    cut = chosen(site, ints, beyond, less, bits)
    odd = binary(site, ints, "or", cut, number(site, 1, ints))
    inexact = compared(site, FLOAT64, "ne", back, x)
    return cast(site, "bitcast", chosen(site, ints, inexact, odd, bits), ints, FLOAT32)


def _convert(site: Site, x: Word, *, new_dtype: Any, weak_type: bool = False) -> Word:
    return converted(site, x, site.inputs[0], site.out)


def _same(site: Site, x: Word, **params: Any) -> Word:
    return x


# ---- bits


def _bitcast(site: Site, x: Word, *, new_dtype: Any) -> Word:
    old, new = site.inputs[0], site.out
    if old.size != new.size:
        raise Unsupported("bitcast_convert_type between widths")
    if old is new:  # the only one that bools and complex numbers have
        return x
    width = site.width
    raw = x if old.family != "f" else kinds.to_memory(site.code, old, x, width)
    if old.stored(width) != new.stored(width):
        raw = site.code.op(f"bitcast {old.stored(width)} {raw} to {new.stored(width)}")
    return kinds.from_memory(site.code, new, raw, width)


OPERATIONS: Operations = {
    elementwise.convert_element_type: Operation(_convert),
    structural.copy: Operation(_same, 0),
    barriers.stop_gradient: Operation(_same, 0),
    identities.stage: Operation(_same, 0),
    comparison.bitcast_convert_type: Operation(_bitcast),
}
