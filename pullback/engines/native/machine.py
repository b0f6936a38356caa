"""LLVM, as this engine uses it: text becomes an object, an object becomes code in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from itertools import count

import llvmlite.binding as llvm

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()

CPU: str = llvm.get_host_cpu_name()
FEATURES: str = llvm.get_host_cpu_features().flatten()
TRIPLE: str = llvm.get_process_triple()

# The default code model of a JIT; "small" ends the process (an assertion in RuntimeDyld).
_TARGET = llvm.Target.from_triple(TRIPLE)
# Level 1 of code generation and no passes before it: the text is written as vectors, so that the
# optimiser would cost 2 to 4 times the time to compile, and gain nothing measurable.
_WRITER = _TARGET.create_target_machine(
    cpu=CPU, features=FEATURES, opt=1, codemodel="jitdefault", jit=True
)
_LAYOUT = str(_WRITER.target_data)
_LOCK = threading.RLock()
"""LLVM's global context is not safe to use from two threads."""
_numbers = count()
_jit = None
_TOGETHER = 128
"""Objects loaded by one JIT. It keeps 9 kB of each that is gone, until it goes itself, which it
does when none is left."""


class Loaded:
    """Code in memory. It lives as long as this object, so whoever calls it keeps this."""

    __slots__ = ("_tracker", "addresses")

    def __init__(self, tracker: object, addresses: dict[str, int]) -> None:
        self._tracker, self.addresses = tracker, addresses


def assemble(text: str) -> bytes:
    """The object file of a module's text.

    Raises:
      RuntimeError: LLVM does not understand the text: a mistake of this engine.
    """
    with _LOCK:
        return bytes(_WRITER.emit_object(_parsed(text)))


def assembly(text: str) -> str:
    """The machine's own language for a module's text, to read."""
    with _LOCK:
        return str(_WRITER.emit_assembly(_parsed(text)))


def _parsed(text: str) -> llvm.ModuleRef:
    module = llvm.parse_assembly(text)
    module.triple, module.data_layout = TRIPLE, _LAYOUT
    return module


def load(machine_code: bytes, symbols: Mapping[str, int], exports: Iterable[str]) -> Loaded:
    """The object in memory, its `symbols` bound to addresses; `exports` are looked up.

    Symbols of the C library and of Python are found in this process.
    """
    global _jit
    with _LOCK:
        number = next(_numbers)
        if _jit is None or number % _TOGETHER == 0:
            _jit = llvm.create_lljit_compiler(
                _TARGET.create_target_machine(
                    cpu=CPU, features=FEATURES, opt=1, codemodel="jitdefault", jit=True
                )
            )
        builder = llvm.JITLibraryBuilder().add_object_img(machine_code).add_current_process()
        for name, address in symbols.items():
            builder.import_symbol(name, address)
        wanted = list(exports)
        for name in wanted:
            builder.export_symbol(name)
        tracker = builder.link(_jit, f"pullback{number}")
        return Loaded(tracker, {name: tracker[name] for name in wanted})
