"""Decision records are numbered without holes, titled and listed."""

from __future__ import annotations

import re

from tests.support.repository import ROOT

FOLDER = ROOT / "docs/adr"
RECORDS = sorted(path for path in FOLDER.glob("[0-9]*.md"))


def test_decisions_are_numbered_without_holes() -> None:
    assert [int(path.name[:4]) for path in RECORDS] == list(range(1, len(RECORDS) + 1))


def test_each_decision_has_its_number_and_its_three_parts() -> None:
    for path in RECORDS:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]}: "), path.name
        assert [part for part in ("**Context.**", "**Decision.**", "**Consequences.**") if part not in text] == []


def test_each_decision_is_listed() -> None:
    listed = re.findall(r"\]\(([0-9]{4}-[a-z0-9-]+\.md)\)", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert listed == [path.name for path in RECORDS]
