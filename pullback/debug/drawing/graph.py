"""Programs as graphs of nodes to be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...core.program import Atom, ClosedProgram, Equation, Literal, Program, Var

_LONGEST = 300
"""Characters of an equation in a tooltip."""
_WIDEST = 26
"""Characters of a label."""


@dataclass(eq=False)
class Node:
    """A box. `kind` is its class in the picture."""

    kind: str
    label: str
    below: str = ""
    """The second, smaller line."""
    title: str = ""
    """What is shown when the pointer rests on it."""
    x: float = 0.0
    y: float = 0.0

    @property
    def width(self) -> float:
        """In pixels, as far as the text can be foretold."""
        return max(7.3 * len(self.label), 6.1 * len(self.below), 22.0) + 14.0

    @property
    def height(self) -> float:
        """In pixels."""
        return 34.0 if self.below else 22.0


@dataclass(frozen=True)
class Edge:
    """A value on its way. `kind` is its class: data, residual."""

    source: Node
    target: Node
    kind: str = "data"
    title: str = ""


@dataclass
class Graph:
    """Nodes, and the edges between them; each edge goes to a node that stands later."""

    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    made: dict[Var, Node] = field(default_factory=dict)
    """Where each variable comes from."""
    loose: dict[Var, list[Node]] = field(default_factory=dict)
    """For inputs that are not drawn, the nodes that use them."""
    seen: set[Edge] = field(default_factory=set)
    hidden: int = 0
    """Operations that were left out."""
    operations: int = 0

    def add(self, node: Node) -> Node:
        """Add a node."""
        self.nodes.append(node)
        return node

    def connect(self, atom: Atom, target: Node) -> None:
        """An edge from where a value comes from."""
        if type(atom) is not Var:
            return
        if atom in self.loose:
            if target not in self.loose[atom]:
                self.loose[atom].append(target)
        elif atom in self.made:
            edge = Edge(self.made[atom], target, "data", atom.aval.str_short())
            if edge not in self.seen:
                self.seen.add(edge)
                self.edges.append(edge)


@dataclass
class Names:
    """What inputs and outputs are called, and which class the operations have. "": not drawn."""

    inputs: Sequence[str]
    outputs: Sequence[str]
    kind: str = "op"


def graph_of(closed: ClosedProgram, names: Names, most: int) -> Graph:
    """The graph of a program; of one with more than `most` operations the middle is one node."""
    program, graph = closed.program, Graph()
    for var, name in zip(program.invars, names.inputs, strict=True):
        if name:
            node = Node("input", name, var.aval.str_short(), f"input {name}")
            graph.made[var] = graph.add(node)
        else:
            graph.loose[var] = []
    for var, value in zip(program.constvars, closed.consts, strict=True):
        text = f"constant {var.aval.str_short()}\n{value!r:.{_LONGEST}}"
        graph.made[var] = graph.add(Node("const", "constant", var.aval.str_short(), text))
    equations = program.eqns
    graph.operations = len(equations)
    graph.hidden = max(0, len(equations) - most)
    first = (most + 1) // 2 if graph.hidden else len(equations)
    for eq in equations[:first]:
        _add_equation(graph, eq, names.kind)
    if graph.hidden:
        rest = equations[first : first + graph.hidden]
        _add_hidden(graph, rest)
        for eq in equations[first + graph.hidden :]:
            _add_equation(graph, eq, names.kind)
    for atom, name in zip(program.outvars, names.outputs, strict=True):
        if name:
            shown = str(atom.val) if type(atom) is Literal else atom.aval.str_short()
            node = graph.add(Node("output", name, shown, f"output {name}"))
            graph.connect(atom, node)
    _drop_unused(graph)
    return graph


def _add_equation(graph: Graph, eq: Equation, kind: str) -> None:
    node = Node(
        "call" if has_programs(eq) else kind,
        _label(eq),
        " ".join(v.aval.str_short() for v in eq.outvars[:2]) + (" ..." * (len(eq.outvars) > 2)),
        described(eq),
    )
    for atom in eq.invars:
        graph.connect(atom, node)
    graph.add(node)
    graph.made.update(dict.fromkeys(eq.outvars, node))


def _add_hidden(graph: Graph, equations: Sequence[Equation]) -> None:
    node = Node("hidden", f"{len(equations):,} operations", "not drawn", "raise max_nodes")
    inside = {v for eq in equations for v in eq.outvars}
    for eq in equations:
        for atom in eq.invars:
            if atom not in inside:
                graph.connect(atom, node)
    graph.add(node)
    graph.made.update(dict.fromkeys(inside, node))


def _drop_unused(graph: Graph) -> None:
    """Constants that nothing uses are not drawn; inputs always are."""
    used = {e.source for e in graph.edges} | {e.target for e in graph.edges}
    graph.nodes = [n for n in graph.nodes if n.kind != "const" or n in used]


# ---- what is written on a node


def has_programs(eq: Equation) -> bool:
    """Whether the equation stands for programs."""
    return bool(programs_of(eq))


def programs_of(eq: Equation) -> list[tuple[str, ClosedProgram]]:
    """The programs of an equation with their names."""
    found: list[tuple[str, ClosedProgram]] = []
    for key, value in eq.params.items():
        items = value if isinstance(value, (tuple, list)) else (value,)
        several = isinstance(value, (tuple, list)) and len(items) > 1
        for i, item in enumerate(items):
            name = f"branch {i}" if several else key.removesuffix("_jaxpr").replace("jaxpr", "body")
            if isinstance(item, ClosedProgram):
                found.append((name, item))
            elif isinstance(item, Program) and not item.constvars:
                found.append((name, ClosedProgram(item, [])))
    return found


def _label(eq: Equation) -> str:
    name, params = eq.primitive.name, eq.params
    if name == "scan":
        name = f"scan ×{params['length']}"
    elif name == "cond":
        name = f"cond of {len(params['branches'])}"
    elif has_programs(eq) and isinstance(params.get("name"), str):
        name = f"{name} {params['name']}"
    if any(type(a) is Literal for a in eq.invars):
        shown = [str(a.val) if type(a) is Literal else "·" for a in eq.invars]
        name = " ".join([name, *shown])
    return name if len(name) <= _WIDEST else name[: _WIDEST - 1] + "…"


def described(eq: Equation) -> str:
    """The equation and the user's line, for a tooltip."""
    invars = [a for a in dict.fromkeys(eq.invars) if type(a) is Var]
    text = str(Program([], invars, eq.outvars, [eq]))
    text = text.partition("let")[2].rpartition(" in (")[0].strip()
    if len(text) > _LONGEST:
        text = text[:_LONGEST] + " …"
    return text + place_of(eq)


