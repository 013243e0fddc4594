"""The filter bar's text as tokens that can be switched off, negated and removed one by one."""

from __future__ import annotations

import re
from collections.abc import Iterable

_PLAIN = re.compile(r"[^\s\\():<>\"*{},!=&|]+\Z")
_WORDS = frozenset({"and", "or", "not", "in"})


def quoted(value: str) -> str:
    """A value as the filter language takes it literally: in quotes unless it is one plain word."""
    if _PLAIN.match(value) and value.lower() not in _WORDS:
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def term(field: str, value: str) -> str:
    return f"{field}: {quoted(value)}"


def split(text: str) -> tuple[str, ...]:
    """The parts of a conjunction; a text with `or` at its top level, or unbalanced, is one part."""
    parts: list[str] = []
    for word, depth, start in _words(text):
        if depth == 0 and word in {"or", "||"}:
            return (text.strip(),)
        if depth == 0 and word in {"and", "&&"}:
            parts.append(text[sum(len(part) for part in parts) : start])
            parts.append(text[start : start + len(word)])
    parts.append(text[sum(len(part) for part in parts) :])
    tokens = [part.strip() for part in parts[::2]]
    return tuple(tokens) if all(tokens) else tuple(filter(None, (text.strip(),)))


def joined(tokens: Iterable[str]) -> str:
    """The tokens as one filter; a token with `or` in it gets parentheses when it stands beside others."""
    kept = [token for token in tokens if token]
    if len(kept) == 1:
        return kept[0]
    return " and ".join(f"({token})" if _has_or(token) else token for token in kept)


def negated(token: str) -> str:
    """The opposite of a token; twice gives the token back."""
    if token.lower().startswith("not "):
        inner = token[4:].strip()
        return inner[1:-1] if _wrapped(inner) else inner
    if token.startswith("!"):
        return token[1:].strip()
    needs = len(split(token)) > 1 or _has_or(token)
    return f"not ({token})" if needs else f"not {token}"


def with_token(text: str, token: str) -> str:
    """The filter narrowed by one more token; nothing changes when it is there already."""
    tokens = split(text)
    opposite = negated(token)
    kept = [item for item in tokens if item != opposite]
    return joined(kept if token in kept else [*kept, token])


def _has_or(text: str) -> bool:
    return any(depth == 0 and word in {"or", "||"} for word, depth, _ in _words(text))


def _wrapped(text: str) -> bool:
    return text.startswith("(") and text.endswith(")") and all(depth > 0 for _, depth, _ in _words(text))


def _words(text: str) -> Iterable[tuple[str, int, int]]:
    """Words outside of quotes with the depth of parentheses they stand at and their offset."""
    depth, position = 0, 0
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 2
        elif character == '"':
            position = _after_quote(text, position)
        elif character in "({":
            depth, position = depth + 1, position + 1
        elif character in ")}":
            depth, position = depth - 1, position + 1
        elif character.isspace():
            position += 1
        else:
            end = position
            while end < len(text) and not text[end].isspace() and text[end] not in '"(){}\\':
                end += 1
            yield text[position:end].lower(), depth, position
            position = end


def _after_quote(text: str, position: int) -> int:
    position += 1
    while position < len(text) and text[position] != '"':
        position += 2 if text[position] == "\\" else 1
    return position + 1
