"""The primitives by the names that `jax.lax` gives them: `add_p`, `scan_p`."""

from ..control.branches import cond_p as cond_p
from ..control.linear_solve import custom_linear_solve as linear_solve_p
from ..control.reducing import reduce_p as reduce_p
from ..control.reducing import reduce_window_p as reduce_window_p
from ..control.scan import scan_p as scan_p
from ..control.while_loop import while_p as while_p
from ..ops.approximate import approx_top_k as approx_top_k_p
from ..ops.barriers import optimization_barrier as optimization_barrier_p
from ..ops.barriers import stop_gradient as stop_gradient_p
from ..ops.bit_generator import rng_bit_generator as rng_bit_generator_p
from ..ops.bit_generator import rng_uniform as rng_uniform_p
from ..ops.collective import all_gather as all_gather_p
from ..ops.collective import all_to_all as all_to_all_p
from ..ops.collective import axis_index as axis_index_p
from ..ops.collective import pmax as pmax_p
from ..ops.collective import pmin as pmin_p
from ..ops.collective import ppermute as ppermute_p
from ..ops.collective import psum as psum_p
from ..ops.comparison import and_ as and_p
from ..ops.comparison import bitcast_convert_type as bitcast_convert_type_p
from ..ops.comparison import clamp as clamp_p
from ..ops.comparison import clz as clz_p
from ..ops.comparison import eq as eq_p
from ..ops.comparison import eq_to as eq_to_p
from ..ops.comparison import ge as ge_p
from ..ops.comparison import gt as gt_p
from ..ops.comparison import is_finite as is_finite_p
from ..ops.comparison import le as le_p
from ..ops.comparison import le_to as le_to_p
from ..ops.comparison import lt as lt_p
from ..ops.comparison import lt_to as lt_to_p
from ..ops.comparison import max_ as max_p
from ..ops.comparison import min_ as min_p
from ..ops.comparison import ne as ne_p
from ..ops.comparison import not_ as not_p
from ..ops.comparison import or_ as or_p
from ..ops.comparison import population_count as population_count_p
from ..ops.comparison import shift_left as shift_left_p
from ..ops.comparison import shift_right_arithmetic as shift_right_arithmetic_p
from ..ops.comparison import shift_right_logical as shift_right_logical_p
from ..ops.comparison import xor as xor_p
from ..ops.contraction import dot_general as dot_general_p
from ..ops.convolution import conv_general_dilated as conv_general_dilated_p
from ..ops.cumulative import cumlogsumexp as cumlogsumexp_p
from ..ops.cumulative import cummax as cummax_p
from ..ops.cumulative import cummin as cummin_p
from ..ops.cumulative import cumprod as cumprod_p
from ..ops.cumulative import cumsum as cumsum_p
from ..ops.dynamic import dynamic_slice as dynamic_slice_p
from ..ops.dynamic import dynamic_update_slice as dynamic_update_slice_p
from ..ops.elementwise import add as add_p
from ..ops.elementwise import complex_ as complex_p
from ..ops.elementwise import conj as conj_p
from ..ops.elementwise import convert_element_type as convert_element_type_p
from ..ops.elementwise import div as div_p
from ..ops.elementwise import imag as imag_p
from ..ops.elementwise import mul as mul_p
from ..ops.elementwise import neg as neg_p
from ..ops.elementwise import real as real_p
from ..ops.elementwise import select_n as select_n_p
from ..ops.elementwise import sub as sub_p
from ..ops.fft import fft as fft_p
from ..ops.functions import acos as acos_p
from ..ops.functions import acosh as acosh_p
from ..ops.functions import asin as asin_p
from ..ops.functions import asinh as asinh_p
from ..ops.functions import atan as atan_p
from ..ops.functions import atan2 as atan2_p
from ..ops.functions import atanh as atanh_p
from ..ops.functions import cbrt as cbrt_p
from ..ops.functions import cos as cos_p
from ..ops.functions import cosh as cosh_p
from ..ops.functions import exp as exp_p
from ..ops.functions import exp2 as exp2_p
from ..ops.functions import expm1 as expm1_p
from ..ops.functions import integer_pow as integer_pow_p
from ..ops.functions import log as log_p
from ..ops.functions import log1p as log1p_p
from ..ops.functions import logistic as logistic_p
from ..ops.functions import pow_ as pow_p
from ..ops.functions import rem as rem_p
from ..ops.functions import rsqrt as rsqrt_p
from ..ops.functions import sin as sin_p
from ..ops.functions import sinh as sinh_p
from ..ops.functions import sqrt as sqrt_p
from ..ops.functions import square as square_p
from ..ops.functions import tan as tan_p
from ..ops.functions import tanh as tanh_p
from ..ops.identities import device_put as device_put_p
from ..ops.identities import stage as stage_p
from ..ops.incomplete import igamma as igamma_p
from ..ops.incomplete import igamma_grad_a as igamma_grad_a_p
from ..ops.incomplete import igammac as igammac_p
from ..ops.incomplete import regularized_incomplete_beta as regularized_incomplete_beta_p
from ..ops.indexing import gather as gather_p
from ..ops.indexing import scatter as scatter_p
from ..ops.indexing import scatter_add as scatter_add_p
from ..ops.indexing import scatter_sub as scatter_sub_p
from ..ops.integers import mulhi as mulhi_p
from ..ops.pooling import reduce_window_max as reduce_window_max_p
from ..ops.pooling import reduce_window_min as reduce_window_min_p
from ..ops.pooling import reduce_window_sum as reduce_window_sum_p
from ..ops.pooling import select_and_gather_add as select_and_gather_add_p
from ..ops.pooling import select_and_scatter_add as select_and_scatter_add_p
from ..ops.reduction import argmax as argmax_p
from ..ops.reduction import argmin as argmin_p
from ..ops.reduction import reduce_and as reduce_and_p
from ..ops.reduction import reduce_max as reduce_max_p
from ..ops.reduction import reduce_min as reduce_min_p
from ..ops.reduction import reduce_or as reduce_or_p
from ..ops.reduction import reduce_prod as reduce_prod_p
from ..ops.reduction import reduce_xor as reduce_xor_p
from ..ops.rounding import abs_ as abs_p
from ..ops.rounding import ceil as ceil_p
from ..ops.rounding import floor as floor_p
from ..ops.rounding import nextafter as nextafter_p
from ..ops.rounding import reduce_precision as reduce_precision_p
from ..ops.rounding import round_ as round_p
from ..ops.rounding import sign as sign_p
from ..ops.scattering import scatter_max as scatter_max_p
from ..ops.scattering import scatter_min as scatter_min_p
from ..ops.scattering import scatter_mul as scatter_mul_p
from ..ops.slicing import concatenate as concatenate_p
from ..ops.slicing import pad as pad_p
from ..ops.slicing import slice_ as slice_p
from ..ops.slicing import split as split_p
from ..ops.sorting import sort as sort_p
from ..ops.sorting import top_k as top_k_p
from ..ops.special import bessel_i0e as bessel_i0e_p
from ..ops.special import bessel_i1e as bessel_i1e_p
from ..ops.special import digamma as digamma_p
from ..ops.special import erf as erf_p
from ..ops.special import erf_inv as erf_inv_p
from ..ops.special import erfc as erfc_p
from ..ops.special import lgamma as lgamma_p
from ..ops.special import polygamma as polygamma_p
from ..ops.special import zeta as zeta_p
from ..ops.spreading import sharding_constraint as sharding_constraint_p
from ..ops.stacking import stack as stack_p
from ..ops.stacking import tile as tile_p
from ..ops.stacking import unstack as unstack_p
from ..ops.structural import broadcast_in_dim as broadcast_in_dim_p
from ..ops.structural import copy as copy_p
from ..ops.structural import iota as iota_p
from ..ops.structural import reduce_sum as reduce_sum_p
from ..ops.structural import reshape as reshape_p
from ..ops.structural import rev as rev_p
from ..ops.structural import squeeze as squeeze_p
from ..ops.structural import transpose as transpose_p
from ..ops.tokens import after_all as after_all_p
from ..ops.tokens import create_token as create_token_p
from ..ops.tokens import dce_sink as dce_sink_p

