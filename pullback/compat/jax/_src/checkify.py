"""checkify, with the classes of its errors."""

from typing import TypeVar

from pullback.experimental.checkify import BatchedError as BatchedError
from pullback.experimental.checkify import DivisionByZeroError as DivisionByZeroError
from pullback.experimental.checkify import Error as Error
from pullback.experimental.checkify import ErrorCategory as ErrorCategory
from pullback.experimental.checkify import FailedCheckError as FailedCheckError
from pullback.experimental.checkify import JaxException as JaxException
from pullback.experimental.checkify import JaxRuntimeError as JaxRuntimeError
from pullback.experimental.checkify import NaNError as NaNError
from pullback.experimental.checkify import OOBError as OOBError
from pullback.experimental.checkify import all_checks as all_checks
from pullback.experimental.checkify import automatic_checks as automatic_checks
from pullback.experimental.checkify import check as check
from pullback.experimental.checkify import check_error as check_error
from pullback.experimental.checkify import checkify as checkify
from pullback.experimental.checkify import debug_check as debug_check
from pullback.experimental.checkify import div_checks as div_checks
from pullback.experimental.checkify import float_checks as float_checks
from pullback.experimental.checkify import index_checks as index_checks
from pullback.experimental.checkify import init_error as init_error
from pullback.experimental.checkify import nan_checks as nan_checks
from pullback.experimental.checkify import user_checks as user_checks

Out = TypeVar("Out")
