"""What other systems do not have, measured: `python -m benchmarks.beyond`."""
