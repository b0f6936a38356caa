"""EXAMPLES: those of every family; each file in this folder but base.py has a list of them."""

from __future__ import annotations

import importlib
import pkgutil

FAMILIES = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "base")

EXAMPLES = []
for _family in FAMILIES:
    EXAMPLES += importlib.import_module(f"{__name__}.{_family}").EXAMPLES
