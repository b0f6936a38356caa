"""Format strings of values that are not known yet: what can be checked of them before."""

from __future__ import annotations

import string
from typing import Any

from .errors import noted_error


class AnyFormat(string.Formatter):
    """Formats nothing: only checks that there is an argument for each pair of braces."""

    def check(self, fmt: str, args: Any, kwargs: Any, name: str) -> None:
        """Raise what `fmt.format(*args, **kwargs)` would, with the rest of the message."""
        try:
            self.vformat(fmt, args, kwargs)
        except (KeyError, IndexError) as cause:
            named = [str(i) for i in range(len(args))] + list(kwargs)
            raise noted_error(
                type(cause),
                cause.args[0],
                got=f"the format string {fmt!r:.80} of {name}, with "
                + (f"arguments {', '.join(named)}" if named else "no arguments"),
                fix="give an argument for each pair of braces; write {{ and }} for braces.",
            ) from None

    def format_field(self, value: Any, format_spec: str) -> str:
        """Nothing: the values are not known."""
        return ""

    def convert_field(self, value: Any, conversion: Any) -> Any:
        """The value as it is."""
        return value

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        """The argument; what is asked of it behind a dot or in brackets is not looked up."""
        first = field_name.partition(".")[0].partition("[")[0]
        key: Any = int(first) if first.isdigit() else first
        return self.get_value(key, args, kwargs), key
