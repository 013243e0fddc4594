"""The shop as containers on two networks of a Docker engine. Everything it makes carries the label `ringfence.demo`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.types import IPAMConfig, IPAMPool

from ringfence.demo import image
from ringfence.demo.shop import BACKEND, COMPROMISED, FRONTEND, LABEL, SHOP, Member
from ringfence.errors import RingfenceError

PREFIX = "shop-"
IMAGE = "ringfence-demo/shop"
FLAG = "/tmp/compromised"  # noqa: S108 -- inside the container
SUBNETS = {FRONTEND: "fd5a:6f70:1::/64", BACKEND: "fd5a:6f70:2::/64"}


@contextlib.contextmanager
def _engine(url: str, *, timeout: int = 60) -> Iterator[docker.DockerClient]:
    """A client of the engine at `url`; what it refuses is told in a sentence."""
    client = docker.DockerClient(base_url=url, timeout=timeout)
    try:
        yield client
    except DockerException as error:
        reason = getattr(error, "explanation", None) or error
        hint = "`ringfence demo down` cleans up once that is settled"
        raise RingfenceError(f"the Docker engine refused: {reason}", hint=hint) from error
    finally:
        client.close()


def place(url: str) -> None:
    """Start the shop on the engine at `url`.

    Raises:
        RingfenceError: the engine refused; what was made until then is still there (`remove` takes it away).
    """
    with _engine(url) as client:
        name = image.load(client, repository=IMAGE)
        for network in (FRONTEND, BACKEND):
            _network(client, network)
        for member in SHOP:
            _start(client, member, name)


def _network(client: docker.DockerClient, network: str) -> None:
    """With IPv6 where the engine can."""
    pools = IPAMConfig(pool_configs=[IPAMPool(subnet=SUBNETS[network])])
    labels = {LABEL: "1"}
    try:
        client.networks.create(f"{PREFIX}{network}", labels=labels, enable_ipv6=True, ipam=pools)
    except APIError:
        client.networks.create(f"{PREFIX}{network}", labels=labels)


def _start(client: docker.DockerClient, member: Member, name: str) -> None:
    api = client.api
    environment = {"WWW": "/www", "FLAG": FLAG} | {other.upper(): other for other in member.asks}
    first, *others = member.networks
    alias = api.create_endpoint_config(aliases=[member.name])
    made = api.create_container(
        name,
        ["sh", "-c", member.script],
        name=f"{PREFIX}{member.name}",
        labels=member.labels,
        environment=environment,
        stop_signal="SIGKILL",
        host_config=api.create_host_config(network_mode=f"{PREFIX}{first}", init=False),
        networking_config={"EndpointsConfig": {f"{PREFIX}{first}": alias}},  # what create_networking_config makes
    )
    for network in others:
        client.networks.get(f"{PREFIX}{network}").connect(made["Id"], aliases=[member.name])
    api.start(made["Id"])


def compromise(url: str) -> None:
    """Make the one workload misbehave: from now on it scans the others."""
    with _engine(url, timeout=30) as client:
        client.containers.get(f"{PREFIX}{COMPROMISED}").exec_run(["touch", FLAG])


def namespaces(url: str) -> list[Path]:
    """The network namespaces of the running containers that are not the demo's."""
    with _engine(url, timeout=30) as client:
        others = [item for item in client.containers.list(ignore_removed=True) if LABEL not in item.labels]
        return [Path(f"/proc/{item.attrs['State']['Pid']}/ns/net") for item in others]


def remove(url: str) -> int:
    """Remove every container, network and image of the demo; returns how many things there were.

    Raises:
        RingfenceError: the engine refused, as for a network with a stranger's container; the rest is still there.
    """
    removed = 0
    chosen: dict[str, str | list[str] | bool] = {"label": f"{LABEL}=1"}
    with _engine(url) as client:
        for container in client.containers.list(all=True, filters=chosen, ignore_removed=True):
            with contextlib.suppress(NotFound):
                container.remove(force=True, v=True)
                removed += 1
        for network in client.networks.list(filters=chosen):
            with contextlib.suppress(NotFound):
                network.remove()
                removed += 1
        for found in client.images.list(name=IMAGE):
            with contextlib.suppress(NotFound):
                client.images.remove(found.id or IMAGE, force=True)
                removed += 1
    return removed
