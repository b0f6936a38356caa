"""Modules that are imported when they are first used; and all of them as attributes of `jax`."""

from __future__ import annotations

import subprocess
import sys
import types
from importlib import util

import pytest

import pullback
from pullback.compat.alias import SHARED
from pullback.core.lazy import submodules

THERE = sorted(n for n in SHARED if util.find_spec(f"pullback.{n}") is not None)


@pytest.mark.parametrize("name", THERE)
def test_a_module_is_an_attribute(name):
    module = getattr(pullback, name)
    assert isinstance(module, types.ModuleType) and module.__name__ == f"pullback.{name}"
    assert name in dir(pullback)


def test_all_are_attributes_of_jax_through_the_alias():
    program = (
        "from pullback import compat; compat.install(); import jax; "
        f"names = {[*THERE, 'core', 'ops', 'interpreters']!r}; "
        "print(*[n for n in names if not hasattr(jax, n)]); print(jax.ops.__name__)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.split("\n")[:2] == ["", "jax.ops"]


def test_what_is_missing_is_an_attribute_error():
    get, names = submodules("pullback", ["typing", "no_such_module"])
    assert get("typing") is pullback.typing
    assert "typing" in names() and "no_such_module" not in names()
    for name in ("no_such_module", "other"):
        with pytest.raises(AttributeError, match=f"'pullback' has no attribute '{name}'"):
            get(name)


def test_a_module_that_lacks_something_says_what(tmp_path, monkeypatch):
    (tmp_path / "a_package").mkdir()
    (tmp_path / "a_package" / "__init__.py").write_text("")
    (tmp_path / "a_package" / "part.py").write_text("import no_such_library_at_all")
    monkeypatch.syspath_prepend(str(tmp_path))
    get, _ = submodules("a_package", ["part"])
    with pytest.raises(ModuleNotFoundError, match="no_such_library_at_all"):
        get("part")


def test_the_alias_is_not_left_behind():
    # In a process of its own: here another test may have imported the real jax.
    program = """
import sys
from pullback import compat
with compat.aliased():
    import jax
    assert jax.__name__ == "jax" and "pullback" in jax.__file__
assert "jax" not in sys.modules
assert not any(type(finder).__name__ == "_AliasFinder" for finder in sys.meta_path)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
