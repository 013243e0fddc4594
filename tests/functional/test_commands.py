"""Commands as programs: what starting one costs."""

from __future__ import annotations

import subprocess
import sys
from ast import literal_eval

import pytest


@pytest.mark.parametrize(
    ("words", "unwanted"),
    [
        ("policy check", {"duckdb", "sqlalchemy", "flask", "elasticsearch", "celery"}),
        ("config show", {"duckdb", "sqlalchemy", "flask", "elasticsearch", "celery"}),
        ("doctor", {"flask", "elasticsearch", "celery"}),
        ("import", {"flask", "celery"}),
    ],
)
def test_a_command_loads_nothing_that_it_does_not_need(words: str, unwanted: set[str]) -> None:
    program = f"import sys; from ringfence.cli import main; main({[*words.split(), '--help']!r}, standalone_mode=False)"
    loaded = f"{program}; print([name for name in sys.modules if '.' not in name], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True, timeout=60)
    assert unwanted & set(literal_eval(done.stderr)) == set()
