from __future__ import annotations

import pytest

from audit.redact import LONGEST_TEXT, MOST_ITEMS, REDACTED, redacted

SECRET_KEYS = """password Password db_passwd passphrase client_secret token api_token apiKey api-key private_key
access_key Authorization cookie set-cookie credentials session_id one_time_link"""


@pytest.mark.parametrize("key", SECRET_KEYS.split())
def test_what_a_key_calls_a_secret_is_not_written(key: str) -> None:
    found = redacted({"outer": [{key: "hunter2"}, {key: {"deep": "hunter2"}}]})
    assert "hunter2" not in str(found)
    assert REDACTED in str(found)


@pytest.mark.parametrize("key", ["author", "authors", "reason", "key", "rule", "pass", "bypass", "workload", "policy"])
def test_ordinary_keys_are_kept(key: str) -> None:
    assert redacted({key: "value"}) == {key: "value"}


def test_a_missing_secret_is_shown_as_missing() -> None:
    assert redacted({"password": None}) == {"password": None}


@pytest.mark.parametrize(
    "text",
    [
        "https://elastic:hunter2@db:9200/x",
        "redis://:hunter2@db",
        "tried postgresql+psycopg://u:hunter2@h/d twice",
        "Authorization: Bearer hunter2hunter2",
        "authorization: basic hunter2hunter2==",
        "https://u:p@hunter2@db",
    ],
)
def test_passwords_inside_text_are_taken_out(text: str) -> None:
    assert "hunter2" not in redacted({"text": text})["text"]


def test_addresses_without_passwords_stay() -> None:
    for text in ("https://host:9200/path", "unix:///var/run/docker.sock", "a@b.example", "basic needs"):
        assert redacted(text) == text


def test_a_flood_is_bounded_and_says_so() -> None:
    text = redacted("x" * (LONGEST_TEXT + 1))
    assert len(text) < LONGEST_TEXT + 200
    assert f"{LONGEST_TEXT + 1} characters in all" in text
    assert len(redacted(list(range(MOST_ITEMS + 5)))) == MOST_ITEMS + 1
    assert redacted({str(number): 1 for number in range(MOST_ITEMS + 5)})["[left out]"] == 5
