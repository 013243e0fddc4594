"""Importing a capture: the whole way through the caged process."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from collector.pcap import CaptureUnreadable, Limits, import_capture
from ringfence.errors import NotFound
from ringfence.model.gap import GapCause
from tests.support.captures import connection, ethernet, packet, pcap, pcapng

FRAMES = [ethernet(raw) for raw in connection()]


def place(folder: Path, data: bytes, name: str = "x.pcap") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "data", [pcap(FRAMES), pcapng([(1, FRAMES)]), gzip.compress(pcap(FRAMES))], ids=["pcap", "pcapng", "gzip"]
)
def test_a_capture_becomes_flows_and_batches(tmp_path: Path, data: bytes) -> None:
    steps: list[tuple[int, int]] = []
    found = import_capture(place(tmp_path, data), "cap", lambda done, total: steps.append((done, total)))
    assert (found.packets, found.flows, found.unreadable, found.problems, found.gaps) == (7, 1, 0, (), ())
    (batch,) = found.batches
    row = batch.flows.to_pylist()[0]
    assert (row["src_ip"], row["dst_port"], row["src_packets"], row["dst_packets"]) == ("10.0.0.1", 80, 4, 3)
    assert steps[-1] == (len(data), len(data))


def test_importing_twice_gives_the_same_batches(tmp_path: Path) -> None:
    path = place(tmp_path, pcap(FRAMES))
    first, second = (import_capture(path, "cap").batches[0].id for _ in range(2))
    assert first == second
    assert first != import_capture(path, "other").batches[0].id


def test_the_reader_gave_up_its_rights(tmp_path: Path) -> None:
    held = import_capture(place(tmp_path, pcap(FRAMES)), "cap").sandbox
    assert {"no new rights", "RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_NOFILE", "RLIMIT_FSIZE"} <= set(held)
    if os.geteuid() == 0:
        assert {"no network", "nobody"} <= set(held)


def test_what_could_not_be_read_is_counted_as_a_gap(tmp_path: Path) -> None:
    broken = ethernet(packet("10.0.0.1:1", "10.0.0.2:2"))[:20]
    found = import_capture(place(tmp_path, pcap([*FRAMES, broken])), "cap")
    assert (found.packets, found.unreadable, found.flows) == (8, 1, 1)
    assert [(gap.cause, gap.lost) for gap in found.gaps] == [(GapCause.IMPORT, 1)]
    assert found.batches[0].gaps == found.gaps


def test_a_truncated_file_gives_what_could_be_read_and_says_so(tmp_path: Path) -> None:
    found = import_capture(place(tmp_path, pcap(FRAMES)[:-150]), "cap")
    assert found.flows == 1
    assert any("middle of a packet" in problem for problem in found.problems)
    assert found.gaps[0].lost is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04 this is a zip" * 10, "not a capture"),
        (b"\xa1\xb2\xc3\xd4", "not a capture"),
        (gzip.compress(b"hello"), "not a capture"),
        (b"\x0a\x0d\x0d\x0a" + b"\xff" * 60, "x.pcap"),
    ],
    ids=["empty", "zip", "only a magic number", "gzip of text", "hostile pcapng"],
)
def test_what_is_no_capture_is_a_clear_error(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(CaptureUnreadable, match=words):
        import_capture(place(tmp_path, data), "cap")


def test_a_missing_file_a_folder_and_a_pipe_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no file"):
        import_capture(tmp_path / "none.pcap", "cap")
    with pytest.raises(CaptureUnreadable, match="not a regular file"):
        import_capture(tmp_path, "cap")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CaptureUnreadable, match="not a regular file"):
        import_capture(tmp_path / "pipe", "cap")


def test_time_runs_out_and_the_reader_is_gone(tmp_path: Path) -> None:
    path = place(tmp_path, gzip.compress(pcap(FRAMES * 20_000), 1))
    with pytest.raises(CaptureUnreadable, match="stopped after"):
        import_capture(path, "cap", limits=Limits(wall_seconds=0.05))


def test_memory_and_packets_are_limited(tmp_path: Path) -> None:
    path = place(tmp_path, pcap(FRAMES * 5))
    found = import_capture(path, "cap", limits=Limits(packets=10))
    assert (found.packets, found.gaps[0].cause) == (10, GapCause.IMPORT)
    with pytest.raises(CaptureUnreadable):
        import_capture(path, "cap", limits=Limits(memory_bytes=1 << 20))
