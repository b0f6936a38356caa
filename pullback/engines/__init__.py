"""Engines run programs. An engine gives `supports(program)` and `compile(program)`."""
