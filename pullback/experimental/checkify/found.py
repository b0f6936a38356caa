"""Error values: which check failed first, and what its message needs to know.

A program carries a number, the code of the first failed check or 0, and for each list of types of
payloads one payload: only one error is ever remembered, so that all checks of a kind share them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...core.array import HostArray
from ...core.pytree import register
from ...core.types import array_type
from ...ops.comparison import and_, eq, ne
from ...ops.elementwise import select_n
from ...ops.structural import zeros
from .sites import BatchedError, JaxException, JaxRuntimeError, Key, Site, Sites

CODE = array_type((), np.dtype(np.int32))


class Error:
    """What a checked function gives beside its result: perhaps an error. It is a pytree.

    After `vmap` of a checked function it has one for each element.
    """

    __slots__ = ("_code", "_payloads", "_sites")

    def __init__(self, code: Any, payloads: dict[Key, list[Any]], sites: Sites) -> None:
        self._code, self._payloads, self._sites = code, payloads, dict(sites)

    def get(self) -> str | None:
        """The message of the first error, or None. For mapped functions: those of all elements."""
        found = self.get_exception()
        return None if found is None else str(found)

    def get_exception(self) -> JaxException | None:
        """The first error as an exception, or None."""
        codes = np.asarray(self._code)
        if not codes.any():
            return None
        if codes.ndim == 0:
            return self._exception(())
        places = [tuple(map(int, i)) for i in np.argwhere(codes)]
        return BatchedError(
            "\n".join(
                f"at mapped index {', '.join(map(str, i))}: {self._exception(i)}" for i in places
            )
        )

    def _exception(self, at: tuple[int, ...]) -> JaxException:
        site = self._sites[int(np.asarray(self._code)[at])]
        payload = [p[at] for p in self._payloads.get(site.key, ())]
        return site.exception(payload)

    def throw(self) -> None:
        """Raise the error, if there is one, as a `JaxRuntimeError`."""
        found = self.get_exception()
        if found is not None:
            raise as_runtime_error(found) from found

    def __repr__(self) -> str:
        return f"Error({self.get()})"


def as_runtime_error(found: JaxException) -> JaxRuntimeError:
    """The exception for users, with the user's line."""
    raised = JaxRuntimeError(str(found))
    for note in getattr(found, "__notes__", ()):
        raised.add_note(note)
    return raised


def _flatten(e: Error) -> tuple[list[Any], Any]:
    keys = tuple(e._payloads)
    sites = tuple(sorted(e._sites.items(), key=lambda item: item[0]))
    return [e._code, *(p for k in keys for p in e._payloads[k])], (keys, sites)


def _rebuild(rest: Any, leaves: Any) -> Error:
    keys, sites = rest
    code, *values = leaves
    return Error(code, by_key(keys, values), dict(sites))


register(Error, _flatten, _rebuild)


def by_key(keys: Sequence[Key], values: Sequence[Any]) -> dict[Key, list[Any]]:
    """A flat list of payloads by their keys."""
    rest = iter(values)
    return {k: [next(rest) for _ in k] for k in keys}


def no_error() -> Error:
    """The value that stands for no error."""
    return Error(HostArray(np.int32(0)), {}, {})


class Ledger:
    """The error of a program so far, while the program runs or is written."""

    def __init__(self) -> None:
        self.code: Any = None
        """None as long as nothing has been checked."""
        self.payloads: dict[Key, list[Any]] = {}
        self.sites: dict[int, Site] = {}

    def add(self, site: Site, failed: Any, payload: Sequence[Any]) -> None:
        """Enter that the check at `site` failed, if the scalar bool `failed` holds."""
        self.merge(
            select_n(failed, HostArray(np.int32(0)), HostArray(np.int32(site.code))),
            {site.key: list(payload)} if site.key else {},
            {site.code: site},
        )

    def merge(
        self, code: Any, payloads: dict[Key, list[Any]], sites: Sites, line: str = ""
    ) -> None:
        """Enter another error, after those so far. `line`: the user's, where it is not known."""
        self.sites.update((n, s.at(line)) for n, s in sites.items())
        if self.code is None:
            self.code, self.payloads = code, dict(payloads)
            return
        nothing = HostArray(np.int32(0))
        if any(k in self.payloads for k in payloads):
            new = and_(eq(self.code, nothing), ne(code, nothing))
        for key, values in payloads.items():
            old = self.payloads.get(key)
            if old is not None:
                values = [select_n(new, a, b) for a, b in zip(old, values, strict=True)]
            self.payloads[key] = values
        self.code = select_n(eq(self.code, nothing), self.code, code)

    def leaves(self, wanted: Sequence[Key] = ()) -> tuple[tuple[Key, ...], list[Any]]:
        """The keys, those `wanted` first, and the code, then the payloads."""
        keys = tuple(dict.fromkeys([*wanted, *self.payloads]))
        code = HostArray(np.int32(0)) if self.code is None else self.code
        values = [p for k in keys for p in self.payloads.get(k) or [zeros(t.strong()) for t in k]]
        return keys, [code, *values]

    def error(self) -> Error:
        """The error value."""
        keys, (code, *values) = self.leaves()
        return Error(code, by_key(keys, values), self.sites)


__all__ = ["CODE", "Error", "Ledger", "as_runtime_error", "by_key", "no_error"]
