"""Settings of JAX that programs may change, and nothing here reads: they are about how JAX
compiles, keeps, shows and transports, not about what is computed.
"""

from __future__ import annotations

from typing import Any

UNHEEDED: dict[str, Any] = {
    # what is kept on disk; `jax_compilation_cache_dir` is heeded
    "jax_raise_persistent_cache_errors": False,
    "jax_persistent_cache_min_compile_time_secs": 1.0,
    "jax_persistent_cache_min_entry_size_bytes": 0,
    "jax_persistent_cache_enable_xla_caches": "xla_gpu_per_fusion_autotune_cache_dir",
    "jax_compilation_cache_include_metadata_in_key": False,
    "jax_compilation_cache_check_contents": False,
    "jax_compilation_cache_expect_pgle": False,
    "jax_compilation_cache_max_size": -1,
    "jax_remove_custom_partitioning_ptr_from_cache_key": False,
    "jax_share_binary_between_hosts": False,
    "jax_share_binary_between_hosts_timeout_ms": 1200000,
    # how JAX compiles
    "jax_enable_pgle": False,
    "jax_pgle_profiling_runs": 3,
    "jax_pgle_aggregation_percentile": 90,
    "jax_compiler_enable_remat_pass": True,
    "jax_xla_profile_version": 0,
    "jax_use_shardy_partitioner": True,
    "jax_use_magma": "auto",
    "jax_exec_time_optimization_effort": 0.0,
    "jax_memory_fitting_effort": 0.0,
    "jax_optimization_level": "UNKNOWN",
    "jax_memory_fitting_level": "O2",
    "jax_disable_most_optimizations": False,
    "jax_use_direct_linearize": True,
    "jax_use_simplified_jaxpr_constants": False,
    "jax_embedded_constants_max_bytes": 32,
    "jax_threefry_gpu_kernel_lowering": False,
    "jax_bcoo_cusparse_lowering": False,
    "jax_ragged_dot_use_ragged_dot_instruction": True,
    "jax_ragged_dot_use_gpu_pallas_triton_lowering": False,
    "eager_constant_folding": False,
    # how devices and processes talk
    "jax_cpu_collectives_implementation": "gloo",
    "jax_cpu_enable_async_dispatch": True,
    "jax_cpu_get_local_topology_timeout_minutes": 2,
    "jax_cpu_get_global_topology_timeout_minutes": 5,
    "jax_distributed_debug": False,
    "jax_enable_recoverability": False,
    "jax_enable_preemption_service": True,
    "jax_check_proxy_envs": True,
    "jax_force_dcn_cross_host_transfers": False,
    "jax_cross_host_transfer_socket_address": "",
    "jax_cross_host_transport_addresses": "",
    "jax_cross_host_transfer_timeout_seconds": None,
    "jax_cross_host_transfer_transfer_size": None,
    "jax_experimental_unsafe_xla_runtime_errors": False,
    # what JAX says and writes
    "jax_captured_constants_warn_bytes": 2000000000,
    "jax_captured_constants_report_frames": 0,
    "jax_debug_leaked_clients_on_clear_backends": False,
    "jax_log_checkpoint_residuals": False,
    "jax_compiler_detailed_logging_min_ops": 10,
    "jax_debug_log_modules": "",
    "jax_logging_level": "NOTSET",
    "jax_dump_ir_to": "",
    "jax_include_debug_info_in_dumps": True,
    "jax_dump_ir_modes": "stablehlo",
    "jax_hlo_source_file_canonicalization_regex": None,
    "jax_source_url_schema": None,
    "jax_include_full_tracebacks_in_locations": True,
    "jax_traceback_in_locations_limit": 100,
    "jax_send_traceback_to_runtime": "off",
    "jax_pprint_use_color": True,
    "jax_tracer_error_num_traceback_frames": 5,
}
"""Their names, and the values that JAX 0.10 begins with."""

__all__ = ["UNHEEDED"]
