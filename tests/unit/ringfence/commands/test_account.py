"""`login-link` and `token`."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from click.testing import CliRunner, Result

from audit.log import AuditLog
from ringfence.cli import main
from ringfence.store.database.opening import open_state
from ringfence.store.state import Role, User
from web.api_tokens import API_TOKEN, user_of_token

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _run(data: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--set", f"general.data_dir={data}", *words])


def test_a_login_link_is_at_the_address_people_use(tmp_path: Path) -> None:
    assert _run(tmp_path, "login-link").stdout.startswith("http://127.0.0.1:8844/")
    public = _run(tmp_path, "--set", "web.public_url=https://ringfence.example/", "login-link")
    assert public.stdout.startswith("https://ringfence.example/")


def test_a_token_is_kept_as_a_hash_only(tmp_path: Path) -> None:
    state = open_state(tmp_path / "state.db")
    state.users.save(User(name="ada", role=Role.VIEWER, password_hash="!"))
    state.close()
    secret = _run(tmp_path, "token", "ada").stdout.strip()
    state = open_state(tmp_path / "state.db")
    digest = hashlib.sha256(secret.encode()).hexdigest()
    assert state.tokens.take(digest=digest, purpose=API_TOKEN, now=NOW, consume=False)
    assert user_of_token(state, secret, NOW) == state.users.get("ada")
    state.close()
    assert secret.encode() not in (tmp_path / "state.db").read_bytes()


def test_links_and_tokens_are_in_the_audit_log(tmp_path: Path) -> None:
    state = open_state(tmp_path / "state.db")
    state.users.save(User(name="ada", role=Role.VIEWER, password_hash="!"))
    state.close()
    secrets = [
        _run(tmp_path, "login-link").stdout.strip(),
        _run(tmp_path, "token", "ada", "--days", "2").stdout.strip(),
    ]
    with AuditLog(tmp_path / "audit", lambda: NOW) as log:
        events = [item.event for item in reversed(log.page().records)]
    assert [(event.action, event.target, event.origin) for event in events] == [
        ("user invited", "login link", "command line"),
        ("API token created", "ada", "command line"),
    ]
    assert not any(secret.rpartition("/")[2] in str(events) for secret in secrets)


def test_what_cannot_be_recorded_is_not_done(tmp_path: Path) -> None:
    (tmp_path / "audit").write_text("no folder")
    done = _run(tmp_path, "login-link")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "the audit log" in done.stderr


def test_a_link_has_a_port_that_somebody_listens_on(tmp_path: Path) -> None:
    six = _run(tmp_path, "--set", "web.address=::1", "login-link")
    assert six.stdout.startswith("http://[::1]:8844/")
    done = _run(tmp_path, "--set", "web.port=0", "login-link")
    assert done.exit_code == 1
    assert "only the running service knows the port" in done.stderr


def test_an_unknown_user_gets_no_token(tmp_path: Path) -> None:
    done = _run(tmp_path, "token", "nobody")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("ringfence: no user 'nobody'\n")
