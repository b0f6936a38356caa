"""Pullback: differentiate, vectorise and compile Python functions of arrays. The public names."""

from . import debug as debug
from . import dtypes as dtypes
from . import errors as errors
from . import lax as lax
from . import nn as nn
from . import numpy as numpy
from . import random as random
from . import ref as ref
from . import scipy as scipy
from . import sharding as sharding
from . import tree as tree
from . import tree_util as tree_util
from .accumulation import accumulation_cost as accumulation_cost
from .accumulation import preaccumulate as preaccumulate
from .api import grad as grad
from .api import jvp as jvp
from .api import linearize as linearize
from .api import value_and_grad as value_and_grad
from .api import vjp as vjp
from .callbacks import pure_callback as pure_callback
from .checkpointing import checkpoint as checkpoint
from .checkpointing import checkpoint_chain as checkpoint_chain
from .checkpointing import checkpoint_policies as checkpoint_policies
from .checkpointing import remat as remat
from .core import trace as _trace
from .core.array import Array as Array
from .core.dtypes import float0 as float0
from .core.errors import UnexpectedTracerError as UnexpectedTracerError
from .core.lazy import submodules as _submodules
from .core.settings import config as config
from .core.settings import debug_infs as debug_infs
from .core.settings import debug_nans as debug_nans
from .core.settings import default_matmul_precision as default_matmul_precision
from .core.settings import disable_jit as disable_jit
from .core.settings import enable_x64 as enable_x64
from .core.settings import numpy_dtype_promotion as numpy_dtype_promotion
from .core.settings import numpy_rank_promotion as numpy_rank_promotion
from .core.settings import strong_zero as strong_zero
from .core.settings import threefry_partitionable as threefry_partitionable
from .core.sharding import Shard as Shard
from .custom import closure_convert as closure_convert
from .custom import custom_jvp as custom_jvp
from .custom import custom_vjp as custom_vjp
from .custom_derivatives import custom_gradient as custom_gradient
from .debug import draw as draw
from .devices import Device as Device
from .devices import clear_caches as clear_caches
from .devices import default_backend as default_backend
from .devices import default_device as default_device
from .devices import device_count as device_count
from .devices import devices as devices
from .devices import effects_barrier as effects_barrier
from .devices import host_count as host_count
from .devices import host_id as host_id
from .devices import host_ids as host_ids
from .devices import local_device_count as local_device_count
from .devices import local_devices as local_devices
from .devices import process_count as process_count
from .devices import process_index as process_index
from .devices import process_indices as process_indices
from .environment import live_arrays as live_arrays
from .environment import print_environment_info as print_environment_info
from .halves import fwd_and_bwd as fwd_and_bwd
from .jacobians import hessian as hessian
from .jacobians import jacfwd as jacfwd
from .jacobians import jacobian as jacobian
from .jacobians import jacrev as jacrev
from .jit import ShapeDtypeStruct as ShapeDtypeStruct
from .jit import ensure_compile_time_eval as ensure_compile_time_eval
from .jit import eval_shape as eval_shape
from .jit import jit as jit
from .jit import make_jaxpr as make_jaxpr
from .linear import linear_transpose as linear_transpose
from .mapping import vmap as vmap
from .mode_switching import forward_from_reverse as forward_from_reverse
from .mode_switching import reverse_from_forward as reverse_from_forward
from .naming import named_call as named_call
from .naming import named_scope as named_scope
from .parallel_mapping import pmap as pmap
from .placement import block_until_ready as block_until_ready
from .placement import copy_to_host_async as copy_to_host_async
from .placement import device_get as device_get
from .placement import device_put as device_put
from .placement import make_array_from_callback as make_array_from_callback
from .placement import make_array_from_process_local_data as make_array_from_process_local_data
from .placement import (
    make_array_from_single_device_arrays as make_array_from_single_device_arrays,
)
from .placement import reshard as reshard
from .ref import Ref as Ref
from .ref import ds as ds
from .ref import empty_ref as empty_ref
from .ref import free_ref as free_ref
from .ref import freeze as freeze
from .ref import new_ref as new_ref
from .shard_mapping import shard_map as shard_map
from .shard_mapping import smap as smap
from .sharding import NamedSharding as NamedSharding
from .sharding import make_mesh as make_mesh
from .sharding import set_mesh as set_mesh
from .switches import allow_f16_reductions as allow_f16_reductions
from .switches import array_garbage_collection_guard as array_garbage_collection_guard
from .switches import auto_pcast as auto_pcast
from .switches import check_tracer_leaks as check_tracer_leaks
from .switches import checking_leaks as checking_leaks
from .switches import debug_key_reuse as debug_key_reuse
from .switches import default_prng_impl as default_prng_impl
from .switches import enable_checks as enable_checks
from .switches import enable_custom_prng as enable_custom_prng
from .switches import explain_cache_misses as explain_cache_misses
from .switches import jax2tf_associative_scan_reductions as jax2tf_associative_scan_reductions
from .switches import legacy_prng_key as legacy_prng_key
from .switches import log_compiles as log_compiles
from .switches import no_tracing as no_tracing
from .switches import (
    remove_size_one_mesh_axis_from_type as remove_size_one_mesh_axis_from_type,
)
from .switches import softmax_custom_jvp as softmax_custom_jvp
from .switches import thread_guard as thread_guard
from .switches import transfer_guard as transfer_guard
from .switches import transfer_guard_device_to_device as transfer_guard_device_to_device
from .switches import transfer_guard_device_to_host as transfer_guard_device_to_host
from .switches import transfer_guard_host_to_device as transfer_guard_host_to_device

P = sharding.PartitionSpec
typeof = _trace.type_of

# Imported when first used: not every program needs them.
__getattr__, __dir__ = _submodules(
    __name__,
    [
        "ad_checkpoint",
        "api_util",
        "curvature",
        "custom_batching",
        "custom_derivatives",
        "custom_transpose",
        "custom_types",
        "distributed",
        "dlpack",
        "example_libraries",
        "experimental",
        "export",
        "extend",
        "ffi",
        "flatten_util",
        "image",
        "implicit",
        "lib",
        "memory",
        "monitoring",
        "profiler",
        "sparse",
        "stages",
        "taylor_mode",
        "test_util",
        "tools",
        "typing",
    ],
    {
        "derivative_tensor": "taylor_mode",
        "jet": "experimental.jet",
        "taylor": "taylor_mode",
    },
)

__version__ = "0.1.0"
