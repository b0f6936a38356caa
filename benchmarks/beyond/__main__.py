"""Run every section of this folder, and write benchmarks/beyond.md.

python -m benchmarks.beyond              all sections
python -m benchmarks.beyond sparse jet   only these, and print them
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def main(wanted: list[str]) -> None:
    """The sections named, or all."""
    there = sorted(m.name for m in pkgutil.iter_modules([str(FOLDER)]) if m.name != "__main__")
    unknown = sorted(set(wanted) - set(there))
    if unknown:
        sys.exit(f"no section {', '.join(unknown)}; there are {', '.join(there)}")
    texts = []
    for name in wanted or there:
        texts.append(importlib.import_module(f"benchmarks.beyond.{name}").section())
        print(texts[-1], flush=True)
    if not wanted:
        page = FOLDER.parent / "beyond.md"
        page.write_text("\n\n".join(["# Beyond, measured", *texts]).rstrip() + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
