"""Functions have the parameters of JAX's: names, order, kinds, defaults."""

from __future__ import annotations

import enum
import functools
import importlib
import inspect
import warnings

import numpy as np
import peer
import pytest

pytestmark = pytest.mark.skipif(not peer.INSTALLED, reason="JAX is not installed")

MODULES = [
    "jax",
    "jax.ad_checkpoint",
    "jax.api_util",
    "jax.custom_batching",
    "jax.custom_derivatives",
    "jax.debug",
    "jax.distributed",
    "jax.dlpack",
    "jax.dtypes",
    "jax.errors",
    "jax.example_libraries.optimizers",
    "jax.example_libraries.stax",
    "jax.experimental",
    "jax.experimental.array_serialization",
    "jax.experimental.checkify",
    "jax.experimental.jet",
    "jax.experimental.layout",
    "jax.experimental.mesh_utils",
    "jax.experimental.multihost_utils",
    "jax.experimental.ode",
    "jax.experimental.pjit",
    "jax.experimental.sparse",
    "jax.experimental.sparse.linalg",
    "jax.export",
    "jax.extend.source_info_util",
    "jax.ffi",
    "jax.flatten_util",
    "jax.image",
    "jax.lax",
    "jax.lax.linalg",
    "jax.monitoring",
    "jax.nn",
    "jax.nn.initializers",
    "jax.numpy",
    "jax.numpy.fft",
    "jax.numpy.linalg",
    "jax.ops",
    "jax.profiler",
    "jax.random",
    "jax.ref",
    "jax.scipy.cluster.vq",
    "jax.scipy.fft",
    "jax.scipy.integrate",
    "jax.scipy.interpolate",
    "jax.scipy.linalg",
    "jax.scipy.ndimage",
    "jax.scipy.optimize",
    "jax.scipy.signal",
    "jax.scipy.sparse.linalg",
    "jax.scipy.spatial.transform",
    "jax.scipy.special",
    "jax.scipy.stats",
    "jax.scipy.stats.bernoulli",
    "jax.scipy.stats.beta",
    "jax.scipy.stats.betabinom",
    "jax.scipy.stats.binom",
    "jax.scipy.stats.cauchy",
    "jax.scipy.stats.chi2",
    "jax.scipy.stats.dirichlet",
    "jax.scipy.stats.expon",
    "jax.scipy.stats.gamma",
    "jax.scipy.stats.gennorm",
    "jax.scipy.stats.geom",
    "jax.scipy.stats.gumbel_l",
    "jax.scipy.stats.gumbel_r",
    "jax.scipy.stats.laplace",
    "jax.scipy.stats.logistic",
    "jax.scipy.stats.multinomial",
    "jax.scipy.stats.multivariate_normal",
    "jax.scipy.stats.nbinom",
    "jax.scipy.stats.norm",
    "jax.scipy.stats.pareto",
    "jax.scipy.stats.poisson",
    "jax.scipy.stats.t",
    "jax.scipy.stats.truncnorm",
    "jax.scipy.stats.uniform",
    "jax.scipy.stats.vonmises",
    "jax.scipy.stats.wrapcauchy",
    "jax.sharding",
    "jax.stages",
    "jax.test_util",
    "jax.tree",
    "jax.tree_util",
    "jax.typing",
]

OWN_PLACE = {
    "jax.api_util": "pullback.compat.jax.api_util",
    "jax.extend.source_info_util": "pullback.compat.jax.extend.source_info_util",
    "jax.ops": "pullback.compat.jax.ops",
}
"""Modules that are not at the place of JAX's."""

METHODS = [
    "jax.Array",
    "jax.NamedSharding",
    "jax.P",
    "jax.ShapeDtypeStruct",
    "jax.custom_jvp",
    "jax.custom_vjp",
    "jax.custom_batching.custom_vmap",
    "jax.custom_batching.sequential_vmap",
    "jax.experimental.checkify.Error",
    "jax.experimental.layout.Layout",
    "jax.experimental.sparse.BCOO",
    "jax.experimental.sparse.BCSR",
    "jax.experimental.sparse.CSR",
    "jax.profiler.StepTraceAnnotation",
    "jax.profiler.TraceAnnotation",
    "jax.scipy.interpolate.RegularGridInterpolator",
    "jax.scipy.spatial.transform.Rotation",
    "jax.scipy.spatial.transform.Slerp",
    "jax.sharding.AbstractMesh",
    "jax.sharding.Mesh",
    "jax.sharding.SingleDeviceSharding",
    "jax.stages.ArgInfo",
    "jax.stages.Lowered",
    "jax.stages.Traced",
    "jax.tree_util.Partial",
]
"""Classes whose methods are compared, and what makes an instance."""

