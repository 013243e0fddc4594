"""The key that signs session cookies, made once per installation and kept private; and what is kept of tokens."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

LENGTH = 32


def load_secret(path: Path) -> bytes:
    """The key in `path`, made with mode 0600 when it is not there yet.

    Raises:
        OSError: it can be neither read nor made.
        ValueError: the file is readable by others or too short; it is never used then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(path)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(LENGTH))
        file.flush()
        os.fsync(file.fileno())
    return _read(path)


def _read(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise ValueError(f"{path} can be read by others: make it private (chmod 600) or delete it")
    key = path.read_bytes()
    if len(key) < LENGTH:
        raise ValueError(f"{path} is too short to be a key: delete it, everybody then signs in again")
    return key


def digest_of(token: str) -> str:
    """Tokens are kept as their SHA-256 only; they are random, so no salt is needed."""
    return hashlib.sha256(token.encode()).hexdigest()
