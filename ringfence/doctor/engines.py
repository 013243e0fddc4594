"""The Docker engines of the configuration: do they answer, which version, and which of their settings matter here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import docker
from docker.errors import DockerException

from ringfence.config import Config, parse_endpoint
from ringfence.doctor.check import Check, Group
from ringfence.doctor.host import Host

GROUP = Group("docker")
SECONDS = 5
OLDEST = (20, 10)
Ask = Callable[[str], Mapping[str, Any]]
"""Engine URL to what `docker info` says. Raises `DockerException` or `OSError`."""


def ask_engine(url: str) -> Mapping[str, Any]:
    """`docker info` of one engine."""
    client = docker.DockerClient(base_url=url, timeout=SECONDS)
    try:
        answer: Mapping[str, Any] = client.info()
        return answer
    finally:
        client.close()


def engines(config: Config, host: Host, ask: Ask = ask_engine) -> tuple[Check, ...]:
    """The checks of every endpoint; one that says so when none is configured."""
    if not config.docker.endpoints:
        return (GROUP.ok("engines", "none configured: containers are not looked for"),)
    checks: list[Check] = []
    for endpoint in config.docker.endpoints:
        name, url = parse_endpoint(endpoint, endpoint.strip())
        checks += _engine(name, url, host, ask)
    return tuple(checks)


def _engine(name: str, url: str, host: Host, ask: Ask) -> tuple[Check, ...]:
    path = url.removeprefix("unix://") if url.startswith("unix://") else ""
    if path and not host.exists(path):
        return (GROUP.fail(name, f"there is no socket {path}", "start Docker, or set docker.endpoints to where it is"),)
    try:
        answer = ask(url)
    except (DockerException, OSError, ValueError) as error:
        words = _words(error)
        if "permission denied" in words.lower():
            return (GROUP.fail(name, "the socket may not be opened", "run as root or as a member of the group docker"),)
        return (GROUP.fail(name, f"does not answer: {words}", "start Docker, or set docker.endpoints to where it is"),)
    return (_version(name, answer), *_settings(name, answer, host, local=bool(path)))


def _version(name: str, answer: Mapping[str, Any]) -> Check:
    version = str(answer.get("ServerVersion", ""))
    running = answer.get("ContainersRunning", 0)
    detail = f"Docker {version or 'of unknown version'} answers, {running} containers run"
    parts = version.split(".")
    if all(part.isdecimal() for part in parts[:2]) and len(parts) >= 2 and (int(parts[0]), int(parts[1])) < OLDEST:
        return GROUP.warn(name, detail, "Docker 20.10 or later is advised: nothing older is tried")
    return GROUP.ok(name, detail)


def _settings(name: str, answer: Mapping[str, Any], host: Host, *, local: bool) -> list[Check]:
    firewall = answer.get("FirewallBackend") or {}
    driver = str(firewall.get("Driver", "")) if isinstance(firewall, Mapping) else ""
    checks = [GROUP.ok(f"{name} firewall", f"Docker makes its own rules with {driver or 'iptables'}")]
    if answer.get("LiveRestoreEnabled"):
        checks.append(GROUP.ok(f"{name} live-restore", "on: containers run on while Docker restarts"))
    else:
        checks.append(
            GROUP.ok(f"{name} live-restore", "off: a restart of Docker stops the containers; rules do not depend on it")
        )
    if local:
        checks.append(_proxy(name, host))
    if str(answer.get("CgroupVersion", "")) == "1" and not host.exists("/sys/fs/cgroup/unified"):
        checks.append(
            GROUP.warn(
                f"{name} cgroups",
                "cgroup version 1 only",
                "containers on the host's network cannot be told apart; mount cgroup2",
            )
        )
    return checks


def _proxy(name: str, host: Host) -> Check:
    """docker-proxy hides the client's address of connections to published ports from the host itself."""
    title = f"{name} userland-proxy"
    text = host.read("/etc/docker/daemon.json")
    try:
        settings = json.loads(text) if text else {}
    except ValueError:
        return GROUP.unknown(title, "/etc/docker/daemon.json is not JSON")
    if not isinstance(settings, dict):
        return GROUP.unknown(title, "/etc/docker/daemon.json is not a JSON object")
    if settings.get("userland-proxy") is False:
        return GROUP.ok(title, "off by /etc/docker/daemon.json")
    return GROUP.ok(
        title,
        "on, as /etc/docker/daemon.json does not say otherwise: some clients of published ports appear as the host",
    )


def _words(error: Exception) -> str:
    lines = str(error).splitlines()
    return " ".join(lines[-1].split())[:200] if lines else type(error).__name__
