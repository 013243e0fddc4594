"""What a person writes when ordering: reason, expiry and exceptions, read once and refused with a sentence."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from ipaddress import ip_network

from ringfence.errors import RingfenceError
from ringfence.model.flow import PROTOCOL_NUMBERS
from ringfence.model.policy import PortInterval, Service
from ringfence.model.quarantine import ControlledAccess
from ringfence.model.verdict import Direction

DURATIONS: dict[str, tuple[str, timedelta]] = {
    "1h": ("1 hour", timedelta(hours=1)),
    "8h": ("8 hours", timedelta(hours=8)),
    "24h": ("24 hours", timedelta(hours=24)),
    "7d": ("7 days", timedelta(days=7)),
}
LONGEST_REASON = 500
MOST_EXCEPTIONS = 20
NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Unicode's control characters but tab and the ends of lines, and halves of surrogate pairs, which no store and no file
can hold."""
EXAMPLE = "in 10.0.0.5/32 tcp 22"


class OrderInvalid(RingfenceError):
    """The order lacks something or says something impossible."""


def read_reason(text: str) -> str:
    """A reason in a few words; it goes into the audit log.

    Raises:
        OrderInvalid: it is missing, too long, or has characters that are no text.
    """
    reason = " ".join(text.split())
    if NO_TEXT.search(reason):
        raise OrderInvalid("The reason has control characters in it: write it in plain words.")
    if len(reason) < 3:
        raise OrderInvalid("Say why: the reason goes into the audit log.")
    if len(reason) > LONGEST_REASON:
        raise OrderInvalid(f"The reason is longer than {LONGEST_REASON} characters.")
    return reason


def read_expiry(text: str, now: datetime) -> datetime:
    """The end of a quarantine: one of `DURATIONS` from now.

    Raises:
        OrderInvalid: another word.
    """
    if text not in DURATIONS:
        raise OrderInvalid(f"Choose how long: {', '.join(DURATIONS)}.")
    return now + DURATIONS[text][1]


def read_access(text: str) -> tuple[ControlledAccess, ...]:
    """Exceptions, one a line: `in 10.0.0.5/32 tcp 22`.

    Raises:
        OrderInvalid: a line cannot be read; it is named.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > MOST_EXCEPTIONS:
        raise OrderInvalid(f"At most {MOST_EXCEPTIONS} exceptions.")
    return tuple(_read_line(line) for line in lines)


def _read_line(line: str) -> ControlledAccess:
    words = line.split()
    directions = {"in": Direction.INGRESS, "out": Direction.EGRESS}
    try:
        direction, network, protocol = directions[words[0].lower()], ip_network(words[1]), words[2].lower()
        ports = tuple(_read_ports(word) for word in words[3:])
        number = PROTOCOL_NUMBERS[protocol]
    except (KeyError, IndexError, ValueError):
        raise OrderInvalid(f"“{line[:80]}” is no exception; write it like “{EXAMPLE}”.") from None
    if ports and number not in (6, 17, 132):
        raise OrderInvalid(f"“{line[:80]}”: {protocol} has no ports.")
    if network.prefixlen == 0:
        raise OrderInvalid(f"“{line[:80]}” would let everything through.")
    return ControlledAccess(direction=direction, network=network, service=Service(protocol=number, ports=ports))


def _read_ports(word: str) -> PortInterval:
    first, _, last = word.partition("-")
    low, high = int(first), int(last or first)
    if not 0 < low <= high <= 65535:
        raise ValueError(word)
    return PortInterval(first=low, last=high)
