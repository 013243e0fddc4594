"""One audit record as one line of bytes: canonical JSON whose last member is the hash of everything before it.

A line is `{"event":{...},"previous":"<64 hex>","sequence":N,"sha256":"<64 hex>"}`. The hash is the SHA-256 of the same
object without its last member, so a checker needs no JSON writer of its own: cut, close the brace, hash, compare.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from audit.redact import redacted
from ringfence.model.event import AuditEvent, AuditRecord, EventAction

GENESIS = "0" * 64
"""`previous` of the very first record."""

DEEPEST = 8
_SUFFIX = len(',"sha256":""}') + 64
_TAIL = re.compile(rb',"previous":"([0-9a-f]{64})","sequence":(0|[1-9][0-9]{0,15}),"sha256":"([0-9a-f]{64})"}$')


def canonical(value: Any) -> bytes:
    """JSON with sorted keys, no spaces and ASCII only: the same value is always the same bytes, on one line."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def plain(value: Any, depth: int = 0) -> Any:
    """Anything as JSON values; what JSON has no word for becomes text, what is nested too deep a remark."""
    if isinstance(value, Enum):
        return plain(value.value, depth)
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return _plain_container(value, depth + 1) if depth < DEEPEST else "[nested too deep]"
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    return _word(value)


def _plain_container(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        return {str(plain(key, depth)): plain(item, depth) for key, item in value.items()}
    items = [plain(item, depth) for item in value]
    return sorted(items, key=str) if isinstance(value, set | frozenset) else items


def _word(value: Any) -> str:
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)


def event_content(event: AuditEvent) -> dict[str, Any]:
    """The event as it is written: secrets taken out, times in UTC."""
    return {
        "action": event.action.value,
        "actor": event.actor,
        "at": event.at.astimezone(UTC).isoformat(),
        "detail": redacted(plain(event.detail)),
        "origin": event.origin,
        "outcome": event.outcome,
        "target": event.target,
    }


def write_line(sequence: int, previous: str, event: AuditEvent) -> tuple[bytes, str]:
    """The line without its newline, and its hash."""
    body = canonical({"event": event_content(event), "previous": previous, "sequence": sequence})
    digest = hashlib.sha256(body).hexdigest()
    return body[:-1] + b',"sha256":"' + digest.encode() + b'"}', digest


def read_tail(line: bytes) -> tuple[int, str, str] | None:
    """(sequence, previous, hash) that the line claims, without checking them; None when it is no record."""
    found = _TAIL.search(line)
    return (int(found[2]), found[1].decode(), found[3].decode()) if found else None


def intact(line: bytes) -> bool:
    """Whether the line is a record whose hash is that of its content."""
    found = read_tail(line)
    return found is not None and hashlib.sha256(line[:-_SUFFIX] + b"}").hexdigest() == found[2]


def read_line(line: bytes) -> AuditRecord | None:
    """The record, or None when the line is not one or does not have the hash it claims."""
    if not intact(line):
        return None
    try:
        record = json.loads(line)
        event = record["event"]
        return AuditRecord(
            sequence=record["sequence"],
            previous=record["previous"],
            hash=record["sha256"],
            event=AuditEvent(
                at=datetime.fromisoformat(event["at"]),
                actor=event["actor"],
                action=EventAction(event["action"]),
                target=event["target"],
                outcome=event["outcome"],
                origin=event["origin"],
                detail=event["detail"],
            ),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
