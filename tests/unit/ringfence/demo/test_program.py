"""The demo's Ringfence has a configuration of its own and tells its login link."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from audit.log import verify
from ringfence.config import load
from ringfence.demo.program import CONFIG, configuration, environment, free_port, login_link, prepare, running
from ringfence.demo.shop import POLICY
from ringfence.store.open import open_state_store

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("endpoint", ["unix:///tmp/a b/docker.sock", ""])
def test_the_configuration_is_read_back(tmp_path: Path, endpoint: str) -> None:
    file = tmp_path / CONFIG
    file.write_text(configuration(tmp_path, endpoint=endpoint, port=9001))
    config = load(file=file, environment={})
    assert config.general.data_dir == tmp_path / "data"
    assert config.docker.endpoints == ((f"demo={endpoint}",) if endpoint else ())
    assert config.web.port == 9001


def test_the_policy_is_in_force_and_recorded_before_the_start(tmp_path: Path) -> None:
    prepare(tmp_path, endpoint="", port=9001, policy=POLICY, clock=lambda: AT)
    config = load(file=tmp_path / CONFIG, environment={})
    state = open_state_store(config)
    try:
        current = state.policies.current()
    finally:
        state.close()
    assert (current.revision, current.text, current.author) == (1, POLICY, "demo")
    assert verify(config.general.data_dir / "audit").ok


def test_the_link_is_found_in_what_was_printed() -> None:
    text = "Ringfence is up at http://127.0.0.1:8844\n  first login, valid once and for 24 hours: http://127.0.0.1:8844/l/x\n"
    assert login_link(text) == "http://127.0.0.1:8844/l/x"
    assert login_link("Ringfence is up at http://127.0.0.1:8844\n") == ""


def test_a_taken_port_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port


def test_nothing_runs_on_a_configuration_that_nobody_uses(tmp_path: Path) -> None:
    assert running(tmp_path) == ()


def test_settings_of_the_environment_do_not_reach_the_demo() -> None:
    ours = {"PATH": "/bin", "RINGFENCE_WEB__PORT": "1", "RINGFENCE_GENERAL__DATA_DIR": "/var/lib/ringfence"}
    assert environment(ours) == {"PATH": "/bin", "PYTHONUNBUFFERED": "1"}
