"""The filter bar: what was written, what of it is switched on, and where it is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ringfence.errors import FilterInvalid
from ringfence.model.filter import Filter
from ringfence.model.flow import field_names
from ringfence.store.filter.fields import Finder, Suggestion, find_field, suggest_fields
from ringfence.store.filter.parser import MAX_CHARACTERS, parse_filter
from web import tokens

WORDS: dict[str, tuple[str, ...]] = {
    "enforced": ("allowed", "denied"),
    "staged": ("allowed", "denied"),
    "enforced_basis": ("explicit", "default"),
    "transport": ("tcp", "udp", "icmp", "ipv6-icmp", "sctp"),
    "reporter": ("src", "dst", "host", "src+dst", "src+dst+host"),
    "end_reason": ("closed", "denied", "lost", "imported"),
    "origin": ("conntrack", "nflog", "pcap"),
    "ip_version": ("4", "6"),
    "src_method": ("netns", "interval", "nat", "static", "unknown"),
    "dst_method": ("netns", "interval", "nat", "static", "unknown"),
    "src_kind": ("container", "host", "pod", "vm", "external"),
    "dst_kind": ("container", "host", "pod", "vm", "external"),
}
"""Columns with a closed list of values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What a bar may speak of. `suggest` completes a name; `values` are those of a closed list, else empty."""

    find: Finder
    suggest: Callable[[str, int], tuple[Suggestion, ...]]
    values: Callable[[str], tuple[str, ...]]
    example: str
    completion: str
    """The path that answers while a person types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    text: str
    on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """`text` is what counts (the tokens that are on); `error` empty when it is valid, `offset` is into `text`."""

    text: str
    tokens: tuple[Token, ...] = ()
    filter: Filter | None = None
    error: str = ""
    offset: int = 0
    expected: tuple[str, ...] = ()
    vocabulary: Vocabulary = field(default_factory=lambda: FLOWS)

    @property
    def valid(self) -> bool:
        return not self.error

    @property
    def caret(self) -> tuple[str, str]:
        """The text before the error and the character it stands at (a blank at the end)."""
        return self.text[: self.offset], self.text[self.offset : self.offset + 1] or " "

    def off(self) -> tuple[str, ...]:
        return tuple(token.text for token in self.tokens if not token.on)

    def without(self, token: Token) -> str:
        """The filter text without one of its tokens that are on."""
        return tokens.joined(item.text for item in self.tokens if item.on and item is not token)

    def negated(self, token: Token) -> str:
        """The filter text with one of its tokens turned into its opposite."""
        on = [item for item in self.tokens if item.on]
        return tokens.joined(tokens.negated(item.text) if item is token else item.text for item in on)

    def with_(self, token: Token) -> str:
        """The filter text with a token that is off switched on."""
        return tokens.with_token(self.text, token.text)


def values_of(name: str) -> tuple[str, ...]:
    """The values a field of a flow with a closed list can have; empty for others."""
    column = field_names().get(name.lower())
    return WORDS.get(column.name, ()) if column else ()


FLOWS: Vocabulary = Vocabulary(
    find=find_field,
    suggest=lambda prefix, limit: suggest_fields(prefix, limit=limit),
    values=values_of,
    example="verdict: denied and dst.name: db",
    completion="/flows/suggest",
)


def read_bar(text: str, switched_off: Sequence[str] = (), vocabulary: Vocabulary = FLOWS) -> Bar:
    """Read the bar; never raises, an invalid filter is an answer."""
    bar = partial(Bar, vocabulary=vocabulary)
    text = text.strip()
    off = tuple(Token(text=item.strip(), on=False) for item in switched_off[:20] if item.strip())
    if len(text) > MAX_CHARACTERS:
        return bar(
            text=text[:MAX_CHARACTERS], tokens=off, error=f"The filter is longer than {MAX_CHARACTERS} characters."
        )
    if not text:
        return bar(text="", tokens=off)
    try:
        parsed = parse_filter(text, vocabulary.find)
    except FilterInvalid as error:
        return bar(text=text, tokens=off, error=str(error), offset=error.offset, expected=error.expected)
    on = tuple(Token(text=item, on=True) for item in tokens.split(text))
    return bar(text=text, tokens=(*on, *off), filter=parsed)


def suggestions(text: str, vocabulary: Vocabulary = FLOWS, *, limit: int = 12) -> tuple[tuple[str, str], ...]:
    """What could complete the last word of a filter: (the whole filter with the completion, what it means)."""
    head, last = _last_word(text)
    if ":" in last:
        name, _, start = last.partition(":")
        known = vocabulary.values(name)
        found = [(f"{head}{name}: {value}", "") for value in known if value.startswith(start.strip().lower())]
    else:
        found = [
            (f"{head}{item.name}{'' if item.name.endswith('.') else ': '}", item.doc)
            for item in vocabulary.suggest(last, limit)
        ]
    return tuple(found[:limit])


def completion(text: str, vocabulary: Vocabulary) -> dict[str, Any]:
    """What the bar's script wants to know of a text while it is typed."""
    bar = read_bar(text, vocabulary=vocabulary)
    found = [{"text": item, "doc": doc} for item, doc in suggestions(text, vocabulary)]
    return {"valid": bar.valid, "error": bar.error, "offset": bar.offset, "suggestions": found}


def _last_word(text: str) -> tuple[str, str]:
    """Split before the last word; `field: val` is one word."""
    cut = len(text)
    while cut > 0 and not text[cut - 1].isspace() and text[cut - 1] not in "(!":
        cut -= 1
    before = text[:cut].rstrip()
    if before.endswith(":"):
        start = len(before) - 1
        while start > 0 and not before[start - 1].isspace() and before[start - 1] not in "(!":
            start -= 1
        return text[:start], before[start:] + text[cut:]
    return text[:cut], text[cut:]
