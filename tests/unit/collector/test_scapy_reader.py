"""The reader, in this process and without its cage: what it makes of files good and bad."""

from __future__ import annotations

import gzip
import io
import json
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.frames import PACKET
from collector.scapy_reader import Bounded, TooMuch, run
from tests.support.captures import connection, ethernet, pcap, pcapng

FRAMES = [ethernet(raw) for raw in connection()]


def read(data: bytes, *, most_packets: int = 10**6, most_bytes: int = 10**8) -> tuple[int, dict[str, Any]]:
    """Records and summary."""
    output = io.BytesIO()
    run(io.BufferedReader(io.BytesIO(data)), output, most_packets=most_packets, most_bytes=most_bytes, holds=[])
    raw, records, summary = output.getvalue(), 0, {}
    while raw:
        tag, length = raw[:1], struct.unpack_from("<I", raw, 1)[0]
        body, raw = raw[5 : 5 + length], raw[5 + length :]
        if tag == b"P":
            records += len(body) // PACKET.itemsize
        else:
            summary = json.loads(body)
    return records, summary


@pytest.mark.parametrize(
    "data",
    [
        pcap(FRAMES),
        gzip.compress(pcap(FRAMES)),
        pcapng([(1, FRAMES)]),
        gzip.compress(pcapng([(1, FRAMES)])),
        pcapng([(101, [frame[14:] for frame in FRAMES[:3]]), (1, FRAMES[3:])]),
    ],
    ids=["pcap", "pcap.gz", "pcapng", "pcapng.gz", "two sections with other links"],
)
def test_a_good_file_is_read_whole(data: bytes) -> None:
    records, summary = read(data)
    assert (records, summary["packets"], summary["failure"], summary["broken"]) == (7, 7, "", "")


@pytest.mark.parametrize("data", [pcap(FRAMES), pcapng([(1, FRAMES)])], ids=["pcap", "pcapng"])
def test_a_file_cut_anywhere_gives_what_stood_before_the_cut(data: bytes) -> None:
    for cut in range(60, len(data), 13):
        records, summary = read(data[:cut])
        assert records <= 7
        assert summary["broken"] or summary["failure"] or records == (cut - 24) / ((len(data) - 24) / 7) or records < 7


@pytest.mark.parametrize("data", [b"GIF89a" * 9, b"\0" * 100, b"\xa1", gzip.compress(b"text"), b"\x1f\x8bxx"])
def test_what_is_no_capture_is_said(data: bytes) -> None:
    records, summary = read(data)
    assert records == 0
    assert summary["failure"] or summary["broken"]


def test_limits_stop_it_with_what_was_read() -> None:
    records, summary = read(pcap(FRAMES), most_packets=3)
    assert (records, "more than 3 packets" in summary["broken"]) == (3, True)
    _, summary = read(gzip.compress(pcap([bytes(60_000)] * 100)), most_bytes=1_000_000)
    assert "unpacks to more" in summary["broken"]


def test_a_block_that_claims_gigabytes_is_not_believed() -> None:
    huge = pcapng([(1, FRAMES)]) + struct.pack("<II", 6, 0xFFFFFFF0)
    records, summary = read(huge)
    assert records == 7
    assert "claims" in summary["broken"]
    with pytest.raises(TooMuch):
        Bounded(io.BytesIO(b""), 10).read()


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_damaged_files_never_crash_it(data: st.DataObject) -> None:
    good = data.draw(st.sampled_from([pcap(FRAMES), pcapng([(1, FRAMES)]), gzip.compress(pcap(FRAMES))]))
    raw = bytearray(good)
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    _, summary = read(bytes(raw))
    assert summary["packets"] >= 0
