"""What a host says of itself, in words: figures with units, engines one by one, nothing that is empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from web.words import in_bytes, in_duration, in_number, plural

BYTES = frozenset({"receive_buffer", "spool_bytes"})
SECONDS = frozenset({"lag_seconds"})
APART = frozenset({"limits", "docker"})
"""Shown as sentences, not as figures."""


def figures(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and value of every plain figure, in the order the host gave them."""
    rows = []
    for name, value in facts.items():
        if name in APART or value is None or value in ({}, [], ()):
            continue
        rows.append((name.removesuffix("_seconds").removesuffix("_bytes").replace("_", " "), _words(name, value)))
    return rows


def sentences(facts: Mapping[str, Any]) -> list[str]:
    """What does not work on the host, then its Docker engines."""
    return [*map(str, facts.get("limits") or ()), *map(_engine, facts.get("docker") or ())]


def _words(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_words(str(key), item)}" for key, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_words(name, item) for item in value)
    if name in BYTES:
        return in_bytes(value)
    if name in SECONDS:
        return in_duration(value)
    return in_number(value) if isinstance(value, int) else str(value)


def _engine(state: Mapping[str, Any]) -> str:
    name = f"Docker engine {state.get('name', '')}"
    if not state.get("connected"):
        return f"{name} does not answer: {state.get('error') or 'not connected yet'}"
    return f"{name}: version {state.get('version')}, {plural(int(state.get('containers') or 0), 'container')}"
