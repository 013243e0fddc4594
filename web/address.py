"""The URL is the state: reading it, and making links that change one thing and keep the rest."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Request
from werkzeug.datastructures import MultiDict
from werkzeug.routing import BaseConverter, IntegerConverter

from web import tokens

CARRIED = ("q", "off", "range", "from", "to", "tz")
"""Parameters that go along from page to page."""
RANGE = ("range", "from", "to")
PLACE = ("cursor", "offset")
"""Where in a list a page begins: says nothing in a list that is selected otherwise."""
RESUMED = "after"
"""Where a stream goes on: belongs to that request alone."""
Change = str | int | list[str] | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Address:
    """A path and its parameters, in order; `default_range` is what the page shows where they name no time range."""

    path: str
    parameters: Mapping[str, tuple[str, ...]]
    default_range: str = ""

    def one(self, name: str, default: str = "") -> str:
        return next(iter(self.parameters.get(name, ())), default)

    def all(self, name: str) -> tuple[str, ...]:
        return self.parameters.get(name, ())

    def changed(self, path: str | None = None, /, **changes: Change) -> str:
        """The same address with some parameters replaced; None removes one. A trailing `_` avoids keywords."""
        return _build(path or self.path, self.parameters, changes)

    def carried(self, path: str, /, **changes: Change) -> str:
        """Another page with the same filter, time range and zone."""
        return _build(path, self._kept(CARRIED), changes)

    def ranged(self, path: str, /, **changes: Change) -> str:
        """Another page with the time range and zone that were chosen, if any, without the filter."""
        return _build(path, self._kept(CARRIED[2:]), changes)

    def within(self, path: str, /, **changes: Change) -> str:
        """Another page over the very time that this one shows, chosen or not: what was counted here is found there."""
        return _build(path, self._shown() | self._kept(CARRIED[2:]), changes)

    def narrowed(self, field: str, value: str, path: str | None = None) -> str:
        """This list with one more condition, from its first page and without the open row."""
        return self.filtered(tokens.with_token(self.one("q"), tokens.term(field, value)), path)

    def filtered(self, text: str, path: str | None = None) -> str:
        """This list, or another one over the same time, with this filter."""
        shown = self._shown() if path not in (None, self.path) else {}
        gone = dict.fromkeys((*PLACE, "flow", "edge"))
        return _build(path or self.path, {**self.parameters, **shown}, {"q": text, **gone})

    def _kept(self, names: Collection[str]) -> dict[str, tuple[str, ...]]:
        return {name: values for name, values in self.parameters.items() if name in names}

    def _shown(self) -> dict[str, tuple[str, ...]]:
        chosen = any(self.one(name) for name in RANGE)
        return {} if chosen or not self.default_range else {"range": (self.default_range,)}


class WholeNumber(IntegerConverter):
    """A number in a path that fits the stores; longer ones are no address of ours."""

    regex = r"\d{1,18}"


class Name(BaseConverter):
    """A part of a path. PostgreSQL holds no text with a NUL, so that one is no address of ours with any store."""

    regex = r"[^/\x00]+"
    part_isolating = True


def _build(path: str, parameters: Mapping[str, tuple[str, ...]], changes: Mapping[str, Change]) -> str:
    merged: dict[str, tuple[str, ...]] = dict(parameters)
    for given, value in changes.items():
        name = given.rstrip("_")
        if value is None or value in ("", [], ()):
            merged.pop(name, None)
        else:
            merged[name] = tuple(value) if isinstance(value, list | tuple) else (str(value),)
    query = urlencode([(name, value) for name, values in merged.items() for value in values])
    return f"{path}?{query}" if query else path


def read_address(request: Request, default_range: str = "") -> Address:
    """The address of a request; what only says where a stream goes on belongs to no link."""
    arguments: MultiDict[str, str] = request.args
    named = {name: tuple(arguments.getlist(name)) for name in arguments if name != RESUMED}
    return Address(request.path, named, default_range)


def local_path(target: str) -> str:
    """A path of this site to go to after login; `/` for anything else."""
    # Browsers read a backslash as a slash and skip control characters, so `/\evil` and `/<tab>/evil` leave the site.
    safe = target.startswith("/") and not target.startswith("//") and "\\" not in target and target.isprintable()
    return target if safe else "/"