__all__ = [
    "cond_p",
    "linear_solve_p",
    "scan_p",
    "while_p",
    "optimization_barrier_p",
    "stop_gradient_p",
    "all_gather_p",
    "all_to_all_p",
    "axis_index_p",
    "pmax_p",
    "pmin_p",
    "ppermute_p",
    "psum_p",
    "and_p",
    "bitcast_convert_type_p",
    "clamp_p",
    "clz_p",
    "eq_p",
    "eq_to_p",
    "ge_p",
    "gt_p",
    "is_finite_p",
    "le_p",
    "le_to_p",
    "lt_p",
    "lt_to_p",
    "max_p",
    "min_p",
    "ne_p",
    "not_p",
    "or_p",
    "population_count_p",
    "shift_left_p",
    "shift_right_arithmetic_p",
    "shift_right_logical_p",
    "xor_p",
    "rng_bit_generator_p",
    "rng_uniform_p",
    "after_all_p",
    "create_token_p",
    "dce_sink_p",
    "mulhi_p",
    "approx_top_k_p",
    "stage_p",
    "sharding_constraint_p",
    "device_put_p",
    "dot_general_p",
    "conv_general_dilated_p",
    "cumlogsumexp_p",
    "cummax_p",
    "cummin_p",
    "cumprod_p",
    "cumsum_p",
    "dynamic_slice_p",
    "dynamic_update_slice_p",
    "add_p",
    "complex_p",
    "conj_p",
    "convert_element_type_p",
    "div_p",
    "imag_p",
    "mul_p",
    "neg_p",
    "real_p",
    "select_n_p",
    "sub_p",
    "fft_p",
    "acos_p",
    "acosh_p",
    "asin_p",
    "asinh_p",
    "atan_p",
    "atan2_p",
    "atanh_p",
    "cbrt_p",
    "cos_p",
    "cosh_p",
    "exp_p",
    "exp2_p",
    "expm1_p",
    "integer_pow_p",
    "log_p",
    "log1p_p",
    "logistic_p",
    "pow_p",
    "rem_p",
    "rsqrt_p",
    "sin_p",
    "sinh_p",
    "sqrt_p",
    "square_p",
    "tan_p",
    "tanh_p",
    "gather_p",
    "scatter_p",
    "scatter_add_p",
    "scatter_sub_p",
    "argmax_p",
    "argmin_p",
    "reduce_p",
    "reduce_window_p",
    "reduce_window_max_p",
    "reduce_window_min_p",
    "reduce_window_sum_p",
    "select_and_gather_add_p",
    "select_and_scatter_add_p",
    "reduce_and_p",
    "reduce_max_p",
    "reduce_min_p",
    "reduce_or_p",
    "reduce_prod_p",
    "reduce_xor_p",
    "abs_p",
    "ceil_p",
    "floor_p",
    "nextafter_p",
    "reduce_precision_p",
    "round_p",
    "sign_p",
    "scatter_max_p",
    "scatter_min_p",
    "scatter_mul_p",
    "concatenate_p",
    "pad_p",
    "slice_p",
    "split_p",
    "sort_p",
    "top_k_p",
    "bessel_i0e_p",
    "bessel_i1e_p",
    "digamma_p",
    "erf_p",
    "erf_inv_p",
    "erfc_p",
    "igamma_p",
    "igamma_grad_a_p",
    "igammac_p",
    "lgamma_p",
    "polygamma_p",
    "regularized_incomplete_beta_p",
    "zeta_p",
    "stack_p",
    "tile_p",
    "unstack_p",
    "broadcast_in_dim_p",
    "copy_p",
    "iota_p",
    "reduce_sum_p",
    "reshape_p",
    "rev_p",
    "squeeze_p",
    "transpose_p",
]
