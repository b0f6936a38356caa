"""The layout of the package: imports go one way, files stay short, start-up stays light."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "pullback"

# An entry is a file, or a folder with all in it; the longest entry that fits a file is its layer.
# A file imports from its own layer and from those above it in this list, never from a later one.
LAYERS = [
    "core/__init__",
    "core/errors",
    "core/processes",
    "core/formats",
    "core/processors",
    "core/unheeded",
    "core/settings",
    "core/platforms",
    "core/dtypes",
    "core/device",
    "core/mesh",
    "core/sharding",
    "core/types",
    "core/literals",
    "core/array_methods",
    "core/array",
    "core/device_array",
    "core/placing",
    "core/lazy",
    "core/capsules",
    "core/trace",
    "core/checking",
    "core/primitive",
    "core/printing",
    "core/program",
    "core/pytree",
    "monitoring",
    "profiler",
    "naming",
    "switches",
    "environment",
    "watching",
    "ops",
    "checks",
    "transforms",
    "engines",
    "control",
    "engines/native",
    "engines/xla",
    "numpy",
    "segments",
    "ref",
    "processes",
    "distributed",
    "ffi",
    "linear",
    "edges",
    "api",
    "mapping",
    "accumulation",
    "jacobians",
    "stages",
    "static_arguments",
    "sharded_calls",
    "dispatch",
    "devices",
    "device_calls",
    "jit",
    "halves",
    "symbolic_zeros",
    "custom",
    "custom_derivatives",
    "exported_shapes",
    "exported_tables",
    "exported_files",
    "exported_programs",
    "export",
    "lax",
    "custom_batching",
    "mode_switching",
    "callbacks",
    "checkpointing",
    "parallel_mapping",
    "placement",
    "dlpack",
    "memory",
    "sharding",
    "shard_mapping",
    "dtypes",
    "errors",
    "typing",
    "tree_util",
    "tree",
    "custom_types",
    "flatten_util",
    "test_util",
    "random",
    "nn",
    "image",
    "scipy",
    "example_libraries",
    "extend",
    "debug",
    "ad_checkpoint",
    "experimental",
    "taylor_mode",
    "implicit",
    "sparse",
    "curvature",
    "compat",
    "__init__",
    "__main__",
]

# A package that not every user has, and the one folder that may import it at the top of a file.
# Other files import it inside the function that needs it. Nothing imports jax at all.
OPTIONAL = {
    "jaxlib": "engines/xla",
    "llvmlite": "engines/native",
    "matplotlib": None,
    "tqdm": None,
}
FORBIDDEN = {"jax"}

LONGEST_FILE = 600
LONGEST_FUNCTION = 60  # without its docstring


def files():
    """The package's files, as core/trace for pullback/core/trace.py."""
    found = sorted((ROOT / PACKAGE).rglob("*.py"))
    return [path.relative_to(ROOT / PACKAGE).with_suffix("").as_posix() for path in found]


FILES = files()
KNOWN = set(FILES)


@cache
def source(file):
    return (ROOT / PACKAGE / f"{file}.py").read_text(encoding="utf-8")


@cache
def tree(file):
    return ast.parse(source(file))


def layer(file):
    """The index in LAYERS of a file's layer; -1 if it has none."""
    fits = [entry for entry in LAYERS if file == entry or file.startswith(entry + "/")]
    return LAYERS.index(max(fits, key=len)) if fits else -1


def as_file(dotted):
    """core/trace for pullback.core.trace, core/__init__ for pullback.core; None if no module."""
    path = "/".join(dotted.split(".")[1:])
    if path in KNOWN:
        return path
    init = f"{path}/__init__".lstrip("/")
    return init if init in KNOWN else None


def absolute(node, file):
    """The dotted name of the module in `from module import ...`, found at `node` in `file`."""
    if not node.level:
        return node.module
    folder = [PACKAGE, *file.split("/")[:-1]]
    base = folder[: len(folder) - node.level + 1]
    return ".".join([*base, node.module] if node.module else base)


