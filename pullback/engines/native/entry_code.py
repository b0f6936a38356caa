"""The code of the entry: one C function, written in LLVM IR, through which Python calls kernels.

It knows no program: it goes by records that describe one (`entry_records`). In one call it
compares the settings and the types of the arguments with what a program was made for, collects the
pointers to their data, allocates the results, calls the kernel and wraps the results. If anything
is not as expected it goes on to the next program, and at last to the Python function `slow`.
"""

from __future__ import annotations

from typing import Any

from .entry_leaves import Leaves
from .entry_records import (
    NUMBER_BYTES,
    Build,
    Check,
    Fetch,
    Head,
    Make,
    Node,
    Out,
    Spec,
)
from .entry_writer import NUMPY, OBJECTS, PYTHON, Writer, function
from .layout import Layout
from .text import Module

_MISS = "inttoptr (i64 1 to ptr)"


def write(layout: Layout) -> str:
    """The module. It exports `entry`, and imports Python's and NumPy's functions and OBJECTS."""
    module = Module()
    for name, signature in {**PYTHON, **NUMPY}.items():
        result, _, arguments = signature.partition(" ")
        module.declare(f"declare {result} @{name}{arguments}")
    for name in OBJECTS:
        module.declare(f"@{name} = external global i64")
    module.functions += [_Attempt(module, layout).text(), _entry(module, layout)]
    return module.text()


def _entry(module: Module, layout: Layout) -> str:
    """`self, args, nargs, kwnames`: METH_FASTCALL | METH_KEYWORDS."""
    c = Writer(module)
    head = c.load("%self", layout.data)
    # Only the address is compared; what the thread has as its trace or settings lives on.
    c.need(c.same(_attribute(c, "state", "trace"), "@no_trace"), "slow")
    axes = _attribute(c, "state", "axes")
    c.need(c.same(c.run("PyDict_Size", f"ptr {axes}"), "0", "i64"), "slow")
    combination = _attribute(c, "values", "combination")
    with c.each(c.get(head, Head.COUNT, "i64")) as i:
        programs = c.at(head, 8 * Head.PROGRAMS)
        spec = c.load(c.item(programs, i))
        c.need(c.op(f"icmp ne ptr {spec}, null"), "slow")
        call = ("ptr %args", "i64 %nargs", "ptr %kwnames")
        result = c.call("ptr", "@attempt", f"ptr {spec}", *call, f"ptr {combination}")
        with c.when(c.op(f"icmp ne ptr {result}, {_MISS}")):
            c.line(f"ret ptr {result}")
    c.jump("slow")
    c.start("slow")
    slow = c.get(head, Head.SLOW)
    call = ("ptr %args", "i64 %nargs", "ptr %kwnames")
    c.line(f"ret ptr {c.run('PyObject_Vectorcall', f'ptr {slow}', *call)}")
    c.start("fail")
    c.line("ret ptr null")
    return function("ptr @entry(ptr %self, ptr %args, i64 %nargs, ptr %kwnames)", c)


def _attribute(c: Writer, owner: str, name: str) -> str:
    """A thread's own attribute, without a reference to it."""
    found = c.run("PyObject_GetAttr", f"ptr @{owner}", f"ptr @name_{name}")
    c.need(c.op(f"icmp ne ptr {found}, null"), "fail")
    c.release(found)
    return found


