"""Every setting and metric is named in the documents as the code has it, and links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ringfence.config import PREFIX, settings
from ringfence.metrics import REGISTRY
from tests.support.repository import ROOT, compare, files


def table(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    escaped = [tuple(cell.replace("|", "\\|").replace("\n", " ") for cell in row) for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [titles, tuple("---" for _ in titles), *escaped])


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


@pytest.mark.parametrize("path", files(".md"), ids=str)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text)
    assert [target for target in targets if not (ROOT / path.parent / target).exists()] == []
