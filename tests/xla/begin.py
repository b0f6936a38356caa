"""A program of several processes that only begins: see test_processes.py."""

import jax

jax.distributed.initialize(initialization_timeout=3)
