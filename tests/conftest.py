"""What every test gets: the --fuzz option, the same random numbers in each run, and fixtures that
many files use.
"""

import os
import random
from pathlib import Path

import hypothesis
import numpy as np
import pytest

# Machine code that the tests compile is kept in the clone, not in the user's own cache.
os.environ.setdefault(
    "PULLBACK_CACHE_DIR", str(Path(__file__).parent.parent / ".pytest_cache" / "machine code")
)

# Tests change how programs are written, and so must have them written anew.
os.environ.setdefault("PULLBACK_KEEPS_PROGRAMS", "0")

from pullback.core.settings import enable_x64, override

# The same examples in each run; --fuzz looks for new ones.
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.register_profile("fuzz", max_examples=2000, deadline=None, print_blob=True)


def pytest_addoption(parser):
    parser.addoption("--fuzz", action="store_true", help="also run the tests marked fuzz")


def pytest_configure(config):
    hypothesis.settings.load_profile("fuzz" if config.getoption("--fuzz") else "steady")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--fuzz"):
        return
    fuzz = [item for item in items if item.get_closest_marker("fuzz")]
    if fuzz:
        config.hook.pytest_deselected(items=fuzz)
        items[:] = [item for item in items if not item.get_closest_marker("fuzz")]


@pytest.fixture(autouse=True)
def seeded():
    random.seed(0)
    np.random.seed(0)


@pytest.fixture
def x64():
    """Arrays of Python's and NumPy's floats have 64 bits."""
    with enable_x64():
        yield


@pytest.fixture(params=["native", "numpy"])
def engine(request):
    """The test runs on this engine, and once more on the other."""
    with override("pullback_engine", request.param):
        yield
