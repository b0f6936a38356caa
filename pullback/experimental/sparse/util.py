"""Warnings, errors and what is known of sparse arrays."""

from .base import CuSparseEfficiencyWarning as CuSparseEfficiencyWarning
from .base import SparseEfficiencyError as SparseEfficiencyError
from .base import SparseEfficiencyWarning as SparseEfficiencyWarning
from .base import SparseInfo as SparseInfo