OPTIONS = "without a function it is a decorator with options; JAX asks for functools.partial"
ANY = "JAX hides the parameters behind *args"
DIFFERENT = {
    "jax.Array.reshape": "it has jax.numpy.reshape's copy too",
    "jax.ShapeDtypeStruct": "types have no references and no manual axes here",
    "jax.checkpoint": OPTIONS,
    "jax.experimental.checkify.Error": "users do not make one",
    "jax.experimental.sparse.BCOO.astype": ANY,
    "jax.experimental.sparse.BCOO.reshape": ANY,
    "jax.experimental.sparse.BCOO.sum": ANY,
    "jax.experimental.sparse.BCSR.transpose": ANY,
    "jax.experimental.sparse.random_bcoo": "JAX's float64 warns where there are 32 bits only",
    "jax.jacobian": "it has the mode too",
    "jax.jit": "it can name the engine too",
    "jax.lax.cond": "both of its forms have their own parameters: cond(pred, x, f, y, g) too",
    "jax.lax.fori_loop": "it can bound the memory of reverse mode too",
    "jax.lax.random_gamma_grad": ANY,
    "jax.lax.scan": "it can bound the memory of reverse mode too",
    "jax.lax.while_loop": "it can bound the memory of reverse mode too",
    "jax.numpy.array": "JAX takes further positional arguments only to warn about them",
    "jax.numpy.pad": "the name of **options is not the caller's business",
    "jax.numpy.savez": "JAX has NumPy's own, which depends on NumPy's version",
    "jax.numpy.set_printoptions": ANY,
    "jax.profiler.annotate_function": OPTIONS,
    "jax.remat": "it is checkpoint, with static_argnames",
    "jax.stages.Lowered": "users do not make one",
    "jax.stages.Traced": "users do not make one",
    "jax.test_util.check_jvp": "the step depends on the dtype",
    "jax.test_util.check_vjp": "the step depends on the dtype",
    "jax.tree_util.register_dataclass": OPTIONS,
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
    return importlib.import_module(OWN_PLACE.get(name, "pullback" + name.removeprefix("jax")))


def parameters(function):
    """The parameters that a caller can use: those of a name with _ are JAX's own."""
    if type(function).__module__ == "nanobind":
        return None  # compiled: Python 3.13 shows (*args, **kwargs), others nothing
    if isinstance(function, type) and issubclass(function, functools.partial):
        return None  # its constructor is Python's own, which 3.13 shows and others do not
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
    if type(want).__name__ == "NoDefault":  # JAX's settings: a bool is True, others are required
        return have is True or have is inspect.Parameter.empty
    if have is want or (have != have and want != want):
        return True
    if not plain(want):
        return (have is inspect.Parameter.empty) == (want is inspect.Parameter.empty)
    if isinstance(want, enum.Enum):
        return getattr(have, "name", None) == want.name
    if isinstance(want, (type, np.dtype)) or inspect.isfunction(want):
        return have == want or getattr(have, "__name__", None) == want.__name__
    return isinstance(have, bool) == isinstance(want, bool) and have == want


def ordered(found):
    """Parameters with those that only have a name in alphabetical order."""
    return sorted(found, key=lambda p: (p.kind, p.name if p.kind is p.KEYWORD_ONLY else ""))


def difference(have, want):
    """What differs between two lists of parameters, or None. Keywords have no order."""
    have, want = ordered(have), ordered(want)
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


def wrong_ones(pairs):
    """What differs, of (name, ours, theirs), and is not known; and what is known and does not."""
    for name, have, want in pairs:
        found = compared(have, want)
        if found is not None and name not in DIFFERENT:
            yield f"{name}: {found}"
        if found is None and name in DIFFERENT:
            yield f"{name} is no exception any more"


@pytest.mark.parametrize("module", MODULES)
def test_parameters(module):
    with warnings.catch_warnings(action="ignore"):
        theirs, mine = importlib.import_module(module), ours(module)
        both = [  # what is missing is the business of other tests
            (f"{module}.{name}", getattr(mine, name), function)
            for name, function in functions(theirs)
            if hasattr(mine, name)
        ]
        wrong = list(wrong_ones(both))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", METHODS)
def test_parameters_of_methods(path):
    module, _, name = path.rpartition(".")
    mine, theirs = getattr(ours(module), name), getattr(importlib.import_module(module), name)
    both = [
        (f"{path}.{method}", getattr(mine, method), function)
        for method, function in functions(theirs)
        if hasattr(mine, method)
    ]
    wrong = list(wrong_ones([(path, mine, theirs), *both]))
    assert not wrong, "\n".join(wrong)


def test_exceptions_are_of_what_is_compared():
    for name in DIFFERENT:
        assert name in METHODS or name.rpartition(".")[0] in (*MODULES, *METHODS), name


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
