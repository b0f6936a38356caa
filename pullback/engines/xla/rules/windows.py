"""Convolutions, reductions of windows, Fourier transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....core.program import Equation
from ....ops.convolution import conv_general_dilated
from ....ops.fft import FftType, fft
from ....ops.pooling import (
    reduce_window_max,
    reduce_window_min,
    reduce_window_sum,
    select_and_scatter_add,
)
from ..lowering import Lowering, Rule
from ..text import Word
from ..types import ints, table
from .elementwise import compare, convert
from .reductions import highest, lowest, op

_NARROW = ("float16", "bfloat16")


def _conv(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    code, p = low.code, eq.params
    shape, dtype = low.result(eq)
    if any(0 in w.shape for w in args) or dtype.kind in "iub" or "int" in dtype.name:
        return low.by_definition(eq, args)  # XLA has no code of its own for them on every device
    n, count = p["dimension_numbers"], len(p["window_strides"])
    wide = np.dtype(np.float32) if dtype.name in _NARROW else dtype
    words = [convert(code, w, wide) for w in args]
    spaces = range(count)
    numbers = "x".join(
        [
            _layout(n.lhs_spec, ("b", "f"), spaces),
            _layout(n.rhs_spec, ("o", "i"), spaces)
            + "->"
            + _layout(n.out_spec, ("b", "f"), spaces),
        ]
    )
    flags = f"array<i1{':' if count else ''} {', '.join(['false'] * count)}>"
    precision = "#stablehlo<precision HIGHEST>"
    attributes = (
        f"window_strides = {ints(p['window_strides'])}, padding = {table(p['padding'], 2)}, "
        f"lhs_dilation = {ints(p['lhs_dilation'])}, rhs_dilation = {ints(p['rhs_dilation'])}, "
        f"window_reversal = {flags}, dimension_numbers = #stablehlo.conv<{numbers}>, "
        f"feature_group_count = {p['feature_group_count']} : i64, "
        f"batch_group_count = {p['batch_group_count']} : i64, "
        f"precision_config = [{precision}, {precision}]"
    )
    return [convert(code, code.op("convolution", words, shape, wide, attributes), dtype)]


def _layout(spec: Sequence[int], names: tuple[str, str], spaces: Any) -> str:
    """Which axis is what, e.g. `[b, 0, 1, f]`."""
    found = [""] * len(spec)
    found[spec[0]], found[spec[1]] = names
    for k, axis in zip(spaces, spec[2:], strict=True):
        found[axis] = str(k)
    return f"[{', '.join(found)}]"


def _windows(p: dict[str, Any], dilations: bool = True) -> str:
    found = (
        f"window_dimensions = {ints(p['window_dimensions'])}, "
        f"window_strides = {ints(p['window_strides'])}, padding = {table(p['padding'], 2)}"
    )
    if not dilations:
        return found
    return (
        f"{found}, base_dilations = {ints(p['base_dilation'])}, "
        f"window_dilations = {ints(p['window_dilation'])}"
    )


def _reduce_window(name: str, start: Any) -> Rule:
    def rule(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
        code, (x,) = low.code, args
        shape, dtype = low.result(eq)
        if not x.rank or x.dtype.kind == "c":
            return low.by_definition(eq, args)
        if name == "add" and dtype.name in _NARROW:
            x = convert(code, x, np.float32)
        begin = code.constant(np.asarray(start(x.dtype)).astype(x.dtype))
        one = ((), x.dtype)
        region = low.region([one, one], lambda a, b: [op(name)(low, a, b)]).text
        (found,) = code.ops(
            "reduce_window", [x, begin], [(shape, x.dtype)], _windows(eq.params), region
        )
        return [convert(code, found, dtype)]

    return rule


def _select_and_scatter_add(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    code, (source, x), p = low.code, args, eq.params
    shape, dtype = low.result(eq)
    dilated = any(d != 1 for k in ("base_dilation", "window_dilation") for d in p.get(k) or ())
    if dilated or not x.rank or dtype.name in _NARROW:
        return low.by_definition(eq, args)
    side = "GE" if p["select_prim"] == "ge" else "LE"
    one = ((), x.dtype)
    chosen = low.region([one, one], lambda a, b: [compare(code, side, a, b)]).text
    added = low.region([one, one], lambda a, b: [op("add")(low, a, b)]).text
    # Padding must never be chosen: the operand is padded with what loses to everything.
    before, after = zip(*p["padding"], strict=True)
    if any(before) or any(after):
        return low.by_definition(eq, args)
    zero = code.constant(dtype.type(0))
    return code.ops(
        "select_and_scatter",
        [x, source, zero],
        [(shape, dtype)],
        _windows(p, dilations=False),
        f"{chosen}, {added}",
    )


def _fft(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    shape, dtype = low.result(eq)
    p, (x,) = eq.params, args
    if 0 in x.shape or 0 in shape or len(p["fft_lengths"]) > 3:
        return low.by_definition(eq, args)
    kind = FftType(p["fft_type"]).name
    attributes = f"fft_type = #stablehlo<fft_type {kind}>, fft_length = {ints(p['fft_lengths'])}"
    return [low.code.op("fft", args, shape, dtype, attributes)]


RULES: dict[Any, Rule] = {
    conv_general_dilated: _conv,
    reduce_window_sum: _reduce_window("add", lambda d: 0),
    reduce_window_max: _reduce_window("maximum", lowest),
    reduce_window_min: _reduce_window("minimum", highest),
    select_and_scatter_add: _select_and_scatter_add,
    fft: _fft,
}

__all__ = ["RULES"]
