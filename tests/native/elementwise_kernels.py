"""Kernels of one elementwise operation, for the tests: arrays in, array out, at several widths."""

import ctypes
import math

import numpy as np

from pullback.core import dtypes
from pullback.core.types import array_type
from pullback.engines.native import kinds, machine
from pullback.engines.native.kinds import kind_of
from pullback.engines.native.operations.table import OPERATIONS
from pullback.engines.native.site import Site
from pullback.engines.native.text import Code, Module

WIDTHS = (0, 7, 16)


def out_type(primitive, in_dtypes, params):
    return primitive.typing(*[array_type((3,), d) for d in in_dtypes], **params).dtype


def _function(module, width, operation, in_dtypes, out_dtype, params, constants=()):
    inputs, out = tuple(kind_of(d) for d in in_dtypes), kind_of(out_dtype)
    code = Code(module)
    pointers = [
        code.op(f"load ptr, ptr {code.at('%in', 8 * i)}, align 8") for i in range(len(inputs))
    ]
    target = code.op("load ptr, ptr %out, align 8")

    def body(i, values):
        words = [
            kinds.load(code, kind, code.op(f"getelementptr i8, ptr {p}, i64 {at}"), width)
            for kind, p, at in (
                (kind, p, code.times(i, kind.size)) for kind, p in zip(inputs, pointers)
            )
        ]
        for at, value in dict(constants).items():
            words[at] = kinds.constant(value, inputs[at], width)
        word = operation.emit(Site(code, inputs, out, width), *words, **params)
        kinds.store(code, out, word, code.at(target, code.times(i, out.size)), width)

    code.loop("%count", body, step=width or 1)
    code.line("ret i32 0")
    lines = "\n".join(code.whole.flat())
    module.functions.append(
        f"define i32 @kernel{width}(ptr %in, ptr %out, i64 %count) {{\nentry:\n{lines}\n}}"
    )


def build(primitive, in_dtypes, params, widths=WIDTHS, constants=()):
    """What computes the primitive at each width: functions of arrays of one length.

    `constants` are numbers, by index, that stand in the code in place of an operand.
    """
    out = out_type(primitive, in_dtypes, params)
    module = Module()
    for width in widths:
        _function(module, width, OPERATIONS[primitive], in_dtypes, out, params, constants)
    names = [f"kernel{width}" for width in widths]
    loaded = machine.load(machine.assemble(module.text()), module.symbols, names)
    return {
        width: _callable(loaded, f"kernel{width}", width or 1, out_dtype=np.dtype(out))
        for width in widths
    }


def _callable(loaded, name, step, out_dtype):
    kernel = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 2, ctypes.c_int64)(
        loaded.addresses[name]
    )

    def run(*arrays):
        count = arrays[0].size
        padded = -(-count // step) * step
        filled = [np.resize(np.ascontiguousarray(a), padded) for a in arrays]
        result = np.empty(padded, out_dtype)
        pointers = (ctypes.c_void_p * len(filled))(*[a.ctypes.data for a in filled])
        target = (ctypes.c_void_p * 1)(result.ctypes.data)
        assert kernel(pointers, target, padded) == 0
        return result[:count]

    run.loaded = loaded  # the code lives as long as its caller
    return run


# ---- values


def edges(dtype):
    """The numbers of a dtype at which mistakes show."""
    dtype = np.dtype(dtype)
    family = dtypes.kind(dtype)
    if family == "b":
        return np.array([False, True])
    if family in "iu":
        info = np.iinfo(dtype)
        found = {0, 1, 2, 3, 5, 7, 8, 31, 32, 63, 64, 100, info.max, info.max - 1, info.max // 2}
        found |= {info.max // 3, info.bits - 1, info.bits}
        if family == "i":
            found |= {-1, -2, -3, -8, -100, info.min, info.min + 1, info.min // 2}
        return np.array(sorted(found)).astype(dtype) if family == "i" else _unsigned(found, dtype)
    if family == "c":
        big = np.finfo(dtype).max
        parts = [
            0.0,
            -0.0,
            1,
            -1,
            0.5,
            -2.5,
            3e-8,
            710.0,
            -710.0,
            1e30,
            big / 2,
            np.finfo(dtype).tiny,
        ]
        parts = np.array([*parts, np.inf, -np.inf, np.nan], f"f{dtype.itemsize // 2}")
        re, im = (g.ravel() for g in np.meshgrid(parts, parts))
        out = np.empty(re.size, dtype)
        out.real, out.imag = re, im
        return out
    info = dtypes.finfo(dtype)
    values = [0.0, 0.5, 1, 1.5, 2, 2.5, 3, np.pi, 1e-3, 100.3, 1e4, np.inf, np.nan]
    values += [float(info.max), float(info.tiny), float(info.tiny) / 4, float(info.eps)]
    values += [1 + float(info.eps), 1 - float(info.eps) / 2, 0.49999997]
    values += [127.5, 128.0, 255.5, 256.0, 32768.0, 65504.0, 2.0**31, 2.0**32, 2.0**63, 2.0**64]
    with np.errstate(over="ignore"):
        return np.array(values + [-v for v in values]).astype(dtype)


def _unsigned(found, dtype):
    return np.array(sorted(found), np.uint64).astype(dtype)


def randoms(dtype, count, seed):
    """Random numbers of a dtype: any bits of integers, several scales of floats."""
    dtype = np.dtype(dtype)
    rng = np.random.default_rng(seed)
    family = dtypes.kind(dtype)
    if family == "b":
        return rng.random(count) < 0.5
    if family in "iu":
        info = np.iinfo(dtype)
        wild = rng.integers(info.min, info.max, count, dtype, endpoint=True)
        small = rng.integers(max(info.min, -9), 9, count).astype(dtype)
        return np.where(rng.random(count) < 0.5, wild, small)
    if family == "c":
        parts = [randoms(f"f{dtype.itemsize // 2}", count, seed + k) for k in (1, 2)]
        out = np.empty(count, dtype)
        out.real, out.imag = parts
        return out
    scale = 10.0 ** rng.integers(-3, 3, count)
    with np.errstate(over="ignore"):
        return (rng.standard_normal(count) * scale).astype(dtype)


def operands(in_dtypes, seed=0, count=300, most=3000):
    """One array for each operand: edges with edges, and random numbers with random ones."""
    lists = [edges(d) for d in in_dtypes]
    sizes = [len(a) for a in lists]
    picks = np.arange(math.prod(sizes))
    if picks.size > most:
        picks = np.random.default_rng(seed).integers(0, picks.size, most)
    grids = [a[at] for a, at in zip(lists, np.unravel_index(picks, sizes))]
    return [
        np.concatenate([g, randoms(d, count, seed + 10 * i)])
        for i, (g, d) in enumerate(zip(grids, in_dtypes))
    ]
