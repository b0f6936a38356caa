"""What tests need to know when every program is forced onto one engine:

PULLBACK_ENGINE=xla pytest tests
"""

from __future__ import annotations

import os

import pytest

ENGINE = os.environ.get("PULLBACK_ENGINE", "auto")
"""The engine that `jit` takes where a test does not say which."""

ON_XLA = ENGINE == "xla"


def not_on_xla(reason: str) -> pytest.MarkDecorator:
    """Mark a test of what the XLA engine does otherwise by design, for this reason."""
    return pytest.mark.skipif(ON_XLA, reason=f"jit is forced to XLA: {reason}")


def by_name(names: list[str], without: tuple[str, ...], reason: str) -> list[object]:
    """Parameters of a test; some do not run on the XLA engine."""
    return [pytest.param(n, marks=not_on_xla(reason)) if n in without else n for n in names]
