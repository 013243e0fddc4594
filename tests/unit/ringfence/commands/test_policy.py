"""`policy check`: valid or every problem with its line, in words and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ringfence.cli import main

GOOD = "version: 1\ntiers: [{name: a}]\npolicies: [{name: p, tier: a, selector: \"role == 'db'\", ingress: []}]\n"
BAD = "version: 1\ntiers: [{name: a}]\npolicies: [{name: p, tier: b, selector: 'x ==', ingress: []}]\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "policy.yaml"


def test_a_valid_policy_is_counted(file: Path) -> None:
    file.write_text(GOOD)
    done = CliRunner().invoke(main, ["policy", "check", str(file)])
    assert (done.exit_code, done.stdout) == (0, f"{file}: valid, 1 policies in 1 tiers\n")
    assert json.loads(CliRunner().invoke(main, ["policy", "check", "--json", str(file)]).stdout)["valid"] is True


def test_every_problem_of_an_invalid_policy_has_its_line(file: Path) -> None:
    file.write_text(BAD)
    done = CliRunner().invoke(main, ["policy", "check", "--json", str(file)])
    shown = json.loads(done.stdout)
    assert (done.exit_code, shown["valid"], [item["line"] for item in shown["problems"]]) == (1, False, [3, 3])


def test_a_file_that_cannot_be_read_is_named_with_the_reason(file: Path) -> None:
    done = CliRunner().invoke(main, ["policy", "check", str(file)])
    assert (done.exit_code, done.stderr) == (1, f"ringfence: {file} cannot be read: No such file or directory\n")
