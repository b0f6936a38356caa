"""Angles of any size: x = n pi/2 + r, exactly enough for every float (Payne and Hanek).

Of 2/pi only the 192 bits matter that meet the mantissa of x above 2**-130 and below 4: a product
modulo 2**192 drops whole turns by itself. One scalar function does this in integers; it is called
for lanes that are too large for the quick reduction, and only if there are such lanes.
"""

from __future__ import annotations

import threading

from .. import machine, objects
from ..lanes import FloatLanes

Reduced = tuple[str, str, str]
"""r, what is lost of it, and n as integers."""

SYMBOL = "pb_reduced_f64"
"""The scalar function, which all modules share: its code takes as long to compile as a sine's."""
_ATTRIBUTES = "nounwind willreturn memory(none)"

_TOP = 129
"""Bytes between the windows of the smallest and the largest numbers."""
_BITS = 8 * _TOP + 126


def _two_over_pi(bits: int) -> int:
    """floor(2**bits * 2 / pi), pi from Machin's formula in integers."""
    one = 1 << (bits + 64)

    def arctan_of_inverse(k: int) -> int:
        term = total = one // k
        square, n, sign = k * k, 1, -1
        while term:
            term //= square
            n += 2
            total += sign * (term // n)
            sign = -sign
        return total

    pi = 4 * (4 * arctan_of_inverse(5) - arctan_of_inverse(239))
    return (one << (bits + 1)) // pi


def _table() -> str:
    """The bits of 2/pi as bytes, the lowest first; above them 0."""
    data = _two_over_pi(_BITS).to_bytes(160, "little")
    return "".join(f"\\{byte:02X}" for byte in data)


# x is M 2**(8 j - 64) with an integer M < 2**60: the window begins 129 - j bytes into the table.
# After the product, the top two bits are the quarter turn, rounded to the nearest by adding half of
# one; the signed rest becomes two doubles of 53 bits, times pi/2 in two words. (Flipping its bits
# to change the sign is wrong by 2**-190.) Zeros, infinities and NaNs read within the table too.
_FUNCTION = """\
declare i64 @llvm.ctlz.i64(i64, i1)
declare i64 @llvm.umin.i64(i64, i64)
declare i64 @llvm.fshl.i64(i64, i64, i64)
declare double @llvm.fma.f64(double, double, double)
@pb_two_over_pi = private constant [160 x i8] c"{table}"
define {{double, double, i64}} @{symbol}(double %x) {attributes} {{
  %pattern = bitcast double %x to i64
  %field = lshr i64 %pattern, 52
  %exponent = and i64 %field, 2047
  %fraction = and i64 %pattern, 4503599627370495
  %mantissa = or i64 %fraction, 4503599627370496
  %place = sub i64 %exponent, 1011
  %bytes = lshr i64 %place, 3
  %j = call i64 @llvm.umin.i64(i64 %bytes, i64 {top})
  %shift = and i64 %place, 7
  %whole = shl i64 %mantissa, %shift
  %offset = sub i64 {top}, %j
  %window = getelementptr i8, ptr @pb_two_over_pi, i64 %offset
  %window1 = getelementptr i8, ptr %window, i64 8
  %window2 = getelementptr i8, ptr %window, i64 16
  %w0 = load i64, ptr %window, align 1
  %w1 = load i64, ptr %window1, align 1
  %w2 = load i64, ptr %window2, align 1
  %m = zext i64 %whole to i128
  %v0 = zext i64 %w0 to i128
  %v1 = zext i64 %w1 to i128
  %p0 = mul nuw i128 %m, %v0
  %p1 = mul nuw i128 %m, %v1
  %p2 = mul i64 %whole, %w2
  %carry0 = lshr i128 %p0, 64
  %middle = add nuw i128 %p1, %carry0
  %carry1 = lshr i128 %middle, 64
  %up = trunc i128 %carry1 to i64
  %u0 = trunc i128 %p0 to i64
  %u1 = trunc i128 %middle to i64
  %u2 = add i64 %p2, %up
  %rounded = add i64 %u2, {half}
  %n = lshr i64 %rounded, 62
  %quarters = shl i64 %n, 62
  %rest = sub i64 %u2, %quarters
  %flip = ashr i64 %rest, 63
  %a0 = xor i64 %u0, %flip
  %a1 = xor i64 %u1, %flip
  %a2 = xor i64 %rest, %flip
  %empty = icmp eq i64 %a2, 0
  %b2 = select i1 %empty, i64 %a1, i64 %a2
  %b1 = select i1 %empty, i64 %a0, i64 %a1
  %b0 = select i1 %empty, i64 0, i64 %a0
  %skipped = select i1 %empty, i64 64, i64 0
  %leading = call i64 @llvm.ctlz.i64(i64 %b2, i1 false)
  %zeros64 = add i64 %leading, %skipped
  %c2 = call i64 @llvm.fshl.i64(i64 %b2, i64 %b1, i64 %leading)
  %c1 = call i64 @llvm.fshl.i64(i64 %b1, i64 %b0, i64 %leading)
  %first64 = lshr i64 %c2, 11
  %next = call i64 @llvm.fshl.i64(i64 %c2, i64 %c1, i64 53)
  %second53 = lshr i64 %next, 11
  %power = sub i64 972, %zeros64
  %unitbits = shl i64 %power, 52
  %unit = bitcast i64 %unitbits to double
  %high = uitofp i64 %first64 to double
  %low = uitofp i64 %second53 to double
  %a = fmul double %high, %unit
  %tiny = fmul double %unit, 0x3CA0000000000000
  %b = fmul double %low, %tiny
  %r = fmul double %a, {pi_high}
  %minusr = fneg double %r
  %r1 = call double @llvm.fma.f64(double %a, double {pi_high}, double %minusr)
  %r2 = call double @llvm.fma.f64(double %a, double {pi_low}, double %r1)
  %r3 = call double @llvm.fma.f64(double %b, double {pi_high}, double %r2)
  %negative = icmp slt i64 %pattern, 0
  %below = icmp ne i64 %flip, 0
  %turned = xor i1 %negative, %below
  %sign = select i1 %turned, double -1.0, double 1.0
  %sum = fadd double %r, %r3
  %part = fsub double %sum, %r
  %left = fsub double %r3, %part
  %result = fmul double %sum, %sign
  %lost = fmul double %left, %sign
  %back = sub i64 0, %n
  %turns = select i1 %negative, i64 %back, i64 %n
  %t1 = insertvalue {{double, double, i64}} poison, double %result, 0
  %t2 = insertvalue {{double, double, i64}} %t1, double %lost, 1
  %t3 = insertvalue {{double, double, i64}} %t2, i64 %turns, 2
  ret {{double, double, i64}} %t3
}}
""".format(
    symbol=SYMBOL,
    attributes=_ATTRIBUTES,
    table=_table(),
    top=_TOP,
    half=1 << 61,
    pi_high="0x3FF921FB54442D18",
    pi_low="0x3C91A62633145C07",
)


_LOCK = threading.Lock()
_loaded: list[machine.Loaded] = []


def address() -> int:
    """Where the scalar function is in memory. It is compiled once, and stays."""
    with _LOCK:
        if not _loaded:
            _loaded.append(objects.loaded(_FUNCTION, {}, [SYMBOL]))
        return _loaded[0].addresses[SYMBOL]


def where_large(v: FloatLanes, mask: str, x: str, quick: Reduced) -> Reduced:
    """`quick`, but the lanes of the mask reduced with as many bits as they need.

    Costs a test and a jump if the mask holds nowhere. Each lane is settled for itself, so what a
    lane gives does not depend on its neighbours.
    """
    code = v.code
    stem = code.name("")
    slow, done = f"large{stem}", f"reduced{stem}"
    some = v.any(mask)
    before = code.section.block
    code.branch(some, slow, done)
    code.start(slow)
    r, lost, n = _each_lane(v, x)
    exact = v.select(mask, r, quick[0]), v.select(mask, lost, quick[1])
    number = v.int_select(mask, n, quick[2])
    last = code.section.block
    code.jump(done)
    code.start(done)
    kinds = v.kind, v.kind, v.int_kind
    r, lost, n = (
        code.op(f"phi {kind} [ {a}, %{before} ], [ {b}, %{last} ]")
        for kind, a, b in zip(kinds, quick, (*exact, number), strict=True)
    )
    return r, lost, n


def _each_lane(v: FloatLanes, x: str) -> Reduced:
    """All lanes in turn: also those that do not need it, whose results are not used."""
    code = v.code
    if not v.width:
        return _of_scalar(v, x)
    one = FloatLanes(code, v.bits)
    kinds = v.kind, v.kind, v.int_kind
    scalars = one.kind, one.kind, one.int_kind

    def body(i: str, values: list[str]) -> list[str]:
        parts = _of_scalar(one, code.op(f"extractelement {v.kind} {x}, i64 {i}"))
        return [
            code.op(f"insertelement {kind} {value}, {scalar} {part}, i64 {i}")
            for kind, value, scalar, part in zip(kinds, values, scalars, parts, strict=True)
        ]

    r, lost, n = code.loop(v.width, body, [(kind, "poison") for kind in kinds])
    return r, lost, n


def _of_scalar(one: FloatLanes, x: str) -> Reduced:
    code = one.code
    wide = one.of(64)
    value = x if one.bits == 64 else one.widen(x)
    code.module.symbol(SYMBOL, address(), "{double, double, i64} (double)")
    result = code.op(f"call {{double, double, i64}} @{SYMBOL}(double {value}) {_ATTRIBUTES}")
    r, lost, n = (code.op(f"extractvalue {{double, double, i64}} {result}, {k}") for k in range(3))
    if one.bits == 64:
        return r, lost, n
    narrow = wide.narrow(r)
    rest = wide.add(wide.sub(r, one.widen(narrow)), lost)
    return narrow, wide.narrow(rest), code.op(f"trunc i64 {n} to i32")
