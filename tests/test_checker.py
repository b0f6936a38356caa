"""Who checks the checker? For each property, a rule that is wrong in one place must be caught."""

from __future__ import annotations

import numpy as np
import properties
import pytest
from examples.base import INEXACT, Example, F

from pullback.core.array import HostArray
from pullback.core.primitive import _instances
from pullback.core.types import array_type
from pullback.ops.elementwise import Elementwise, Linearwise, conj, like, mul
from pullback.ops.slicing import Split
from pullback.ops.structural import transpose

pytestmark = pytest.mark.usefixtures("x64")


@pytest.fixture
def make():
    """Make the instance of a primitive, known only while the test runs."""
    made = []

    def make_one(cls):
        made.append(cls)
        return cls()

    yield make_one
    for cls in made:
        del _instances[cls]


# ---- right rules


class Twice(Linearwise):
    """2 x: linear"""

    takes = "fc"

    def eval(self, x):
        return np.add(x, x)

    def transpose(self, ct, x):
        return [self(ct)]


class SquareTimes(Elementwise):
    """x^2 y"""

    takes = "fc"

    def eval(self, x, y):
        return np.multiply(np.multiply(x, x), y)

    def jvp_x(self, t, out, x, y):
        return mul(mul(like(x, 2), mul(x, y)), t)

    def jvp_y(self, t, out, x, y):
        return mul(mul(x, x), t)

    def lower(self, x, y):
        return mul(mul(x, x), y)


# ---- each wrong in one place


class WrongFactor(SquareTimes):
    def jvp_x(self, t, out, x, y):
        return mul(mul(like(x, 3), mul(x, y)), t)


class WrongInTheTenthDigit(SquareTimes):
    def jvp_x(self, t, out, x, y):
        return mul(mul(like(x, 2 + 2e-8), mul(x, y)), t)


class ForgetsAnArgument(SquareTimes):
    jvp_y = None


class ConjugatesTheTangent(SquareTimes):
    def jvp_y(self, t, out, x, y):
        return mul(mul(x, x), conj(t, input_dtype=t.dtype) if t.dtype.kind == "c" else t)


class DropsLoneTangents(SquareTimes):
    """Only a sum of both is right: alone, each is taken for zero."""

    def jvp(self, primals, tangents, out):
        return None if None in tangents else super().jvp(primals, tangents, out)


class TangentInAnotherDtype(SquareTimes):
    def jvp_y(self, t, out, x, y):
        return mul(mul(x, x), mul(t, HostArray(np.float64(1))))


class DerivativeOfDerivative(SquareTimes):
    """Right, but the derivative of its derivative is not: x counts as constant there."""

    def jvp_x(self, t, out, x, y):
        return mul(mul(like(x, 2), mul(constant(x), y)), t)


class Constant(Linearwise):
    takes = "fc"
    eval = staticmethod(np.positive)

    def jvp(self, primals, tangents, out):
        return None


constant = Constant()
del _instances[Constant]


class TransposedWrongly(Twice):
    def transpose(self, ct, x):
        return [ct]


class TransposedWithConjugation(Twice):
    def transpose(self, ct, x):
        return [self(conj(ct, input_dtype=ct.dtype) if ct.dtype.kind == "c" else ct)]


class TransposedToAnotherShape(Twice):
    def transpose(self, ct, x):
        return [transpose(ct, permutation=(1, 0))]


class RecordsAnotherOperation(Split):
    """The parts of its tangent come in another order on the tape."""

    def jvp(self, primals, tangents, out, **params):
        return self(*tangents, **params)

    def record(self, tape, args, params):
        return super().record(tape, args, params)[::-1]


class MapsAnotherAxis(Twice):
    def vmap(self, size, args, axes):
        return self(*args), 0


class TakesUnmappedForMapped(SquareTimes):
    def vmap(self, size, args, axes):
        return self(*args), next(a for a in axes if a is not None)


class FailsOnNoElements(Twice):
    def vmap(self, size, args, axes):
        assert size, "cannot be mapped over nothing"
        return self(*args), axes[0]


class RightOnlyForOneElement(Twice):
    def vmap(self, size, args, axes):
        return (self(*args) if size == 1 else args[0]), axes[0]


