"""What every command starts with: the global flags under its own."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from ringfence.commands.settings import configured
from ringfence.errors import ConfigError


def _context(**flags: str) -> click.Context:
    named = {key.replace("__", "."): value for key, value in flags.items()}
    return click.Context(click.Command("x"), obj={"file": None, "flags": named})


def test_the_commands_own_flag_beats_the_global_one() -> None:
    config = configured(_context(web__port="1"), **{"web.port": 2})
    assert (config.web.port, config.origins["web.port"]) == (2, "flag")


def test_a_flag_that_was_not_given_changes_nothing() -> None:
    assert configured(_context(general__data_dir="/x"), **{"general.data_dir": None}).general.data_dir == Path("/x")


def test_without_global_flags_the_rest_counts() -> None:
    assert configured(click.Context(click.Command("x")), **{"web.port": 7}).web.port == 7


def test_an_impossible_flag_is_an_error() -> None:
    with pytest.raises(ConfigError, match="at most 65535"):
        configured(_context(web__port="70000"))
