"""How each primitive that is not elementwise becomes code, by family."""
