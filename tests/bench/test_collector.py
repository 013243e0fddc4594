"""The comparison runs, says how it came out, and our reader misses nothing that the generator made."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.collector import Round, figures_of
from tests.support.require import require

pytestmark = pytest.mark.root


def test_the_collector_reads_every_event_of_a_load() -> None:
    require("namespaces", "iptables", "conntrack")
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.collector", "--rounds", "1", "--connections", "50000"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    sys.stdout.write(done.stdout)
    lines = done.stdout.splitlines()
    figures = json.loads(lines[-1])
    assert figures.keys() == {"cpu_over_conntrack", "loss", "conntrack_loss", "offered_per_s"}
    assert figures["loss"] == 0
    assert "50176 new, 50176 destroy of 50176; 0 unreadable" in lines[0]


def test_a_round_that_lost_shows_in_the_figures() -> None:
    rounds = [Round(events=100 - lost, lost=lost, cpu=1.0, offered_per_s=1.0) for lost in (0, 30, 0)]
    figures = figures_of(rounds, rounds)
    assert (figures["loss"], figures["conntrack_loss"]) == (0.1, 0.1)
