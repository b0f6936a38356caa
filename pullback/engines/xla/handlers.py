"""Machine code that XLA calls: handlers of its foreign function interface.

A handler is a function of a pointer to a frame, in which it finds the arrays. The executable holds
its name and no address, so it may be kept on disk; whoever reads it there has written the same
program before, and with it registered the handler.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping, Sequence
from ctypes.util import find_library
from functools import cache

from ..native import objects
from . import adapter_loops

# Offsets in the structures of c_api.h: XLA_FFI_CallFrame, _Args and _Rets (alike), _Buffer, _Api,
# _Metadata_Extension and _Metadata.
_EXTENSION, _API, _ARGS, _RETS = 8, 16, 40 + 32, 80 + 32
_DATA, RANK, DIMS = 24, 32, 40
_API_VERSION, _METADATA, _VERSION, _TRAITS = 32, 24, 24, 32

_registered: dict[str, object] = {}
"""By its name, what XLA has addresses of for ever: there is no call that takes a name back."""
_lock = threading.Lock()


def register(
    name: str, text: str, symbols: Mapping[str, int], *, by_element: bool, keeps: object = None
) -> None:
    """Have programs call the function `handler` of a text by a name; see `handler`.

    What a name was first given for stays: XLA may run it at this moment.

    Args:
      by_element: parts of the arrays may be computed apart, as on several devices.
      keeps: what must live as long as the symbols are used.
    """
    usual = _float_environment()
    known = {**symbols, "usual": ctypes.addressof(usual)}
    known |= {n: _address(n) for n in ("fegetenv", "fesetenv")}
    with _lock:
        if name not in _registered:
            made = objects.loaded(text, known, ["handler"])
            adapter_loops.register(name, made.addresses["handler"], by_element)
            _registered[name] = made, usual, keeps


def _address(name: str) -> int:
    function = getattr(ctypes.CDLL(find_library("m")), name)
    return ctypes.cast(function, ctypes.c_void_p).value or 0


@cache
def _float_environment() -> ctypes.Array[ctypes.c_char]:
    """How Python's threads compute. Those of XLA take subnormal numbers for 0."""
    found = ctypes.create_string_buffer(64)
    ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(_address("fegetenv"))(ctypes.addressof(found))
    return found


DECLARED = """
declare i32 @fegetenv(ptr)
declare i32 @fesetenv(ptr)
@usual = external global i8
"""
USUAL = """  %before = alloca [64 x i8], align 16
  %kept = call i32 @fegetenv(ptr %before)
  %set = call i32 @fesetenv(ptr @usual)"""
"""Compute as Python's threads do, until `AGAIN`."""
AGAIN = "  %back = call i32 @fesetenv(ptr %before)"

_ASKED = f"""; XLA asks for the version of the interface: it is the one that XLA has.
asked:
  %metadata_at = getelementptr i8, ptr %extension, i64 {_METADATA}
  %metadata = load ptr, ptr %metadata_at, align 8
  %api_at = getelementptr i8, ptr %frame, i64 {_API}
  %api = load ptr, ptr %api_at, align 8
  %version_at = getelementptr i8, ptr %api, i64 {_API_VERSION}
  %version = load i64, ptr %version_at, align 8
  %answer = getelementptr i8, ptr %metadata, i64 {_VERSION}
  store i64 %version, ptr %answer, align 8
  %traits = getelementptr i8, ptr %metadata, i64 {_TRAITS}
  store i32 0, ptr %traits, align 4
  ret ptr null"""


def handler(ins: int, outs: int, room: Sequence[int], body: str) -> str:
    """The function `handler`: `body` finds the data of array i, the arguments first, in %data{i},
    what XLA says of it in %buffer{i}, and so many words of memory in %room0, %room1, ..."""
    operands = "\n".join([_operand(i, _ARGS, i) for i in range(ins)])
    results = "\n".join([_operand(ins + k, _RETS, k) for k in range(outs)])
    rooms = "\n".join(f"  %room{i} = alloca [{n} x i64], align 64" for i, n in enumerate(room))
    return f"""
define ptr @handler(ptr %frame) nounwind {{
{rooms}
  %extension_at = getelementptr i8, ptr %frame, i64 {_EXTENSION}
  %extension = load ptr, ptr %extension_at, align 8
  %plain = icmp eq ptr %extension, null
  br i1 %plain, label %run, label %asked
{_ASKED}
run:
{operands}
{results}
{body}
  ret ptr null
}}
"""


def _operand(i: int, table: int, k: int) -> str:
    """Array `i`, which is array `k` of a table in the frame."""
    return f"""  %table_at{i} = getelementptr i8, ptr %frame, i64 {table}
  %table{i} = load ptr, ptr %table_at{i}, align 8
  %buffer_at{i} = getelementptr ptr, ptr %table{i}, i64 {k}
  %buffer{i} = load ptr, ptr %buffer_at{i}, align 8
  %data_at{i} = getelementptr i8, ptr %buffer{i}, i64 {_DATA}
  %data{i} = load ptr, ptr %data_at{i}, align 8"""


def stored(value: str, kind: str, room: str, place: int, name: str) -> str:
    """Lines that write a word into memory."""
    return f"""  %{name} = getelementptr i64, ptr {room}, i64 {place}
  store {kind} {value}, ptr %{name}, align 8"""


__all__ = ["AGAIN", "DECLARED", "DIMS", "RANK", "USUAL", "handler", "register", "stored"]
