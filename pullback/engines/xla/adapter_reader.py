"""StableHLO from bytes, also as a program of its own: a damaged file can bring down its reader.

The reader of jaxlib does not check all that it reads. So bytes without a checksum are read by
another process first, which runs this file and imports nothing of Pullback.
"""

from __future__ import annotations

import resource
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from jaxlib import _jax


def context() -> Any:
    """MLIR, and a context of it that knows StableHLO."""
    from jaxlib.mlir import ir  # 40 ms, only for programs that call Python, and for export
    from jaxlib.mlir._mlir_libs import _jax_mlir_ext
    from jaxlib.mlir.dialects import chlo, sdy, stablehlo

    registry = ir.DialectRegistry()
    _jax_mlir_ext.register_dialects(registry)
    made = ir.Context()
    made.append_dialect_registry(registry)
    made.load_all_available_dialects()
    for dialect in (stablehlo, chlo, sdy):
        dialect.register_dialect(made)
    return ir, made


def text_of(data: bytes, where: Any) -> str:
    """The text of a portable module, in this context.

    Raises:
      RuntimeError: it is none.
    """
    with _said(where) as said:
        try:
            return str(_jax.mlir.deserialize_portable_artifact(data, where))
        except RuntimeError as mistake:
            raise RuntimeError("; ".join([str(mistake), *said])) from None


@contextmanager
def _said(where: Any) -> Iterator[list[str]]:
    """What MLIR has to say meanwhile, which it writes to the standard error otherwise."""
    said: list[str] = []

    def note(diagnostic: Any) -> bool:
        said.append(str(diagnostic.message))
        return True

    handler = where.attach_diagnostic_handler(note)
    try:
        yield said
    finally:
        handler.detach()


def joined(parts: Sequence[bytes]) -> bytes:
    """Several as one, each after its length."""
    return b"".join(struct.pack("<Q", len(p)) + p for p in parts)


def apart(data: bytes) -> list[bytes]:
    """What `joined` was given; what was cut off is left out."""
    parts = []
    while len(data) >= 8:
        end = 8 + struct.unpack_from("<Q", data)[0]
        parts.append(data[8:end])
        data = data[end:]
    return parts


def main() -> None:
    """From modules on the standard input to their texts; what is wrong stands after `error: `."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # or a crash fills the disk
    _, where = context()
    for data in apart(sys.stdin.buffer.read()):
        try:
            said = text_of(data, where)
        except RuntimeError as mistake:
            said = f"error: {mistake}"
        sys.stdout.buffer.write(joined([said.encode(errors="replace")]))


if __name__ == "__main__":
    main()

__all__ = ["apart", "context", "joined", "text_of"]
