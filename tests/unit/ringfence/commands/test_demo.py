"""`demo`: what it says; tests/functional shows what it does."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from ringfence.cli import main


@pytest.mark.parametrize(("word", "says"), [("up", "one-time login link"), ("down", "every trace")])
def test_each_way_is_explained(word: str, says: str) -> None:
    done = CliRunner().invoke(main, ["demo", word, "--help"])
    assert (done.exit_code, says in " ".join(done.stdout.split())) == (0, True)


def test_another_word_is_refused() -> None:
    done = CliRunner().invoke(main, ["demo", "sideways"])
    assert done.exit_code == 2
    assert "sideways" in done.stderr