class _Attempt(Leaves):
    """`attempt(spec, args, nargs, kwnames, combination)`: the call of one program.

    The result is a new reference, null with an error set, or 1: these arguments are not for it.
    """

    def __init__(self, module: Module, layout: Layout) -> None:
        super().__init__(module, layout)
        self.made, self.depth = (self.c.variable() for _ in range(2))
        self.result = self.c.variable("ptr", _MISS)

    def text(self) -> str:
        """The function."""
        self.same_call()
        self.open_frame()
        self.collect()
        self.allocate()
        self.run_kernel()
        self.build()
        self.close()
        head = "internal ptr @attempt(ptr %spec, ptr %args, i64 %nargs, ptr %kwnames, ptr %now)"
        return function(f"{head} noinline", self.c)

    def place(self, field: Spec) -> str:
        """A place in the frame."""
        return self.c.op(f"getelementptr i8, ptr {self.frame}, i64 {self.spec(field)}")

    # ---- the same settings, number of arguments and keywords

    def same_call(self) -> None:
        """Go to `unlike` if this program is not for such calls."""
        c = self.c
        c.need(c.same(self.spec(Spec.COMBINATION, "ptr"), "%now"), "unlike")
        updates = c.load("@updates", kind="i64")
        c.need(c.same(self.spec(Spec.UPDATE), updates, "i64"), "unlike")
        c.need(c.same(self.spec(Spec.ARGS), "%nargs", "i64"), "unlike")
        number = c.variable()
        with c.when(c.op("icmp ne ptr %kwnames, null")):
            c.store(c.load("%kwnames", self.layout.size, "i64"), number, "i64")
        given = c.load(number, kind="i64")
        c.need(c.same(self.spec(Spec.KEYWORDS), given, "i64"), "unlike")
        names = self.spec(Spec.NAMES, "ptr")
        with c.each(given) as i:
            have = c.load(c.item("%kwnames", i), self.layout.tuple_items)
            c.need(c.same(have, c.load(c.item(names, i))), "unlike")

    def open_frame(self) -> None:
        """Take the memory of this call from the stack, or the heap if it is a lot."""
        c = self.c
        self.heap, frame = c.variable("ptr", "null"), c.variable("ptr", "null")
        large, small, open_ = c.name("large"), c.name("small"), c.name("open")
        size = self.spec(Spec.FRAME)
        c.branch(c.same(self.spec(Spec.ON_HEAP), "0", "i64"), small, large)
        with c.case(small, open_):
            c.store(c.op(f"alloca i8, i64 {size}, align 64"), frame)
        with c.case(large, open_):
            new = c.run("PyMem_RawMalloc", f"i64 {c.op(f'add i64 {size}, 64')}")
            c.need(c.op(f"icmp ne ptr {new}, null"), "unlike")  # Python says what is wrong
            c.store(new, self.heap)
            c.store(c.aligned(new), frame)
        c.start(open_)
        self.frame = c.load(frame)
        self.owner = self.spec(Spec.OWNER, "ptr")
        # What follows may run other threads and finalisers, which may forget the program.
        c.run("Py_IncRef", f"ptr {self.owner}")
        self.pointers, self.boxes = self.frame, self.place(Spec.AT_BOXES)
        self.outs, self.results = self.place(Spec.AT_OUTS), self.place(Spec.AT_RESULTS)
        self.held_items, self.numbers = self.place(Spec.AT_HELD), self.place(Spec.AT_NUMBERS)
        self.stack = self.place(Spec.AT_STACK)
        self.releases = c.op(f"icmp ne i64 {self.spec(Spec.RELEASES)}, 0")
        self.by_python = c.op(f"icmp ne ptr {self.spec(Spec.RUN, 'ptr')}, null")
        self.device_class = self.spec(Spec.CLASS, "ptr")
        self.on_device = c.op(f"icmp ne ptr {self.device_class}, null")

    # ---- arguments

    def collect(self) -> None:
        """Check all arguments, and write down where their data is."""
        c = self.c
        nodes = self.spec(Spec.NODES, "ptr")
        with c.each(self.spec(Spec.NODE_COUNT)) as i:
            node = c.record(nodes, i, Node)
            self.check(node, self.fetch(node))

    def fetch(self, node: str) -> str:
        """The object of a node."""
        c, layout = self.c, self.layout
        found = c.variable("ptr", "null")
        names = {how: c.name(how.name.lower()) for how in Fetch}
        after = c.name("fetched")
        index = c.get(node, Node.INDEX, "i64")
        parent_place = c.item(self.boxes, c.get(node, Node.PARENT, "i64"))
        how = c.get(node, Node.FETCH, "i64")
        c.go(how, names, "leave")
        with c.case(names[Fetch.ARGUMENT], after):
            c.store(c.load(c.item("%args", index)), found)
        with c.case(names[Fetch.TUPLE], after):
            items = c.at(c.load(parent_place), layout.tuple_items)
            c.store(c.load(c.item(items, index)), found)
        with c.case(names[Fetch.LIST], after):
            items = c.load(c.load(parent_place), layout.list_items)
            c.store(c.load(c.item(items, index)), found)
        with c.case(names[Fetch.DICT], after):
            key = c.get(node, Node.INDEX)
            parent = c.load(parent_place)
            value = c.run("PyDict_GetItemWithError", f"ptr {parent}", f"ptr {key}")
            c.need(c.op(f"icmp ne ptr {value}, null"), "clear")
            c.store(value, found)
        c.start(after)
        return c.load(found)

    def check(self, node: str, x: str) -> None:
        """Go to `leave`, with the result of a miss, unless the object is what the node says."""
        c = self.c
        names = {check: c.name(f"is_{check.name.lower()}") for check in Check}
        after, boxed = c.name("checked"), c.name("boxed")
        kind = c.load(x, self.layout.kind)
        c.go(c.get(node, Node.CHECK, "i64"), names, "leave")
        with c.case(names[Check.LEAF], after):
            self.check_leaf(node, x, kind)
        for check in (Check.TUPLE, Check.LIST):
            with c.case(names[check], boxed):
                c.need(c.same(kind, c.get(node, Node.TYPE)), "leave")
                size = c.load(x, self.layout.size, "i64")
                c.need(c.same(size, c.get(node, Node.COUNT, "i64"), "i64"), "leave")
        with c.case(names[Check.DICT], boxed):
            c.need(c.same(kind, c.get(node, Node.TYPE)), "leave")
            size = c.run("PyDict_Size", f"ptr {x}")
            c.need(c.same(size, c.get(node, Node.COUNT, "i64"), "i64"), "leave")
        with c.case(boxed, after):
            c.store(x, c.item(self.boxes, c.get(node, Node.SLOT, "i64")))
        with c.case(names[Check.SAME], after):
            c.need(c.same(x, c.get(node, Node.DESCR)), "leave")
        with c.case(names[Check.EQUAL], after):
            c.need(c.same(kind, c.get(node, Node.TYPE)), "leave")
            known = c.get(node, Node.DESCR)
            equal = c.run("PyObject_RichCompareBool", f"ptr {x}", f"ptr {known}", "i32 2")
            c.need(c.op(f"icmp sgt i32 {equal}, 0"), "clear")
        c.start(after)

    # ---- results

    def out(self, i: str) -> str:
        """The record of a result."""
        return self.c.record(self.spec(Spec.OUTS, "ptr"), i, Out)

    def allocate(self) -> None:
        """New arrays for the results; those of rank 0 get a place in the frame."""
        c = self.c
        leaves = c.load(self.leaf, kind="i64")
        with c.each(self.spec(Spec.OUT_COUNT)) as i:
            out = self.out(i)
            scalar, array, done = c.name("number"), c.name("new"), c.name("out")
            place = c.item(self.results, i)
            c.branch(c.same(c.get(out, Out.SCALAR, "i64"), "0", "i64"), array, scalar)
            with c.case(scalar, done):
                c.store("null", place)
                c.bump(self.made)
                number = c.op(f"add nuw nsw i64 {leaves}, {i}")
                offset = c.op(f"mul nuw nsw i64 {number}, {NUMBER_BYTES}")
                room = c.op(f"getelementptr i8, ptr {self.numbers}, i64 {offset}")
                c.store(room, c.item(self.outs, i))
            with c.case(array, done):
                descr, rank = c.get(out, Out.DESCR), c.get(out, Out.RANK, "i32")
                c.run("Py_IncRef", f"ptr {descr}")
                form = (f"ptr {descr}", f"i32 {rank}", f"ptr {c.get(out, Out.DIMS)}")
                rest = ("ptr null", "ptr null", "i32 0", "ptr null")
                new = c.run("PyArray_NewFromDescr", "ptr @ndarray", *form, *rest)
                c.need(c.op(f"icmp ne ptr {new}, null"), "fail")
                c.store(new, place)
                c.bump(self.made)
                c.store(c.load(new, self.layout.data), c.item(self.outs, i))
            c.start(done)

    def run_kernel(self) -> None:
        """Find scratch memory, and call the kernel; or call the Python function."""
        c = self.c
        names = ("execute", "other", "python", "machine", "ran")
        execute, other, python, machine, ran = (c.name(name) for name in names)
        c.branch(c.op(f"icmp ne ptr {self.spec(Spec.EXECUTE, 'ptr')}, null"), execute, other)
        with c.case(execute, ran):
            self.run_device()
        c.start(other)
        c.branch(self.by_python, python, machine)
        with c.case(python, ran):
            self.run_python()
        with c.case(machine, ran):
            self.run_machine()
        c.start(ran)

    def run_python(self) -> None:
        """Call the Python function with the values: a tuple of the values of the results."""
        c, layout = self.c, self.layout
        number = c.load(self.leaf, kind="i64")
        arguments = (f"ptr {self.pointers}", f"i64 {number}", "ptr null")
        found = c.run("PyObject_Vectorcall", f"ptr {self.spec(Spec.RUN, 'ptr')}", *arguments)
        c.need(c.op(f"icmp ne ptr {found}, null"), "fail")
        with c.each(self.spec(Spec.OUT_COUNT)) as i:
            value = c.load(c.item(c.at(found, layout.tuple_items), i))
            c.run("Py_IncRef", f"ptr {value}")
            c.store(value, c.item(self.results, i))
        c.release(found)

    def run_device(self) -> None:
        """Call the program of a device with its buffers."""
        c, layout = self.c, self.layout
        fixed = self.spec(Spec.FIXED, "ptr")
        first = c.load(fixed, layout.size, "i64")
        number = c.load(self.leaf, kind="i64")
        given = c.run("PyList_New", f"i64 {c.op(f'add i64 {first}, {number}')}")
        c.need(c.op(f"icmp ne ptr {given}, null"), "fail")
        place = c.load(given, layout.list_items)
        for source, count in ((c.at(fixed, layout.tuple_items), first), (self.pointers, number)):
            with c.each(count) as i:
                item = c.load(c.item(source, i))
                c.run("Py_IncRef", f"ptr {item}")
                c.store(item, c.item(place, i))
            place = c.item(place, count)
        done = c.run("PyObject_CallOneArg", f"ptr {self.spec(Spec.EXECUTE, 'ptr')}", f"ptr {given}")
        with c.when(c.op(f"icmp ne ptr {done}, null")):
            self.delete_given(given, first)
        c.release(given)
        c.need(c.op(f"icmp ne ptr {done}, null"), "clear")  # Python tries again, and explains
        pair = c.op("alloca [2 x ptr]")
        c.store(done, pair)
        c.store(self.spec(Spec.HANDLERS, "ptr"), c.at(pair, 8))
        call = (f"ptr {self.spec(Spec.METHOD, 'ptr')}", f"ptr {pair}", "i64 2", "ptr null")
        found = c.run("PyObject_VectorcallMethod", *call)
        c.release(done)
        c.need(c.op(f"icmp ne ptr {found}, null"), "clear")
        items = c.load(found, layout.list_items)
        with c.each(self.spec(Spec.OUT_COUNT)) as i:
            value = c.load(c.item(items, i))
            c.run("Py_IncRef", f"ptr {value}")
            c.store(value, c.item(self.results, i))
        c.release(found)

    def delete_given(self, buffers: str, first: str) -> None:
        """Have the buffers that were donated deleted: XLA leaves those that NumPy has views of."""
        c = self.c
        place = c.item(c.load(buffers, self.layout.list_items), first)
        numbers = self.spec(Spec.GIVEN, "ptr")
        with c.each(self.spec(Spec.GIVEN_COUNT)) as i:
            buffer = c.item(place, c.load(c.item(numbers, i), kind="i64"))
            call = (f"ptr {self.spec(Spec.DELETE, 'ptr')}", f"ptr {buffer}", "i64 1", "ptr null")
            nothing = c.run("PyObject_VectorcallMethod", *call)
            c.need(c.op(f"icmp ne ptr {nothing}, null"), "clear")
            c.release(nothing)

    def run_machine(self) -> None:
        """Find scratch memory, and call the kernel."""
        c = self.c
        own, arena = c.variable("i64"), c.variable("ptr", "null")
        inside, apart, ready = c.name("inside"), c.name("apart"), c.name("ready")
        at = self.spec(Spec.AT_ARENA)
        scratch = c.at("%spec", 8 * Spec.SCRATCH)
        c.branch(c.op(f"icmp sge i64 {at}, 0"), inside, apart)
        with c.case(inside, ready):
            c.store(c.op(f"getelementptr i8, ptr {self.frame}, i64 {at}"), arena)
        with c.case(apart, ready):
            # One call takes the memory that is kept; another at the same time finds null.
            c.store(c.op(f"atomicrmw xchg ptr {scratch}, i64 0 seq_cst"), own, "i64")
            with c.when(c.same(c.load(own, kind="i64"), "0", "i64")):
                size = c.op(f"add i64 {self.spec(Spec.ARENA)}, 64")
                new = c.run("PyMem_RawMalloc", f"i64 {size}")
                c.need(c.op(f"icmp ne ptr {new}, null"), "no_memory")
                c.store(c.op(f"ptrtoint ptr {new} to i64"), own, "i64")
            c.store(c.aligned(c.load(own)), arena)
        c.start(ready)
        thread = c.variable("ptr", "null")
        with c.when(self.releases):
            c.store(c.run("PyEval_SaveThread"), thread)
        where = (f"ptr {x}" for x in (self.pointers, self.outs, c.load(arena)))
        status = c.call("i32", self.spec(Spec.KERNEL, "ptr"), *where)
        with c.when(self.releases):
            c.run("PyEval_RestoreThread", f"ptr {c.load(thread)}")
        self.return_scratch(own, scratch)
        with c.when(c.op(f"icmp ne i32 {status}, 0")):
            code = c.run("PyLong_FromLong", f"i64 {c.op(f'sext i32 {status} to i64')}")
            c.need(c.op(f"icmp ne ptr {code}, null"), "fail")
            on_error = self.spec(Spec.ON_ERROR, "ptr")
            c.release(c.run("PyObject_CallOneArg", f"ptr {on_error}", f"ptr {code}"))
            c.release(code)
            c.jump("fail")

    def return_scratch(self, own: str, scratch: str) -> None:
        """Keep the memory for the next call, or free it."""
        c = self.c
        with c.when(c.op(f"icmp ne i64 {c.load(own, kind='i64')}, 0")):
            with c.when(c.op(f"icmp ne i64 {self.spec(Spec.KEEPS_SCRATCH)}, 0")):
                mine = c.load(own, kind="i64")
                before = c.op(f"atomicrmw xchg ptr {scratch}, i64 {mine} seq_cst")
                c.store(before, own, "i64")
            left = c.op(f"inttoptr i64 {c.load(own, kind='i64')} to ptr")
            c.run("PyMem_RawFree", f"ptr {left}")

    def build(self) -> None:
        """The tree of the results."""
        c = self.c
        steps = self.spec(Spec.BUILD, "ptr")
        with c.each(self.spec(Spec.BUILD_COUNT)) as i:
            step = c.record(steps, i, Build)
            number = c.get(step, Build.COUNT, "i64")
            names = {make: c.name(f"make_{make.name.lower()}") for make in Make}
            after = c.name("built")
            new = c.variable("ptr", "null")
            c.go(c.get(step, Build.KIND, "i64"), names, "fail")
            with c.case(names[Make.LEAF], after):
                c.store(self.wrap(number), new)
            with c.case(names[Make.NONE], after):
                c.run("Py_IncRef", "ptr @None")
                c.store("@None", new)
            self.build_rows(step, number, names, new, after)
            with c.case(names[Make.DICT], after):
                c.store(self.new_dict(step, number), new)
            c.start(after)
            c.store(c.load(new), c.item(self.stack, c.bump(self.depth)))

    def build_rows(self, step: str, number: str, names: Any, new: str, after: str) -> None:
        """Tuples, named tuples and lists: the last `number` entries of the stack."""
        c, layout = self.c, self.layout
        rows = {
            Make.TUPLE: lambda: c.run("PyTuple_New", f"i64 {number}"),
            Make.NAMED: lambda: c.run(
                "PyType_GenericAlloc", f"ptr {c.get(step, Build.TYPE)}", f"i64 {number}"
            ),
            Make.LIST: lambda: c.run("PyList_New", f"i64 {number}"),
        }
        for make, allocate in rows.items():
            with c.case(names[make], after):
                row = allocate()
                c.need(c.op(f"icmp ne ptr {row}, null"), "fail")
                items = c.at(row, layout.tuple_items)
                if make is Make.LIST:
                    items = c.load(row, layout.list_items)
                first = self.pop(number)
                with c.each(number) as i:
                    c.store(c.load(c.item(first, i)), c.item(items, i))
                c.store(row, new)

    def pop(self, number: str) -> str:
        """Take the last `number` entries off the stack; where they begin."""
        c = self.c
        left = c.op(f"sub i64 {c.load(self.depth, kind='i64')}, {number}")
        c.store(left, self.depth, "i64")
        return c.item(self.stack, left)

    def wrap(self, number: str) -> str:
        """One result as an array."""
        c = self.c
        there, here, wrapped = c.name("there"), c.name("here"), c.name("wrapped")
        array = c.variable("ptr", "null")
        c.branch(self.on_device, there, here)
        with c.case(there, wrapped):
            c.store(self.wrap_buffer(number), array)
        with c.case(here, wrapped):
            c.store(self.wrap_value(number), array)
        c.start(wrapped)
        return c.load(array)

    def wrap_buffer(self, number: str) -> str:
        """A buffer in an array like the template."""
        c = self.c
        place = c.item(self.results, number)
        template = c.get(self.out(number), Out.TEMPLATE)
        array = c.run("PyType_GenericAlloc", f"ptr {self.device_class}", "i64 0")
        c.need(c.op(f"icmp ne ptr {array}, null"), "fail")
        words = c.op(f"lshr i64 {c.op(f'sub i64 {self.spec(Spec.BYTES)}, 16')}, 3")
        with c.each(words) as i:
            value = c.load(c.item(c.at(template, 16), i))
            c.run("Py_IncRef", f"ptr {value}")
            c.store(value, c.item(c.at(array, 16), i))
        slot = c.op(f"getelementptr i8, ptr {array}, i64 {self.spec(Spec.BUFFER)}")
        c.store(c.load(place), slot)
        c.store("null", place)
        return array

    def wrap_value(self, number: str) -> str:
        """A value of NumPy's in a HostArray."""
        c, layout = self.c, self.layout
        out = self.out(number)
        place = c.item(self.results, number)
        value = c.variable("ptr", "null")
        c.store(c.load(place), value)
        with c.when(c.same(c.load(value), "null")):
            descr = c.get(out, Out.DESCR)
            room = c.load(c.item(self.outs, number))
            scalar = c.run("PyArray_Scalar", f"ptr {room}", f"ptr {descr}", "ptr null")
            c.need(c.op(f"icmp ne ptr {scalar}, null"), "fail")
            c.store(scalar, value)
            c.store(scalar, place)
        array = c.run("PyType_GenericAlloc", "ptr @HostArray", "i64 0")
        c.need(c.op(f"icmp ne ptr {array}, null"), "fail")
        c.store("null", place)
        c.store(c.load(value), c.at(array, layout.value))
        for field, offset in ((Out.WEAK, layout.weak), (Out.AVAL, layout.aval)):
            c.run("Py_IncRef", f"ptr {c.get(out, field)}")
            c.store(c.get(out, field), c.at(array, offset))
        return array

    def new_dict(self, step: str, number: str) -> str:
        """A dict of the last `number` entries of the stack; they stay there if it fails."""
        c = self.c
        new = c.run("PyDict_New")
        c.need(c.op(f"icmp ne ptr {new}, null"), "fail")
        left = c.op(f"sub i64 {c.load(self.depth, kind='i64')}, {number}")
        first, keys = c.item(self.stack, left), c.get(step, Build.KEYS)
        with c.each(number) as i:
            key, value = c.load(c.item(keys, i)), c.load(c.item(first, i))
            bad = c.run("PyDict_SetItem", f"ptr {new}", f"ptr {key}", f"ptr {value}")
            with c.when(c.op(f"icmp ne i32 {bad}, 0")):
                c.release(new)
                c.jump("fail")
        with c.each(number) as i:
            c.release(c.load(c.item(first, i)))
        c.store(left, self.depth, "i64")
        return new

    # ---- the end

    def close(self) -> None:
        """Return the result, after what was held is let go."""
        c = self.c
        whole = c.load(self.stack)
        finish = self.spec(Spec.FINISH, "ptr")
        c.store(whole, self.result)
        with c.when(c.op(f"icmp ne ptr {finish}, null")):
            c.store(c.run("PyObject_CallOneArg", f"ptr {finish}", f"ptr {whole}"), self.result)
            c.release(whole)
        c.bump(c.at("%spec", 8 * Spec.CALLS))
        c.jump("leave")
        c.start("unlike")
        c.line(f"ret ptr {_MISS}")
        c.start("no_memory")
        c.run("PyErr_NoMemory")
        c.jump("fail")
        c.start("fail")
        c.release_all(self.results, self.made)
        c.release_all(self.stack, self.depth)
        c.store("null", self.result)
        c.jump("leave")
        c.start("clear")
        c.run("PyErr_Clear")
        c.jump("leave")
        c.start("leave")
        c.release_all(self.held_items, self.held)
        c.release(self.owner)
        c.run("PyMem_RawFree", f"ptr {c.load(self.heap)}")
        c.line(f"ret ptr {c.load(self.result)}")


__all__ = ["write"]
