"""What a term means: typed conditions over columns, from which every backend builds its own query.

A condition is true or false, never unknown: a null matches nothing, so `not` of it matches. All three backends keep to
that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ringfence.errors import FilterInvalid
from ringfence.model.filter import Comparison, Term
from ringfence.model.flow import Column, ColumnType
from ringfence.store.addresses import Network, parse_network
from ringfence.store.filter.fields import Field, Finder, Total, find_field
from ringfence.store.filter.pattern import has_wildcard, literal, quote

LARGEST = {ColumnType.PORT: 65_535, ColumnType.SMALL: 255, ColumnType.LONG: 2**63 - 1}
CLOSED_WORDS = {"reporter", "origin", "end_reason", "transport", "enforced", "enforced_basis", "staged"}
"""Columns whose values are a closed set of lower-case words: `verdict: DENIED` is understood."""
CLOSED_WORDS |= {"src_kind", "dst_kind", "src_method", "dst_method"}
CLOSED_WORDS |= {"severity", "kind", "state"}  # of findings

MAX_WILD = 150
"""Elasticsearch refuses a wildcard whose automaton is too large; the worst texts of 180 characters pass there."""

_RANGE = re.compile(r"(\d{1,19})-(\d{1,19})")
_OCTETS = re.compile(r"((?:\d{1,3}\.){1,3})\*")
_TIME_UNITS = (
    (re.compile(r"\d{4}-\d\d-\d\d"), timedelta(days=1)),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(Z|[+-]\d\d:\d\d)?"), timedelta(minutes=1)),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)?"), timedelta(seconds=1)),
)
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Present:
    """The column has a value; a list has an entry."""

    column: Column | Total


@dataclass(frozen=True, slots=True)
class Matches:
    """The text, or one entry of the list, matches the pattern (`*` any characters, a backslash before a literal)."""

    column: Column
    pattern: str


@dataclass(frozen=True, slots=True)
class Within:
    """The address is inside the network."""

    column: Column
    network: Network


@dataclass(frozen=True, slots=True)
class Between:
    """Closed on both ends; None: open."""

    column: Column | Total
    low: int | datetime | None
    high: int | datetime | None


Condition = Present | Matches | Within | Between


def resolve(term: Term, value_offset: int | None = None, find: Finder = find_field) -> tuple[Condition, ...]:
    """The conditions of which any makes the term true.

    Raises:
        FilterInvalid: an unknown field (offset of the term), or a value of another type (offset of the value).
    """
    offset = term.offset if value_offset is None else value_offset
    field = find(term.field, term.offset)
    return tuple(_condition(field, column, term, offset) for column in field.columns)


def _condition(field: Field, column: Column | Total, term: Term, offset: int) -> Condition:
    if field.label is None and (term.comparison is Comparison.EXISTS or _anything(term)):
        return Present(column)
    if isinstance(column, Total):
        return _numbers(column, LARGEST[ColumnType.LONG], term, offset)
    match column.type:
        case ColumnType.KEYWORD | ColumnType.TEXT | ColumnType.LABELS:
            return _text(field, column, term, offset)
        case ColumnType.ADDRESS:
            return _network(column, term, offset)
        case ColumnType.TIME:
            return _time(column, term, offset)
        case _:
            return _numbers(column, LARGEST[column.type], term, offset)


def _anything(term: Term) -> bool:
    return term.comparison is Comparison.EQUALS and term.value != "" and set(term.value) == {"*"}


def _text(field: Field, column: Column, term: Term, offset: int) -> Condition:
    if term.comparison not in (Comparison.EQUALS, Comparison.EXISTS):
        raise FilterInvalid(
            f"{term.field} is text: it can be compared with `:` only, not with `{term.comparison}`",
            offset=offset,
            expected=[":"],
        )
    value = "*" if term.comparison is Comparison.EXISTS else term.value
    if field.label is not None:
        value = quote(f"{field.label}=") + value
    if has_wildcard(value) and len(literal(value)) > MAX_WILD:
        raise FilterInvalid(f"a text with a wildcard has at most {MAX_WILD} characters", offset=offset)
    return Matches(column, value.lower() if column.name in CLOSED_WORDS else value)


def _network(column: Column, term: Term, offset: int) -> Condition:
    if term.comparison is not Comparison.EQUALS:
        raise FilterInvalid(f"{term.field} is an address: use `:`", offset=offset, expected=[":"])
    text = term.value
    octets = _OCTETS.fullmatch(text)
    if octets:
        count = octets[1].count(".")
        text = octets[1] + ".".join(["0"] * (4 - count)) + f"/{8 * count}"
    elif has_wildcard(text):
        raise FilterInvalid(
            f"{literal(text)} is no address: a wildcard stands for whole octets at the end, as in 10.1.*",
            offset=offset,
            expected=["address", "CIDR"],
        )
    try:
        return Within(column, parse_network(literal(text)))
    except ValueError:
        raise FilterInvalid(
            f"{literal(term.value)!r} is neither an address nor a CIDR", offset=offset, expected=["address", "CIDR"]
        ) from None


def _numbers(column: Column | Total, largest: int, term: Term, offset: int) -> Condition:
    text = literal(term.value)
    span = _RANGE.fullmatch(text) if term.comparison is Comparison.EQUALS else None
    first, last = span.groups() if span else (text, text)
    if not (first.isascii() and first.isdecimal()):
        raise FilterInvalid(f"{term.field} is a number, {text!r} is not", offset=offset, expected=["number", "range"])
    low, high = int(first), int(last)
    if max(low, high) > largest:
        raise FilterInvalid(f"{term.field} is at most {largest}", offset=offset, expected=["number"])
    if low > high:
        raise FilterInvalid(f"the range {text} ends before it begins", offset=offset, expected=["range"])
    return Between(column, *_bounds(term.comparison, low, high, 1))


def _time(column: Column, term: Term, offset: int) -> Condition:
    text = literal(term.value).replace(" ", "T")
    try:
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        unit = next((unit for pattern, unit in _TIME_UNITS if pattern.fullmatch(text)), _TICK)
        low, high = _bounds(term.comparison, at, at + unit - _TICK, _TICK)
    except (ValueError, OverflowError):
        raise FilterInvalid(
            f"{text!r} is no time: write 2026-01-31 or 2026-01-31T12:30 (UTC)", offset=offset, expected=["time"]
        ) from None
    if at.year < 1970 or at.year > 2261:
        raise FilterInvalid(f"the year {at.year} is out of reach", offset=offset, expected=["time"])
    return Between(column, low, high)


def _bounds(comparison: Comparison, first: object, last: object, tick: object) -> tuple:  # type: ignore[type-arg]
    """What is compared with lies in [first, last], as a day does: `above` begins after its end."""
    match comparison:
        case Comparison.AT_LEAST:
            return first, None
        case Comparison.ABOVE:
            return last + tick, None  # type: ignore[operator]
        case Comparison.AT_MOST:
            return None, last
        case Comparison.BELOW:
            return None, first - tick  # type: ignore[operator]
        case _:
            return first, last
