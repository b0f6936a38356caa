"""Convolutions, reductions of windows, Fourier transforms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ....core.program import Equation
from ....ops.convolution import conv_general_dilated
from ....ops.fft import FftType, fft
from ....ops.pooling import reduce_window_max, reduce_window_min, reduce_window_sum
from ..lowering import Lowering, Rule
from ..text import Word
from ..types import NARROW, ints, table
from .elementwise import convert
from .reductions import highest, lowest, op
from .structural import permuted


def _conv(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    code, p = low.code, eq.params
    shape, dtype = low.result(eq)
    if any(0 in w.shape for w in args) or 0 in shape:
        return [code.constant(np.zeros(shape, dtype))]
    if low.platform != "cpu" and (dtype.kind in "iub" or "int" in dtype.name):
        return low.by_definition(eq, args)  # XLA has code for them on the CPU alone
    n, count = p["dimension_numbers"], len(p["window_strides"])
    wide = np.dtype(np.float32) if dtype.name in NARROW else dtype
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


def windows(p: Mapping[str, Any], dilations: bool = True) -> str:
    """The attributes of an operation with windows."""
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
        if not x.rank:
            return args
        if name == "add" and dtype.name in NARROW:
            x = convert(code, x, np.float32)
        begin = code.constant(np.asarray(start(x.dtype)).astype(x.dtype))
        one = ((), x.dtype)
        region = low.region([one, one], lambda a, b: [op(name)(low, a, b)]).text
        (found,) = code.ops(
            "reduce_window", [x, begin], [(shape, x.dtype)], windows(eq.params), region
        )
        return [convert(code, found, dtype)]

    return rule


def _fft(low: Lowering, eq: Equation, args: list[Word]) -> Sequence[Word]:
    shape, dtype = low.result(eq)
    kind, lengths = FftType(eq.params["fft_type"]), eq.params["fft_lengths"]
    (x,) = args
    if 0 in x.shape or 0 in shape:
        return [low.code.constant(np.zeros(shape, dtype))]
    # XLA transforms up to three axes at once: the last ones first, but into real numbers last.
    last = list(lengths[-3:])
    before = list(range(len(shape) - len(lengths), len(shape) - len(last)))
    if kind is FftType.IRFFT:
        return [_transformed(low, _along(low, x, FftType.IFFT, before), kind, last, shape, dtype)]
    part = (*x.shape[: len(shape) - len(last)], *shape[len(shape) - len(last) :])
    x = _transformed(low, x, kind, last, part, dtype)
    return [_along(low, x, FftType.FFT if kind is FftType.RFFT else kind, before)]


def _transformed(
    low: Lowering, x: Word, kind: FftType, lengths: list[int], shape: Sequence[int], dtype: np.dtype
) -> Word:
    attributes = f"fft_type = #stablehlo<fft_type {kind.name}>, fft_length = {ints(lengths)}"
    return low.code.op("fft", [x], shape, dtype, attributes)


def _along(low: Lowering, x: Word, kind: FftType, axes: list[int]) -> Word:
    """The transform of complex numbers along these axes, one after the other."""
    for axis in axes:
        order = [i for i in range(x.rank) if i != axis] + [axis]
        y = permuted(low.code, x, order)
        y = _transformed(low, y, kind, [x.shape[axis]], y.shape, x.dtype)
        x = permuted(low.code, y, [order.index(i) for i in range(x.rank)])
    return x


RULES: dict[Any, Rule] = {
    conv_general_dilated: _conv,
    reduce_window_sum: _reduce_window("add", lambda d: 0),
    reduce_window_max: _reduce_window("maximum", lowest),
    reduce_window_min: _reduce_window("minimum", highest),
    fft: _fft,
}

__all__ = ["RULES", "windows"]
