"""Quantities with units: the gradient of an energy by a length is a force.

The unit is static data of the pytree: it is checked while a program is traced, and costs nothing
when it runs. Tangents of a quantity have its unit; cotangents have the unit of what is
differentiated over it.

The task: the rest position of a mass on a spring, by Newton's method with units throughout.
Run it: python examples/units.py
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pullback as pb
import pullback.numpy as jnp
from pullback import custom_types

Unit = tuple[tuple[str, int], ...]
"""Powers of base units, sorted: (("kg", 1), ("m", 2), ("s", -2)) is a joule."""


class UnitError(TypeError):
    """Quantities of different units were added or compared, or a unit was not what it must be."""


def product(a: Unit, b: Unit, sign: int = 1) -> Unit:
    """The unit of a product; of a quotient with sign -1."""
    powers = dict(a)
    for name, n in b:
        powers[name] = powers.get(name, 0) + sign * n
    return tuple(sorted((name, n) for name, n in powers.items() if n))


def shown(unit: Unit) -> str:
    """`kg m^2 s^-2`"""
    return " ".join(name if n == 1 else f"{name}^{n}" for name, n in unit) or "1"


@custom_types.differentiable
@pb.tree_util.register_dataclass
@dataclass(frozen=True)
class Quantity:
    """Numbers with a unit."""

    value: pb.Array | float
    unit: Unit = field(default=(), metadata={"static": True})

    def _like(self, other: Any, doing: str) -> Quantity:
        other = quantity(other)
        if self.unit != other.unit:
            raise UnitError(f"cannot {doing} {shown(self.unit)} and {shown(other.unit)}")
        return other

    def __add__(self, other: Any) -> Quantity:
        return Quantity(self.value + self._like(other, "add").value, self.unit)

    def __sub__(self, other: Any) -> Quantity:
        return Quantity(self.value - self._like(other, "subtract").value, self.unit)

    def __lt__(self, other: Any) -> pb.Array:
        return self.value < self._like(other, "compare").value

    def __neg__(self) -> Quantity:
        return Quantity(-self.value, self.unit)

    def __mul__(self, other: Any) -> Quantity:
        other = quantity(other)
        return Quantity(self.value * other.value, product(self.unit, other.unit))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Quantity:
        other = quantity(other)
        return Quantity(self.value / other.value, product(self.unit, other.unit, -1))

    def __rtruediv__(self, other: Any) -> Quantity:
        return quantity(other) / self

    def __pow__(self, n: int) -> Quantity:
        return Quantity(self.value**n, tuple((name, n * k) for name, k in self.unit if n))

    def to(self, unit: Quantity) -> pb.Array:
        """The number of `unit`s that this is."""
        return (self / self._like(unit, "convert")).value

    def __str__(self) -> str:
        return f"{self.value} {shown(self.unit)}"

    # What makes it a type with tangents of its own.

    def zero_tangent(self) -> Quantity:
        """A tangent has the unit."""
        return Quantity(jnp.zeros_like(self.value), self.unit)

    def retract(self, step: Quantity) -> Quantity:
        """A step is a sum, of one unit."""
        return self + step

    def local(self, other: Quantity) -> Quantity:
        """The step from here to there."""
        return other - self

    @staticmethod
    def cotangent(x: Any, ct: Any, of: Any) -> Quantity:
        """The derivative of `of` by x has the one's unit over the other's."""
        by = quantity(x)
        return Quantity(quantity(ct).value, product(quantity(of).unit, by.unit, -1))

    def pairing(self, ct: Any) -> Quantity:
        """A cotangent and what it belongs to: their product is what is differentiated."""
        return self * ct


def quantity(x: Any) -> Quantity:
    """Plain numbers, and nothing at all, have the unit 1."""
    if isinstance(x, Quantity):
        return x
    return Quantity(0.0 if x is None else x)


def unit(name: str) -> Quantity:
    """One of a base unit."""
    return Quantity(1.0, ((name, 1),))


m, kg, s = unit("m"), unit("kg"), unit("s")
N = kg * m / s**2
J = N * m


def energy(x: Quantity, mass: Quantity, stiffness: Quantity) -> Quantity:
    """Of a mass that hangs on a spring, pulled down by x."""
    gravity = 9.81 * m / s**2
    return 0.5 * stiffness * x**2 - mass * gravity * x


def newton(x: Quantity, mass: Quantity, stiffness: Quantity) -> Quantity:
    """One step of Newton's method: force over its derivative, which is a length."""

    def force(x: Quantity) -> Quantity:
        return pb.grad(energy)(x, mass, stiffness)

    slope = pb.grad(force)(x)
    return custom_types.apply_updates(x, -force(x) / slope)


def main() -> None:
    """Forces, rates and a rest position, with units."""
    x, mass, stiffness = 0.1 * m, 2.0 * kg, 100.0 * N / m
    print("energy:", energy(x, mass, stiffness))
    print("its derivative by length:", pb.grad(energy)(x, mass, stiffness))
    print("by mass:", pb.grad(energy, argnums=1)(x, mass, stiffness))
    velocity = pb.jvp(lambda t: x + (3.0 * m / s) * t, (0.0 * s,), (1.0 * s,))[1]
    print("moved in a second:", velocity)
    rest = pb.jit(newton)(x, mass, stiffness)
    print("at rest:", rest, "=", rest.to(1e-2 * m), "cm")
    try:
        custom_types.apply_updates(x, -0.01 * pb.grad(energy)(x, mass, stiffness))
    except TypeError as mistake:
        print("a force is no length:", str(mistake).splitlines()[0])
    try:
        x + mass
    except UnitError as mistake:
        print(mistake)


if __name__ == "__main__":
    main()
