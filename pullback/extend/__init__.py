"""What a user needs to define a new primitive with all its rules: see docs/extend.md."""

from ..core.array import Array as Array
from ..core.array import Tracer as Tracer
from ..core.errors import MissingRule as MissingRule
from ..core.errors import error as error
from ..core.primitive import CORE as CORE
from ..core.primitive import NOT_LINEAR as NOT_LINEAR
from ..core.primitive import RULES as RULES
from ..core.primitive import Absent as Absent
from ..core.primitive import Linear as Linear
from ..core.primitive import Method as Method
from ..core.primitive import Primitive as Primitive
from ..core.primitive import all_primitives as all_primitives
from ..core.primitive import is_linear as is_linear
from ..core.trace import type_of as type_of
from ..core.types import ArrayType as ArrayType
from ..core.types import array_type as array_type
from ..ops.elementwise import Elementwise as Elementwise
from ..ops.elementwise import Linearwise as Linearwise
from ..ops.elementwise import like as like
from ..ops.elementwise import to_shape_of as to_shape_of
from ..ops.structural import LinearPrimitive as LinearPrimitive
from ..ops.structural import move_axis as move_axis
from ..ops.structural import to_front as to_front
from ..ops.structural import zeros as zeros
