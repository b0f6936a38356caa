"""LLVM, as this engine uses it: text becomes an object, an object becomes code in memory.

LLVM is imported when it is first needed: code that an earlier process made does without it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import count
from typing import Any

from ...core.lazy import lazy
from . import linking

llvm = lazy("llvmlite.binding")

TRIPLE: str
CPU: str
FEATURES: str
"""Of this machine, in LLVM's words."""

_LOCK = threading.RLock()
"""LLVM's global context is not safe to use from two threads."""
_numbers = count()
_jit = None
_TOGETHER = 128
"""Objects loaded by one JIT. It keeps 9 kB of each that is gone, until it goes itself, which it
does when none is left."""


def __getattr__(name: str) -> Any:
    if name in ("TRIPLE", "CPU", "FEATURES"):
        return _host()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)


@cache
def _host() -> dict[str, str]:
    with _LOCK:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        return {
            "TRIPLE": llvm.get_process_triple(),
            "CPU": llvm.get_host_cpu_name(),
            "FEATURES": llvm.get_host_cpu_features().flatten(),
        }


def _target_machine() -> Any:
    """Level 1 of code generation and no passes before it: the text is written as vectors, so that
    the optimiser would cost 2 to 4 times the time to compile, and gain nothing measurable.

    The code model is the default one of a JIT; "small" ends the process (an assertion in
    RuntimeDyld).
    """
    host = _host()
    return llvm.Target.from_triple(host["TRIPLE"]).create_target_machine(
        cpu=host["CPU"], features=host["FEATURES"], opt=1, codemodel="jitdefault", jit=True
    )


@cache
def _writer() -> tuple[Any, str]:
    """What writes objects, and its layout of data."""
    found = _target_machine()
    return found, str(found.target_data)


_SWITCHES = (
    "disable-lsr",
    "disable-cgp",
    "disable-copyprop",
    "disable-constant-hoisting",
    "disable-early-taildup",
    "enable-misched=false",
)
"""What LLVM does not do: a fifth of the time to compile, and none of our code is faster for it,
which is written in the order that it shall run in, with addresses that need no more work. They are
switches for the whole process, where others may use LLVM too: they are put back each time (a
switch takes 9 us)."""


class Loaded:
    """Code in memory. It lives as long as this object, so whoever calls it keeps this."""

    __slots__ = ("__weakref__", "_holder", "addresses", "code", "origin")

    def __init__(self, holder: object, addresses: dict[str, int]) -> None:
        self._holder, self.addresses = holder, addresses
        self.origin: Any = None
        self.code: bytes | None = None
        """What it was made of: see `objects`."""


def assemble(text: str) -> bytes:
    """The object file of a module's text.

    Raises:
      RuntimeError: LLVM does not understand the text: a mistake of this engine.
    """
    with _LOCK:
        module = _parsed(text)
        for switch in _SWITCHES:
            llvm.set_option("", f"-{switch}")
        try:
            return bytes(_writer()[0].emit_object(module))
        finally:
            for switch in _SWITCHES:
                name, _, off = switch.partition("=")
                llvm.set_option("", f"-{name}={'true' if off else 'false'}")


def assembly(text: str) -> str:
    """The machine's own language for a module's text, to read."""
    with _LOCK:
        return str(_writer()[0].emit_assembly(_parsed(text)))


def _parsed(text: str) -> Any:
    layout = _writer()[1]
    module = llvm.parse_assembly(text)
    module.triple, module.data_layout = _host()["TRIPLE"], layout
    return module


def load(machine_code: bytes, symbols: Mapping[str, int], exports: Iterable[str]) -> Loaded:
    """The object in memory, its `symbols` bound to addresses; `exports` are looked up.

    Symbols of the C library and of Python are found in this process. What `linking` cannot put
    into memory, LLVM does.
    """
    exports = list(exports)
    linked = linking.link(machine_code, symbols, exports)
    if linked is None:
        return load_by_llvm(machine_code, symbols, exports)
    return Loaded(linked.memory, linked.addresses)


def load_by_llvm(machine_code: bytes, symbols: Mapping[str, int], exports: Iterable[str]) -> Loaded:
    """`load`, by LLVM on every system."""
    global _jit
    with _LOCK:
        number = next(_numbers)
        if _jit is None or number % _TOGETHER == 0:
            _jit = llvm.create_lljit_compiler(_target_machine())
        builder = llvm.JITLibraryBuilder().add_object_img(machine_code).add_current_process()
        for name, address in symbols.items():
            builder.import_symbol(name, address)
        wanted = list(exports)
        for name in wanted:
            builder.export_symbol(name)
        tracker = builder.link(_jit, f"pullback{number}")
        return Loaded(tracker, {name: tracker[name] for name in wanted})
