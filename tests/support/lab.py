"""Several Docker hosts on one machine: each is a network namespace with its own dockerd, joined by a bridge.

    with Lab(hosts=2, swarm=True) as lab:
        first, second = lab.hosts
        net = first.network("shop")
        web = first.run("web", network=net, labels={"role": "web"})
        web.exec("wget", "-qO-", "http://api:8080/")
        traffic.tcp_connections(web.netns_path, ...)

Nothing has a route out of the lab. At the end containers, daemons, namespaces, mounts and files are gone.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Self

import docker
from docker.types import IPAMConfig, IPAMPool

from ringfence.demo import image
from ringfence.demo.engine import Engine
from tests.support.containers import Container
from tests.support.namespaces import Fabric, Namespace

IMAGE = "rf/box"
UPLINK = "up0"
_networks = itertools.count(1)


class LabHost:
    """One Docker host. `address`/`address6` are its own on the lab's bridge, `client` is the Docker SDK's."""

    def __init__(self, number: int, namespace: Namespace, engine: Engine, start_seconds: float) -> None:
        self.number, self.namespace, self.engine, self.start_seconds = number, namespace, engine, start_seconds
        self.name = f"host{number}"
        self.address, self.address6 = f"192.168.77.{number}", f"fd77::{number}"
        self.client = docker.DockerClient(base_url=engine.url, timeout=60)
        self.image = image.load(self.client, repository=IMAGE)
        self._subnets: dict[str, tuple[str, str]] = {}

    @property
    def url(self) -> str:
        """For `docker.endpoints` in Ringfence's configuration."""
        return self.engine.url

    def network(
        self,
        name: str,
        *,
        driver: str = "bridge",
        internal: bool = False,
        ipv6: bool = True,
        options: Mapping[str, str] | None = None,
    ) -> str:
        """Make a Docker network with an IPv4 /24 and (if `ipv6`) an IPv6 /64 of its own; returns its name.

        `driver` is bridge or overlay (attachable, made on a swarm's first host). Overlays are IPv4 only: asked for
        IPv6, Docker gives two containers on two hosts the same address. For macvlan see `Lab.macvlan`.
        """
        number = next(_networks)
        ipv6 = ipv6 and driver != "overlay"
        subnets = (f"10.{160 + number // 250}.{number % 250}.0/24", f"fd16:{number:x}::/64")
        return self._create(name, driver=driver, internal=internal, subnets=subnets[: 1 + ipv6], options=options)

    def _create(
        self,
        name: str,
        *,
        driver: str,
        subnets: tuple[str, ...],
        internal: bool = False,
        options: Mapping[str, str] | None = None,
        ranges: tuple[str | None, ...] = (None, None),
    ) -> str:
        pools = [IPAMPool(subnet=subnet, iprange=part) for subnet, part in zip(subnets, ranges, strict=False)]
        self.client.networks.create(
            name,
            driver=driver,
            internal=internal,
            attachable=driver == "overlay" or None,
            enable_ipv6=len(subnets) > 1,
            ipam=IPAMConfig(pool_configs=pools),
            options=dict(options or {}),
        )
        return name

    def run(
        self,
        name: str,
        *,
        network: str = "bridge",
        command: tuple[str, ...] = ("sleep", "86400"),
        labels: Mapping[str, str] | None = None,
        networks: tuple[str, ...] = (),
        publish: Mapping[int, int] | None = None,
        capabilities: tuple[str, ...] = (),
        dropped: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> Container:
        """Start a container. `network` is a network's name, `host`, `none` or `container:<name or id>`;
        `networks` are further ones to join; `publish` maps a container's TCP and UDP port to the host's.
        """
        ports = {f"{inner}/{kind}": outer for inner, outer in (publish or {}).items() for kind in ("tcp", "udp")}
        made = self.client.containers.create(
            self.image,
            list(command),
            name=name,
            labels=dict(labels or {}),
            network=network if network not in {"host", "none"} and ":" not in network else None,
            network_mode=network if network in {"host", "none"} or ":" in network else None,
            ports=ports or None,
            cap_add=list(capabilities),
            cap_drop=list(dropped),
            environment=dict(environment or {}),
            stop_signal="SIGKILL",
        )
        for extra in networks:
            self.client.networks.get(extra).connect(made)
        self._start(made)
        return Container(self, made.id or "")

    def _start(self, container: docker.models.containers.Container) -> None:
        """Start; a swarm that was formed a moment ago may refuse to attach (403) until it has settled."""
        for _ in range(20):
            try:
                container.start()
            except docker.errors.APIError as error:
                if error.status_code != HTTPStatus.FORBIDDEN:
                    raise
                time.sleep(0.5)
            else:
                return
        container.start()

    def container(self, name: str) -> Container:
        return Container(self, self.client.containers.get(name).id or "")

    def clear(self) -> None:
        """Remove every container and every network that is not Docker's own."""
        for item in self.client.containers.list(all=True, ignore_removed=True):
            with contextlib.suppress(docker.errors.NotFound):
                item.remove(force=True, v=True)
        for network in self.client.networks.list():
            ours = network.name not in {"bridge", "host", "none", "ingress", "docker_gwbridge"}
            if ours and (network.attrs["Scope"] == "local" or self.number == 1):
                self._remove_network(network)

    def _remove_network(self, network: docker.models.networks.Network) -> None:
        """A swarm learns a moment later that the other host's containers have left an overlay."""
        for _ in range(20):
            try:
                network.remove()
            except docker.errors.NotFound:
                return
            except docker.errors.APIError:
                time.sleep(0.25)
            else:
                return
        network.remove()

    def close(self) -> None:
        self.client.close()


class Lab:
    """`hosts` Docker hosts on one bridge; with `swarm` the first is the manager and the others have joined it."""

    def __init__(self, *, hosts: int = 1, swarm: bool = False) -> None:
        self._fabric = Fabric()
        self._wanted, self._swarm = hosts, swarm
        self._outside: dict[int, Namespace] = {}
        self.hosts: tuple[LabHost, ...] = ()

    def __enter__(self) -> Self:
        try:
            self.switch = self._fabric.switch("labsw")
            self.hosts = tuple(self._start(number) for number in range(1, self._wanted + 1))
            if self._swarm:
                self._join()
        except BaseException:
            self._fabric.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._fabric.__exit__(kind, error, trace)

    @property
    def host(self) -> LabHost:
        """The first host."""
        return self.hosts[0]

    def _start(self, number: int) -> LabHost:
        namespace = self._fabric.namespace(f"h{number}")
        addresses = f"192.168.77.{number}/24", f"fd77::{number}/64"
        self._fabric.plug(namespace, self.switch, *addresses, interface=UPLINK)
        engine = Engine(netns_name=namespace.name, folder=self._fabric.folder(f"d{number}"))
        self._fabric.defer(engine.stop)
        host = LabHost(number, namespace, engine, engine.start())
        self._fabric.defer(host.close)
        return host

    def _join(self) -> None:
        first, *others = self.hosts
        first.client.swarm.init(advertise_addr=first.address, listen_addr=f"{first.address}:2377")
        token = first.client.swarm.attrs["JoinTokens"]["Worker"]
        for host in others:
            host.client.swarm.join(
                remote_addrs=[f"{first.address}:2377"],
                join_token=token,
                advertise_addr=host.address,
                listen_addr=f"{host.address}:2377",
            )

    def outside(self, number: int = 200) -> Namespace:
        """A machine on the lab's bridge without Docker: `192.168.77.<number>`, `fd77::<number>`; made once."""
        if number not in self._outside:
            made = self._fabric.namespace(f"out{number}")
            self._fabric.plug(made, self.switch, f"192.168.77.{number}/24", f"fd77::{number}/64", interface=UPLINK)
            self._outside[number] = made
        return self._outside[number]

    def macvlan(self, name: str) -> str:
        """A macvlan network on the lab's bridge on every host; each host gives out its own part of the range."""
        number = next(_networks)
        subnets = f"10.190.{number}.0/24", f"fd19:{number:x}::/64"
        for host in self.hosts:
            ranges = f"10.190.{number}.{16 * host.number}/28", f"fd19:{number:x}::{host.number}:0/112"
            host._create(name, driver="macvlan", subnets=subnets, ranges=ranges, options={"parent": UPLINK})
        return name

    @contextlib.contextmanager
    def cleared(self) -> Iterator[Self]:
        """What is made inside is removed afterwards, the hosts stay."""
        try:
            yield self
        finally:
            for host in reversed(self.hosts):
                host.clear()
