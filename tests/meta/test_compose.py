"""The composition and the image agree with the program: its commands, settings, packages and versions.

`docker compose config` (or `docker-compose config`, whichever is installed) reads the file; the rest is read as YAML.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from ringfence import __version__
from ringfence.config import PREFIX, load, settings
from tests.support.elasticsearch import VERSION
from tests.support.repository import PACKAGES, ROOT
from tests.support.require import command, require

PASSWORDS = {"ELASTIC_PASSWORD": "e1", "POSTGRES_PASSWORD": "p2", "REDIS_PASSWORD": "r3"}
OURS = ("server", "worker", "beat", "agent")
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
SERVICES: dict[str, Any] = yaml.safe_load(TEXT)["services"]
CGROUP = "    cgroup: host\n"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def compose() -> list[str]:
    """The command that reads compositions here."""
    plugin = [command("docker") or "docker", "compose"]
    try:
        subprocess.run([*plugin, "version"], check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.CalledProcessError):
        require("docker-compose")
        return [command("docker-compose") or "docker-compose"]
    return plugin


def config(**passwords: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if key not in PASSWORDS}
    reader = compose()
    # Debian's docker-compose 1.29 is older than this one key, and refuses keys that it does not know.
    text = TEXT if reader[-1] == "compose" else TEXT.replace(CGROUP, "")
    return subprocess.run(
        [*reader, "-f", "-", "config"],
        cwd=ROOT,
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**clean, **passwords},
    )


def test_compose_accepts_the_file() -> None:
    done = config(**PASSWORDS)
    assert done.returncode == 0, done.stderr
    read = yaml.safe_load(done.stdout)["services"]
    assert set(read) == set(SERVICES) == {"certificates", "elasticsearch", "postgres", "redis", *OURS}
    for name in OURS:
        file = read[name]["environment"]
        assert "e1@" in file[f"{PREFIX}STORE__FLOWS"]
        assert ":p2@" in file[f"{PREFIX}STORE__STATE"]
        assert ":r3@" in file[f"{PREFIX}JOBS__BROKER"]


@pytest.mark.parametrize("password", sorted(PASSWORDS))
def test_nothing_starts_without_a_password_of_ones_own(password: str) -> None:
    done = config(**{key: value for key, value in PASSWORDS.items() if key != password})
    assert done.returncode != 0
    assert "choose a password" in done.stderr


def as_given(value: str) -> str:
    """A value with the defaults of its variables, and `x` for those that have none."""
    return re.sub(r"\$\{\w+(?::-([^}]*)|[^}]*)\}", lambda found: "x" if found[1] is None else found[1], value)


@pytest.mark.parametrize("name", OURS)
def test_each_process_is_a_command_with_known_settings(name: str) -> None:
    from ringfence.cli import main

    service = SERVICES[name]
    words = service["command"]
    context = click.Context(main)
    found = main.get_command(context, words[0])
    assert found is not None
    found.make_context(words[0], list(words[1:]), resilient_parsing=True)
    environment = service["environment"]
    keys = {key.removeprefix(PREFIX).lower().replace("__", ".") for key in environment}
    assert keys <= set(settings())
    loaded = load(environment={key: as_given(value) for key, value in environment.items()})
    assert loaded.store.flows.startswith("https://")
    assert loaded.store.state.startswith("postgresql+psycopg://")
    assert loaded.jobs.broker.startswith("redis://")


def test_the_server_says_whether_it_is_ready_and_knows_the_address_in_front_of_it() -> None:
    read = yaml.safe_load(config(**PASSWORDS, PUBLIC_URL="https://r.example", TRUSTED_PROXIES="1").stdout)["services"]
    server = read["server"]
    assert server["environment"][f"{PREFIX}WEB__PUBLIC_URL"] == "https://r.example"
    assert str(server["environment"][f"{PREFIX}WEB__TRUSTED_PROXIES"]) == "1"
    probe = server["healthcheck"]["test"]
    assert probe[:3] == ["CMD", "python", "-c"]
    compile(probe[3], "probe", "exec")
    assert "/readyz" in probe[3]


def test_only_the_agent_is_privileged_and_with_named_capabilities_only() -> None:
    assert all("privileged" not in service for service in SERVICES.values())
    for name in ("server", "worker", "beat"):
        assert {"cap_add", "cgroup", "network_mode", "pid", "user"} & set(SERVICES[name]) == set()
    agent = SERVICES["agent"]
    assert (agent["user"], agent["network_mode"], agent["pid"], agent["cap_drop"]) == ("0", "host", "host", ["ALL"])
    assert agent["cgroup"] == "host", "rules for the host's network name cgroups by their path"
    assert {"NET_ADMIN", "NET_RAW", "SYS_ADMIN"} <= set(agent["cap_add"])


@pytest.mark.root
@pytest.mark.parametrize(
    ("user", "group", "readable"),
    [(1000, 0, {"ca/ca.crt", "node/node.crt", "node/node.key", "ca/ca.key"}), (10001, 10001, {"ca/ca.crt"})],
    ids=["elasticsearch", "ringfence"],
)
def test_who_may_read_the_certificates(user: int, group: int, readable: set[str]) -> None:
    """Elasticsearch's image runs as 1000:0 and nothing else; ours needs the authority's certificate only."""
    script = SERVICES["certificates"]["command"][-1].replace("$$", "$")
    rights = [line for line in script.splitlines() if line.startswith("ch")]
    assert len(rights) == 4
    names = ("ca/ca.crt", "ca/ca.key", "node/node.crt", "node/node.key")
    with tempfile.TemporaryDirectory() as folder:  # every folder above it lets others through
        certs = Path(folder) / "certs"
        for name in names:
            (certs / name).parent.mkdir(parents=True, exist_ok=True)
            (certs / name).write_text("x", encoding="ascii")
        Path(folder).chmod(0o755)
        inside = "\n".join(["set -eu", f"cd {certs}", *rights])
        inside = re.sub(r"(?<=\s)/certs(?=[/\s]|$)", str(certs), inside)
        subprocess.run(["sh", "-c", inside], check=True)
        as_them = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--inh-caps=-all"]
        found = {
            name
            for name in names
            if subprocess.run([*as_them, "cat", str(certs / name)], check=False, capture_output=True).returncode == 0
        }
    assert found == readable


def test_ports_are_published_on_the_loopback_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_volumes_are_declared_and_used() -> None:
    declared = set(yaml.safe_load(TEXT)["volumes"])
    mounted = {str(item).split(":")[0] for service in SERVICES.values() for item in service.get("volumes", ())}
    assert {item for item in mounted if not item.startswith("/")} == declared


def test_the_servers_are_the_versions_that_the_tests_run() -> None:
    assert SERVICES["elasticsearch"]["image"] == SERVICES["certificates"]["image"] == f"elasticsearch:{VERSION}"
    assert all(SERVICES[name]["image"] == f"ringfence:{__version__}" for name in OURS)


def test_images_are_pinned() -> None:
    images = [service["image"] for service in SERVICES.values()] + re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert [image for image in images if ":" not in image or image.endswith(":latest")] == []


def test_the_image_holds_every_package_and_what_the_agent_drives() -> None:
    assert set(re.findall(r"^COPY (\w+) \./\1$", DOCKERFILE, re.MULTILINE)) == set(PACKAGES)
    assert "--require-hashes -r requirements.lock" in DOCKERFILE
    script = (ROOT / ".ci/packages.sh").read_text(encoding="utf-8")
    runtime = re.search(r"^runtime='([^']*)'", script, re.MULTILINE)
    assert runtime
    packages = {pair.split(":")[1] for pair in runtime[1].split()}
    assert packages <= set(DOCKERFILE.split())


def test_the_image_runs_as_an_ordinary_user() -> None:
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)[-1] == "ringfence"
