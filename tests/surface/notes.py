"""What is different from JAX and what is absent, and why: by name, or by module for all in it."""

DIFFERENT: dict[str, str] = {
    "jax.debug_key_reuse": "a setting that nothing reads: keys used twice are not looked for",
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
        f"jax.ffi.{name}": "raises NotImplementedError: it makes a rule of JAX's compiler"
        for name in ("ffi_lowering", "build_ffi_lowering_function")
    },
    **{
        f"jax.profiler.{name}": "a profile has the annotated spans, not the operations"
        for name in ("start_trace", "stop_trace", "trace")
    },
}

_SPARSE_PRIMITIVES = (
    "bcoo_dot_general bcoo_dot_general_sampled bcoo_extract bcoo_fromdense bcoo_sort_indices "
    "bcoo_spdot_general bcoo_sum_duplicates bcoo_todense bcoo_transpose bcsr_dot_general "
    "bcsr_extract bcsr_fromdense bcsr_todense coo_fromdense coo_matmat coo_matvec coo_todense "
    "csr_fromdense csr_matmat csr_matvec csr_todense"
)

ABSENT: dict[str, str] = {
    **{
        f"jax.experimental.sparse.{name}_p": "a function here, made of other primitives"
        for name in _SPARSE_PRIMITIVES.split()
    },
    "jax.experimental.sparse.SparseTracer": "sparsify runs a recorded program instead",
    "jax.experimental.hijax": "values of types of one's own, an experiment that flax alone uses",
    "jax.experimental.cur_qdd": "part of the experiment jax.experimental.hijax",
    "jax.experimental.EArray": "a base of JAX's own classes of keys",
    "jax._src.earray.EArray": "a base of JAX's own classes of keys",
    "jax.experimental.primal_tangent_dtype": "dtypes of one's own do not exist here",
    "jax._src.state.types.AbstractRef": "a Ref is an object here and has no type in programs",
    "jax._src.tree_util._registry": "the table of containers is inside optree",
    "jax._src.interpreters.pxla.global_result_handlers": "there is no such table",
    "jax.experimental.multihost_utils.live_devices": "who is lost is lost for all programs",
    "jax.ad": "marks for gradients by reference, an experiment",
    "jax.make_user_context": "a part of compilation caches of one's own",
    "jax.no_execution": "a setting for JAX's own tests",
    "jax.interpreters.ad.linearize": "it takes functions of JAX's core; use jax.linearize",
    "jax.interpreters.batching.register_vmappable": "arguments of vmap are pytrees of arrays",
    "jax.interpreters.batching.unregister_vmappable": "arguments of vmap are pytrees of arrays",
    "jax.lax.ragged_all_to_all_p": "ragged_all_to_all is made of other primitives",
    "jax.lax.select_and_scatter_p": "no function makes it",
    "jax.random.random_gamma_p": "gamma draws are made of other primitives",
    **{
        f"jax.profiler.{name}": "it reads files of XLA's profiler"
        for name in ("ProfileData", "ProfileEvent", "ProfilePlane")
    },
    "jax.custom_derivatives.remat_opt_p": "a mark for XLA's optimiser",
}
