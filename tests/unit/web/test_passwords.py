"""Passwords."""

from __future__ import annotations

import pytest
from argon2 import PasswordHasher

from web import passwords


def test_a_password_is_kept_as_argon2id_and_recognised() -> None:
    stored = passwords.make_hash("correct horse battery")
    assert stored.startswith("$argon2id$")
    assert passwords.check("correct horse battery", stored)
    assert not passwords.check("correct horse", stored)
    assert not passwords.outdated(stored)


def test_nobody_has_no_password() -> None:
    assert not passwords.check("no account has this password", None)
    assert not passwords.check("x", "not a hash")


def test_a_weaker_hash_is_outdated() -> None:
    assert passwords.outdated(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("x"))


@pytest.mark.parametrize(
    ("password", "word"),
    [("short", "at least"), ("x" * 300, "at most"), ("my-name-is-ada-1", "name"), ("aaaaaaaaaaaa", "repeats")],
)
def test_a_weak_password_is_refused_in_words(password: str, word: str) -> None:
    assert word in passwords.problem_with(password, "ada")


def test_a_long_phrase_is_fine() -> None:
    assert passwords.problem_with("correct horse battery", "ada") == ""
