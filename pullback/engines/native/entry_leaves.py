"""The code of the entry for the leaves of the arguments: arrays, NumPy's arrays, numbers, buffers.

Each must be of the type that the program was made for; then where its elements are is written down.
"""

from __future__ import annotations

from .entry_records import NUMBER_BYTES, Convert, Node, Spec
from .entry_writer import Writer
from .layout import READY, Layout
from .text import Module


class Leaves:
    """The part of `attempt` that is about one leaf."""

    numbers: str
    """Where numbers are put."""
    pointers: str
    """Where the addresses of the elements, or what stands for them, are collected."""
    held_items: str
    """Where what must live until the end is collected."""
    by_python: str
    """Whether a Python function is called in the place of a kernel."""
    on_device: str
    """Whether the arrays are those of a device, of which buffers are collected."""
    device_class: str
    releases: str
    """Whether others may run meanwhile."""

    def __init__(self, module: Module, layout: Layout) -> None:
        self.layout = layout
        self.c = Writer(module)
        self.leaf, self.held = self.c.variable(), self.c.variable()
        self.data = self.c.variable("ptr", "null")

    def spec(self, field: Spec, kind: str = "i64") -> str:
        """A field of the program's record."""
        return self.c.get("%spec", field, kind)

    def check_leaf(self, node: str, x: str, kind: str) -> None:
        """An array or a number of the right type: its data, or buffer, is written down."""
        c = self.c
        buffer, memory, done = c.name("buffer"), c.name("memory"), c.name("leaf")
        c.branch(self.on_device, buffer, memory)
        with c.case(buffer, done):
            self.check_buffer(node, x, kind)
        with c.case(memory, done):
            self.check_memory(node, x, kind)
        c.start(done)
        number = c.bump(self.leaf)
        c.store(c.load(self.data), c.item(self.pointers, number))

    def check_buffer(self, node: str, x: str, kind: str) -> None:
        """An array of a device, or one in memory that has a buffer there: its buffer."""
        c, layout = self.c, self.layout
        there, here, found = c.name("there"), c.name("here"), c.name("found")
        c.branch(c.same(kind, self.device_class), there, here)
        with c.case(there, found):
            place = c.op(f"getelementptr i8, ptr {x}, i64 {self.spec(Spec.BUFFER)}")
            c.store(c.load(place), self.data)
            with c.when(c.op(f"icmp ne i64 {c.get(node, Node.GIVEN, 'i64')}, 0")):
                # A view of NumPy's that the array keeps would keep the memory from being taken.
                view = c.op(f"getelementptr i8, ptr {x}, i64 {self.spec(Spec.VIEW)}")
                old = c.load(view)
                c.run("Py_IncRef", "ptr @None")
                c.store("@None", view)
                c.release(old)
        with c.case(here, found):
            # What is done with an array in memory that is donated, Python knows.
            c.need(c.same(c.get(node, Node.GIVEN, "i64"), "0", "i64"), "leave")
            c.need(c.same(kind, "@HostArray"), "leave")
            c.store(c.load(x, layout.buffer), self.data)
        c.start(found)
        c.need(c.same(c.load(x, layout.aval), c.get(node, Node.AVAL)), "leave")
        c.need(c.op(f"icmp ne ptr {c.load(self.data)}, null"), "leave")

    def check_memory(self, node: str, x: str, kind: str) -> None:
        """An array in memory, or a number: its data."""
        c = self.c
        wrapped, other, python, value = (c.name(n) for n in ("wrapped", "other", "python", "value"))
        raw, done = c.name("raw"), c.name("noted")
        inner, foreign = c.variable("ptr", "null"), c.variable("i1", "false")
        c.store("false", foreign, "i1")
        c.branch(c.same(kind, "@HostArray"), wrapped, other)
        with c.case(wrapped, value):
            weak = c.load(x, self.layout.weak)
            c.need(c.same(weak, c.get(node, Node.WEAK)), "leave")
            held = c.load(x, self.layout.value)
            c.need(c.op(f"icmp ne ptr {held}, null"), "leave")
            c.store(held, inner)
        c.start(other)
        c.branch(c.same(kind, c.get(node, Node.PYTHON)), python, raw)
        with c.case(raw, value):
            c.need(c.op(f"icmp ne i64 {c.get(node, Node.RAW, 'i64')}, 0"), "leave")
            c.store(x, inner)
            with c.when(c.same(kind, "@ndarray")):
                c.store("true", foreign, "i1")
                self.narrow(node, x, inner, foreign)
        with c.case(python, done):
            self.convert(node, x)
            with c.when(self.by_python):
                descr, number = c.get(node, Node.DESCR), c.load(self.data)
                self.own(c.run("PyArray_Scalar", f"ptr {number}", f"ptr {descr}", "ptr null"))
        with c.case(value, done):
            self.check_value(node, c.load(inner))
            with c.when(self.by_python):
                c.store(c.load(inner), self.data)
                # The result may be a view of it, and its owner may change it.
                with c.when(c.load(foreign, kind="i1")):
                    self.own(c.run("PyArray_NewCopy", f"ptr {c.load(inner)}", "i32 0"))
        c.start(done)

    def narrow(self, node: str, x: str, inner: str, foreign: str) -> None:
        """An array of 64-bit numbers, where they stand for 32-bit ones, is converted."""
        c = self.c
        wide = c.get(node, Node.WIDE)
        with c.when(c.same(c.load(x, self.layout.descr), wide)):
            descr = c.get(node, Node.DESCR)
            c.run("Py_IncRef", f"ptr {descr}")
            self.own(c.run("PyArray_CastToType", f"ptr {x}", f"ptr {descr}", "i32 0"))
            c.store(c.load(self.data), inner)
            c.store("false", foreign, "i1")

    def check_value(self, node: str, x: str) -> None:
        """A NumPy array, or scalar, of the right type."""
        c, layout = self.c, self.layout
        array, scalar, done = c.name("array"), c.name("scalar"), c.name("valued")
        kind = c.load(x, layout.kind)
        rank = c.get(node, Node.COUNT, "i64")
        c.branch(c.same(kind, "@ndarray"), array, scalar)
        with c.case(scalar, done):
            c.need(c.same(rank, "0", "i64"), "leave")
            c.need(c.same(kind, c.get(node, Node.TYPE)), "leave")
            c.store(c.at(x, layout.number), self.data)
            with c.when(self.releases):
                self.hold(x)
        with c.case(array, done):
            have = c.op(f"sext i32 {c.load(x, layout.rank, 'i32')} to i64")
            c.need(c.same(have, rank, "i64"), "leave")
            c.need(c.same(c.load(x, layout.descr), c.get(node, Node.DESCR)), "leave")
            dims, wanted = c.load(x, layout.dims), c.get(node, Node.DIMS)
            with c.each(rank) as i:
                d = c.load(c.item(dims, i), kind="i64")
                c.need(c.same(d, c.load(c.item(wanted, i), kind="i64"), "i64"), "leave")
            self.ready_data(x)
        c.start(done)

    def ready_data(self, x: str) -> None:
        """The data of an array, that of a copy if it is not contiguous or not aligned."""
        c, layout = self.c, self.layout
        ready, strided, done = c.name("ready"), c.name("strided"), c.name("data")
        flags = c.op(f"and i32 {c.load(x, layout.flags, 'i32')}, {READY}")
        fits = c.same(flags, str(READY), "i32")
        c.branch(c.op(f"or i1 {fits}, {self.by_python}"), ready, strided)
        with c.case(ready, done):
            c.store(c.load(x, layout.data), self.data)
            # Others may take it out of its container while the lock is released.
            with c.when(self.releases):
                self.hold(x)
        with c.case(strided, done):
            self.own(c.run("PyArray_NewCopy", f"ptr {x}", "i32 0"))
            c.store(c.load(c.load(self.data), layout.data), self.data)
        c.start(done)

    def own(self, new: str) -> None:
        """Take over a new object, or fail; it is what the leaf is."""
        c = self.c
        c.need(c.op(f"icmp ne ptr {new}, null"), "fail")
        c.store(new, c.item(self.held_items, c.bump(self.held)))
        c.store(new, self.data)

    def hold(self, x: str) -> None:
        """Keep an object until the call is over."""
        c = self.c
        c.run("Py_IncRef", f"ptr {x}")
        c.store(x, c.item(self.held_items, c.bump(self.held)))

    def convert(self, node: str, x: str) -> None:
        """A Python number, as an element of the leaf's type."""
        c, number = self.c, self.layout.number
        names = {how: c.name(how.name.lower()) for how in Convert if how}
        after = c.name("converted")
        offset = c.op(f"mul nuw nsw i64 {c.load(self.leaf, kind='i64')}, {NUMBER_BYTES}")
        place = c.op(f"getelementptr i8, ptr {self.numbers}, i64 {offset}")
        c.store(place, self.data)
        c.go(c.get(node, Node.CONVERT, "i64"), names, "leave")
        for how, parts in ((Convert.FLOAT32, 1), (Convert.COMPLEX64, 2)):
            with c.case(names[how], after):
                for k in range(parts):
                    wide = c.load(x, number + 8 * k, "double")
                    narrow = c.op(f"fptrunc double {wide} to float")
                    c.store(narrow, c.at(place, 4 * k), "float")
        for how in (Convert.FLOAT64, Convert.COMPLEX128):
            with c.case(names[how], after):
                c.store(c.at(x, number), self.data)
                with c.when(self.releases):
                    self.hold(x)
        for how, bits in ((Convert.INT32, 32), (Convert.INT64, 64)):
            with c.case(names[how], after):
                self.convert_integer(x, place, bits)
        with c.case(names[Convert.BOOL], after):
            is_true = c.op(f"zext i1 {c.same(x, '@True')} to i8")
            c.store(is_true, place, "i8")
        c.start(after)

    def convert_integer(self, x: str, place: str, bits: int) -> None:
        """A Python integer, if it fits; others are left to Python, which says what is wrong."""
        c = self.c
        value = c.run("PyLong_AsLongLong", f"ptr {x}")
        with c.when(c.same(value, "-1", "i64")):
            c.need(c.same(c.run("PyErr_Occurred"), "null"), "clear")
        if bits == 32:
            narrow = c.op(f"trunc i64 {value} to i32")
            c.need(c.same(c.op(f"sext i32 {narrow} to i64"), value, "i64"), "leave")
            value = narrow
        c.store(value, place, f"i{bits}")


__all__ = ["Leaves"]
