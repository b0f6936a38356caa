"""Every call of jaxlib that lets programs call machine code of this process.

The code is a handler of XLA's foreign function interface, whose C structures are part of what XLA
promises: `jaxlib/include/xla/ffi/api/c_api.h`.
"""

from __future__ import annotations

import ctypes

from jaxlib import xla_client as xc

_TYPED = 1
"""The interface of handlers, in the numbers of this call."""
_LABEL = b"xla._CUSTOM_CALL_TARGET"

_capsule = ctypes.pythonapi.PyCapsule_New
_capsule.restype = ctypes.py_object
_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


def register(name: str, address: int, by_element: bool) -> None:
    """Have programs for the CPU call the handler at this address by a name; `by_element`: on
    several devices each of them calls it with its own part of the arrays."""
    handler = _capsule(address, _LABEL, None)
    xc.register_custom_call_target(name, handler, platform="cpu", api_version=_TYPED)
    if by_element:
        xc.register_custom_call_as_batch_partitionable(name)


__all__ = ["register"]
