"""`import`: counts what it read, and says where the flows went; tests/functional runs it as a program."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from audit.log import AuditLog
from ringfence.cli import main
from ringfence.clock import utc_now
from ringfence.service.lock import DataLock
from tests.support.captures import connection, ethernet, pcap


def _import(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--set", f"general.data_dir={folder / 'data'}", "import", *words])


def _capture(folder: Path, *, cut: int = 0) -> str:
    text = pcap([ethernet(packet) for packet in connection()])
    (folder / "a.pcap").write_bytes(text[: len(text) - cut])
    return str(folder / "a.pcap")


def test_what_was_read_is_counted(tmp_path: Path) -> None:
    done = _import(tmp_path, _capture(tmp_path))
    assert (done.exit_code, done.stdout) == (0, "a.pcap: 7 packets, 1 flows\n")


def test_an_import_is_in_the_audit_log(tmp_path: Path) -> None:
    _import(tmp_path, _capture(tmp_path))
    with AuditLog(tmp_path / "data" / "audit", utc_now) as log:
        event = log.page().records[0].event
    assert (event.action, event.target, event.detail["flows"]) == ("import", "a.pcap", 1)


def test_a_cut_file_says_so(tmp_path: Path) -> None:
    done = _import(tmp_path, _capture(tmp_path, cut=9))
    assert done.exit_code == 0
    assert "the file ends in the middle of a packet" in done.stdout


def test_beside_a_service_it_says_who_goes_on(tmp_path: Path) -> None:
    lock = DataLock(tmp_path / "data")
    done = _import(tmp_path, _capture(tmp_path))
    lock.release()
    assert done.stdout.splitlines()[-1].strip() == "the running Ringfence takes them over in a moment"


def test_a_missing_file_makes_no_data_folder(tmp_path: Path) -> None:
    done = _import(tmp_path, str(tmp_path / "none.pcap"))
    assert (done.exit_code, done.stderr.startswith("ringfence: there is no file")) == (1, True)
    assert not (tmp_path / "data").exists()
