"""Which dtypes the native engine has, and on which machines."""

import numpy as np
import pytest

from pullback.engines.native import machine
from pullback.engines.native.kinds import Unsupported, kind_of


def test_float16_needs_f16c_on_x86(monkeypatch):
    monkeypatch.setattr(machine, "TRIPLE", "x86_64-unknown-linux-gnu")
    monkeypatch.setattr(machine, "FEATURES", "+sse2,+avx,-f16c,+avx2")
    with pytest.raises(Unsupported, match="F16C"):
        kind_of(np.float16)
    assert kind_of(np.float32).size == 4
    monkeypatch.setattr(machine, "FEATURES", "+sse2,+f16c")
    assert kind_of(np.float16).narrow


def test_float16_elsewhere(monkeypatch):
    monkeypatch.setattr(machine, "TRIPLE", "aarch64-unknown-linux-gnu")
    monkeypatch.setattr(machine, "FEATURES", "+neon")
    assert kind_of(np.float16).narrow
