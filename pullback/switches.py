"""Settings as names of the API: `with log_compiles(): ...`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from .core.settings import Switch, override

check_tracer_leaks = Switch(
    "jax_check_tracer_leaks",
    "Raise where a jitted function's traced values are still held after its tracing.",
)
log_compiles = Switch(
    "jax_log_compiles", "Log each tracing and each compiling of a jitted function as a warning."
)
explain_cache_misses = Switch(
    "jax_explain_cache_misses", "Log why a jitted function is traced again as a warning."
)
no_tracing = Switch("jax_no_tracing", "Raise a RuntimeError where a jitted function is traced.")
enable_checks = Switch("jax_enable_checks", "Check the types of each program that jit traces.")
enable_custom_prng = Switch(
    "jax_enable_custom_prng", "Make `random.PRNGKey` give keys of a dtype of their own."
)
legacy_prng_key = Switch(
    "jax_legacy_prng_key", "What uint32 arrays as keys do: 'allow', 'warn' or 'error'."
)
default_prng_impl = Switch("jax_default_prng_impl", "The generator of keys made without a name.")
debug_key_reuse = Switch(
    "jax_debug_key_reuse", "Accepted for compatibility: keys used twice are not looked for yet."
)
thread_guard = Switch(
    "jax_thread_guard",
    "Accepted for compatibility: it is about several processes, and there is one.",
)
softmax_custom_jvp = Switch(
    "jax_softmax_custom_jvp",
    "Accepted for compatibility: nothing reads it; nn.softmax has one derivative.",
)
jax2tf_associative_scan_reductions = Switch(
    "jax2tf_associative_scan_reductions", "Accepted for compatibility: nothing goes to TensorFlow."
)
allow_f16_reductions = Switch(
    "jax_allow_f16_reductions",
    "Accepted for compatibility: nothing reads it.",
)
array_garbage_collection_guard = Switch(
    "jax_array_garbage_collection_guard",
    "Accepted for compatibility: arrays hold no memory but the host's.",
)
auto_pcast = Switch(
    "jax_auto_pcast", "Accepted for compatibility: values of one device need no casts between axes."
)
remove_size_one_mesh_axis_from_type = Switch(
    "jax_remove_size_one_mesh_axis_from_type",
    "Accepted for compatibility: types have no shardings here.",
)
transfer_guard_host_to_device = Switch(
    "jax_transfer_guard_host_to_device",
    "Accepted for compatibility: arrays are in the host's memory, nothing is transferred.",
)
transfer_guard_device_to_device = Switch(
    "jax_transfer_guard_device_to_device", "As `transfer_guard_host_to_device`."
)
transfer_guard_device_to_host = Switch(
    "jax_transfer_guard_device_to_host", "As `transfer_guard_host_to_device`."
)


@contextmanager
def transfer_guard(new_val: str) -> Iterator[None]:
    """All three transfer guards at once: 'allow', 'log', 'disallow' and so on.

    Accepted for compatibility: arrays are in the host's memory, nothing is transferred.
    """
    names = ("", "_host_to_device", "_device_to_device", "_device_to_host")
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(override(f"jax_transfer_guard{name}", new_val))
        yield


@contextmanager
def checking_leaks() -> Iterator[None]:
    """`check_tracer_leaks(True)`."""
    with check_tracer_leaks(True):
        yield
