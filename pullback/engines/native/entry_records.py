"""The records that the entry goes by: arrays of words of 64 bits, whose fields have names here.

`entry_plan` writes them, the code of `entry_code` reads them.
"""

from __future__ import annotations

from enum import IntEnum


class Head(IntEnum):
    """What `self` of the entry holds; behind it the addresses of the programs."""

    COUNT = 0
    SLOW = 1
    PROGRAMS = 2


class Spec(IntEnum):
    """One program as the entry sees it. Offsets are those in the frame of one call."""

    COMBINATION, UPDATE, ARGS, KEYWORDS, NAMES, OWNER = range(6)
    NODE_COUNT, NODES, OUT_COUNT, OUTS, BUILD_COUNT, BUILD = range(6, 12)
    FRAME, AT_OUTS, AT_BOXES, AT_RESULTS, AT_HELD, AT_NUMBERS, AT_STACK, AT_ARENA = range(12, 20)
    SCRATCH, ARENA, KERNEL, RELEASES, ON_ERROR, FINISH, KEEPS_SCRATCH, CALLS = range(20, 28)
    RUN = 28
    """A Python function of NumPy arrays, or null: it is called in the place of a kernel."""
    ON_HEAP = 29
    """Whether the frame is too large for the stack."""
    CLASS = 30
    """Of the arrays of a device, or null: if not, RUN is a function of their buffers."""
    BUFFER, BYTES = 31, 32
    """Where such an array has its buffer, and how many bytes it takes."""
    EXECUTE, FIXED, METHOD, HANDLERS = range(33, 37)
    """Where EXECUTE is not null, it is called in the place of RUN, with a list: the items of the
    tuple FIXED, and the buffers. Of what that gives, METHOD is called with HANDLERS: a list."""
    GIVEN_COUNT, GIVEN, DELETE, VIEW = range(37, 41)
    """After EXECUTE the method DELETE is called of those buffers whose numbers are at GIVEN; before
    it, None is put where such an array keeps what NumPy sees of it: at VIEW."""


class Node(IntEnum):
    """One container or leaf of the arguments: where it is found, and what it must be."""

    FETCH, PARENT, INDEX, CHECK, SLOT, TYPE, COUNT = range(7)
    DESCR, WIDE, WEAK, DIMS, RAW, PYTHON, CONVERT = range(7, 14)
    AVAL = 14
    GIVEN = 15
    """Whether the buffer of the leaf is gone after the call."""


class Out(IntEnum):
    """One result."""

    SCALAR, RANK, DIMS, DESCR, AVAL, WEAK = range(6)
    TEMPLATE = 6
    """An array of a device without its buffer: a result is as this one."""


class Build(IntEnum):
    """One step of building the tree of the results, on a stack."""

    KIND, COUNT, TYPE, KEYS = range(4)


class Fetch(IntEnum):
    """Where an object is."""

    ARGUMENT, TUPLE, LIST, DICT = range(4)


class Check(IntEnum):
    """What an object must be. A TUPLE may be of a subclass that adds nothing but names."""

    LEAF, TUPLE, LIST, DICT, SAME, EQUAL = range(6)


class Convert(IntEnum):
    """How a Python number becomes the value of a leaf."""

    NONE, FLOAT32, FLOAT64, INT32, INT64, BOOL, COMPLEX64, COMPLEX128 = range(8)


class Make(IntEnum):
    """What a step of building makes."""

    LEAF, NONE, TUPLE, NAMED, LIST, DICT = range(6)


NUMBER_BYTES = 16
"""Room for one number in a frame."""

__all__ = [
    "NUMBER_BYTES",
    "Build",
    "Check",
    "Convert",
    "Fetch",
    "Head",
    "Make",
    "Node",
    "Out",
    "Spec",
]
