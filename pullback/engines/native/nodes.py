"""Large arrays that are not computed yet: trees of elementwise operations over arrays in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

from .buffers import Buffer
from .kinds import Kind
from .registers import Lanes
from .site import Operation

DEEP = 32
"""Operations upon operations that functions calling themselves go through without a stop."""
CHEAP = 6
"""Cost up to which a value is computed again for each loop that needs it, instead of stored."""
CHEAP_WITHOUT_MEMORY = 24
"""The same of a large value for which hardly any memory is read."""
LARGE = 1 << 12
"""Elements of a value which takes longer to store and to read than to compute."""
FEW = 16
"""How many times more elements a value has than an array of which it is said that it is hardly
any memory to read."""


class Node:
    """An array of some shape; rank 0 stands for any shape.

    Attributes:
      cost: the work to compute one element from what is in memory, in additions.
    """

    __slots__ = ("cost", "kind", "shape")

    def __init__(self, kind: Kind, shape: Sequence[int], cost: int = 0) -> None:
        self.kind, self.shape, self.cost = kind, tuple(shape), cost


class InMemory(Node):
    """Elements in memory, or that will be when `sink` is done."""

    __slots__ = ("buffer", "mark", "sink")

    def __init__(self, buffer: Buffer, sink: Sink | None = None) -> None:
        super().__init__(buffer.kind, buffer.shape)
        self.buffer, self.sink = buffer, sink
        self.mark = object()
        """What its elements in registers are known by, which shall not keep the memory taken."""


class Scalar(Node):
    """One element in registers."""

    __slots__ = ("lanes",)

    def __init__(self, lanes: Lanes) -> None:
        super().__init__(lanes.kind, ())
        self.lanes = lanes


class Total(Node):
    """What a reduction over all axes gives: known when `sink` is done. Loops see a Scalar."""

    __slots__ = ("sink",)

    def __init__(self, kind: Kind, sink: Reduce) -> None:
        super().__init__(kind, ())
        self.sink = sink


class Counting(Node):
    """The sum of the positions along all axes, each times its stride: 0, 1, 2, ... along one axis.

    Along the last axis that is longer than 1 the stride is 0 or 1. `first` is the first number.
    """

    __slots__ = ("first", "strides")

    def __init__(
        self, kind: Kind, shape: Sequence[int], strides: Sequence[int], first: int = 0
    ) -> None:
        super().__init__(kind, shape, 1)
        self.strides = tuple(strides)
        """As if the numbers stood in memory: where dimensions can be merged."""
        self.first = first


class Applied(Node):
    """An operation on arrays of this shape.

    Attributes:
      uses: how many equations and outputs of the program need it.
      seen: how many of them have been served.
      sink: what writes it to memory, if something does; then it is read from there.
      depth: how many operations stand upon each other.
    """

    __slots__ = ("arguments", "depth", "operation", "params", "seen", "sink", "uses")

    @property
    def own(self) -> int:
        """The work of the operation alone; `cost` has that of its arguments too, each time."""
        return int(self.operation.cost)

    def __init__(
        self,
        operation: Operation,
        params: dict[str, Any],
        arguments: Sequence[Node],
        kind: Kind,
        shape: Sequence[int],
        uses: int,
    ) -> None:
        work, depth = operation.cost, 0
        for a in arguments:
            if type(a) is Applied:
                if stored(a):  # it is read, not computed again
                    work += 1
                    continue
                depth = max(depth, a.depth)
            work += a.cost
        super().__init__(kind, shape, min(work, 1 << 20))
        self.operation, self.params, self.arguments = operation, params, list(arguments)
        self.depth: int = depth + 1
        self.uses, self.seen = uses, 0
        self.sink: Store | None = None


# ---- what loops do with nodes


class Sink:
    """A node that a loop over its elements evaluates.

    Attributes:
      node: what is evaluated; once that is done, what holds the result.
      axes: those that are reduced.
      done: whether the loop has been written.
    """

    axes: tuple[int, ...] = ()

    def __init__(self, node: Node, shape: Sequence[int]) -> None:
        self.node, self.shape, self.done = node, tuple(shape), False

    def finished(self) -> None:
        """The loop has been written: what it read need not stay in memory for this."""
        self.done = True
        self.node = self._result()

    def _result(self) -> Node:
        raise NotImplementedError


class Store(Sink):
    """Write each element to `buffer`, of the same shape."""

    def __init__(self, node: Node, buffer: Buffer) -> None:
        super().__init__(node, buffer.shape)
        self.buffer = buffer

    def finished(self) -> None:
        node = self.node
        super().finished()
        if type(node) is Applied and stored(node):
            node.arguments = []

    def _result(self) -> Node:
        return InMemory(self.buffer)


class Reduce(Sink):
    """Combine the elements along `axes`; `buffer` has the other axes.

    Attributes:
      how: the name of a row of `reducing.REDUCTIONS`.
      result: of a reduction over all axes: the scalar in registers, when done.
    """

    def __init__(
        self, node: Node, shape: Sequence[int], axes: Sequence[int], how: str, buffer: Any
    ) -> None:
        super().__init__(node, shape)
        self.axes, self.how = tuple(sorted(axes)), how
        self.buffer: Buffer | None = buffer
        self.result: Lanes | None = None

    def _result(self) -> Node:
        if self.buffer is not None:
            return InMemory(self.buffer)
        assert self.result is not None
        return Scalar(self.result)


def walk(roots: Sequence[Node]) -> list[Node]:
    """Every node that loops over `roots` evaluate, each once; leaves as well."""
    found: dict[Node, None] = {}
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node in found:
            continue
        found[node] = None
        if type(node) is Applied and (node.sink is None or not node.sink.done):
            waiting += node.arguments
    return list(found)


def steps(root: Applied) -> Iterator[Applied]:
    """Every `DEEP`th operation towards `root`, those that others need first."""
    seen: set[Node] = set()
    waiting: list[tuple[Node, bool]] = [(root, False)]
    while waiting:
        node, ready = waiting.pop()
        if type(node) is not Applied or stored(node):
            continue
        if ready:
            if node.depth % DEEP == 0:
                yield node
        elif node not in seen:
            seen.add(node)
            waiting.append((node, True))
            waiting += [(a, False) for a in reversed(node.arguments)]


def cheap(node: Node) -> bool:
    """Whether to compute it again for each loop that needs it is less work than to store it."""
    if node.cost <= CHEAP:
        return True
    return (
        node.cost <= CHEAP_WITHOUT_MEMORY and prod(node.shape) >= LARGE and _without_memory([node])
    )


def _without_memory(roots: Sequence[Node]) -> bool:
    most = prod(roots[0].shape) // FEW
    for node in walk(roots):
        buffer = node.buffer if isinstance(node, InMemory) else None
        if type(node) is Applied and stored(node):
            buffer = node.sink.buffer  # type: ignore[union-attr]
        if buffer is not None and buffer.varied > most:
            return False
    return True


def stored(node: Applied) -> bool:
    """Whether it is in memory by now."""
    return node.sink is not None and node.sink.done
