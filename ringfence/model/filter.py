"""The filter language's syntax tree: a KQL subset over the flow schema, the same for SQL, Elasticsearch and streams."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Comparison(StrEnum):
    EQUALS = ":"
    AT_LEAST = ">="
    AT_MOST = "<="
    ABOVE = ">"
    BELOW = "<"
    EXISTS = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One comparison. `field` is a name a person wrote; `value` is text: address, CIDR, number, range, wildcard, word.

    Side-agnostic fields (`ip`, `port`, `workload`, `label.<key>`) match when either end matches.
    """

    field: str
    comparison: Comparison
    value: str
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    operand: Filter


@dataclass(frozen=True, slots=True, kw_only=True)
class And:
    operands: tuple[Filter, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Or:
    operands: tuple[Filter, ...]


Filter = Term | Not | And | Or
