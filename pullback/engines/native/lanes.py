"""Arithmetic on `width` lanes of one floating-point type: what the maths is written in.

A width of 0 is a scalar. Operands and results are names of values, or constants, of `kind`.
"""

from __future__ import annotations

from collections.abc import Sequence

from .text import Code, float_text


class FloatLanes:
    """Instructions on floats of 32 or 64 bits; integers of the same size; masks."""

    def __init__(self, code: Code, bits: int, width: int = 0) -> None:
        self.code, self.bits, self.width = code, bits, width
        self.scalar = "float" if bits == 32 else "double"
        self.kind = f"<{width} x {self.scalar}>" if width else self.scalar
        self.int_kind = f"<{width} x i{bits}>" if width else f"i{bits}"
        self.mask_kind = f"<{width} x i1>" if width else "i1"
        self._suffix = (f"v{width}" if width else "") + f"f{bits}"

    # ---- constants

    def const(self, value: float) -> str:
        """A float in all lanes."""
        text = float_text(value, self.bits)
        return f"splat ({self.scalar} {text})" if self.width else text

    def int_const(self, value: int) -> str:
        """An integer in all lanes."""
        return f"splat (i{self.bits} {value})" if self.width else str(value)

    # ---- floats

    def add(self, a: str, b: str) -> str:
        """a + b"""
        return self.code.op(f"fadd {self.kind} {a}, {b}")

    def sub(self, a: str, b: str) -> str:
        """a - b"""
        return self.code.op(f"fsub {self.kind} {a}, {b}")

    def mul(self, a: str, b: str) -> str:
        """a * b"""
        return self.code.op(f"fmul {self.kind} {a}, {b}")

    def div(self, a: str, b: str) -> str:
        """a / b"""
        return self.code.op(f"fdiv {self.kind} {a}, {b}")

    def neg(self, a: str) -> str:
        """-a"""
        return self.code.op(f"fneg {self.kind} {a}")

    def fma(self, a: str, b: str, c: str) -> str:
        """a * b + c, rounded once"""
        return self.intrinsic("fma", a, b, c)

    def intrinsic(self, name: str, *operands: str) -> str:
        """sqrt, fabs, copysign, rint, floor, ceil, trunc, minimum, maximum: those with an
        instruction. exp and its like would become calls of the C library, lane by lane."""
        arguments = [f"{self.kind} {x}" for x in operands]
        return self.code.call(self.kind, f"@llvm.{name}.{self._suffix}", *arguments)

    def horner(self, x: str, coefficients: Sequence[float]) -> str:
        """The polynomial with these coefficients, that of the highest power first."""
        result = self.const(coefficients[0])
        for c in coefficients[1:]:
            result = self.fma(result, x, self.const(c))
        return result

    def polynomial(self, x: str, coefficients: Sequence[float]) -> str:
        """As `horner`, by pairs (Estrin): a few products more, and half as long a chain."""
        terms = [self.const(c) for c in reversed(coefficients)]
        while len(terms) > 1:
            pairs = zip(terms[::2], terms[1::2], strict=False)
            odd = terms[-1:] if len(terms) % 2 else []
            terms = [self.fma(high, x, low) for low, high in pairs] + odd
            if len(terms) > 1:
                x = self.mul(x, x)
        return terms[0]

    # ---- comparing and choosing

    def compare(self, how: str, a: str, b: str) -> str:
        """A mask: `how` is olt, ole, ogt, oge, oeq (false for NaN), une, uno, ult, ..."""
        return self.code.op(f"fcmp {how} {self.kind} {a}, {b}")

    def int_compare(self, how: str, a: str, b: str) -> str:
        """A mask of integers: eq, ne, slt, sgt, ult, ..."""
        return self.code.op(f"icmp {how} {self.int_kind} {a}, {b}")

    def select(self, mask: str, a: str, b: str) -> str:
        """Floats: a where the mask holds, else b."""
        return self.code.op(f"select {self.mask_kind} {mask}, {self.kind} {a}, {self.kind} {b}")

    def int_select(self, mask: str, a: str, b: str) -> str:
        """Integers: a where the mask holds, else b."""
        return self.code.op(
            f"select {self.mask_kind} {mask}, {self.int_kind} {a}, {self.int_kind} {b}"
        )

    def both(self, a: str, b: str) -> str:
        """Masks: a and b."""
        return self.code.op(f"and {self.mask_kind} {a}, {b}")

    def either(self, a: str, b: str) -> str:
        """Masks: a or b."""
        return self.code.op(f"or {self.mask_kind} {a}, {b}")

    def opposite(self, a: str) -> str:
        """Masks: not a."""
        true = "splat (i1 true)" if self.width else "true"
        return self.code.op(f"xor {self.mask_kind} {a}, {true}")

    def any(self, mask: str) -> str:
        """An i1: the mask holds in some lane."""
        if not self.width:
            return mask
        reduce = f"@llvm.vector.reduce.or.v{self.width}i1"
        return self.code.call("i1", reduce, f"{self.mask_kind} {mask}")

    # ---- the other size

    def of(self, bits: int) -> FloatLanes:
        """As many lanes of another size."""
        return FloatLanes(self.code, bits, self.width)

    def widen(self, a: str) -> str:
        """32 bits to 64."""
        return self.code.op(f"fpext {self.kind} {a} to {self.of(64).kind}")

    def narrow(self, a: str) -> str:
        """64 bits to 32, rounded."""
        return self.code.op(f"fptrunc {self.kind} {a} to {self.of(32).kind}")

    # ---- integers of the same size

    def bits_of(self, a: str) -> str:
        """The bits of floats."""
        return self.code.op(f"bitcast {self.kind} {a} to {self.int_kind}")

    def from_bits(self, a: str) -> str:
        """The floats that have these bits."""
        return self.code.op(f"bitcast {self.int_kind} {a} to {self.kind}")

    def integer(self, how: str, a: str, b: str) -> str:
        """add, sub, mul, and, or, xor, shl, lshr, ashr of integers."""
        return self.code.op(f"{how} {self.int_kind} {a}, {b}")

    def to_int(self, a: str) -> str:
        """Floats to integers, towards zero: only for values in range (else undefined)."""
        return self.code.op(f"fptosi {self.kind} {a} to {self.int_kind}")

    def to_float(self, a: str) -> str:
        """Signed integers to floats."""
        return self.code.op(f"sitofp {self.int_kind} {a} to {self.kind}")
