"""Where compiled programs are kept: jax.experimental.compilation_cache."""
