"""How the elements of an array lie in memory: descriptions, which this engine does not need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import checks
from ..core.errors import error
from ..core.pytree import flatten, prefix_leaves
from ..core.sharding import Sharding


class _Auto:
    """The compiler chooses."""

    def __repr__(self) -> str:
        return "AUTO"


class Layout:
    """An order of axes in memory, from the slowest to the fastest, and tiles.

    Args:
      major_to_minor: the axes, the one with the largest steps first.
      tiling: the shapes of tiles, none by default.
      sub_byte_element_size_in_bits: the size of elements smaller than a byte, otherwise 0.
    """

    AUTO = _Auto()

    def __init__(
        self,
        major_to_minor: Sequence[int],
        tiling: Sequence[Sequence[int]] | None = None,
        sub_byte_element_size_in_bits: int = 0,
    ) -> None:
        self.major_to_minor = tuple(major_to_minor)
        self.tiling = None if tiling is None else tuple(map(tuple, tiling))
        self.sub_byte_element_size_in_bits = sub_byte_element_size_in_bits

    def _key(self) -> tuple[Any, ...]:
        return (self.major_to_minor, self.tiling, self.sub_byte_element_size_in_bits)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layout) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return (
            f"Layout(major_to_minor={self.major_to_minor}, tiling={self.tiling}, "
            f"sub_byte_element_size_in_bits={self.sub_byte_element_size_in_bits})"
        )

    def update(self, **kwargs: Any) -> Layout:
        """The same layout with some of its parts changed."""
        names = ("major_to_minor", "tiling", "sub_byte_element_size_in_bits")
        return Layout(**{**{n: getattr(self, n) for n in names}, **kwargs})

    def check_compatible_aval(self, aval_shape: Sequence[int]) -> None:
        """Raise ValueError unless the layout is one of arrays of this shape."""
        if sorted(self.major_to_minor) != list(range(len(aval_shape))):
            raise error(
                ValueError,
                "Length of major_to_minor and the rank of the value should match.",
                got=f"major_to_minor={self.major_to_minor} and shape={tuple(aval_shape)}",
                fix="name each axis of the array once.",
            )


class Format:
    """A layout and a sharding together.

    Args:
      layout: a Layout, `Layout.AUTO` or None.
      sharding: a sharding or None; a Layout needs one.

    Raises:
      ValueError: there is a layout but no sharding.
      TypeError: an argument is of another kind.
    """

    __slots__ = ("layout", "sharding")

    def __init__(self, layout: Any = None, sharding: Any = None) -> None:
        for name, value, kinds in (
            ("layout", layout, (Layout, _Auto)),
            ("sharding", sharding, (Sharding,)),
        ):
            if value is not None and not isinstance(value, kinds):
                raise error(
                    TypeError,
                    f"Invalid value received for the {name} argument.",
                    got=f"{name}={value!r:.80}",
                    fix="give a Layout, Layout.AUTO or None, and a sharding or None.",
                )
        if isinstance(layout, Layout) and sharding is None:
            raise error(
                ValueError,
                "Sharding has to be concrete when layout is of type Layout.",
                got=f"layout={layout}, sharding=None",
                fix="give a NamedSharding or a SingleDeviceSharding too.",
            )
        self.layout, self.sharding = layout, sharding

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, Format)
        return same and (self.layout, self.sharding) == (other.layout, other.sharding)  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash((self.layout, self.sharding))

    def __repr__(self) -> str:
        return f"Format(layout={self.layout}, sharding={self.sharding})"


def with_layout_constraint(x: Any, layouts: Any) -> Any:
    """`x` as it is, once the layouts are checked: this engine has one layout.

    Args:
      x: a pytree of arrays.
      layouts: a Layout for all of them, or a pytree of Layouts.

    Raises:
      ValueError: a layout does not fit its array.
      TypeError: an entry is no Layout.
    """
    leaves, tree = flatten(x)
    arrays = [checks.input_array(leaf, "with_layout_constraint") for leaf in leaves]
    for array, layout in zip(arrays, prefix_leaves("layouts", layouts, x), strict=True):
        if not isinstance(layout, Layout):
            raise error(
                TypeError,
                "with_layout_constraint needs a Layout for each array.",
                got=f"{layout!r:.80}",
                fix="give Layout(major_to_minor=...).",
            )
        layout.check_compatible_aval(array.shape)
    return tree.unflatten(arrays)


__all__ = ["Format", "Layout", "with_layout_constraint"]