def place_of(eq: Equation) -> str:
    """The user's line on a line of its own, where it is known."""
    origin: Any = getattr(eq.source_info, "line", None)
    if origin is None:
        return ""
    return ("\nin the backward pass of " if origin.backward else "\nat ") + origin.line


def inlined(closed: ClosedProgram) -> ClosedProgram:
    """The program with the equations of the programs that it calls in their place."""
    constvars, consts = list(closed.program.constvars), list(closed.consts)
    equations: list[Equation] = []

    def write(program: Program, env: dict[Var, Atom]) -> list[Atom]:
        def read(atom: Atom) -> Atom:
            return env.get(atom, atom) if type(atom) is Var else atom

        for eq in program.eqns:
            args = [read(a) for a in eq.invars]
            inner = eq.primitive.called_program(eq.params)
            if isinstance(inner, ClosedProgram):
                own: dict[Var, Atom] = dict(zip(inner.program.invars, args, strict=True))
                for var, const in zip(inner.program.constvars, inner.consts, strict=True):
                    own[var] = fresh = Var(var.aval)
                    constvars.append(fresh)
                    consts.append(const)
                env.update(zip(eq.outvars, write(inner.program, own), strict=True))
            else:
                outs = [Var(v.aval) for v in eq.outvars]
                env.update(zip(eq.outvars, outs, strict=True))
                equations.append(eq.replace(invars=args, outvars=outs))
        return [read(a) for a in program.outvars]

    outvars = write(closed.program, {})
    p = closed.program
    return ClosedProgram(Program(constvars, p.invars, outvars, equations, name=p.name), consts)


__all__ = ["Edge", "Graph", "Names", "Node", "graph_of", "inlined", "place_of", "programs_of"]
