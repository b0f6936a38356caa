"""The documents are true: their programs run in order and print what they show. So do docstrings.

In README.md and docs/*.md fences marked `python` are run, each file in one namespace; a fence
marked `output` right after one shows what it prints. Fences with other marks, or none, are not run.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import pkgutil
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from forced import by_name
from seeds.compare import difference

import pullback

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = {p.name: p for p in sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])}

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Block:
    """A program in a document, the line it begins on, and what the document says it prints."""

    code: str
    line: int
    shown: str | None


def blocks(text: str) -> list[Block]:
    """The programs of a document. An `output` fence belongs to the program right before it."""
    found: list[Block] = []
    last = None
    for match in FENCE.finditer(text):
        kind, body = match.groups()
        if kind == "python":
            found.append(Block(body, text.count("\n", 0, match.start()) + 2, None))
        elif kind == "output":
            assert last is not None and last[0] == "python", "output without a program before it"
            assert not text[last[1] : match.start()].strip(), (
                "text between a program and its output"
            )
            found[-1].shown = body
        last = (kind, match.end())
    return found


def run(path: Path) -> None:
    """Run the programs of a document, and compare what each prints."""
    names = {"__name__": "__main__"}
    for block in blocks(path.read_text(encoding="utf-8")):
        place = f"{path.name}:{block.line}"
        # Blank lines in front, so that a traceback shows the line of the document.
        code = compile("\n" * (block.line - 1) + block.code, str(path), "exec")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        different = difference(block.shown or "", printed.getvalue())
        assert different is None, f"{place}: {different}"


@pytest.mark.parametrize(
    "name", by_name([*DOCUMENTS], ("native.md", "xla.md"), "it shows other engines, too")
)
def test_document(name: str) -> None:
    run(DOCUMENTS[name])


def test_documents_have_programs() -> None:
    with_programs = {n for n, p in DOCUMENTS.items() if blocks(p.read_text(encoding="utf-8"))}
    assert {"README.md", "extend.md"} <= with_programs


def test_a_wrong_output_is_caught(tmp_path: Path) -> None:
    document = tmp_path / "wrong.md"
    document.write_text("```python\nprint(1)\n```\n```output\n2\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"wrong\.md:2"):
        run(document)


def test_an_output_that_is_not_shown_is_caught(tmp_path: Path) -> None:
    document = tmp_path / "silent.md"
    document.write_text("```python\nprint(1)\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"silent\.md:2"):
        run(document)


# ---- docstrings


@cache
def modules() -> list[str]:
    """All modules but those that stand in for jax: they have names of their own, or install it."""
    found = [m.name for m in pkgutil.walk_packages(pullback.__path__, "pullback.")]
    skipped = ("pullback.__main__", "pullback.compat.jax", "pullback.compat.pytest_plugin")
    return ["pullback", *(n for n in found if not n.startswith(skipped))]


def examples() -> list[doctest.DocTest]:
    """The examples in docstrings. Each must bring its own imports."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = {}
    for name in modules():
        # Modules of one name with a public function, such as pullback.jit, are not its attribute.
        module = importlib.import_module(name)
        for test in finder.find(module, name, module=module, globs={"__name__": "__main__"}):
            if test.examples:
                found.setdefault((test.filename, test.lineno), test)
    return list(found.values())


EXAMPLES = examples()


class _Checker(doctest.OutputChecker):
    """Numbers may differ in the last digits: NumPy's sine in 32 bits depends on the processor."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return super().check_output(want, got, optionflags) or difference(want, got) is None


@pytest.mark.parametrize(
    "test", [t for t in EXAMPLES if "compat" not in t.name], ids=lambda t: t.name
)
def test_docstring(test: doctest.DocTest) -> None:
    report = io.StringIO()
    doctest.DocTestRunner(_Checker()).run(test, out=report.write, clear_globs=False)
    assert not report.getvalue(), report.getvalue()


def test_docstrings_of_compat_in_a_process_without_jax() -> None:
    names = [n for n in modules() if n.startswith("pullback.compat")]
    program = (
        "import doctest, importlib, sys\n"
        "failed = [doctest.testmod(importlib.import_module(n)).failed for n in sys.argv[1:]]\n"
        "sys.exit(sum(failed))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *names], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_main_functions_have_examples() -> None:
    have = {t.name.rpartition(".")[2] for t in EXAMPLES}
    wanted = (
        "grad value_and_grad jvp vjp linearize linear_transpose jacfwd jacrev hessian vmap jit "
    )
    wanted += "make_jaxpr eval_shape closure_convert custom_jvp custom_vjp checkpoint"
    assert set(wanted.split()) - have == set()
