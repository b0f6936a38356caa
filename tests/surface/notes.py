"""What is different from JAX and what is absent, and why: by name, or by module for all in it."""

DIFFERENT: dict[str, str] = {
    "jax.debug_key_reuse": "a setting that nothing reads: keys used twice are not looked for",
    "jax.errors.InconclusiveDimensionOperation": "nothing raises it: all sizes are known",
    "jax.errors.KeyReuseError": "nothing raises it: keys used twice are not looked for",
    **{
        f"jax.transfer_guard{name}": "a setting that nothing reads: nothing is transferred"
        for name in ("", "_device_to_device", "_device_to_host", "_host_to_device")
    },
    "jax.thread_guard": "a setting that nothing reads: there is one process",
    "jax.softmax_custom_jvp": "a setting that nothing reads: there is one derivative",
    "jax.jax2tf_associative_scan_reductions": "a setting that nothing reads",
    "jax.allow_f16_reductions": "a setting that nothing reads",
    **{
        f"jax.profiler.{name}": "raises NotImplementedError: profiles are written to files"
        for name in ("start_server", "stop_server", "register_subprocess")
    },
    **{
        f"jax.profiler.{name}": "raises NotImplementedError: there is no device with memory"
        for name in ("device_memory_profile", "save_device_memory_profile")
    },
    **{
        f"jax.profiler.{name}": "a profile has the annotated spans, not the operations"
        for name in ("start_trace", "stop_trace", "trace")
    },
}

ABSENT: dict[str, str] = {
    **{
        f"jax.profiler.{name}": "it reads files of XLA's profiler"
        for name in ("ProfileData", "ProfileEvent", "ProfilePlane")
    },
    "jax.custom_derivatives.remat_opt_p": "a mark for XLA's optimiser",
}