def imported(node, file):
    """What an import statement names, dotted: modules, and names in modules."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        module = absolute(node, file)
        return [f"{module}.{alias.name}" for alias in node.names]
    return []


def internal_imports(node, file):
    """The package's files that an import statement names."""
    found = set()
    for name in imported(node, file):
        if name.split(".")[0] != PACKAGE:
            continue
        target = as_file(name) or as_file(name.rpartition(".")[0])
        if target is not None:  # else there is no such thing, and the import itself fails
            found.add(target)
    return found


@cache
def edges(file):
    return sorted(
        {target for node in ast.walk(tree(file)) for target in internal_imports(node, file)}
    )


def functions(file):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree(file)) if isinstance(node, kinds)]


def length(function):
    """Lines of a function, without its docstring."""
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= first.end_lineno - first.lineno + 1
    return lines


def find_cycle():
    """Files that import one another in a ring, or None."""
    done, path = set(), []

    def visit(file):
        if file in path:
            return [*path[path.index(file) :], file]
        if file in done:
            return None
        path.append(file)
        for target in edges(file):
            if ring := visit(target):
                return ring
        path.pop()
        done.add(file)
        return None

    return next((ring for file in FILES if (ring := visit(file))), None)


def test_the_package_is_found():
    assert "__init__" in KNOWN


def test_every_file_has_a_layer():
    homeless = [file for file in FILES if layer(file) < 0]
    assert not homeless, f"give these a place in LAYERS: {homeless}"


@pytest.mark.parametrize("file", FILES)
def test_imports_go_one_way(file):
    wrong = [
        f"{file} imports {target}, which comes after it"
        for target in edges(file)
        if layer(target) > layer(file)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_file_imports_itself_through_others():
    ring = find_cycle()
    assert ring is None, " -> ".join(ring)


@pytest.mark.parametrize("file", FILES)
def test_internal_imports_stand_at_the_top(file):
    hidden = [
        f"{PACKAGE}/{file}.py:{node.lineno} imports {target} inside {function.name}"
        for function in functions(file)
        for node in ast.walk(function)
        for target in internal_imports(node, file)
    ]
    assert not hidden, "\n".join(hidden)


@pytest.mark.parametrize("file", FILES)
def test_sizes(file):
    # A file that only names what other files hold is a list: it is not read through.
    only_names = all(
        isinstance(node, (ast.Import, ast.ImportFrom, ast.Expr, ast.Assign))
        for node in tree(file).body
    )
    lines = 0 if only_names else len(source(file).splitlines())
    assert lines <= LONGEST_FILE, f"{PACKAGE}/{file}.py has {lines} lines; {LONGEST_FILE} at most"
    long = [
        f"{PACKAGE}/{file}.py:{function.lineno} {function.name} has {length(function)} lines"
        for function in functions(file)
        if length(function) > LONGEST_FUNCTION
    ]
    assert not long, "\n".join(long)


@pytest.mark.parametrize("file", FILES)
def test_jax_is_never_imported(file):
    roots = {name.split(".")[0] for node in ast.walk(tree(file)) for name in imported(node, file)}
    assert not roots & FORBIDDEN


@pytest.mark.parametrize("file", FILES)
def test_optional_packages_are_imported_where_they_are_used(file):
    inside = {node for function in functions(file) for node in ast.walk(function)}
    at_top = {
        name.split(".")[0]
        for node in ast.walk(tree(file))
        if node not in inside
        for name in imported(node, file)
    }
    wrong = [
        package
        for package in at_top & set(OPTIONAL)
        if not (OPTIONAL[package] and f"{file}/".startswith(OPTIONAL[package] + "/"))
    ]
    assert not wrong, f"{PACKAGE}/{file}.py imports {wrong} at its top"


def test_import_brings_in_no_optional_package():
    program = (
        "import sys; before = set(sys.modules); import pullback; "
        "print(*sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    loaded = set(run.stdout.split())
    assert PACKAGE in loaded
    assert not loaded & (set(OPTIONAL) | FORBIDDEN)
