"""Errors found while a program runs, as values: `checkify` and `check`."""

from .api import all_checks as all_checks
from .api import automatic_checks as automatic_checks
from .api import check as check
from .api import check_error as check_error
from .api import checkify as checkify
from .api import debug_check as debug_check
from .api import div_checks as div_checks
from .api import float_checks as float_checks
from .api import index_checks as index_checks
from .api import init_error as init_error
from .api import nan_checks as nan_checks
from .api import user_checks as user_checks
from .found import Error as Error
from .sites import BatchedError as BatchedError
from .sites import DivisionByZeroError as DivisionByZeroError
from .sites import ErrorCategory as ErrorCategory
from .sites import FailedCheckError as FailedCheckError
from .sites import JaxException as JaxException
from .sites import JaxRuntimeError as JaxRuntimeError
from .sites import NaNError as NaNError
from .sites import OOBError as OOBError
