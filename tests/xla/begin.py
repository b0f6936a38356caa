"""Begins, with a short patience, when so many processes have come as the second argument says: each
leaves a file in the folder that the first one names. For test_processes.py."""

import importlib
import os
import sys
import time
from pathlib import Path

import jax

importlib.import_module("jaxlib.xla_client")  # what takes long is done before the clock runs

folder, count = Path(sys.argv[1]), int(sys.argv[2])
(folder / str(os.getpid())).touch()
while len(list(folder.iterdir())) < count:
    time.sleep(0.02)
jax.distributed.initialize(initialization_timeout=5)
