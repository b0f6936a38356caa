"""Against the limit: hand-written C for elementwise programs, BLAS for products of matrices.

Each is measured twice: as Python calls it, and inside, where C calls the code in a loop and only
the machine code of both is compared. The second needs the native engine.
"""

from __future__ import annotations

import ctypes
import importlib.util
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import pullback
import pullback.numpy as pnp

from .native_programs import Program, Programs
from .native_timing import MOST_ROUNDS, ROUND_SECONDS, Contender, Row, Section, check_equal, race

FOLDER = Path(__file__).resolve().parent
SIDES = (8, 16, 32, 64, 128)
N = 10_000


def sections(engine: Callable[..., str]) -> list[Section]:
    """Both tables for C and for BLAS."""
    library, gemm = build(), blas_sgemm()
    chains = {"20 additions and multiplications, 1e4": ("arithmetic", "arithmetic_chain")}
    chains["sigmoid of a*b + c, 1e4"] = ("sigmoid", "sigmoid_chain")
    outer = Section("Limit: elementwise and C, called from Python", ["C"])
    outer.text = "C is called through ctypes and writes into memory that is there."
    inner = Section("Limit: elementwise and C, the machine code alone", ["C"])
    for name, (function, method) in chains.items():
        program = getattr(Programs(pullback, pnp), method)(N)
        outer.rows.append(_called(name, program, getattr(library, function), engine))
        row = _inside(
            name, program, library, lambda i, o, c, f=function: _time(library, f, i, o, c)
        )
        inner.rows += row
    outer_dot = Section("Limit: dot and BLAS, called from Python", ["np.matmul with out", "JAX"])
    inner_dot = Section("Limit: dot and BLAS, the machine code alone", ["sgemm"])
    for n in SIDES:
        program = Programs(pullback, pnp).matmul(n)
        outer_dot.rows.append(_matmul(n, program, engine))
        inner_dot.rows += _inside(
            f"dot {n}x{n}",
            program,
            library,
            lambda i, o, c, n=n: _time_sgemm(library, gemm, n, i, o, c),
            "sgemm",
            1,
        )
    found = [outer, inner, outer_dot, inner_dot]
    return [s for s in found if s.rows]


def build() -> Any:
    """The C functions, compiled now."""
    out = FOLDER / "out"
    out.mkdir(exist_ok=True)
    target = out / "limit.so"
    flags = ["-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC"]
    source = str(FOLDER / "c" / "limit.c")
    subprocess.run(["gcc", *flags, "-o", str(target), source, "-lm"], check=True)
    library = ctypes.CDLL(str(target))
    for name in ("arithmetic", "sigmoid", "kernel", "sgemm"):
        getattr(library, f"time_{name}").restype = ctypes.c_double
    for name in ("arithmetic", "sigmoid"):
        getattr(library, name).restype = None
    return library


def blas_sgemm() -> Any:
    """SciPy's single-precision matrix product, as C calls it."""
    capsule = importlib.import_module("scipy.linalg.cython_blas").__pyx_capi__["sgemm"]
    api = ctypes.pythonapi
    name = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", api))
    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    found = pointer(("PyCapsule_GetPointer", api))(capsule, name(capsule))
    return ctypes.c_void_p(found)


def _called(name: str, program: Program, function: Any, engine: Callable[..., str]) -> Row:
    run, args = program
    jitted = pullback.jit(run)
    values = [np.asarray(x) for x in args]
    out = np.empty(N, np.float32)
    pointers = [ctypes.c_void_p(x.ctypes.data) for x in (*values, out)]
    in_c = Contender(function, (*pointers, ctypes.c_int64(N)))
    in_c.function(*in_c.args)
    check_equal(name, [jitted(*args)], [out], 1e-5)
    seconds = race({"Pullback": Contender(jitted, args), "C": in_c})
    return Row(name, seconds, 1 / 1.3, engine(jitted, args))


def _matmul(n: int, program: Program, engine: Callable[..., str]) -> Row:
    run, args = program
    jitted = pullback.jit(run)
    a, b = (np.asarray(x) for x in args)
    out = np.empty((n, n), np.float32)
    check_equal(f"dot {n}", [jitted(*args)], [np.matmul(a, b)], 1e-5)
    contenders = {
        "Pullback": Contender(jitted, args),
        "np.matmul with out": Contender(np.matmul, (a, b, out)),
    }
    jax = importlib.import_module("jax")
    given = tuple(jax.numpy.asarray(x) for x in (a, b))
    contenders["JAX"] = Contender(jax.jit(lambda a, b: a @ b), given, jax.block_until_ready)
    return Row(f"dot {n}x{n}", race(contenders), 1, engine(jitted, args))


# ---- inside


def _pointers(arrays: list[np.ndarray]) -> Any:
    return (ctypes.c_void_p * max(1, len(arrays)))(*[x.ctypes.data for x in arrays])


def _time(library: Any, function: str, ins: Any, outs: Any, calls: int) -> float:
    clock = getattr(library, f"time_{function}")
    return float(clock(ins, outs, ctypes.c_int64(N), ctypes.c_int64(calls)))


def _time_sgemm(library: Any, gemm: Any, n: int, ins: Any, outs: Any, calls: int) -> float:
    return float(library.time_sgemm(gemm, ins, outs, ctypes.c_int64(n), ctypes.c_int64(calls)))


def _inside(
    name: str,
    program: Program,
    library: Any,
    other: Callable[[Any, Any, int], float],
    theirs: str = "C",
    asked: float = 1 / 1.3,
) -> list[Row]:
    """The row, if the native engine is there and takes the program."""
    run, args = program
    if importlib.util.find_spec("pullback.engines.native.program") is None:
        return []
    compiler = importlib.import_module("pullback.engines.native.program")
    try:
        kernel = compiler.compile_program(pullback.make_jaxpr(run)(*args))
    except compiler.Unsupported:
        return []
    ins = [np.ascontiguousarray(x) for x in args]
    outs = [np.empty(t.shape, t.dtype) for t in kernel.out_types]
    arena = np.empty(kernel.arena + 64, np.uint8)
    scratch = ctypes.c_void_p(-(-arena.ctypes.data // 64) * 64)
    address = ctypes.c_void_p(kernel.address)
    in_pointers, out_pointers = _pointers(ins), _pointers(outs)

    def ours(calls: int) -> float:
        count = ctypes.c_int64(calls)
        found = library.time_kernel(address, in_pointers, out_pointers, scratch, count)
        return float(found)

    best = {"Pullback": float("inf"), theirs: float("inf")}
    for _ in range(MOST_ROUNDS):
        calls = max(1, int(ROUND_SECONDS / max(ours(3), 1e-8)))
        best["Pullback"] = min(best["Pullback"], ours(calls))
        best[theirs] = min(best[theirs], other(in_pointers, out_pointers, calls))
    return [Row(name, best, asked, "native")]
