"""The XLA engine: programs as StableHLO text, compiled and run by the package `jaxlib`.

`types` and `text` spell StableHLO, `lowering` writes a program with the `rules`, `adapter` is the
only file that calls jaxlib, and `program` joins them.
"""
