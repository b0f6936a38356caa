"""Every call of jaxlib that is about portable StableHLO: the text of a module as bytes and back."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from jaxlib import _jax

from .adapter import _context, _parsed


class Main(NamedTuple):
    """The function `main` of a module: the types of its arguments and results, as text."""

    arguments: list[str]
    results: list[str]


def artifact(text: str) -> bytes:
    """A StableHLO module as bytes that XLA of the last four weeks, and of later years, can read."""
    from jaxlib.mlir.dialects import stablehlo

    age = stablehlo.StablehloCompatibilityRequirement.WEEK_4
    version = stablehlo.get_version_from_compatibility_requirement(age)
    return bytes(_jax.mlir.serialize_portable_artifact(_parsed(text), version))


def text_of(data: bytes) -> str:
    """The text of such a module.

    Raises:
      RuntimeError: it is none.
    """
    _, context = _context()
    said: list[str] = []

    def note(diagnostic: Any) -> bool:  # or MLIR writes it to the standard error
        said.append(str(diagnostic.message))
        return True

    handler = context.attach_diagnostic_handler(note)
    try:
        return str(_jax.mlir.deserialize_portable_artifact(data, context))
    except RuntimeError as mistake:
        raise RuntimeError("; ".join([str(mistake), *said])) from None
    finally:
        handler.detach()


def main_of(text: str) -> Main | None:
    """What a module's `main` takes and gives; None if it has none."""
    ir, context = _context()
    with context:
        for op in _parsed(text).body.operations:
            if op.operation.name == "func.func" and _name(op) == "main":
                kind = ir.FunctionType(ir.TypeAttr(op.attributes["function_type"]).value)
                return Main([*map(str, kind.inputs)], [*map(str, kind.results)])
    return None


def functions(text: str, prefix: str) -> str:
    """The functions of a module as private ones, with this prefix before their names."""
    ir, context = _context()
    with context:
        module = _parsed(text)
        found = [op for op in module.body.operations if op.operation.name == "func.func"]
        names = "|".join(re.escape(_name(op)) for op in found)
        for op in found:
            op.attributes["sym_visibility"] = ir.StringAttr.get("private")
        whole = "\n".join(map(str, found))
    return re.sub(rf"@({names})\b(?=[^\w.$-]|$)", rf"@{prefix}\1", whole)


def _name(op: Any) -> str:
    return str(op.attributes["sym_name"]).strip('"')


__all__ = ["Main", "artifact", "functions", "main_of", "text_of"]
