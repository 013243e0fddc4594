"""A rule with a selector holds for every address of whom it selects: link-local ones, and networks outside by name."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.support import traffic
from tests.support.containers import Container
from tests.support.lab import Lab, LabHost
from tests.support.service import RunningService
from tests.support.sockets import inside, open_socket
from tests.support.wait import wait_until

pytestmark = [pytest.mark.root, pytest.mark.docker]

POLICY = """
version: 1
default_mode: protect
tiers: [{name: application, default: allow}]
policies:
  - name: web-apart
    tier: application
    selector: "role == 'web'"
    egress:
      - action: reject
        to: [{selector: "role == 'db'"}, {selector: "zone == 'partner'"}]
        protocol: tcp
        ports: [8080]
"""
PORT, FREE = 8080, 8081
PARTNER = "192.168.77.200"


def test_no_address_of_a_denied_peer_is_a_way_round_the_rule(
    lab_host: LabHost, shared_lab: Lab, tmp_path: Path
) -> None:
    net = lab_host.network("shop")
    web, db = (lab_host.run(name, network=net, labels={"role": name}) for name in ("web", "db"))
    outside = shared_lab.outside()
    (tmp_path / "data").mkdir()
    partner = {"id": "partner", "name": "partner", "labels": {"zone": "partner"}}
    entry = partner | {"networks": {"partner": {"addresses": ["192.168.77.200/30"]}}}
    (tmp_path / "data/workloads.json").write_text(json.dumps([entry]))
    places = {
        "IPv4": (db.netns_path, db.address(4)),
        "IPv6": (db.netns_path, db.address(6)),
        "link-local": (db.netns_path, link_local(db)),
        "named network": (outside.path, PARTNER),
    }
    with RunningService(lab_host.namespace.path, tmp_path, endpoints=[f"h1={lab_host.url}"]) as service:
        service.enforce(POLICY, web.id, db.id)

        def reached(port: int) -> dict[str, bool]:
            return {name: reaches(web, *place, port) for name, place in places.items()}

        nobody = dict.fromkeys(places, False)
        wait_until("all are denied", lambda: reached(PORT) == nobody, seconds=15, every=0.5)
        assert reached(FREE) == dict.fromkeys(places, True)


API_ONLY = """
version: 1
groups: [{name: databases, selector: "role == 'db'", mode: protect}]
tiers: [{name: application}]
policies:
  - name: api-only
    tier: application
    selector: "role == 'db'"
    ingress: [{action: allow, from: {selector: "role == 'api'"}}]
"""


def test_who_has_the_address_of_an_allowed_peer_behind_another_engine_is_not_let_in(
    lab_pair: Lab, tmp_path: Path
) -> None:
    first, second = lab_pair.hosts
    api, evil = (
        host.run(role, network="bridge", labels={"role": role}) for host, role in ((first, "api"), (second, "evil"))
    )
    near, far = (host.run("db", network="bridge", labels={"role": "db"}) for host in (first, second))
    assert api.address(4) == evil.address(4), "engines choose the same first address"
    endpoints = [f"{host.name}={host.url}" for host in (first, second)]
    with RunningService(first.namespace.path, tmp_path, endpoints=endpoints) as service:
        service.enforce(API_ONLY, near.id, far.id)
        wait_until("api is let in", lambda: reaches(api, near.netns_path, near.address(4), PORT), seconds=15)
        assert not reaches(evil, far.netns_path, far.address(4), PORT)


def reaches(client: Container, server: Path, address: str, port: int) -> bool:
    listening = "::" if ":" in address else "0.0.0.0"  # noqa: S104 -- in the namespace of a test
    # A link-local address needs its interface; the others have no use for one.
    scope = (0, interface_index(client)) if address.startswith("fe80") else ()
    with (
        traffic.TcpEcho(server, listening, port),
        open_socket(client.netns_path, address, socket.SOCK_STREAM) as link,
    ):
        link.settimeout(1.0)
        return link.connect_ex((address, port, *scope)) == 0


def link_local(item: Container) -> str:
    """Its `fe80::` address, from the kernel's own table."""
    lines = Path(f"/proc/{item.pid}/net/if_inet6").read_text().splitlines()
    raw = next(line.split()[0] for line in lines if line.startswith("fe80"))
    return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(raw))


def interface_index(item: Container) -> int:
    return inside(item.netns_path, lambda: socket.if_nametoindex("eth0"))
