"""The release of JAX whose public API Pullback follows: a program's `jax.__version__`."""

JAX_VERSION = "0.10.2"
