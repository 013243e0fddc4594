from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.segments import lines_backward, list_segments, segment_path, sync_folder


def test_segments_come_in_the_order_of_their_records(tmp_path: Path) -> None:
    for first in (2000, 1, 300):
        segment_path(tmp_path, first).write_bytes(b"")
    for other in ("checkpoint.json", "audit-1.jsonl", "audit-000000000001.jsonl.1.torn", "xaudit-000000000009.jsonl"):
        (tmp_path / other).write_bytes(b"")
    assert [segment.first for segment in list_segments(tmp_path)] == [1, 300, 2000]


def test_a_folder_that_is_not_there_has_no_segments(tmp_path: Path) -> None:
    assert list_segments(tmp_path / "absent") == ()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), max_size=20),
    torn=st.sampled_from([b"", b"rest", b"x" * 70_000]),
    long=st.booleans(),
)
def test_backward_is_forward_reversed_without_the_torn_end(
    tmp_path: Path, lines: list[bytes], torn: bytes, long: bool
) -> None:
    content = [b"y" * 150_000, *lines] if long else lines
    path = tmp_path / "lines"
    path.write_bytes(b"".join(line + b"\n" for line in content) + torn)
    assert list(lines_backward(path)) == content[::-1]


def test_a_folder_can_be_synced(tmp_path: Path) -> None:
    sync_folder(tmp_path)
