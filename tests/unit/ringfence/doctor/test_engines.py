from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from docker.errors import DockerException

from ringfence.config import Config, Docker
from ringfence.doctor.check import Check, CheckState
from ringfence.doctor.engines import engines
from tests.support.doctor_host import AnsweringHost

SOCKET = {"/var/run/docker.sock": ""}


def look(
    answer: Mapping[str, Any] | Exception,
    *,
    files: Mapping[str, str] = SOCKET,
    endpoints: tuple[str, ...] = ("unix:///var/run/docker.sock",),
) -> dict[str, Check]:
    def ask(url: str) -> Mapping[str, Any]:
        if isinstance(answer, Exception):
            raise answer
        return answer

    config = replace(Config(), docker=Docker(endpoints=endpoints))
    return {check.name: check for check in engines(config, AnsweringHost(files=files), ask)}


def test_an_engine_that_answers() -> None:
    found = look(
        {"ServerVersion": "29.1.0", "ContainersRunning": 3, "LiveRestoreEnabled": True,
         "FirewallBackend": {"Driver": "nftables"}},
        endpoints=("main=unix:///var/run/docker.sock",),
    )  # fmt: skip
    assert found["main"].detail == "Docker 29.1.0 answers, 3 containers run"
    assert "nftables" in found["main firewall"].detail
    assert found["main live-restore"].detail.startswith("on")
    assert {check.state for check in found.values()} == {CheckState.OK}


def test_an_old_engine_is_a_warning_and_a_strange_version_is_not() -> None:
    assert look({"ServerVersion": "19.03.5"})["unix:///var/run/docker.sock"].state is CheckState.WARN
    assert look({"ServerVersion": "master-dev"})["unix:///var/run/docker.sock"].state is CheckState.OK


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (DockerException("Error while fetching server API version: Connection refused"), "Connection refused"),
        (PermissionError(13, "Permission denied"), "may not be opened"),
        (ConnectionRefusedError(111, "Connection refused"), "does not answer"),
    ],
)
def test_an_engine_that_does_not_answer(error: Exception, word: str) -> None:
    found = look(error)["unix:///var/run/docker.sock"]
    assert found.state is CheckState.FAIL and word in found.detail and found.hint


def test_a_socket_that_is_not_there_is_not_asked() -> None:
    found = look(AssertionError("must not be asked"), files={})
    assert found["unix:///var/run/docker.sock"].detail == "there is no socket /var/run/docker.sock"


def test_no_engine_configured_is_fine() -> None:
    assert look({}, endpoints=())["engines"].state is CheckState.OK


@pytest.mark.parametrize(
    ("text", "state", "word"),
    [
        ('{"userland-proxy": false}', CheckState.OK, "off"),
        ("{}", CheckState.OK, "on"),
        ("{", CheckState.UNKNOWN, "not JSON"),
        ("[]", CheckState.UNKNOWN, "not a JSON object"),
    ],
)
def test_the_userland_proxy_is_read_from_the_settings_file(text: str, state: CheckState, word: str) -> None:
    name = "unix:///var/run/docker.sock userland-proxy"
    found = look({"ServerVersion": "28.0"}, files=SOCKET | {"/etc/docker/daemon.json": text})[name]
    assert found.state is state and word in found.detail


def test_cgroup_version_one_alone_is_a_warning() -> None:
    name = "unix:///var/run/docker.sock cgroups"
    assert look({"ServerVersion": "28.0", "CgroupVersion": "1"})[name].state is CheckState.WARN
    hybrid = look({"ServerVersion": "28.0", "CgroupVersion": "1"}, files=SOCKET | {"/sys/fs/cgroup/unified": ""})
    assert name not in hybrid
