from __future__ import annotations

import json
from pathlib import Path

import pytest

from audit.report.files import ReportUnwritable, digest_holds, render_json, write
from audit.report.flow_report import make_flow_report
from tests.support.audit_sources import denied, flow, sources

DOCUMENT = make_flow_report(sources([flow(), denied()]))


def test_every_format_is_written_and_private(tmp_path: Path) -> None:
    files = write(DOCUMENT, tmp_path / "deep" / "r1")
    assert set(files) == {"html", "csv", "json"}
    for path in files.values():
        assert Path(path).stat().st_mode & 0o777 == 0o600
        assert Path(path).stat().st_size > 0
    assert (tmp_path / "deep" / "r1").stat().st_mode & 0o777 == 0o700
    assert len(list((tmp_path / "deep" / "r1").iterdir())) == 3


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    first = {name: Path(path).read_bytes() for name, path in write(DOCUMENT, tmp_path).items()}
    second = {name: Path(path).read_bytes() for name, path in write(DOCUMENT, tmp_path).items()}
    assert first == second


def test_the_json_file_proves_its_own_digest() -> None:
    text = render_json(DOCUMENT)
    assert digest_holds(text)
    assert json.loads(text)["digest"]["value"] == DOCUMENT.digest


def test_a_changed_figure_is_found_and_a_changed_layout_is_not() -> None:
    fields = json.loads(render_json(DOCUMENT))
    assert digest_holds(json.dumps(fields, indent=7, sort_keys=True))
    fields["content"]["sections"][0]["facts"][0]["value"] += 1
    assert not digest_holds(json.dumps(fields))


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"format": "ringfence report 1"}', "[" * 100_000])
def test_what_is_no_report_does_not_hold(text: str) -> None:
    assert not digest_holds(text)


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportUnwritable, match="cannot be written"):
        write(DOCUMENT, tmp_path / "file" / "r")
