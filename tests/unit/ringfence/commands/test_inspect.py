"""`config show` prints every setting with its origin and no password; `doctor` speaks in words and in JSON."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from ringfence.cli import main
from ringfence.commands.inspect import hide_password
from ringfence.config import settings


def test_every_setting_is_shown_with_its_origin() -> None:
    done = CliRunner().invoke(main, ["--set", "web.port=9", "config", "show", "--json"])
    shown = json.loads(done.stdout)
    assert set(shown) == set(settings())
    assert shown["web.port"] == {"value": "9", "origin": "flag"}


@pytest.mark.parametrize("layout", [(), ("--json",)], ids=["table", "json"])
def test_no_password_is_shown(layout: tuple[str, ...]) -> None:
    secrets = ("store.flows=https://elastic:geheim@es:9200", "jobs.broker=redis://:geheim@r:6379/0")
    flags = [part for item in secrets for part in ("--set", item)]
    done = CliRunner().invoke(main, [*flags, "config", "show", *layout])
    assert done.exit_code == 0
    assert "geheim" not in done.stdout
    assert "***" in done.stdout


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("https://es:9200", "https://es:9200"),
        ("https://u:p@es:9200", "https://u:***@es:9200"),
        ("redis://:p@r/0", "redis://:***@r/0"),
        ("https://u:p@ss@es", "https://u:***@es"),
        ("postgresql://db/x?user=rf&password=geheim", "postgresql://db/x?user=rf&password=***"),
        ("postgresql://db/x?password=geh@eim&user=rf", "postgresql://db/x?password=***&user=rf"),
        ("postgresql://u:p@db/x?sslpassword=geheim#y", "postgresql://u:***@db/x?sslpassword=***#y"),
        ("a=tcp://u:p@h1:2375", "a=tcp://u:***@h1:2375"),
    ],
)
def test_only_the_password_is_hidden(text: str, shown: str) -> None:
    assert hide_password(text) == shown


def test_every_item_of_a_list_is_shown_and_none_with_its_password() -> None:
    endpoints = "docker.endpoints=a=tcp://u:geheim@h1:2375,b=tcp://u:geheim@h2:2375,unix:///run/c.sock"
    done = CliRunner().invoke(main, ["--set", endpoints, "config", "show", "--json"])
    assert json.loads(done.stdout)["docker.endpoints"]["value"] == (
        "a=tcp://u:***@h1:2375, b=tcp://u:***@h2:2375, unix:///run/c.sock"
    )


def test_the_doctor_answers_in_json_and_its_status_is_its_verdict() -> None:
    done = CliRunner().invoke(main, ["--set", "docker.endpoints=", "doctor", "--json"])
    checks = json.loads(done.stdout)
    assert checks
    assert done.exit_code == int(any(check["state"] == "fail" for check in checks))
