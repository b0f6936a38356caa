"""Functions of their own inside a program's module: long code that is written once for all calls.

Code with jumps is written so too: where it is wanted, in the middle of a loop, there may be no
place for basic blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..kinds import Kind, Word
from ..site import Site
from ..text import Code


def outlined(site: Site, name: str, emit: Callable[..., Word], *words: Word) -> Word:
    """`emit(site, *words)` in a function, and a call of it.

    `name` says all that the code depends on, but for kinds and width.
    """
    spelled = "_".join([*(kind.dtype.name for kind in site.inputs), site.out.dtype.name])
    symbol = f"@{name}_{spelled}_{site.width}"
    result = _struct(site.out, site.width)
    module = site.code.module
    marker = f"; {symbol} stands below"
    if marker not in module.heads:
        module.declare(marker)
        module.functions.append(_definition(site, symbol, result, emit))
    arguments = [
        f"{kind.typed(site.width)} {part}"
        for kind, word in zip(site.inputs, words, strict=True)
        for part in _parts(word)
    ]
    return _unpacked(site.code, site.out, site.code.call(result, symbol, *arguments), site.width)


def _definition(site: Site, symbol: str, result: str, emit: Callable[..., Word]) -> str:
    code = Code(site.code.module)
    words: list[Word] = []
    declared = []
    for i, kind in enumerate(site.inputs):
        names = [f"%x{i}_{part}" for part in range(kind.parts)]
        declared += [f"{kind.typed(site.width)} {name}" for name in names]
        words.append(tuple(names) if kind.parts > 1 else names[0])
    out = emit(Site(code, site.inputs, site.out, site.width), *words)
    packed = _packed(code, site.out, out, site.width)
    lines = [
        f"define internal {result} {symbol}({', '.join(declared)}) nounwind {{",
        "entry:",
        *code.whole.flat(),
        f"  ret {result} {packed}",
        "}",
    ]
    return "\n".join(lines)


def _parts(word: Word) -> Sequence[str]:
    return word if isinstance(word, tuple) else (word,)


def _struct(kind: Kind, width: int) -> str:
    typed = kind.typed(width)
    return f"{{{typed}, {typed}}}" if kind.parts > 1 else typed


def _packed(code: Code, kind: Kind, word: Word, width: int) -> str:
    if not isinstance(word, tuple):
        return str(word)
    result = "poison"
    for i, part in enumerate(word):
        result = code.op(
            f"insertvalue {_struct(kind, width)} {result}, {kind.typed(width)} {part}, {i}"
        )
    return result


def _unpacked(code: Code, kind: Kind, value: str, width: int) -> Word:
    if kind.parts == 1:
        return value
    return tuple(code.op(f"extractvalue {_struct(kind, width)} {value}, {i}") for i in (0, 1))


def until_none(
    site: Site,
    carry: Sequence[tuple[Kind, str]],
    body: Callable[[list[str]], Sequence[str]],
    going: Callable[[list[str]], str],
) -> list[str]:
    """Loop while `going(values)`, a mask, holds in any lane; `body` gives the next values."""
    code, width = site.code, site.width
    stem = code.name("")
    head, inside, done = f"while{stem}", f"again{stem}", f"settled{stem}"
    before = code.section.block
    values = [f"%w{stem}_{k}" for k in range(len(carry))]
    code.jump(head)
    code.start(head)
    phis = code.open_section()
    mask = going(values)
    if width:
        mask = code.call("i1", f"@llvm.vector.reduce.or.v{width}i1", f"{site.mask} {mask}")
    code.branch(mask, inside, done)
    code.start(inside)
    new = body(values)
    back = code.section.block
    code.jump(head)
    for value, (kind, first), last in zip(values, carry, new, strict=True):
        phis.lines.append(
            f"  {value} = phi {kind.typed(width)} [ {first}, %{before} ], [ {last}, %{back} ]"
        )
    code.start(done)
    return values
