"""Every call of jaxlib that is about portable StableHLO: the text of a module as bytes and back."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from jaxlib import _jax

from . import adapter_reader
from .adapter import mlir, parsed

_KEPT = "jax.global_constant"
"""The attribute of arguments that the refinement of shapes reads; others are for other things."""

_PATIENCE = 120
"""Seconds for a module to be read."""

_TAKES_TEXT = "mlir_module: str" in _jax.mlir.serialize_portable_artifact.__doc__
"""Or a module: jaxlib 0.10.0 takes no module, later ones no text."""


class Main(NamedTuple):
    """The function `main` of a module: the types of its arguments and results, as text."""

    arguments: list[str]
    results: list[str]


def artifact(text: str) -> bytes:
    """A StableHLO module as bytes that XLA of the last four weeks, and of later years, can read."""
    from jaxlib.mlir.dialects import stablehlo

    age = stablehlo.StablehloCompatibilityRequirement.WEEK_4
    version = stablehlo.get_version_from_compatibility_requirement(age)
    module = text if _TAKES_TEXT else parsed(text)
    return bytes(_jax.mlir.serialize_portable_artifact(module, version))


def text_of(data: bytes) -> str:
    """The text of such a module, of which it is known that it is whole.

    Raises:
      RuntimeError: it is none.
    """
    return adapter_reader.text_of(data, mlir()[1])


def texts_of(modules: Sequence[bytes]) -> list[str]:
    """The texts of modules of which nothing is known: another process reads them.

    Raises:
      RuntimeError: one is none.
    """
    paths = os.pathsep.join(p for p in sys.path if p)
    # -P: or the names of the files beside it would stand for modules of Python.
    command = [sys.executable, "-P", adapter_reader.__file__]
    given = adapter_reader.joined(modules)
    # Half a minute goes into the names of functions where it crashes, unless LLVM is told not to.
    variables = {**os.environ, "PYTHONPATH": paths, "LLVM_DISABLE_SYMBOLIZATION": "1"}
    try:
        done = subprocess.run(
            command, input=given, env=variables, capture_output=True, check=False, timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"jaxlib did not read it within {_PATIENCE} seconds") from None
    texts = [t.decode() for t in adapter_reader.apart(done.stdout)]
    wrong = [t.removeprefix("error: ") for t in texts if t.startswith("error: ")]
    if len(texts) < len(modules):
        wrong.append(f"jaxlib's reader of StableHLO fails on it (exit status {done.returncode})")
    if wrong:
        raise RuntimeError(wrong[0])
    return texts


def refined(text: str) -> str:
    """A module with the lengths of all axes, which follow from those of the arguments of `main`.

    Raises:
      RuntimeError: the arguments do not fit; the message says which.
    """
    try:
        data = _jax.mlir.refine_polymorphic_shapes(
            text.encode(), enable_shape_assertions=True, validate_static_shapes=True
        )
    except Exception as mistake:  # of several classes, by the version of jaxlib
        raise RuntimeError(str(mistake)) from None
    return str(parsed(data))


def main_of(text: str) -> Main | None:
    """What a module's `main` takes and gives; None if it has none.

    Raises:
      RuntimeError: the text is no module.
    """
    ir, context = mlir()
    with context:
        try:
            module = parsed(text)  # which has to live as long as its operations are used
        except ir.MLIRError as mistake:
            raise RuntimeError(" ".join(str(mistake).split())) from None
        for op in _functions(module):
            if _name(op) == "main":
                kind = ir.FunctionType(ir.TypeAttr(op.attributes["function_type"]).value)
                return Main([*map(str, kind.inputs)], [*map(str, kind.results)])
    return None


def functions(text: str, prefix: str) -> str:
    """The functions of a module as private ones, with this prefix before their names.

    What is said about several devices is left out.
    """
    ir, context = mlir()
    with context:
        module = parsed(text)
        found = _functions(module)
        names = "|".join(re.escape(_name(op)) for op in found)
        for op in found:
            op.attributes["sym_visibility"] = ir.StringAttr.get("private")
            for which in ("arg_attrs", "res_attrs"):
                if which in op.attributes:
                    op.attributes[which] = _for_one_device(ir, op.attributes[which])
            for constraint in list(_constraints(op.operation)):
                constraint.results[0].replace_all_uses_with(constraint.operands[0])
                constraint.erase()
        whole = "\n".join(map(str, found))
    return re.sub(rf"@({names})\b(?=[^\w.$-]|$)", rf"@{prefix}\1", whole)


def _for_one_device(ir: Any, attributes: Any) -> Any:
    kept = [{a.name: a.attr for a in each if a.name == _KEPT} for each in ir.ArrayAttr(attributes)]
    return ir.ArrayAttr.get([ir.DictAttr.get(each) for each in kept])


def _constraints(op: Any) -> Iterator[Any]:
    for region in op.regions:
        for block in region.blocks:
            for inner in block.operations:
                if inner.operation.name == "sdy.sharding_constraint":
                    yield inner.operation
                yield from _constraints(inner.operation)


def _functions(module: Any) -> list[Any]:
    return [op for op in module.body.operations if op.operation.name == "func.func"]


def _name(op: Any) -> str:
    return str(op.attributes["sym_name"]).strip('"')


__all__ = ["Main", "artifact", "functions", "main_of", "refined", "text_of", "texts_of"]
