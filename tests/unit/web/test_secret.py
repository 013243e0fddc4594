"""The key of the session cookies."""

from __future__ import annotations

from pathlib import Path

import pytest

from web.secret import LENGTH, digest_of, load_secret


def test_the_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "web" / "key"
    first = load_secret(path)
    assert len(first) == LENGTH
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_secret(path) == first


def test_two_installations_have_two_keys(tmp_path: Path) -> None:
    assert load_secret(tmp_path / "a") != load_secret(tmp_path / "b")


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    load_secret(path)
    path.chmod(0o644)
    with pytest.raises(ValueError, match="can be read by others"):
        load_secret(path)


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch(0o600)
    with pytest.raises(ValueError, match="too short"):
        load_secret(path)


def test_of_a_token_only_its_sha_256_is_kept() -> None:
    assert digest_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
