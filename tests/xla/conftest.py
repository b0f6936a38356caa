"""Programs of these tests run once: XLA does not optimise their machine code."""

import pytest

QUICKLY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


@pytest.fixture(autouse=True, scope="package")
def quickly():
    adapter = pytest.importorskip("pullback.engines.xla.adapter", reason="it needs jaxlib")
    before = dict(adapter.OPTIONS)
    adapter.OPTIONS.update(QUICKLY)
    yield
    adapter.OPTIONS.clear()
    adapter.OPTIONS.update(before)
