"""The finder by which `import jax` gets Pullback.

A module of JAX is looked for in two places. The folder compat/jax holds `jax` itself and what only
JAX has; its files are loaded under JAX's names. Any other module *is* Pullback's module of the
same name: `jax.numpy` and `pullback.numpy` are one object.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module, metadata, util
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from pullback.core.errors import error

from .versions import JAX_VERSION

_HERE = Path(__file__).parent

# The modules of JAX 0.10 for which Pullback has, or will have, its own of the same name. Not here:
# `core`, `ops` and `extend`, which mean something else in Pullback.
SHARED = frozenset(
    {
        "ad_checkpoint",
        "custom_batching",
        "custom_derivatives",
        "custom_transpose",
        "debug",
        "distributed",
        "dlpack",
        "dtypes",
        "errors",
        "example_libraries",
        "experimental",
        "export",
        "ffi",
        "flatten_util",
        "image",
        "lax",
        "memory",
        "monitoring",
        "nn",
        "numpy",
        "profiler",
        "random",
        "ref",
        "scipy",
        "sharding",
        "stages",
        "test_util",
        "tools",
        "tree",
        "tree_util",
        "typing",
    }
)


def install(*, jaxlib: bool = False) -> None:
    """Make `import jax` give Pullback from here on, whether or not the real jax is installed.

    Args:
      jaxlib: where the real jaxlib is not installed, let `import jaxlib` give a stub that knows
        its version and nothing else: libraries compare the two versions.

    Raises:
      RuntimeError: the real jax was imported before.

    Example:
      >>> from pullback import compat
      >>> compat.install()
      >>> import jax
      >>> float(jax.grad(jax.numpy.sin)(0.0))
      1.0
      >>> compat.uninstall()
    """
    _refuse_the_real_jax()
    if _ALIAS not in sys.meta_path:
        sys.meta_path.insert(0, _ALIAS)
    if jaxlib and _STUB not in sys.meta_path:
        sys.meta_path.append(_STUB)


def uninstall() -> None:
    """Undo `install`: a later `import jax` finds what it would have found without Pullback."""
    for finder in (_ALIAS, _STUB):
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)
            finder.forget()


@contextmanager
def aliased() -> Iterator[None]:
    """`install()` for the body of a `with`; an alias that was there before stays."""
    before = _ALIAS in sys.meta_path
    install()
    try:
        yield
    finally:
        if not before:
            uninstall()


def _refuse_the_real_jax() -> None:
    module = sys.modules.get("jax")
    if module is None or _ALIAS.made(module):
        return
    version, file = getattr(module, "__version__", "?"), getattr(module, "__file__", None)
    raise error(
        RuntimeError,
        "jax is already imported, and it is not Pullback.",
        got=f"jax {version} from {file}",
        fix="call pullback.compat.install() before the first `import jax`, "
        "or start the program with `python -m pullback run`.",
    )


class _Finder(MetaPathFinder):
    """Finds the package `name` in the folder of that name beside this file, and its metadata."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = _HERE / name

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return self.spec_here(fullname) if fullname == self.name else None

    def find_distributions(
        self, context: metadata.DistributionFinder.Context | None = None
    ) -> Iterable[metadata.Distribution]:
        """What `importlib.metadata.version` asks for."""
        asked = getattr(context, "name", None)
        return [_Distribution(self.name)] if asked is None or asked.lower() == self.name else []

    def spec_here(self, fullname: str) -> ModuleSpec | None:
        """The spec of a module that has a file in this finder's folder."""
        base = self.folder.joinpath(*fullname.split(".")[1:])
        if (file := base / "__init__.py").is_file():
            return util.spec_from_file_location(
                fullname, file, submodule_search_locations=[str(base)]
            )
        if (file := base.with_suffix(".py")).is_file():
            return util.spec_from_file_location(fullname, file)
        return None

    def made(self, module: ModuleType) -> bool:
        """Is this top module the one in the folder, and not an installed one?"""
        return getattr(module, "__file__", None) == str(self.folder / "__init__.py")

    def forget(self) -> None:
        """Take what was imported under this name out of sys.modules."""
        top = sys.modules.get(self.name)
        if top is None or not self.made(top):
            return
        for name in [n for n in sys.modules if n.partition(".")[0] == self.name]:
            del sys.modules[name]


class _AliasFinder(_Finder):
    """Finds `jax` and all below it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != self.name:
            return None
        spec = self.spec_here(fullname) or _spec_of_ours(fullname)
        if spec is None and not _is_a_question():
            raise ModuleNotFoundError(
                f"No module named {fullname!r}: Pullback has no such module yet.", name=fullname
            )
        return spec


def _spec_of_ours(fullname: str) -> ModuleSpec | None:
    """The spec under which `jax.a.b` loads the module `pullback.a.b`; None if there is none."""
    rest = fullname.partition(".")[2]
    if rest.partition(".")[0] not in SHARED:
        return None
    target = f"pullback.{rest}"
    try:
        found = util.find_spec(target)
    except ModuleNotFoundError as missing:
        if not f"{target}.".startswith(f"{missing.name}."):
            raise  # the module is there, and what is missing is something it needs
        return None
    if found is None:
        return None
    spec = ModuleSpec(fullname, _SameModule(target), origin=found.origin)
    spec.submodule_search_locations = found.submodule_search_locations
    return spec


def _is_a_question() -> bool:
    """Does `importlib.util.find_spec` ask, to which the answer is None and not an exception?"""
    # The frames: this one, find_spec above, importlib's _find_spec, the caller.
    return sys._getframe(3).f_globals.get("__name__") == "importlib.util"


class _SameModule(Loader):
    """Gives a second name to a module."""

    def __init__(self, target: str) -> None:
        self.target = target

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(self.target)
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has just written the alias's spec into the module. Without its own,
        # relative imports inside it would be taken from `jax`.
        module.__spec__ = self.spec


class _Distribution(metadata.Distribution):
    """The installed distribution `jax` or `jaxlib`, as far as its name and version."""

    def __init__(self, name: str) -> None:
        self._texts = {
            "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {JAX_VERSION}\n",
            "top_level.txt": f"{name}\n",
        }

    def read_text(self, filename: str) -> str | None:
        return self._texts.get(filename)

    def locate_file(self, path: object) -> Path:
        return _HERE / str(path)


_ALIAS = _AliasFinder("jax")
_STUB = _Finder("jaxlib")
