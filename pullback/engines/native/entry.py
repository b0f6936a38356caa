"""The entry: a jitted function as a C function, which calls compiled programs in about 0.2 us.

One entry serves one jitted function. It holds the programs that were made for it, and tries one
after the other; calls that none of them is for go to a Python function.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from ...core.array import HostArray
from ...core.settings import updates, values
from ...core.trace import EVAL, state
from . import layout, objects
from .entry_code import write
from .entry_plan import Plan
from .entry_records import Head
from .entry_writer import python_functions

MOST_PROGRAMS = 8
"""The programs that one entry tries. A function of more types than that changes them about."""

_FASTCALL_WITH_KEYWORDS = 0x82


class _MethodDef(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


class Programs(np.ndarray):
    """What the entry of one function reads: the Python function, and the plans it tries."""

    slow: Any
    plans: list[Plan]
    next: int = -1

    def add(self, plan: Plan) -> None:
        """Try this plan as well; if there are too many, in the place of one of the others."""
        if any(plan is known for known in self.plans):
            return
        if len(self.plans) < MOST_PROGRAMS:
            self.plans.append(plan)
        else:
            self.next = (self.next + 1) % MOST_PROGRAMS
            self.plans[self.next] = plan
        place = next(i for i, known in enumerate(self.plans) if known is plan)
        self[Head.PROGRAMS + place] = plan.address
        self[Head.COUNT] = len(self.plans)

    def clear(self) -> None:
        """Forget all plans."""
        self[Head.COUNT] = 0
        self[Head.PROGRAMS :] = 0
        self.plans = []


_lock = threading.Lock()
_method: Any = None


def why_not() -> str:
    """Why there is no entry in this process; empty if there is."""
    found = layout.find()
    return found if isinstance(found, str) else ""


def entry(slow: Callable[..., Any]) -> tuple[Callable[..., Any], Programs]:
    """A function that tries programs, none at first, and calls `slow` where none fits.

    Raises:
      RuntimeError: objects of this Python are laid out in another way than the entry knows.
    """
    programs = np.ndarray.__new__(Programs, (Head.PROGRAMS + MOST_PROGRAMS,), np.int64)
    programs[:] = 0
    programs.slow, programs.plans = slow, []
    programs[Head.SLOW] = id(slow)
    return _new_function(ctypes.addressof(_compiled()), programs, None), programs


_new_function = ctypes.PYFUNCTYPE(
    ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p
)(("PyCFunction_NewEx", ctypes.pythonapi))


def _compiled() -> _MethodDef:
    """The code, loaded when the first function needs it (20 ms, 2 ms if it is on disk)."""
    global _method
    with _lock:
        if _method is None:
            found = layout.find()
            if isinstance(found, str):
                raise RuntimeError(f"no entry: {found}.")
            text = write(found)
            symbols = {**python_functions(), **layout.numpy_functions(), **_objects()}
            loaded = _forever(objects.loaded(text, symbols, ["entry"]))
            address = loaded.addresses["entry"]
            _method = _forever(_MethodDef(b"jitted", address, _FASTCALL_WITH_KEYWORDS, None))
    return _method  # type: ignore[no-any-return]


def _objects() -> dict[str, int]:
    """What the entry compares with, by the symbols of its code."""
    names = {f"name_{name}": name for name in ("trace", "axes", "combination")}
    found: dict[str, Any] = {
        "state": state,
        "values": values,
        "no_trace": EVAL,
        "ndarray": np.ndarray,
    }
    found |= {"HostArray": HostArray, "None": None, "True": True, **names}
    found = {symbol: id(_forever(x)) for symbol, x in found.items()}
    return {**found, "updates": _forever(updates).buffer_info()[0]}


_keep = ctypes.PYFUNCTYPE(None, ctypes.py_object)(("Py_IncRef", ctypes.pythonapi))


def _forever(x: Any) -> Any:
    """`x`, which is never freed: entries may be called, and are freed, after this module is."""
    _keep(x)
    return x


__all__ = ["MOST_PROGRAMS", "Programs", "entry", "why_not"]
