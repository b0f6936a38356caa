"""The functions of `maths` as machine code, each compiled once in a process, when first wanted."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import cache

from .. import machine, objects
from ..lanes import FloatLanes
from ..text import Code, Module
from . import FUNCTIONS, reduction

Key = tuple[str, int, int]
"""Name, bits, and width: 0 for a scalar."""

_LOCK = threading.Lock()
_addresses: dict[Key, tuple[str, int]] = {}
_loaded: list[machine.Loaded] = []
"""What holds the code in memory, for the life of the process."""

# Nothing that is called here throws, writes, or reads what is not constant.
_ATTRIBUTES = "nounwind willreturn memory(none)"


def symbol_of(name: str, bits: int, width: int) -> str:
    """`pb_exp_f32x8`, or `pb_exp_f32` for a scalar."""
    return f"pb_{name}_f{bits}" + (f"x{width}" if width else "")


@cache
def signature(name: str, bits: int, width: int) -> str:
    """As `Module.symbol` takes it: `<8 x float> (<8 x float>)`."""
    kind = FloatLanes(Code(Module()), bits, width).kind
    return f"{kind} ({', '.join([kind] * FUNCTIONS[name].operands)})"


def text(name: str, bits: int, width: int) -> str:
    """The module of one function, to read.

    Raises:
      KeyError: there is no function of that name.
    """
    module = Module()
    _write(module, name, bits, width)
    return module.text()


def _write(module: Module, name: str, bits: int, width: int) -> None:
    function = FUNCTIONS[name]
    code = Code(module)
    v = FloatLanes(code, bits, width)
    operands = [f"%x{k}" for k in range(function.operands)]
    result = function.emit(v, *operands)
    arguments = ", ".join(f"{v.kind} {x}" for x in operands)
    lines = [
        f"define {v.kind} @{symbol_of(name, bits, width)}({arguments}) {_ATTRIBUTES} {{",
        "entry:",
        *code.whole.flat(),
        f"  ret {v.kind} {result}",
        "}",
    ]
    module.functions.append("\n".join(lines))


def prepare(keys: Iterable[Key]) -> None:
    """Compile those functions that are not there yet, in one module.

    Eight at once take three fifths of the time that they take one by one.

    Raises:
      KeyError: there is no function of some name.
    """
    with _LOCK:
        missing = [key for key in dict.fromkeys(keys) if key not in _addresses]
        if not missing:
            return
        module = Module()
        for key in missing:
            _write(module, *key)
        symbols = [symbol_of(*key) for key in missing]
        loaded = objects.loaded(module.text(), module.symbols, symbols)
        _loaded.append(loaded)
        for key, symbol in zip(missing, symbols, strict=True):
            _addresses[key] = symbol, loaded.addresses[symbol]


def function(name: str, bits: int, width: int) -> tuple[str, int]:
    """The symbol and the address of a function on `width` lanes (0: one scalar).

    The code stays for the life of the process. Safe from several threads. "reduced" is the scalar
    function that large angles go through, which stored code may ask for by its name.

    Raises:
      KeyError: there is no function of that name.
    """
    if name == "reduced":
        return reduction.SYMBOL, reduction.address()
    key = name, bits, width
    if key not in _addresses:
        prepare([key])
    return _addresses[key]
