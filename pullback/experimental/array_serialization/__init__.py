"""Checkpoints of arrays in files of tensorstore, which Pullback does not write."""

from . import serialization as serialization
