"""Primitives that turn random bits into numbers: uniform floats and gamma variates."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from ml_dtypes import finfo

from ..core import dtypes
from ..core.errors import error
from ..core.primitive import Absent
from ..core.types import ArrayType, array_type
from .comparison import bitcast_convert_type, max_, or_, shift_right_logical
from .elementwise import add, convert_element_type, div, like, mul, sub, vmap_together
from .functions import exp
from .incomplete import random_gamma_grad
from .random_bits import KEY_FIELD, KeyPrimitive, RandomPrimitive, random_words, split_words
from .special import erf_inv
from .structural import to_front


def bit_width_for(dtype: np.dtype) -> int:
    """The random bits that a uniform float of `dtype` is made of."""
    info = finfo(dtype)
    return 8 if info.nmant < 8 else int(info.bits)


# ---- uniform


class UniformFromBits(RandomPrimitive):
    """Floats in [minval, maxval) whose mantissas are the high bits of `bits`."""

    def typing(self, bits: Any, minval: Any, maxval: Any) -> ArrayType:
        dtype = minval.dtype
        fits = all(t.shape in ((), bits.shape) for t in (minval, maxval))
        if dtype != maxval.dtype or dtypes.kind(dtype) != "f" or not fits:
            raise error(
                TypeError,
                "uniform_from_bits needs bounds of one float dtype, scalar or of the bits' shape.",
                got=", ".join(t.str_short() for t in (bits, minval, maxval)),
                fix="convert and broadcast them first, or use random.uniform, which does.",
            )
        if bits.dtype != np.dtype(f"u{bit_width_for(dtype) // 8}"):
            raise error(
                TypeError,
                f"a uniform {dtype} is made of {bit_width_for(dtype)} bits.",
                got=bits.str_short(),
                fix="draw random bits of this width.",
            )
        return array_type(bits.shape, dtype)

    def eval(self, bits: Any, minval: Any, maxval: Any) -> Any:
        unit = unit_floats(bits, minval.dtype)
        if not minval.shape and not maxval.shape and minval == 0 and maxval == 1:
            return unit
        return np.maximum(minval, _stretch(unit, maxval - minval, minval))

    def jvp(self, primals: Any, tangents: Any, out: Any) -> Any:
        bits, minval, _ = primals
        _, dlow, dhigh = tangents
        unit = self(bits, like(minval, 0.0), like(minval, 1.0))
        terms = []
        if dlow is not None:
            terms.append(mul(dlow, sub(like(minval, 1.0), unit)))
        if dhigh is not None:
            terms.append(mul(dhigh, unit))
        return add(*terms) if len(terms) == 2 else terms[0] if terms else None

    def vmap(self, size: int, args: Any, axes: Any) -> Any:
        (bits, *bounds), (at, *places) = args, axes
        if at is not None and all(a is None for a in places) and not any(b.shape for b in bounds):
            return self(bits, *bounds), at
        return vmap_together(self, size, [to_front(bits, at, size), *bounds], [0, *places], {})

    def lower(self, bits: Any, minval: Any, maxval: Any) -> Any:
        dtype = minval.dtype
        unsigned, shift, one = _layout(dtype)
        bits = convert_element_type(bits, new_dtype=unsigned, weak_type=False)
        mantissa = or_(shift_right_logical(bits, shift), one)
        unit = sub(bitcast_convert_type(mantissa, new_dtype=dtype), like(minval, 1.0))
        return max_(minval, add(mul(unit, sub(maxval, minval)), minval))


uniform_from_bits = UniformFromBits()


@cache
def _layout(dtype: np.dtype) -> tuple[np.dtype, np.ndarray, np.ndarray]:
    """The unsigned type as wide as `dtype`, the shift of bits to a mantissa, the bits of 1.0."""
    unsigned = np.dtype(f"u{dtype.itemsize}")
    shift = np.array(bit_width_for(dtype) - finfo(dtype).nmant, unsigned)
    return unsigned, shift, np.ones((), dtype).view(unsigned)


def unit_floats(bits: Any, dtype: np.dtype) -> Any:
    """Floats in [0, 1): the high bits of `bits` as the mantissa of a float in [1, 2), less 1."""
    unsigned, shift, one = _layout(dtype)
    mantissa = np.asarray(np.right_shift(bits.astype(unsigned, copy=False), shift))
    np.bitwise_or(mantissa, one, mantissa)
    unit = mantissa.view(dtype)
    return np.subtract(unit, dtype.type(1), unit)


def _stretch(unit: Any, span: Any, low: Any) -> Any:
    """unit * span + low, rounded once in float32 and float64, as the fused instruction does.

    XLA compiles the two operations to that instruction, so JAX's numbers are these (at 0.1 .. 0.7,
    19 % of them differ from those that are rounded twice).
    """
    if unit.dtype == np.float32 and (span.ndim or np.frexp(span)[0] != 0.5):
        wide = unit.astype(np.float64)
        wide *= span
        wide += low
        return wide.astype(np.float32)
    product = unit * span
    total = product + low
    if unit.dtype == np.float64 and (span.ndim or np.frexp(span)[0] != 0.5):
        # Both operations again, for what rounding took from them (Dekker, Knuth).
        shifted = total - product
        total += _product_error(unit, span, product) + (
            (product - (total - shifted)) + (low - shifted)
        )
    return total


def _product_error(x: Any, y: Any, product: Any) -> Any:
    """x * y - product, exactly."""
    x_high, y_high = _high_half(x), _high_half(y)
    x_low, y_low = x - x_high, y - y_high
    return ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low


def _high_half(x: Any) -> Any:
    scaled = x * np.float64(2**27 + 1)
    return scaled - (scaled - x)


# ---- gamma


class RandomGamma(KeyPrimitive):
    """Gamma variates of shape parameter `a`, or their logarithms, by Marsaglia and Tsang (2000).

    The axes of `keys` are the first of `a`. Each element has a stream of keys of its own, so the
    loop runs on all elements that are not yet accepted.
    """

    def typing(self, keys: Any, a: Any, *, log_space: bool, partitionable: bool) -> ArrayType:
        self.need_keys(keys)
        if dtypes.kind(a.dtype) != "f" or a.shape[: len(keys.shape)] != keys.shape:
            raise error(
                TypeError,
                "random_gamma needs a float array whose first axes are those of the keys.",
                got=f"keys {keys.str_short()} and a {a.str_short()}",
                fix="convert and broadcast a, or use random.gamma, which does.",
            )
        return a.strong()  # type: ignore[no-any-return]

    def eval(self, keys: Any, a: Any, *, log_space: bool, partitionable: bool) -> Any:
        words = keys[KEY_FIELD].reshape(-1, 2)
        each = a.size // max(len(words), 1)
        own = split_words(words, each, partitionable).reshape(-1, 2)
        alphas = np.asarray(a).reshape(-1)
        return _Gamma(own, alphas, partitionable).sample(log_space).reshape(a.shape)

    def jvp(
        self, primals: Any, tangents: Any, out: Any, *, log_space: bool, partitionable: bool
    ) -> Any:
        # Implicit reparameterisation: the derivative of the sample at a fixed cumulative
        # probability (Figurnov, Mohamed and Mnih 2018).
        _, a = primals
        if tangents[1] is None:
            return None
        if not log_space:
            return mul(tangents[1], random_gamma_grad(a, out))
        sample = exp(out)
        sample = max_(sample, like(sample, float(finfo(sample.dtype).tiny)))
        return mul(tangents[1], div(random_gamma_grad(a, sample), sample))

    def vmap(self, size: int, args: Any, axes: Any, **params: Any) -> Any:
        keys, a = (to_front(x, at, size) for x, at in zip(args, axes, strict=True))
        return random_gamma(keys, a, **params), 0

    lower = Absent("it is a rejection loop, which only the NumPy engine runs")


random_gamma = RandomGamma()


class _Gamma:
    """Samples of gamma variates: one stream of keys and one shape parameter for each."""

    def __init__(self, keys: np.ndarray, alphas: np.ndarray, partitionable: bool) -> None:
        self.alphas, self.partitionable = alphas, partitionable
        self.dtype = alphas.dtype
        one = self.dtype.type(1)
        third = self.dtype.type(1 / 3)
        # Below 1 the method is used at a + 1, and the sample scaled by u ** (1/a).
        self.direct = alphas >= one
        self.d = np.where(self.direct, alphas, alphas + one) - third
        self.c = third / np.sqrt(self.d)
        pairs = split_words(keys, 2, partitionable)
        self.loop_keys, self.last_keys = pairs[:, 0], pairs[:, 1]

    def sample(self, log_space: bool) -> np.ndarray:
        """The samples, or their logarithms."""
        one = self.dtype.type(1)
        v = self._accepted()
        uniform = self._uniform(self.last_keys)
        if not log_space:
            boost = np.power(one - uniform, one / self.alphas)
            return self.d * v * np.where(self.direct, one, boost)
        logs = np.log1p(-uniform)
        small = np.where(self.direct | (logs == 0), self.dtype.type(0), logs * (one / self.alphas))
        return np.log(self.d) + np.log(v) + small

    def _accepted(self) -> np.ndarray:
        """For each element the first proposal (1 + c x)**3 that the test accepts."""
        out = np.ones_like(self.alphas)
        half, squeeze = self.dtype.type(0.5), self.dtype.type(0.0331)
        # JAX's loop starts from x = 0, v = 1, u = 2, which its test accepts if d is inf or NaN.
        left = np.flatnonzero(np.isfinite(self.d))
        keys = self.loop_keys[left]
        while left.size:
            three = split_words(keys, 3, self.partitionable)
            x, v = self._proposal(three[:, 1], self.c[left])
            u = self._uniform(three[:, 2])
            x, v = x * x, v * v * v
            d = self.d[left]
            again = (u >= 1 - squeeze * (x * x)) & (np.log(u) >= x * half + d * (1 - v + np.log(v)))
            out[left] = v
            left, keys = left[again], three[again, 0]
        return out

    def _proposal(self, keys: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Normal variates x, drawn again until v = 1 + c x is positive; x and v."""
        x, v = np.empty_like(c), np.empty_like(c)
        left = np.arange(len(c))
        while left.size:
            pairs = split_words(keys, 2, self.partitionable)
            drawn = self._normal(pairs[:, 1])
            x[left] = drawn
            v[left] = 1 + drawn * c[left]
            again = v[left] <= 0
            left, keys = left[again], pairs[again, 0]
        return x, v

    def _bits(self, keys: np.ndarray) -> np.ndarray:
        width = bit_width_for(self.dtype)
        return random_words(np.ascontiguousarray(keys), width, 1, self.partitionable)[:, 0]

    def _uniform(self, keys: np.ndarray) -> Any:
        return unit_floats(self._bits(keys), self.dtype)

    def _normal(self, keys: np.ndarray) -> Any:
        low = np.nextafter(self.dtype.type(-1), self.dtype.type(0))
        uniform = uniform_from_bits.eval(self._bits(keys), low, self.dtype.type(1))
        return self.dtype.type(np.sqrt(2)) * erf_inv.eval(uniform)
