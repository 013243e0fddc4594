"""The audit log under kill -9, on a full disk and at length, with real processes and a real small file system."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.canonical import GENESIS, write_line
from audit.checkpoint import Checkpoint, write_checkpoint
from audit.log import AuditLog
from audit.reader import AuditReader
from audit.verify import verify
from ringfence.errors import AuditUnavailable
from tests.support.audit_events import NOON, automated, event, fixed, unsynced
from tests.support.require import require

WRITER = """
import sys
from pathlib import Path
from audit.log import AuditLog
from tests.support.audit_events import event, fixed
log = AuditLog(Path(sys.argv[1]), fixed, segment_bytes=20_000, reserve_bytes=4096)
for number in range(100_000):
    record = log.append(event(number, detail={"filler": "x" * (number * 37 % 2000)}))
    sys.stdout.write(f"{record.sequence} {record.hash}\\n")
    sys.stdout.flush()
"""


def start_writer(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True)


def test_twenty_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    dice = random.Random(20)
    acknowledged: dict[int, str] = {}
    for _ in range(20):
        with start_writer(folder) as writer:
            assert writer.stdout is not None
            for _ in range(dice.randrange(1, 40)):
                sequence, digest = writer.stdout.readline().split()
                acknowledged[int(sequence)] = digest
            writer.send_signal(signal.SIGKILL)
            rest, _ = writer.communicate()
        for line in rest.splitlines(keepends=True):
            if line.endswith("\n"):
                acknowledged[int(line.split()[0])] = line.split()[1]
    AuditLog(folder, fixed).close()
    found = verify(folder)
    assert found.ok, found.problem
    stored = {record.sequence: record.hash for record in AuditReader(folder).records()}
    assert acknowledged.items() <= stored.items()
    assert len(acknowledged) >= 20


def test_a_killed_writer_leaves_no_lock_behind(tmp_path: Path) -> None:
    with start_writer(tmp_path / "audit") as writer:
        assert writer.stdout is not None and writer.stdout.readline()
        writer.kill()
    AuditLog(tmp_path / "audit", fixed).close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes of its own."""
    require("root", "mount", "umount")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "ringfence-test", str(disk)], check=True, timeout=30)
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True, timeout=30)


def fill(disk: Path) -> Path:
    """Use every block that is left."""
    filler = disk / "filler"
    descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (64 * 1024, 4096, 1):
            try:
                while True:
                    os.write(descriptor, b"x" * size)
            except OSError:
                continue
    finally:
        os.close(descriptor)
    return filler


def test_a_full_disk_refuses_people_and_still_records_automated_quarantines(small_disk: Path) -> None:
    log = AuditLog(small_disk / "audit", fixed)
    for number in range(10):
        log.append(event(number))
    filler = fill(small_disk)
    refused = 0
    for number in range(200):
        try:
            log.append(event(number, detail={"filler": "y" * 900}))
        except AuditUnavailable:
            refused += 1
    assert refused > 190
    before = log.head().records
    for number in range(300):
        log.append(automated(number))
    assert log.head().records == before + 300
    with pytest.raises(AuditUnavailable, match="disk is full"):
        log.append(event(1))
    assert log.verify().ok
    filler.unlink()
    log.append(event(2))
    assert (small_disk / "audit" / "reserve").stat().st_size == 1024 * 1024
    found = log.verify()
    assert found.ok and found.records == before + 301
    log.close()


def test_a_log_can_be_opened_and_read_on_a_full_disk(small_disk: Path) -> None:
    with AuditLog(small_disk / "audit", fixed) as log:
        log.append(event(1))
    fill(small_disk)
    with AuditLog(small_disk / "audit", fixed) as log:
        assert len(log.page().records) == 1
        assert log.append(automated()).sequence == 2
        assert log.verify().ok


def test_a_hundred_thousand_records_verify_and_one_changed_byte_among_them_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    folder.mkdir()
    head = GENESIS
    path = folder / "audit-000000000001.jsonl"
    with path.open("wb") as file:
        for number in range(1, 100_001):
            line, head = write_line(number, head, event(number))
            file.write(line + b"\n")
    write_checkpoint(folder / "checkpoint.json", Checkpoint(records=100_000, head=head, at=NOON), unsynced)
    found = verify(folder)
    assert found.ok and found.records == 100_000 and found.head == head
    position = random.Random(7).randrange(path.stat().st_size)
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)
        file.seek(position)
        file.write(bytes([byte[0] ^ 1]))
    assert not verify(folder).ok


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    with AuditLog(tmp_path / "audit", fixed) as log:
        log.append(event(1))
        second = subprocess.run(
            [sys.executable, "-c", WRITER, str(tmp_path / "audit")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert second.returncode != 0
        assert "another process writes the audit log" in second.stderr
        assert log.verify().records == 1
