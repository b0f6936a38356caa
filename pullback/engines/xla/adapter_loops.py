"""Every call of jaxlib that lets programs call machine code of this process.

The code is a handler of XLA's foreign function interface, whose C structures are part of what XLA
promises: `jaxlib/include/xla/ffi/api/c_api.h`.
"""

from __future__ import annotations

from jaxlib import xla_client as xc

from ...core.capsules import capsule

_TYPED = 1
"""The interface of handlers, in the numbers of this call."""
_LABEL = b"xla._CUSTOM_CALL_TARGET"


def register(name: str, address: int, by_element: bool) -> None:
    """Have programs for the CPU call the handler at this address by a name; `by_element`: on
    several devices each of them calls it with its own part of the arrays."""
    handler = capsule(address, _LABEL)
    xc.register_custom_call_target(name, handler, platform="cpu", api_version=_TYPED)
    if by_element:
        xc.register_custom_call_as_batch_partitionable(name)


__all__ = ["register"]
