"""`make test-gpu`: the XLA engine's tests, and a choice of the others, with arrays on a GPU.

Where something is missing, one line says what, and nothing is run.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

SUITES = [
    "tests/xla",
    "tests/test_numpy_elementwise.py",
    "tests/test_numpy_reductions.py",
    "tests/test_numpy_shaping.py",
    "tests/test_numpy_searching.py",
    "tests/test_indexing.py",
    "tests/test_linalg.py",
    "tests/test_decompositions.py",
    "tests/test_fft.py",
    "tests/test_random.py",
    "tests/test_control_flow.py",
    "tests/test_convolution.py",
    "tests/test_nn.py",
]
"""Of the later ones arrays are put on the GPU by `default_device`."""


def no_driver() -> bool:
    """Whether NVIDIA's driver is missing; found out with nothing installed."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return True
    return False


def complain(what: str, fix: str) -> int:
    """One line."""
    print(
        f"make test-gpu needs a GPU of NVIDIA and pullback[cuda13]: {what} {fix}", file=sys.stderr
    )
    return 1


def main() -> int:
    """Run the tests; 0 if they pass."""
    if no_driver():
        return complain(
            "NVIDIA's driver (libcuda.so.1) is not on this machine.", "Run it where it is."
        )
    if "--driver" in sys.argv:
        return 0
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

    import pytest

    import pullback
    from pullback.core import platforms

    missing = platforms.lack()
    if missing is not None:
        return complain(missing.what, missing.fix)

    class OnGpu:
        @pytest.fixture(autouse=True)
        def default_device(self, request):
            if "xla" in request.path.parts:  # these say themselves where arrays are
                yield
            else:
                with pullback.default_device(pullback.devices("gpu")[0]):
                    yield

    root = Path(__file__).parents[2]
    suites = [str(root / s) for s in SUITES]
    return int(pytest.main(["-p", "no:cacheprovider", "-q", *suites], plugins=[OnGpu()]))


if __name__ == "__main__":
    sys.exit(main())
