"""Dtypes that NumPy lacks, and questions about dtypes."""

from .core.dtypes import bfloat16 as bfloat16
from .core.dtypes import extended as extended
from .core.dtypes import finfo as finfo
from .core.dtypes import float0 as float0
from .core.dtypes import iinfo as iinfo
from .core.dtypes import issubdtype as issubdtype
from .core.dtypes import prng_key as prng_key
