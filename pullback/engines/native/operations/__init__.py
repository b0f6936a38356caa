"""The code of elementwise primitives: what each does to words of one width."""

from .table import OPERATIONS as OPERATIONS
