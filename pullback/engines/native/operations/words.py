"""Instructions on words of any kind, at one site."""

from __future__ import annotations

from typing import Any

from .. import kinds
from ..kinds import Kind, Word
from ..site import Site


def number(site: Site, value: Any, kind: Kind) -> Word:
    """`value` in all lanes."""
    return kinds.constant(value, kind, site.width)


def integer_kind(kind: Kind) -> Kind:
    """Signed integers as wide as the registers of a kind."""
    return kinds.kind_of(f"i{kind.bits // 8}")


def binary(site: Site, kind: Kind, how: str, x: str, y: str) -> str:
    """`x how y`: an instruction that gives the kind it takes."""
    return site.code.op(f"{how} {kind.typed(site.width)} {x}, {y}")


def floats(site: Site, kind: Kind, how: str, x: str, y: str) -> str:
    """fadd, fsub, fmul or fdiv, rounded as the kind is."""
    return kinds.rounded(site.code, kind, binary(site, kind, how, x, y), site.width)


def cast(site: Site, how: str, x: str, old: Kind, new: Kind) -> str:
    """A conversion instruction between registers."""
    return site.code.op(f"{how} {old.typed(site.width)} {x} to {new.typed(site.width)}")


def compared(site: Site, kind: Kind, how: str, x: str, y: str) -> str:
    """A mask: `how` is eq, ne, lt, le, gt or ge. NaN is unequal to all and in no order."""
    if kind.family in "fc":
        predicate = "fcmp une" if how == "ne" else f"fcmp o{how}"
    elif how in ("eq", "ne"):
        predicate = f"icmp {how}"
    else:
        predicate = f"icmp {'s' if kind.family == 'i' else 'u'}{how}"
    return site.code.op(f"{predicate} {kind.typed(site.width)} {x}, {y}")


def unordered(site: Site, kind: Kind, x: str) -> str:
    """A mask: where a float is NaN."""
    return site.code.op(f"fcmp uno {kind.typed(site.width)} {x}, {x}")


def both(site: Site, x: str, y: str) -> str:
    """Masks: x and y."""
    return site.code.op(f"and {site.mask} {x}, {y}")


def either(site: Site, x: str, y: str) -> str:
    """Masks: x or y."""
    return site.code.op(f"or {site.mask} {x}, {y}")


def inverted(site: Site, x: str) -> str:
    """A mask: not x."""
    return site.code.op(f"xor {site.mask} {x}, {number(site, True, kinds.BOOL)}")


def chosen(site: Site, kind: Kind, mask: str, yes: Word, no: Word) -> Word:
    """`yes` where the mask holds, else `no`."""
    if isinstance(yes, tuple):
        return tuple(_chosen(site, kind, mask, a, b) for a, b in zip(yes, no, strict=True))
    return _chosen(site, kind, mask, yes, no)


def _chosen(site: Site, kind: Kind, mask: str, yes: str, no: str) -> str:
    typed = kind.typed(site.width)
    return site.code.op(f"select {site.mask} {mask}, {typed} {yes}, {typed} {no}")


def intrinsic(site: Site, kind: Kind, name: str, *operands: str) -> str:
    """An intrinsic of operands of the kind that gives the kind. `i1 ...` operands are added."""
    typed = kind.typed(site.width)
    texts = [x if x.startswith("i1 ") else f"{typed} {x}" for x in operands]
    return site.code.call(typed, f"@llvm.{name}.{suffix(kind, site.width)}", *texts)


def suffix(kind: Kind, width: int) -> str:
    """How names of intrinsics spell a type: v8f32, i64."""
    letter = "f" if kind.family in "fc" else "i"
    return (f"v{width}" if width else "") + f"{letter}{kind.bits}"
