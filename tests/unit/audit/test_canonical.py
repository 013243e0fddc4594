from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import GENESIS, canonical, intact, plain, read_line, read_tail, write_line
from ringfence.model.event import EventAction
from ringfence.model.verdict import Outcome
from tests.support.audit_events import event

TEXT = st.text(st.characters(codec=None, exclude_categories=[]), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(actor=TEXT, target=TEXT, origin=TEXT, detail=st.dictionaries(TEXT, JSON, max_size=5))
def test_any_event_is_one_ascii_line_that_reads_back(actor: str, target: str, origin: str, detail: object) -> None:
    given_event = event(3, actor=actor, target=target, origin=origin, detail=detail)
    line, digest = write_line(7, GENESIS, given_event)
    assert line.isascii()
    assert b"\n" not in line and b"\r" not in line
    record = read_line(line)
    assert record is not None
    assert (record.sequence, record.previous, record.hash) == (7, GENESIS, digest)
    assert record.event.action is EventAction.LOGIN
    assert record.event.at == given_event.at


def test_a_written_record_read_back_and_written_again_is_the_same_line() -> None:
    line, _ = write_line(1, GENESIS, event(1, detail={"b": [1, {"z": 1, "a": None}], "a": "ü\n"}))
    record = read_line(line)
    assert record is not None
    assert write_line(record.sequence, record.previous, record.event)[0] == line


def test_the_line_is_canonical_json_with_the_hash_of_everything_before_it() -> None:
    line, digest = write_line(1, GENESIS, event(1))
    fields = json.loads(line)
    assert canonical(fields) == line
    assert fields.pop("sha256") == digest


def test_a_line_inside_a_target_cannot_forge_a_record() -> None:
    forged, _ = write_line(2, GENESIS, event(2, actor="root"))
    line, _ = write_line(1, GENESIS, event(1, target=f"x\n{forged.decode()}\n"))
    assert line.count(b"\n") == 0
    assert read_tail(line) is not None and read_tail(line)[0] == 1  # type: ignore[index]


def test_every_changed_byte_of_a_line_is_noticed() -> None:
    line, _ = write_line(12, GENESIS, event(12))
    for position in range(len(line)):
        for change in (1, 0x20, 0x80):
            changed = bytearray(line)
            changed[position] ^= change
            assert not intact(bytes(changed)), f"byte {position} changed by {change:#x}"


def test_times_are_written_in_utc() -> None:
    berlin = timezone(timedelta(hours=1))
    assert plain(datetime(2026, 11, 24, 13, 0, tzinfo=berlin)) == "2026-11-24T12:00:00+00:00"


def test_values_json_has_no_word_for_become_text() -> None:
    given_value = {
        "address": ip_address("2001:db8::1"),
        "path": Path("/x"),
        "bytes": b"\x00\xff",
        "enum": Outcome.DENIED,
        "set": {3, 1, 2},
        "mapping": MappingProxyType({1: "one"}),
        "nan": float("nan"),
    }
    assert plain(given_value) == {
        "address": "2001:db8::1",
        "path": "/x",
        "bytes": "00ff",
        "enum": "denied",
        "set": [1, 2, 3],
        "mapping": {"1": "one"},
        "nan": "nan",
    }


def test_endless_nesting_ends() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert "nested too deep" in str(plain(endless))


def test_an_action_of_a_newer_version_is_intact_but_not_a_record_this_version_knows() -> None:
    line, _ = write_line(1, GENESIS, event(1))
    newer = line.replace(b'"login"', b'"teleport"')
    assert not intact(newer)
    assert read_line(newer) is None


def test_lines_that_are_no_records_are_refused() -> None:
    for line in (b"", b"{}", b"null", b"\x00" * 200, b'{"event":{}}', b"[" * 10_000):
        assert read_line(line) is None
        assert not intact(line)
