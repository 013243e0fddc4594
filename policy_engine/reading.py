"""Typed reading of nodes: each method returns a value or a harmless stand-in, and notes what is wrong with its line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator
from datetime import timedelta
from enum import Enum
from typing import TypeVar

from policy_engine.document import Mapping, Node, Problems, Scalar, Sequence
from policy_engine.selector import SelectorInvalid, compile_selector
from ringfence.model.policy import Selector

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

Choice = TypeVar("Choice", bound=Enum)


def suggestion(word: str, known: Collection[str]) -> str:
    """` (did you mean ...?)` for the closest of the known words, else the list of them."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean `{close[0]}`?" if close else f"; known: {', '.join(sorted(known)) or 'none'}"


class Reader:
    """Reads fields of nodes; paths look like `policies[0].ingress[1].ports[0]`."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    def mapping(self, node: Node, path: str, known: Collection[str], required: Collection[str] = ()) -> Mapping:
        """A mapping with known keys only; an empty one stands in for anything else."""
        if not isinstance(node, Mapping):
            self.problems.add(node.line, path, f"expected keys and values ({', '.join(known)}), found {kind(node)}")
            return Mapping(node.line)
        for key, entry in node.entries.items():
            if key not in known:
                self.problems.add(entry.line, f"{path}.{key}", f"unknown key `{key}`{suggestion(key, known)}")
        for key in required:
            if key not in node.entries:
                self.problems.add(node.line, path, f"`{key}` is missing")
        return node

    def items(self, mapping: Mapping, key: str, path: str) -> Iterator[tuple[str, Node]]:
        """Path and node of each item of a list; nothing when the key is absent."""
        entry = mapping.entries.get(key)
        if entry is None:
            return
        if not isinstance(entry.value, Sequence):
            self.problems.add(
                entry.line,
                f"{path}.{key}".lstrip("."),
                f"expected a list, found {kind(entry.value)}; an empty one is []",
            )
            return
        for index, item in enumerate(entry.value.items):
            yield f"{path}.{key}[{index}]".lstrip("."), item

    def text(self, node: Node, path: str) -> str:
        if not isinstance(node, Scalar) or node.missing:
            self.problems.add(node.line, path, f"expected text, found {kind(node)}")
            return ""
        return node.text

    def field_text(self, mapping: Mapping, key: str, path: str, default: str = "") -> str:
        entry = mapping.entries.get(key)
        return default if entry is None else self.text(entry.value, f"{path}.{key}".lstrip("."))

    def name(self, mapping: Mapping, path: str) -> str:
        """The `name` field: letters, digits, `_`, `.`, `-`, at most 63. Empty when there is none (noted elsewhere)."""
        entry = mapping.entries.get("name")
        if entry is None:
            return ""
        text = self.text(entry.value, f"{path}.name")
        if text and not NAME.fullmatch(text):
            self.problems.add(
                entry.line, f"{path}.name", f"`{text[:80]}` is no name: at most 63 letters, digits, `-`, `_`, `.`"
            )
        return text

    def integer(self, node: Node, path: str, low: int, high: int) -> int:
        if isinstance(node, Scalar) and node.plain and node.text.isascii() and node.text.isdecimal():
            value = int(node.text[:20])
            if low <= value <= high:
                return value
            self.problems.add(node.line, path, f"{node.text[:20]} is not between {low} and {high}")
            return low
        found = f"`{node.text[:40]}`" if isinstance(node, Scalar) else kind(node)
        self.problems.add(node.line, path, f"expected a number between {low} and {high}, found {found}")
        return low

    def truth(self, mapping: Mapping, key: str, path: str, default: bool) -> bool:
        entry = mapping.entries.get(key)
        if entry is None:
            return default
        if isinstance(entry.value, Scalar) and entry.value.plain and entry.value.text in ("true", "false"):
            return entry.value.text == "true"
        self.problems.add(entry.line, f"{path}.{key}", "expected true or false")
        return default

    def choice(self, mapping: Mapping, key: str, path: str, choices: type[Choice], default: Choice) -> Choice:
        entry = mapping.entries.get(key)
        if entry is None:
            return default
        text = self.text(entry.value, f"{path}.{key}".lstrip("."))
        known = {str(item.value): item for item in choices}
        if text in known:
            return known[text]
        if text:
            self.problems.add(entry.line, f"{path}.{key}".lstrip("."), f"`{text[:40]}` is none of {', '.join(known)}")
        return default

    def duration(self, mapping: Mapping, key: str, path: str, default: timedelta) -> timedelta:
        """A positive time such as `500ms`, `10s`, `5m`, `1h`, `7d`."""
        entry = mapping.entries.get(key)
        if entry is None:
            return default
        text = self.text(entry.value, f"{path}.{key}")
        match = DURATION.fullmatch(text)
        seconds = float(match[1]) * UNITS[match[2]] if match else 0.0
        if 0 < seconds <= 366 * 86400:
            return timedelta(seconds=seconds)
        if text:
            self.problems.add(entry.line, f"{path}.{key}", f"`{text[:40]}` is no time such as 500ms, 10s, 5m, 1h or 7d")
        return default

    def selector(self, mapping: Mapping, key: str, path: str) -> Selector | None:
        """A selector that can be compiled, or None. An empty one is refused: it would silently mean everything."""
        entry = mapping.entries.get(key)
        if entry is None:
            return None
        where = f"{path}.{key}"
        text = self.text(entry.value, where)
        if not text.strip():
            if isinstance(entry.value, Scalar) and not entry.value.missing:
                self.problems.add(entry.line, where, "an empty selector; write all() to select every workload")
            return None
        try:
            compile_selector(text)
        except SelectorInvalid as error:
            self.problems.add(entry.line, where, f"selector {text[:200]!r}: {error}")
            return None
        return Selector(text=text)


def kind(node: Node) -> str:
    """What a node is, in words."""
    if isinstance(node, Mapping):
        return "keys and values"
    if isinstance(node, Sequence):
        return "a list"
    return "nothing" if node.missing else f"`{node.text[:40]}`"
