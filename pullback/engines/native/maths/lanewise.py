"""Functions of the C library, called lane by lane where vector code does not reach."""

from __future__ import annotations

from collections.abc import Callable

from ..lanes import FloatLanes


def where_needed(v: FloatLanes, name: str, mask: str, x: str, otherwise: str) -> str:
    """The C library's function `name` of x in the lanes of the mask, else `otherwise`.

    Costs a test and a jump if the mask holds nowhere. Each lane is settled for itself, so what a
    lane gives does not depend on its neighbours.
    """
    code = v.code
    stem = code.name("")
    slow, done = f"slow{stem}", f"settled{stem}"
    some = v.any(mask)
    before = code.section.block
    code.branch(some, slow, done)
    code.start(slow)
    result = v.select(mask, each_lane(v, library_call(v, name), x), otherwise)
    last = code.section.block
    code.jump(done)
    code.start(done)
    return code.op(f"phi {v.kind} [ {otherwise}, %{before} ], [ {result}, %{last} ]")


def each_lane(v: FloatLanes, function: Callable[[str], str], x: str) -> str:
    """`function` of one scalar, for each lane of x in turn."""
    code = v.code
    if not v.width:
        return function(x)

    def body(i: str, values: list[str]) -> list[str]:
        lane = function(code.op(f"extractelement {v.kind} {x}, i64 {i}"))
        return [code.op(f"insertelement {v.kind} {values[0]}, {v.scalar} {lane}, i64 {i}")]

    return code.loop(v.width, body, [(v.kind, "poison")])[0]


def library_call(v: FloatLanes, name: str) -> Callable[[str], str]:
    """The emitter of a call of the C library's function, `sinf` for `sin` in f32."""
    symbol = name + ("f" if v.bits == 32 else "")
    signature = f"{v.scalar} @{symbol}({v.scalar})"
    v.code.module.declare(f"declare {signature} nounwind willreturn memory(none)")
    return lambda x: v.code.call(v.scalar, f"@{symbol}", f"{v.scalar} {x}")
