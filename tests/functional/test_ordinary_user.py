"""Without root `ringfence up` says exactly what it cannot do, and does the rest in the user's own folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.repository import ROOT
from tests.support.wait import wait_until

pytestmark = pytest.mark.root

AS_NOBODY = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "--")
"""Not root and without any capability, while Python, wherever it is installed, can still be read."""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Path]:
    """The log of a service that runs with defaults, but for the port and the Docker engine."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("RINGFENCE_", "XDG_"))}
    settings = ("--set", "web.port=0", "--set", "docker.endpoints=unix:///nowhere/docker.sock")
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [*AS_NOBODY, sys.executable, "-m", "ringfence.cli", *settings, "up"],
            cwd=ROOT,
            env=environment | {"HOME": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield tmp_path / "log"
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait(10)


def test_an_ordinary_user_gets_a_dashboard_and_is_told_what_is_missing(service: Path) -> None:
    wait_until("it has greeted", lambda: "/docker.sock" in service.read_text(), seconds=60)
    wait_until("with every limit", lambda: service.read_text().count("limit:") >= 3, seconds=10)
    said = service.read_text()
    assert "Ringfence is up at http://127.0.0.1:" in said
    assert "http://127.0.0.1:0" not in said
    assert "limit: connections are not captured" in said
    assert "limit: rules cannot be written and nothing can be quarantined: NET_ADMIN, NET_RAW, SYS_ADMIN" in said
    assert (service.parent / ".local/state/ringfence/state.db").exists()
