"""What the entry's code is written with: Python's and NumPy's functions, conditions and loops."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from itertools import count
from typing import Any

from .text import Code, Module

PYTHON = {
    "PyObject_GetAttr": "ptr (ptr, ptr)",
    "PyObject_Vectorcall": "ptr (ptr, ptr, i64, ptr)",
    "PyObject_VectorcallMethod": "ptr (ptr, ptr, i64, ptr)",
    "PyObject_CallOneArg": "ptr (ptr, ptr)",
    "PyObject_RichCompareBool": "i32 (ptr, ptr, i32)",
    "PyErr_Clear": "void ()",
    "PyErr_Occurred": "ptr ()",
    "PyErr_NoMemory": "ptr ()",
    "PyDict_Size": "i64 (ptr)",
    "PyDict_GetItemWithError": "ptr (ptr, ptr)",
    "PyDict_New": "ptr ()",
    "PyDict_SetItem": "i32 (ptr, ptr, ptr)",
    "PyTuple_New": "ptr (i64)",
    "PyList_New": "ptr (i64)",
    "PyLong_AsLongLong": "i64 (ptr)",
    "PyLong_FromLong": "ptr (i64)",
    "PyType_GenericAlloc": "ptr (ptr, i64)",
    "PyMem_RawMalloc": "ptr (i64)",
    "PyMem_RawFree": "void (ptr)",
    "PyEval_SaveThread": "ptr ()",
    "PyEval_RestoreThread": "void (ptr)",
    "Py_IncRef": "void (ptr)",
    "Py_DecRef": "void (ptr)",
}
NUMPY = {
    "PyArray_NewFromDescr": "ptr (ptr, ptr, i32, ptr, ptr, ptr, i32, ptr)",
    "PyArray_CastToType": "ptr (ptr, ptr, i32)",
    "PyArray_NewCopy": "ptr (ptr, i32)",
    "PyArray_Scalar": "ptr (ptr, ptr, ptr)",
}
OBJECTS = (
    "state",
    "values",
    "no_trace",
    "name_trace",
    "name_axes",
    "name_combination",
    "updates",
    "ndarray",
    "HostArray",
    "None",
    "True",
)
"""The symbols of what the entry compares with: the caller of `write` binds them."""


def python_functions() -> dict[str, int]:
    """The addresses of those functions of Python that the entry calls."""
    library = ctypes.pythonapi
    found = {name: ctypes.cast(getattr(library, name), ctypes.c_void_p) for name in PYTHON}
    return {name: address.value or 0 for name, address in found.items()}


class Writer(Code):
    """Code with variables in memory, conditions and loops that may be empty."""

    def __init__(self, module: Module) -> None:
        super().__init__(module)
        self._labels = count()
        self.variables = self.open_section()

    def variable(self, kind: str = "i64", value: str = "0") -> str:
        """A new variable."""
        name = f"%{self.name('v')}"
        with self.writing_in(self.variables):
            self.line(f"{name} = alloca {kind}")
            self.line(f"store {kind} {value}, ptr {name}")
        return name

    def load(self, pointer: str, offset: int = 0, kind: str = "ptr") -> str:
        """What is `offset` bytes behind `pointer`."""
        return self.op(f"load {kind}, ptr {self.at(pointer, offset)}")

    def get(self, record: str, field: IntEnum, kind: str = "ptr") -> str:
        """A field of a record."""
        return self.load(record, 8 * field, kind)

    def record(self, table: str, number: str, kind: type[IntEnum]) -> str:
        """The address of a record in a table of such."""
        offset = self.op(f"mul nuw nsw i64 {number}, {8 * len(kind)}")
        return self.op(f"getelementptr i8, ptr {table}, i64 {offset}")

    def store(self, value: str, pointer: str, kind: str = "ptr") -> None:
        """Write to memory."""
        self.line(f"store {kind} {value}, ptr {pointer}")

    def item(self, pointer: str, index: str) -> str:
        """The address of word number `index`."""
        return self.op(f"getelementptr i64, ptr {pointer}, i64 {index}")

    def same(self, a: str, b: str, kind: str = "ptr") -> str:
        """Whether two words are equal."""
        return self.op(f"icmp eq {kind} {a}, {b}")

    def need(self, condition: str, otherwise: str) -> None:
        """Go on if the condition holds, else go to block `otherwise`."""
        block = self.name("ok")
        self.branch(condition, block, otherwise)
        self.start(block)

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """Do what follows if the condition holds."""
        yes, after = self.name("yes"), self.name("after")
        self.branch(condition, yes, after)
        self.start(yes)
        yield
        self.jump(after)
        self.start(after)

    @contextmanager
    def each(self, number: str) -> Iterator[str]:
        """Do what follows for 0, 1, ... below `number`, which may be 0."""
        place = self.variable()
        head, body, done = self.name("head"), self.name("body"), self.name("done")
        self.store("0", place, "i64")
        self.jump(head)
        self.start(head)
        i = self.load(place, kind="i64")
        self.branch(self.op(f"icmp slt i64 {i}, {number}"), body, done)
        self.start(body)
        yield i
        self.store(self.op(f"add nuw nsw i64 {i}, 1"), place, "i64")
        self.jump(head)
        self.start(done)

    @contextmanager
    def case(self, block: str, after: str) -> Iterator[None]:
        """One block of a switch, that goes on at `after`."""
        self.start(block)
        yield
        self.jump(after)

    def go(self, value: str, blocks: Mapping[Any, str], default: str) -> None:
        """Go to the block of a value."""
        cases = " ".join(f"i64 {int(k)}, label %{b}" for k, b in blocks.items())
        self.line(f"switch i64 {value}, label %{default} [ {cases} ]")

    def bump(self, place: str) -> str:
        """Add 1 to a variable; its value before."""
        before = self.load(place, kind="i64")
        self.store(self.op(f"add nuw nsw i64 {before}, 1"), place, "i64")
        return before

    def aligned(self, pointer: str) -> str:
        """The next multiple of 64 bytes."""
        moved = self.op(f"getelementptr i8, ptr {pointer}, i64 63")
        number = self.op(f"ptrtoint ptr {moved} to i64")
        return self.op(f"inttoptr i64 {self.op(f'and i64 {number}, -64')} to ptr")

    def run(self, name: str, *arguments: str) -> str:
        """Call a declared function: `run("PyDict_New")`. Arguments as `type value`."""
        result = {**PYTHON, **NUMPY}[name].partition(" ")[0]
        return self.call(result, f"@{name}", *arguments)

    def release(self, value: str) -> None:
        """Drop a reference."""
        self.run("Py_DecRef", f"ptr {value}")

    def release_all(self, items: str, number: str) -> None:
        """Drop the references that `number` words hold; null is none, as Py_DecRef has it."""
        with self.each(self.load(number, kind="i64")) as i:
            self.release(self.load(self.item(items, i)))


def function(head: str, code: Code) -> str:
    """A function's text, from its head and body."""
    return "\n".join([f"define {head} {{", "entry:", *code.whole.flat(), "}"])


__all__ = ["NUMPY", "OBJECTS", "PYTHON", "Writer", "function", "python_functions"]
