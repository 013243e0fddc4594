"""What a person writes when ordering."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from web.ordering import OrderInvalid, read_access, read_expiry, read_reason

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_a_reason_is_one_line() -> None:
    assert read_reason("  scans\n the db ") == "scans the db"


@pytest.mark.parametrize("text", ["", "  x ", "x" * 501])
def test_an_order_without_a_reason_is_refused(text: str) -> None:
    with pytest.raises(OrderInvalid):
        read_reason(text)


@pytest.mark.parametrize("text", ["abc\0", "scans\x1b[2J", "abc\ud800", "abc\x7f"])
def test_a_reason_is_text(text: str) -> None:
    with pytest.raises(OrderInvalid, match="control characters"):
        read_reason(text)


@pytest.mark.parametrize("text", ["دنبال\u200cکردن", "Überlastung 👩\u200d💻"])
def test_a_reason_may_be_in_any_language(text: str) -> None:
    assert read_reason(text) == text


def test_a_quarantine_has_an_end() -> None:
    assert read_expiry("8h", NOW) == NOW + timedelta(hours=8)
    with pytest.raises(OrderInvalid):
        read_expiry("forever", NOW)


def test_exceptions_are_read_line_by_line() -> None:
    first, second = read_access("in 10.0.0.5/32 tcp 22 8000-8100\n\nout fd00::/64 icmpv6")
    assert str(first.network) == "10.0.0.5/32"
    assert [(port.first, port.last) for port in first.service.ports] == [(22, 22), (8000, 8100)]
    assert second.service.protocol == 58


@pytest.mark.parametrize(
    "text",
    ["sideways 10.0.0.0/8 tcp", "in nowhere tcp", "in 10.0.0.1 tcp 0", "in 10.0.0.1 tcp 9-1", "in 10.0.0.1 icmp 5",
     "in 0.0.0.0/0 tcp 22", "in 10.0.0.1", "in 10.0.0.5/8 tcp", "\n".join(["in 10.0.0.1 tcp"] * 21)],
)  # fmt: skip
def test_an_exception_that_cannot_be_read_or_opens_everything_is_refused(text: str) -> None:
    with pytest.raises(OrderInvalid):
        read_access(text)