class TypedInAnotherShape(Twice):
    def typing(self, x):
        return x.update(shape=x.shape[::-1])


class TypedInAnotherDtype(Twice):
    def typing(self, x):
        return x.update(dtype=np.dtype("float32"))


class TypedStrong(Twice):
    def typing(self, x):
        return array_type(x.shape, x.dtype)


class EvaluatesInFloat64(Twice):
    def eval(self, x):
        return x.astype("complex128" if x.dtype.kind == "c" else "float64") * 2


class EvaluatesToAList(Twice):
    def eval(self, x):
        return (2 * x).tolist()


class ChangesItsArgument(Twice):
    def eval(self, x):
        x.flags.writeable = True
        x += x
        return x


class WritesToItsArgument(Twice):
    def eval(self, x):
        x += x
        return x


class LowersToSomethingElse(SquareTimes):
    def lower(self, x, y):
        return mul(x, y)


class RecordedDifferently(Twice):
    """The tangent depends on whether there is a value to look at."""

    def jvp(self, primals, tangents, out):
        return self(*tangents) if isinstance(out, HostArray) else tangents[0]


WRONG = [
    (WrongFactor, "jvp", "float64"),
    (WrongInTheTenthDigit, "jvp", "float64"),
    (ForgetsAnArgument, "jvp", "float64"),
    (ConjugatesTheTangent, "jvp", "complex128"),
    (DropsLoneTangents, "partial_jvps", "float64"),
    (TangentInAnotherDtype, "derivative_types", "float32"),
    (DerivativeOfDerivative, "second_order", "float64"),
    (TransposedWrongly, "vjp", "float64"),
    (TransposedWrongly, "transpose_twice", "float64"),
    (TransposedWithConjugation, "vjp", "complex128"),
    (TransposedToAnotherShape, "derivative_types", "float64"),
    (RecordsAnotherOperation, "push", "float64"),
    (MapsAnotherAxis, "vmap", "float64"),
    (TakesUnmappedForMapped, "vmap", "float64"),
    (FailsOnNoElements, "vmap", "float64"),
    (RightOnlyForOneElement, "vmap", "float64"),
    (TypedInAnotherShape, "typing", "float64"),
    (TypedInAnotherDtype, "typing", "float64"),
    (TypedStrong, "typing", "float64"),
    (EvaluatesInFloat64, "typing", "float32"),
    (EvaluatesToAList, "typing", "float64"),
    (ChangesItsArgument, "typing", "float64"),
    (WritesToItsArgument, "typing", "float64"),
    (LowersToSomethingElse, "lower", "float64"),
    (RecordedDifferently, "recording", "float64"),
    (RecordedDifferently, "jit", "float64"),
    (TypedInAnotherShape, "recording", "float64"),
]


def example_of(primitive):
    if isinstance(primitive, Twice):
        return Example(primitive, [F(2, 3)], dtypes=INEXACT, linear_in=(0,))
    if isinstance(primitive, Split):
        return Example(primitive, [F(4)], {"sizes": (2, 2), "axis": 0}, linear_in=(0,))
    return Example(primitive, [F(2, 2), F(2, 2)], dtypes=INEXACT, linear_in=None)


@pytest.mark.parametrize("cls", [Twice, SquareTimes, Split])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("name", [n for n in properties.PROPERTIES if n != "peer"])
def test_right_rules_pass(make, cls, dtype, name):
    properties.PROPERTIES[name](example_of(make(cls)), dtype)


@pytest.mark.parametrize(
    ("cls", "name", "dtype"), WRONG, ids=[f"{c.__name__}-{n}" for c, n, _ in WRONG]
)
def test_wrong_rule_is_caught(make, cls, name, dtype):
    primitive = make(cls)
    with pytest.raises((AssertionError, TypeError, ValueError)):
        properties.PROPERTIES[name](example_of(primitive), dtype)


def test_message_names_example_property_and_numbers(make):
    example = Example(make(WrongFactor), [np.array([1.0]), np.array([1.0])])
    with pytest.raises(AssertionError) as caught:
        properties.check_jvp(example, "float64")
    first, got, want = str(caught.value).split("\n")
    assert first == "wrong_factor-f64[1]-f64[1]: jvp against finite differences:"
    assert got.startswith("got ") and want.startswith("want ")
