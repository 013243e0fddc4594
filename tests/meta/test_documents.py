"""Settings, metrics and reports are named in the documents as the code has them, and links lead somewhere."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path

import pytest

from audit.report.catalogue import CATALOGUE
from audit.report.controls import CONTROLS
from audit.report.parameters import KEYS
from ringfence.config import PREFIX, settings
from ringfence.metrics import REGISTRY
from tests.support.repository import ROOT, compare, files

REPORTS = ROOT / "docs/reports.md"


def table(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    escaped = [tuple(cell.replace("|", "\\|").replace("\n", " ") for cell in row) for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [titles, tuple("---" for _ in titles), *escaped])


def rows_below(document: Path, head: str) -> list[list[str]]:
    """The cells of the table with this head line."""
    _, found, rest = document.read_text(encoding="utf-8").partition(f"{head}\n")
    assert found, f"{document.name} has no table {head}"
    lines = takewhile(lambda line: line.startswith("|"), rest.splitlines()[1:])
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def default_text(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value) or "empty"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`" if str(value) else "empty"


def test_every_setting_is_documented(update_golden: bool) -> None:
    rows = [
        (f"`{key}`", default_text(item.default), f"`{PREFIX}{key.upper().replace('.', '__')}`", item.metadata["doc"])
        for key, item in settings().items()
    ]
    wanted = table(("setting", "default", "environment", "what it is"), rows)
    compare(Path("docs/configuration.md"), "settings", wanted, update=update_golden)


def test_every_metric_is_documented(update_golden: bool) -> None:
    rows = []
    for collector in dict.fromkeys(REGISTRY._collector_to_names):
        described = next(iter(collector.describe()))
        suffix = "_total" if described.type == "counter" else ""
        labels = ", ".join(f"`{label}`" for label in collector._labelnames)
        rows.append((f"`{described.name}{suffix}`", described.type, labels, described.documentation))
    wanted = table(("metric", "type", "labels", "what it counts"), rows)
    compare(Path("docs/metrics.md"), "metrics", wanted, update=update_golden)


def test_every_report_is_documented(update_golden: bool) -> None:
    rows = [
        (f"`{kind}`", item.title, item.description, ", ".join(f"`{name}`" for name in item.parameters))
        for kind, item in CATALOGUE.items()
    ]
    wanted = table(("kind", "title", "what it answers", "parameters"), rows)
    compare(Path("docs/reports.md"), "catalogue", wanted, update=update_golden)


def test_every_parameter_of_a_report_is_documented() -> None:
    named = [re.findall(r"`(\w+)`", first) for first, *_ in rows_below(REPORTS, "| name | meaning |")]
    assert [name for names in named for name in names] == list(KEYS)


def test_every_control_of_the_segmentation_report_is_documented() -> None:
    named: list[tuple[str, str]] = []
    framework = ""
    for first, ids, _ in rows_below(REPORTS, "| catalogue | control | decided by |"):
        framework = first or framework
        named += [(framework, name) for name in ids.split(", ")]
    assert named == [(control.framework, control.id) for control in CONTROLS]


@pytest.mark.parametrize("path", files(".md"), ids=str)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text)
    assert [target for target in targets if not (ROOT / path.parent / target).exists()] == []
