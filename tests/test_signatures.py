"""Functions have the parameters of JAX's: names, order, kinds, defaults."""

from __future__ import annotations

import enum
import importlib
import inspect
import warnings

import numpy as np
import peer
import pytest

pytestmark = pytest.mark.skipif(not peer.INSTALLED, reason="JAX is not installed")

MODULES = (
    "jax.lax",
    "jax.lax.linalg",
    "jax.nn",
    "jax.nn.initializers",
    "jax.numpy",
    "jax.numpy.fft",
    "jax.numpy.linalg",
    "jax.random",
    "jax.scipy.linalg",
    "jax.scipy.special",
    "jax.tree",
)

DIFFERENT = {
    "jax.lax.cond": "both of its forms have their own parameters: cond(pred, x, f, y, g) too",
    "jax.lax.random_gamma_grad": "JAX hides its two parameters behind *args",
    "jax.numpy.array": "JAX takes further positional arguments only to warn about them",
    "jax.numpy.pad": "the name of **options is not the caller's business",
    "jax.numpy.savez": "JAX has NumPy's own, which depends on NumPy's version",
    "jax.numpy.set_printoptions": "JAX hides NumPy's parameters behind *args",
}
"""Functions with other parameters, and why."""

MISSING = {
    "jax.lax.ragged_all_to_all_p": "ragged_all_to_all is made of all_gather and selections",
    "jax.lax.select_and_scatter_p": "no function leads to it; pooling has select_and_scatter_add",
}
"""Names of jax.lax and jax.nn that do not exist here, and why."""


def public(module):
    """The names that users see."""
    return [name for name in dir(module) if not name.startswith("_")]


def functions(module):
    """(name, function) of a module of JAX."""
    for name in public(module):
        found = getattr(module, name)
        if callable(found) and not inspect.isclass(found) and not inspect.ismodule(found):
            yield name, found


def ours(name):
    return importlib.import_module("pullback" + name.removeprefix("jax"))


def parameters(function):
    """The parameters that a caller can use: those of a name with _ are JAX's own."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None  # it is no function, but a type such as Array | float
    return [p for p in found if not p.name.startswith("_")]


def plain(value):
    """Whether a default is a value that can be compared, and not a mark for "not given"."""
    if isinstance(value, tuple):
        return all(map(plain, value))
    kinds = (bool, int, float, str, type(None), type, np.dtype, np.generic, enum.Enum)
    return isinstance(value, kinds) or inspect.isfunction(value)


def same_default(have, want):
    if not plain(want):
        return (have is inspect.Parameter.empty) == (want is inspect.Parameter.empty)
    if isinstance(want, enum.Enum):
        return getattr(have, "name", None) == want.name
    if isinstance(want, (type, np.dtype)) or inspect.isfunction(want):
        return have == want or have.__name__ == want.__name__
    return isinstance(have, bool) == isinstance(want, bool) and have == want


def difference(have, want):
    """What differs between two lists of parameters, or None."""
    if len(have) != len(want):
        return f"{[p.name for p in have]} for {[p.name for p in want]}"
    for a, b in zip(have, want, strict=True):
        unnamed = b.kind in (b.POSITIONAL_ONLY, b.VAR_POSITIONAL)
        if a.kind != b.kind or (a.name != b.name and not unnamed):
            return f"{a} ({a.kind.description}) for {b} ({b.kind.description})"
        if not same_default(a.default, b.default):
            return f"{a.name}={a.default!r} for {b.name}={b.default!r}"
    return None


def is_ufunc(function):
    """Whether it is one of JAX's ufuncs, which show no parameters but *args."""
    return hasattr(function, "nin") and hasattr(function, "reduce")


def compared(have, want):
    if is_ufunc(want):
        if is_ufunc(have):
            return None if have.nin == want.nin else f"{have.nin} operands for {want.nin}"
        required = [p for p in parameters(have) if p.default is p.empty]
        return None if len(required) == want.nin else f"{required} for {want.nin} operands"
    a, b = parameters(have), parameters(want)
    return None if a is None or b is None else difference(a, b)


@pytest.mark.parametrize("module", MODULES)
def test_parameters(module):
    with warnings.catch_warnings(action="ignore"):
        theirs, mine = importlib.import_module(module), ours(module)
        wrong = []
        for name, function in functions(theirs):
            if not hasattr(mine, name):
                continue  # what is missing is the business of other tests
            found = compared(getattr(mine, name), function)
            known = f"{module}.{name}" in DIFFERENT
            if found is not None and not known:
                wrong.append(f"{module}.{name}: {found}")
            if found is None and known:
                wrong.append(f"{module}.{name} is no exception any more")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("module", ["jax.lax", "jax.nn", "jax.nn.initializers"])
def test_every_name_is_there(module):
    with warnings.catch_warnings(action="ignore"):
        have = set(public(ours(module)))
        want = {
            name
            for name in public(importlib.import_module(module))
            if not inspect.ismodule(getattr(importlib.import_module(module), name))
        }
    missing = {f"{module}.{name}" for name in want - have}
    known = {name for name in MISSING if name.rpartition(".")[0] == module}
    assert missing == known


def test_the_comparison_sees_differences():
    def f(x, /, a, b=1, *, c=None):
        pass

    def g(x, /, a, b=2, *, c=None):
        pass

    def h(x, a, b=1, *, c=None):
        pass

    def i(y, /, a, b=1, *, c=None):
        pass

    def j(x, /, a, b=True, *, c=None):
        pass

    assert compared(f, f) is None and compared(i, f) is None
    assert "b=2 for b=1" in compared(g, f)
    assert "positional" in compared(h, f)
    assert compared(j, f) == "b=True for b=1"
    assert compared(lambda x: None, f) == "['x'] for ['x', 'a', 'b', 'c']"
