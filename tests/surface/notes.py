"""What is different from JAX and what is absent, and why: by name, or by module for all in it."""

DIFFERENT: dict[str, str] = {}

ABSENT: dict[str, str] = {}
