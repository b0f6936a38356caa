"""Begins, with a short patience. For test_processes.py."""

import os

import jax

jax.distributed.initialize(initialization_timeout=int(os.environ.get("LONG", "10")))
