"""The public names of JAX, and what Pullback has of them: docs/coverage.md is made from this."""
