"""Passwords: argon2id with the library's parameters (RFC 9106, low memory); rehashed on login when they rise."""

from __future__ import annotations

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST = 10
LONGEST = 256

_HASHER = PasswordHasher()


@cache
def _nobody() -> str:
    """A hash that no password has."""
    return _HASHER.hash("no account has this password")


def problem_with(password: str, name: str) -> str:
    """Why a password is not taken, in one sentence; empty when it is fine."""
    if len(password) < SHORTEST:
        return f"The password needs at least {SHORTEST} characters."
    if len(password) > LONGEST:
        return f"The password may have at most {LONGEST} characters."
    if name and name.lower() in password.lower():
        return "The password must not contain the name."
    if len(set(password)) < 5:
        return "The password repeats too few characters."
    return ""


def make_hash(password: str) -> str:
    return _HASHER.hash(password)


def check(password: str, stored: str | None) -> bool:
    """Whether it is the password; takes as long for an unknown user (`stored` None) as for a known one."""
    try:
        _HASHER.verify(stored or _nobody(), password[: LONGEST + 1])
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


def outdated(stored: str) -> bool:
    """Whether a hash was made with weaker parameters than today's."""
    return _HASHER.check_needs_rehash(stored)
