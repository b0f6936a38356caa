"""The XLA engine: programs as StableHLO text, compiled and run by the package `jaxlib`.

`types` and `text` spell StableHLO, `lowering` writes a program with the `rules`, `program` has it
compiled for the memory of the process, `spread` for other devices and meshes, `exported` for files.
Only the files `adapter*` call jaxlib, each for one purpose.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # or jaxlib writes to the standard error
