"""YAML text to nodes that know their line, within limits: the parser of policies never sees an alias or a tag.

Scalars stay text: what `no`, `010` or `1e3` means is decided by the field they stand in, not by YAML.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from ringfence.model.policy import Problem

MAX_BYTES = 1 << 20
MAX_DEPTH = 24
MAX_NODES = 200_000
MAX_PROBLEMS = 200

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Scalar:
    """`plain` is False for quoted text, which is never a number, a truth value or nothing."""

    line: int
    text: str
    plain: bool

    @property
    def missing(self) -> bool:
        return self.plain and self.text in ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class Sequence:
    line: int
    items: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Entry:
    line: int
    value: Node


@dataclass(frozen=True, slots=True)
class Mapping:
    line: int
    entries: dict[str, Entry] = field(default_factory=dict)


Node = Scalar | Sequence | Mapping


class Problems:
    """Collects what is wrong; stops taking more after `MAX_PROBLEMS`."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, line: int, path: str, message: str) -> None:
        if len(self.found) < MAX_PROBLEMS:
            self.found.append(Problem(line=line, path=path, message=message))


class _Stop(Exception):
    """Reading ends here; the problem is noted already."""


@dataclass(slots=True)
class _Open:
    """A collection that is being filled; `key` waits for its value."""

    node: Sequence | Mapping
    key: Scalar | None = None


class _Builder:
    """Turns YAML events into nodes with a stack of its own, so that depth cannot exhaust Python's."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._stack: list[_Open] = []
        self._nodes = 0
        self.root: Node | None = None

    def take(self, event: yaml.Event) -> None:
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            self._refuse(line, "aliases (`*name`) are not read; use `sets` for what several rules share")
        if isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            self._refuse(line, "a policy is one YAML document; a second one starts here")
        if isinstance(event, yaml.NodeEvent):
            self._check(event, line)
        if isinstance(event, yaml.ScalarEvent):
            self._put(Scalar(line, event.value, not event.style))
        elif isinstance(event, yaml.SequenceStartEvent):
            self._open(Sequence(line))
        elif isinstance(event, yaml.MappingStartEvent):
            self._open(Mapping(line))
        elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            self._stack.pop()

    def _check(self, event: yaml.NodeEvent, line: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._refuse(line, f"more than {MAX_NODES} values")
        if getattr(event, "anchor", None):
            self._refuse(line, "anchors (`&name`) are not read; use `sets` for what several rules share")
        if getattr(event, "tag", None):
            self._refuse(line, f"tags (`{event.tag}`) are not read")  # type: ignore[attr-defined]

    def _open(self, node: Sequence | Mapping) -> None:
        self._put(node)
        self._stack.append(_Open(node))
        if len(self._stack) > MAX_DEPTH:
            self._refuse(node.line, f"nested more than {MAX_DEPTH} deep")

    def _put(self, node: Node) -> None:
        if not self._stack:
            self.root = node
            return
        top = self._stack[-1]
        if isinstance(top.node, Sequence):
            top.node.items.append(node)
        elif top.key is None:
            if not isinstance(node, Scalar):
                self._refuse(node.line, "a key must be a word")
            top.key = node  # type: ignore[assignment]
        else:
            self._enter(top.node, top.key, node)
            top.key = None

    def _enter(self, mapping: Mapping, key: Scalar, value: Node) -> None:
        if key.text in mapping.entries:
            first = mapping.entries[key.text].line
            self._problems.add(key.line, key.text, f"`{key.text}` stands here a second time, first in line {first}")
            return
        mapping.entries[key.text] = Entry(key.line, value)

    def _refuse(self, line: int, message: str) -> None:
        self._problems.add(line, "yaml", message)
        raise _Stop


def read_document(text: str, problems: Problems) -> Node | None:
    """The root node, or None when there is nothing or it cannot be read; what is wrong goes to `problems`."""
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "replace")) > MAX_BYTES:
        problems.add(1, "yaml", f"larger than {MAX_BYTES} bytes")
        return None
    builder = _Builder(problems)
    try:
        for event in _events(text):
            builder.take(event)
    except _Stop:
        return None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problems.add(mark.line + 1 if mark else 1, "yaml", _words(error))
        return None
    except (yaml.YAMLError, UnicodeError, ValueError) as error:
        problems.add(1, "yaml", f"not readable: {' '.join(str(error).split())[:200]}")
        return None
    return builder.root


def _events(text: str) -> Iterator[yaml.Event]:
    yield from yaml.parse(text, Loader=Loader)


def _words(error: yaml.MarkedYAMLError) -> str:
    parts = [part for part in (error.problem, error.context) if part]
    return ", ".join(parts) or "not readable"
