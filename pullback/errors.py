"""Every error class of the API."""

from .core.dtypes import TypePromotionError as TypePromotionError
from .core.errors import ConcretizationTypeError as ConcretizationTypeError
from .core.errors import InconclusiveDimensionOperation as InconclusiveDimensionOperation
from .core.errors import JAXIndexError as JAXIndexError
from .core.errors import JaxRuntimeError as JaxRuntimeError
from .core.errors import JAXTypeError as JAXTypeError
from .core.errors import KeyReuseError as KeyReuseError
from .core.errors import MissingRule as MissingRule
from .core.errors import NonConcreteBooleanIndexError as NonConcreteBooleanIndexError
from .core.errors import ProcessLostError as ProcessLostError
from .core.errors import ProgramError as ProgramError
from .core.errors import TracerArrayConversionError as TracerArrayConversionError
from .core.errors import TracerBoolConversionError as TracerBoolConversionError
from .core.errors import TracerIntegerConversionError as TracerIntegerConversionError
from .core.errors import UnexpectedTracerError as UnexpectedTracerError

JaxprTypeError = ProgramError
"""The name that JAX gives it."""
