"""The functions of BCOO arrays."""

from .array import BCOO as BCOO
from .convolution import bcoo_conv_general_dilated as bcoo_conv_general_dilated
from .dense import bcoo_extract as bcoo_extract
from .dense import bcoo_fromdense as bcoo_fromdense
from .dense import bcoo_todense as bcoo_todense
from .duplicates import bcoo_eliminate_zeros as bcoo_eliminate_zeros
from .duplicates import bcoo_sort_indices as bcoo_sort_indices
from .duplicates import bcoo_sum_duplicates as bcoo_sum_duplicates
from .layout import bcoo_broadcast_in_dim as bcoo_broadcast_in_dim
from .layout import bcoo_concatenate as bcoo_concatenate
from .layout import bcoo_reshape as bcoo_reshape
from .layout import bcoo_rev as bcoo_rev
from .layout import bcoo_squeeze as bcoo_squeeze
from .layout import bcoo_transpose as bcoo_transpose
from .layout import bcoo_update_layout as bcoo_update_layout
from .products import bcoo_dot_general as bcoo_dot_general
from .products import bcoo_dot_general_sampled as bcoo_dot_general_sampled
from .products import bcoo_multiply_dense as bcoo_multiply_dense
from .products import bcoo_multiply_sparse as bcoo_multiply_sparse
from .products import bcoo_reduce_sum as bcoo_reduce_sum
from .slicing import bcoo_dynamic_slice as bcoo_dynamic_slice
from .slicing import bcoo_gather as bcoo_gather
from .slicing import bcoo_slice as bcoo_slice
