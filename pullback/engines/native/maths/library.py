"""The functions of `maths` as machine code, each compiled once in a process, when first wanted."""

from __future__ import annotations

import threading

from .. import machine
from ..lanes import FloatLanes
from ..text import Code, Module
from . import FUNCTIONS, reduction

_LOCK = threading.Lock()
_functions: dict[tuple[str, int, int], tuple[str, int, machine.Loaded | None]] = {}

# No slow path of the C library throws, and what it leaves in errno is not read.
ATTRIBUTES = "nounwind willreturn memory(none)"


def symbol_of(name: str, bits: int, width: int) -> str:
    """`pb_exp_f32x8`, or `pb_exp_f32` for a scalar."""
    return f"pb_{name}_f{bits}" + (f"x{width}" if width else "")


def signature(name: str, bits: int, width: int) -> str:
    """As `Module.symbol` takes it: `<8 x float> (<8 x float>)`."""
    kind = FloatLanes(Code(Module()), bits, width).kind
    return f"{kind} ({', '.join([kind] * FUNCTIONS[name].operands)})"


def text(name: str, bits: int, width: int) -> str:
    """The module of one function, to read.

    Raises:
      KeyError: there is no function of that name.
    """
    return _module(name, bits, width).text()


def _module(name: str, bits: int, width: int) -> Module:
    function = FUNCTIONS[name]
    code = Code(Module())
    v = FloatLanes(code, bits, width)
    operands = [f"%x{k}" for k in range(function.operands)]
    result = function.emit(v, *operands)
    arguments = ", ".join(f"{v.kind} {x}" for x in operands)
    lines = [
        f"define {v.kind} @{symbol_of(name, bits, width)}({arguments}) {ATTRIBUTES} {{",
        "entry:",
        *code.whole.flat(),
        f"  ret {v.kind} {result}",
        "}",
    ]
    code.module.functions.append("\n".join(lines))
    return code.module


def function(name: str, bits: int, width: int) -> tuple[str, int]:
    """The symbol and the address of a function on `width` lanes (0: one scalar).

    The code stays for the life of the process. Safe from several threads.

    Raises:
      KeyError: there is no function of that name.
    """
    key = name, bits, width
    found = _functions.get(key)
    if found is None:
        with _LOCK:
            found = _functions.get(key) or _compiled(*key)
            _functions[key] = found
    return found[:2]


def _compiled(name: str, bits: int, width: int) -> tuple[str, int, machine.Loaded | None]:
    symbol = symbol_of(name, bits, width)
    if symbol == reduction.SYMBOL:  # which is no function of lanes, but has a name like theirs
        return symbol, reduction.address(), None
    module = _module(name, bits, width)
    loaded = machine.load(machine.assemble(module.text()), module.symbols, [symbol])
    return symbol, loaded.addresses[symbol], loaded
