"""The URL is the state: reading it, and making links that change one thing and keep the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Request
from werkzeug.datastructures import MultiDict
from werkzeug.routing import BaseConverter, IntegerConverter

from web import tokens

CARRIED = ("q", "off", "range", "from", "to", "tz")
"""Parameters that go along from page to page."""
PLACE = ("cursor", "offset")
"""Where in a list a page begins: says nothing in a list that is selected otherwise."""
Change = str | int | list[str] | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Address:
    """A path and its parameters, in order."""

    path: str
    parameters: Mapping[str, tuple[str, ...]]

    def one(self, name: str, default: str = "") -> str:
        return next(iter(self.parameters.get(name, ())), default)

    def all(self, name: str) -> tuple[str, ...]:
        return self.parameters.get(name, ())

    def changed(self, path: str | None = None, /, **changes: Change) -> str:
        """The same address with some parameters replaced; None removes one. A trailing `_` avoids keywords."""
        return _build(path or self.path, self.parameters, changes)

    def carried(self, path: str, /, **changes: Change) -> str:
        """Another page with the same filter, time range and zone."""
        kept = {name: values for name, values in self.parameters.items() if name in CARRIED}
        return _build(path, kept, changes)

    def ranged(self, path: str, /, **changes: Change) -> str:
        """Another page with the same time range and zone, without the filter."""
        kept = {name: values for name, values in self.parameters.items() if name in CARRIED[2:]}
        return _build(path, kept, changes)

    def narrowed(self, field: str, value: str, path: str | None = None) -> str:
        """This list with one more condition, from its first page and without the open row."""
        text = tokens.with_token(self.one("q"), tokens.term(field, value))
        gone = dict.fromkeys((*PLACE, "flow", "edge"))
        return _build(path or self.path, self.parameters, {"q": text, **gone})


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


def read_address(request: Request) -> Address:
    arguments: MultiDict[str, str] = request.args
    return Address(request.path, {name: tuple(arguments.getlist(name)) for name in arguments})


def local_path(target: str) -> str:
    """A path of this site to go to after login; `/` for anything else."""
    # Browsers read a backslash as a slash and skip control characters, so `/\evil` and `/<tab>/evil` leave the site.
    safe = target.startswith("/") and not target.startswith("//") and "\\" not in target and target.isprintable()
    return target if safe else "/"
