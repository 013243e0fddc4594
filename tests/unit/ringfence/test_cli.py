"""The command line: expected errors are sentences, and every command is there."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from ringfence.cli import COMMANDS, Ringfence, main, with_sbin
from ringfence.errors import ConfigError, PolicyInvalid
from ringfence.model.policy import Problem


def _failing(error: Exception) -> click.Group:
    @click.group(cls=Ringfence)
    def group() -> None:
        """A group."""

    @group.command()
    def fail() -> None:
        raise error

    return group


def test_an_expected_error_is_its_sentence_and_what_to_do() -> None:
    done = CliRunner().invoke(_failing(ConfigError("it is so", hint="do that")), ["fail"])
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", "ringfence: it is so\n  do that\n")


def test_every_problem_is_listed() -> None:
    error = PolicyInvalid([Problem(line=3, path="b", message="no"), Problem(line=1, path="a", message="bad")])
    done = CliRunner().invoke(_failing(error), ["fail"])
    lines = done.stderr.splitlines()
    assert (done.exit_code, len(lines)) == (1, 3)
    assert "line 1" in lines[1]
    assert "line 3" in lines[2]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/usr/bin:/bin", "/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"),
        ("/usr/sbin:/usr/bin", "/usr/sbin:/usr/bin:/usr/local/sbin:/sbin"),
    ],
)
def test_system_programs_are_found_with_a_path_without_sbin(path: str, found: str) -> None:
    assert with_sbin(path) == found


def test_an_unexpected_error_is_not_hidden() -> None:
    done = CliRunner().invoke(_failing(ZeroDivisionError("x")), ["fail"])
    assert isinstance(done.exception, ZeroDivisionError)


def test_an_assignment_needs_a_value() -> None:
    done = CliRunner().invoke(main, ["--set", "web.port", "config", "show"])
    assert done.exit_code == 2
    assert "'web.port' is not SECTION.KEY=VALUE" in done.stderr


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_command_explains_itself(name: str) -> None:
    done = CliRunner().invoke(main, [name, "--help"])
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) > 3
