"""Checks as a table for people, and as JSON for machines."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ringfence.doctor.check import Check, CheckState

MARKS = {
    CheckState.OK: "[blue]✓ ok[/]",
    CheckState.WARN: "[yellow]! warn[/]",
    CheckState.FAIL: "[red]✗ fail[/]",
    CheckState.UNKNOWN: "[dim]? unknown[/]",
}


def render(checks: Sequence[Check], console: Console) -> None:
    """A table by group, what to do under what was seen, and one line that sums it up."""
    table = Table(box=None, pad_edge=False, show_header=False, expand=False)
    table.add_column("state", no_wrap=True)
    table.add_column("check", overflow="fold", max_width=28)
    table.add_column("seen", overflow="fold")
    group = None
    for check in checks:
        if check.group != group:
            if group is not None:
                table.add_row("", "", "")
            table.add_row(f"[bold]{escape(check.group)}[/]", "", "")
            group = check.group
        table.add_row(MARKS[check.state], escape(check.name), escape(check.detail))
        if check.hint:
            table.add_row("", "", f"[dim]→ {escape(check.hint)}[/]")
    console.print(table)
    console.print()
    console.print(summary(checks))


def summary(checks: Sequence[Check]) -> str:
    """`21 checks: 18 ok, 2 warn, 1 unknown`."""
    counts = Counter(check.state for check in checks)
    return f"{len(checks)} checks: " + ", ".join(f"{counts[state]} {state}" for state in CheckState if counts[state])


def as_json(checks: Sequence[Check]) -> str:
    """A list of objects: group, name, state, detail, hint."""
    return json.dumps([dataclasses.asdict(check) for check in checks], indent=2, ensure_ascii=False)
