"""Programs as text, in the notation of the API's documents.

Programs print themselves, so that this file comes before theirs: it goes by what their parts have.
"""

from __future__ import annotations

from typing import Any

from . import dtypes


def print_program(program: Any, width: int = 80) -> str:
    """`{ lambda ; a:f32[]. let b:f32[] = sin a in (b,) }`, on one line where it fits in `width`."""
    return "\n".join(_Printer(width).program(program, 0))


class _Printer:
    def __init__(self, width: int) -> None:
        self.width = width

    def program(self, program: Any, indent: int) -> list[str]:
        names = _Names(program)
        consts = " ".join(names.typed(v) for v in program.constvars)
        inputs = " ".join(names.typed(v) for v in program.invars)
        head = f"{{ lambda {consts}{' ' if consts else ''};{' ' if inputs else ''}{inputs}. let"
        equations = [self.equation(eq, names, indent + 4) for eq in program.eqns]
        outs = ", ".join(names.of(a) for a in program.outvars)
        tail = f"in ({outs}{',' if len(program.outvars) == 1 else ''}) }}"
        if all(len(lines) == 1 for lines in equations):
            flat = " ".join([head, "; ".join(lines[0] for lines in equations), tail])
            flat = flat.replace("let  in", "let in")
            if len(flat) + indent <= self.width:
                return [flat]
        body = ["    " + line for lines in equations for line in lines]
        return [head, *body, "  " + tail]

    def equation(self, eq: Any, names: _Names, indent: int) -> list[str]:
        args = " ".join(names.of(a) for a in eq.invars)
        outs = " ".join(names.typed(v) for v in eq.outvars)
        plain, nested = [], []
        params = eq.primitive.shown(eq.params)
        for key in sorted(params):
            value = params[key]
            if hasattr(value, "eqns") or _all_programs(value):
                nested.append((key, value))
            elif not callable(value) or isinstance(value, type):
                plain.append(f"{key}={_param(value)}")
        left = f"{outs} = " if outs else ""
        if not nested:
            shown = f"[{' '.join(plain)}]" if plain else ""
            return [f"{left}{eq.primitive.name}{shown}{' ' if args else ''}{args}"]
        lines = [f"{left}{eq.primitive.name}[", *("  " + p for p in plain)]
        for key, value in nested:
            programs: Any = value if isinstance(value, (tuple, list)) else [value]
            printed = [
                self.program(getattr(p, "program", p), indent + len(key) + 3) for p in programs
            ]
            opening, closing = ("(", ")") if isinstance(value, (tuple, list)) else ("", "")
            pad = " " * (len(key) + 3)
            joined = [line for lines_ in printed for line in lines_]
            lines.append(f"  {key}={opening}{joined[0]}")
            lines += [pad + line for line in joined[1:]]
            lines[-1] += closing
        return [*lines, f"]{' ' if args else ''}{args}"]


class _Names:
    """Letters for variables, in the order of their first appearance; `_` for what is never used."""

    def __init__(self, program: Any) -> None:
        self.known: dict[Any, str] = {}
        used = {a for eq in program.eqns for a in eq.invars if not hasattr(a, "val")}
        self.used = used | {a for a in program.outvars if not hasattr(a, "val")}
        for var in (*program.constvars, *program.invars):
            self.known[var] = _letters(len(self.known))

    def of(self, atom: Any) -> str:
        if hasattr(atom, "val"):
            return str(atom.val)
        if atom not in self.known:
            if atom not in self.used:
                return "_"
            self.known[atom] = _letters(len(self.known))
        return self.known[atom]

    def typed(self, var: Any) -> str:
        return f"{self.of(var)}:{var.aval.str_short()}"


def _letters(n: int) -> str:
    text = ""
    while True:
        n, digit = divmod(n, 26)
        text = chr(ord("a") + digit) + text
        if n == 0:
            return text
        n -= 1


def _all_programs(value: Any) -> bool:
    return (
        isinstance(value, (tuple, list)) and bool(value) and all(hasattr(v, "eqns") for v in value)
    )


def _param(value: Any) -> str:
    if hasattr(value, "name") and hasattr(value, "itemsize"):
        return dtypes.long_name(value)
    return getattr(value, "__name__", None) or str(value)
