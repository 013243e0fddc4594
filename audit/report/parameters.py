"""What a person asks a report for, read and checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ringfence.errors import RingfenceError
from ringfence.model.filter import Filter
from ringfence.store.filter.parser import parse_filter

LONGEST = timedelta(days=400)
DEFAULT = timedelta(hours=24)
LONGEST_KEY = 256
ALIASES = {"from": "start", "to": "end", "timezone": "zone", "q": "filter"}
KEYS = ("start", "end", "zone", "filter", "scope", "group_by")
WORDS = {
    "scope": "workloads under protection, such as data == 'cardholder'",
    "group_by": "label whose values are the zones, or name",
}
"""What a form says of a parameter that the page around it does not have already."""


class ParametersInvalid(RingfenceError):
    """A report cannot be made from what was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """[start, end) in UTC, the zone it is shown in, and the filter as text and as tree.

    `scope` is a selector of the workloads under protection, `group_by` a label key; both only for segmentation.
    """

    start: datetime
    end: datetime
    zone: ZoneInfo
    filter_text: str = ""
    filter: Filter | None = None
    scope: str = ""
    group_by: str = ""


def read_parameters(given: Mapping[str, Any], now: datetime) -> Parameters:
    """Parameters from text, by the names in `KEYS`; a moment without an offset is in `zone`.

    Without `end` the window ends now, without `start` it is 24 hours long. An end in the future is moved to now.

    Raises:
        ParametersInvalid: an unknown name, a moment that cannot be read, an impossible window or time zone.
        FilterInvalid: the filter cannot be read.
    """
    values = {ALIASES.get(str(key), str(key)): _text(key, value) for key, value in given.items()}
    unknown = sorted(set(values) - set(KEYS))
    if unknown:
        raise ParametersInvalid(
            f"a report has no parameter {', '.join(unknown)}", hint=f"parameters are {', '.join(KEYS)}"
        )
    zone = _zone(values.get("zone", ""))
    end = _moment("end", values["end"], zone) if values.get("end") else now
    start = _moment("start", values["start"], zone) if values.get("start") else end - DEFAULT
    if start >= end:
        raise ParametersInvalid(f"the window ends ({end.isoformat()}) before it begins ({start.isoformat()})")
    if start >= now:
        raise ParametersInvalid(f"the window begins in the future ({start.isoformat()})")
    if end - start > LONGEST:
        raise ParametersInvalid(f"the window is longer than {LONGEST.days} days")
    text = values.get("filter", "").strip()
    return Parameters(
        start=start,
        end=min(end, now),
        zone=zone,
        filter_text=text,
        filter=parse_filter(text),
        scope=values.get("scope", "").strip(),
        group_by=_label_key("group_by", values.get("group_by", "").strip()),
    )


def _text(key: object, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise ParametersInvalid(f"the parameter {key} is not text")


def _label_key(name: str, text: str) -> str:
    """Any printable text: containers carry labels of every kind."""
    if len(text) > LONGEST_KEY or not text.isprintable():
        raise ParametersInvalid(f"{text[:60]!a} ({name}) is no label", hint="write a label's key, such as role")
    return text


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name.strip() or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ParametersInvalid(f"{name[:60]!r} is no time zone", hint="write it like Europe/Berlin or UTC") from error


def _moment(name: str, text: str, zone: ZoneInfo) -> datetime:
    try:
        found = datetime.fromisoformat(text.strip())
        moment = (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ParametersInvalid(
            f"{text[:60]!r} ({name}) is no moment", hint="write it like 2026-11-24T09:30 or 2026-11-24T09:30+01:00"
        ) from error
    if not 1970 <= moment.year <= 2261:
        raise ParametersInvalid(f"the year {moment.year} ({name}) is out of reach")
    return moment
