"""The names a filter may use: those of the schema, and virtual ones that look at both ends."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import NoReturn

from ringfence.errors import FilterInvalid
from ringfence.model.flow import BY_NAME, Column, field_names


@dataclass(frozen=True, slots=True)
class Total:
    """The sum of two columns over what is known; null where neither is."""

    name: str
    ecs: str
    columns: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Field:
    """A term over it is true when it is true of any of the columns. `label` is the key in a labels column."""

    columns: tuple[Column | Total, ...]
    doc: str
    label: str | None = None


Finder = Callable[[str, int], Field]
"""The field of a name that stands at an offset; raises `FilterInvalid`. What a filter may speak of."""


TOTALS = (
    Total("bytes", "network.bytes", ("src_bytes", "dst_bytes")),
    Total("packets", "network.packets", ("src_packets", "dst_packets")),
)

_LABEL_PREFIXES = {
    "label.": ("src_labels", "dst_labels"),
    "source.label.": ("src_labels",),
    "destination.label.": ("dst_labels",),
    "src.label.": ("src_labels",),
    "dst.label.": ("dst_labels",),
}


def _either(doc: str, *names: str) -> Field:
    return Field(tuple(BY_NAME[name] for name in names), doc)


@cache
def virtual_fields() -> dict[str, Field]:
    """Fields that no single column holds."""
    either = {
        "ip": _either(
            "Address of either end, before or after translation.", "src_ip", "dst_ip", "nat_src_ip", "nat_dst_ip"
        ),
        "port": _either(
            "Port of either end, before or after translation.", "src_port", "dst_port", "nat_src_port", "nat_dst_port"
        ),
        "workload": _either(
            "Name or id of the workload at either end.", "src_name", "dst_name", "src_workload", "dst_workload"
        ),
        "kind": _either("Kind of the workload at either end.", "src_kind", "dst_kind"),
    }
    totals = {total.name: Field((total,), f"{total.name.capitalize()} of both ways together.") for total in TOTALS}
    return either | totals | {total.ecs: totals[total.name] for total in TOTALS}


@cache
def _known() -> dict[str, Field]:
    plain = {name: Field((column,), column.doc) for name, column in field_names().items()}
    return plain | virtual_fields()


def find_field(name: str, offset: int = 0) -> Field:
    """The field of that name, in any case; label keys keep theirs.

    Raises:
        FilterInvalid: no such field; the message names the nearest one.
    """
    lower = name.lower()
    for prefix, columns in _LABEL_PREFIXES.items():
        if lower.startswith(prefix) and len(name) > len(prefix):
            key = name[len(prefix) :]
            return Field(tuple(BY_NAME[column] for column in columns), f"Label {key}.", label=key)
    return _known().get(lower) or _unknown(name, offset, [*_known(), *_LABEL_PREFIXES])


def finder(known: Mapping[str, Field]) -> Finder:
    """Finds nothing but these fields, by their lower-case names."""
    return lambda name, offset: known.get(name.lower()) or _unknown(name, offset, known)


def _unknown(name: str, offset: int, known: Iterable[str]) -> NoReturn:
    close = difflib.get_close_matches(name.lower(), list(known), n=3, cutoff=0.6)
    hint = f": did you mean {close[0]}?" if close else ""
    raise FilterInvalid(f"there is no field {name}{hint}", offset=offset, expected=close)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One name for a person to choose, and what it means."""

    name: str
    doc: str


def suggest_fields(prefix: str, *, limit: int = 20, known: Mapping[str, Field] | None = None) -> tuple[Suggestion, ...]:
    """Names (of flows, or of `known`) that begin with the prefix, then those that contain it; short ones first."""
    word = prefix.strip().lower()
    documented = _documented() if known is None else {name: field.doc for name, field in known.items()}
    found = [name for name in documented if word in name]
    found.sort(key=lambda name: (not name.startswith(word), len(name), name))
    return tuple(Suggestion(name, documented[name]) for name in found[:limit])


def _documented() -> dict[str, str]:
    labels = {"label.": "Label of either end, as in `label.role: db`."}
    labels |= {"source.label.": "Label of the source.", "destination.label.": "Label of the destination."}
    return {name: field.doc for name, field in _known().items()} | labels
