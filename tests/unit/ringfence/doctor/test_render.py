from __future__ import annotations

import io
import json

from rich.console import Console

from ringfence.doctor.check import Group
from ringfence.doctor.render import as_json, render, summary

GROUP = Group("docker")
CHECKS = (GROUP.ok("engine", "answers [not markup]"), GROUP.fail("socket", "is gone", "start Docker"))


def test_people_read_what_was_seen_and_what_to_do() -> None:
    out = io.StringIO()
    render(CHECKS, Console(file=out, width=100, color_system=None))
    text = out.getvalue()
    assert "answers [not markup]" in text
    assert "✗ fail" in text and "→ start Docker" in text
    assert text.rstrip().endswith("2 checks: 1 ok, 1 fail")


def test_machines_read_json() -> None:
    assert json.loads(as_json(CHECKS))[1] == {
        "group": "docker",
        "name": "socket",
        "state": "fail",
        "detail": "is gone",
        "hint": "start Docker",
    }


def test_the_summary_counts_only_what_is_there() -> None:
    assert summary(CHECKS[:1]) == "1 checks: 1 ok"
