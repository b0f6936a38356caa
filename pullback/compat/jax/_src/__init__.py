"""`jax._src`: the private names of JAX that libraries are known to use, and no others."""

from pullback.core.lazy import submodules as _submodules

__getattr__, __dir__ = _submodules(
    __name__,
    (
        "ad_util",
        "api",
        "api_util",
        "compiler",
        "core",
        "custom_derivatives",
        "dispatch",
        "dtypes",
        "flatten_util",
        "interpreters",
        "linear_util",
        "literals",
        "public_test_util",
        "source_info_util",
        "traceback_util",
        "tree_util",
        "util",
        "xla_bridge",
    ),
)
