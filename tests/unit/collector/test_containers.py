"""What an engine says about a container becomes a workload."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from collector.containers import Process, parse_cgroup, parse_container, parse_stamp, share_containment
from ringfence.model.workload import Containment, NetworkKind, Workload

DRIVERS = {"shop": "bridge", "wide": "overlay", "lan": "macvlan", "odd": "weave", "host": "host", "none": "null"}


def attributes(networks: tuple[str, ...] = ("shop",), **changes: Any) -> dict[str, Any]:
    host_config = {"NetworkMode": changes.pop("mode", networks[0] if networks else "none"), "Privileged": False}
    host_config |= changes.pop("host_config", {})
    return {
        "Id": "c" * 64,
        "Name": "/web",
        "Created": "2026-05-01T11:00:00Z",
        "State": {"Running": True, "Pid": 77, "StartedAt": "2026-05-01T12:00:00.123456789Z", "FinishedAt": ""},
        "Config": {"Image": "shop/web:1", "Labels": changes.pop("labels", {})},
        "HostConfig": host_config,
        "NetworkSettings": {
            "Networks": {
                name: {"IPAddress": f"10.0.{number}.2", "GlobalIPv6Address": "", "MacAddress": "02:42:00:00:00:02"}
                for number, name in enumerate(networks)
            }
        },
        "Mounts": [],
        **changes,
    }


def parse(*arguments: Any, **changes: Any) -> Workload:
    process = Process(netns=4026, cgroup="docker/abc")
    return parse_container(attributes(*arguments, **changes), drivers=DRIVERS, host="h1", process=process)


def test_a_running_container_has_all_that_is_known() -> None:
    found = parse()
    assert (found.name, found.image, found.host, found.pid, found.netns) == ("web", "shop/web:1", "h1", 77, 4026)
    assert (found.netns_path, found.cgroup) == ("/proc/77/ns/net", "docker/abc")
    assert found.started == datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
    assert [str(item) for item in found.addresses] == ["10.0.0.2"]


def test_labels_are_kept_verbatim_and_a_few_are_added() -> None:
    labels = {
        "com.docker.compose.project": "shop",
        "com.docker.compose.service": "web",
        "role": "front",
        "name": "mine",
    }
    found = parse(labels=labels)
    assert dict(found.labels) == labels | {
        "image": "shop/web:1",
        "host": "h1",
        "compose.project": "shop",
        "compose.service": "web",
    }
    assert found.project == "shop"


def test_what_no_store_holds_is_replaced_in_labels() -> None:
    found = parse(labels={"com.docker.compose.project": "a\0b", "half \ud800": "x"})
    assert (found.project, found.labels["com.docker.compose.project"]) == ("a\ufffdb", "a\ufffdb")
    assert found.labels["half ?"] == "x"


@pytest.mark.parametrize(
    ("network", "kind"),
    [
        ("shop", NetworkKind.BRIDGE),
        ("wide", NetworkKind.OVERLAY),
        ("lan", NetworkKind.MACVLAN),
        ("odd", NetworkKind.OTHER),
        ("host", NetworkKind.HOST),
        ("none", NetworkKind.NONE),
        ("unheard of", NetworkKind.OTHER),
    ],
)
def test_networks_have_the_kind_of_their_driver(network: str, kind: NetworkKind) -> None:
    assert [part.kind for part in parse((network,)).attachments] == [kind]


def test_joining_another_container_is_an_attachment_without_addresses() -> None:
    (part,) = parse((), mode="container:abc").attachments
    assert (part.kind, part.network, part.addresses) == (NetworkKind.SHARED, "container:abc", ())


@pytest.mark.parametrize(
    ("networks", "host_config", "containment", "words"),
    [
        (("shop",), {}, Containment.NAMESPACE, ""),
        (("none",), {}, Containment.NAMESPACE, ""),
        (("shop",), {"CapAdd": ["NET_ADMIN"]}, Containment.HOST_SIDE, "CAP_NET_ADMIN"),
        (("shop",), {"CapAdd": ["CAP_NET_ADMIN"]}, Containment.HOST_SIDE, "CAP_NET_ADMIN"),
        (("shop",), {"CapAdd": ["ALL"]}, Containment.HOST_SIDE, "CAP_NET_ADMIN"),
        (("shop",), {"Privileged": True}, Containment.HOST_SIDE, "privileged"),
        (("lan",), {"Privileged": True}, Containment.NOT_CONTAINABLE, "macvlan traffic"),
        (("shop", "wide"), {"CapAdd": ["NET_ADMIN"]}, Containment.NOT_CONTAINABLE, "overlay traffic"),
        (("host",), {}, Containment.CGROUP, "shares the host's network"),
        (("host",), {"Privileged": True}, Containment.NOT_CONTAINABLE, "may change the host's rules"),
        (("shop",), {"CapAdd": ["SYS_TIME"]}, Containment.NAMESPACE, ""),
    ],
)
def test_containment_follows_what_it_could_undo(
    networks: tuple[str, ...], host_config: dict[str, Any], containment: Containment, words: str
) -> None:
    found = parse(networks, host_config=host_config)
    assert found.containment is containment
    assert words in found.containment_reason
    assert bool(found.containment_reason) is bool(words)


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ("/var/run/docker.sock", True),
        ("/srv/engine/docker.sock", True),
        ("/run/containerd/containerd.sock", True),
        ("/var/run/", True),
        ("/run", True),
        ("/run/containerd", True),
        ("/", True),
        ("/var", False),
        ("/run/shop", False),
        ("/var/lib/docker/volumes/data/_data", False),
        ("", False),
    ],
)
def test_a_mount_that_brings_the_engines_socket_is_named(source: str, holds: bool) -> None:
    found = parse(Mounts=[{"Source": source, "Destination": "/x"}])
    assert found.containment is Containment.NAMESPACE
    assert found.containment_reason.startswith(f"it holds {source}") if holds else not found.containment_reason


def test_whoever_shares_a_namespace_is_no_better_contained() -> None:
    from dataclasses import replace

    owner = parse()
    joiner = replace(parse(host_config={"CapAdd": ["NET_ADMIN"]}), id="d", name="debug")
    shared = {item.name: item for item in share_containment([owner, joiner])}
    assert shared["web"].containment is Containment.HOST_SIDE
    assert "debug" in shared["web"].containment_reason


def test_a_stopped_container_has_an_end_and_no_process() -> None:
    state = {"Running": False, "Pid": 0, "StartedAt": "2026-05-01T12:00:00Z", "FinishedAt": "2026-05-01T12:05:00+02:00"}
    found = parse(State=state)
    assert (found.running, found.pid, found.netns, found.netns_path) == (False, None, None, None)
    assert found.ended == datetime(2026, 5, 1, 10, 5, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", None, "0001-01-01T00:00:00Z", "yesterday", "2026-05-01"])
def test_a_stamp_that_says_nothing_is_none(text: str | None) -> None:
    assert parse_stamp(text) is None


def test_the_cgroup_is_that_of_the_unified_tree() -> None:
    assert parse_cgroup("12:cpu:/docker/v1\n0::/docker/abc\n") == "docker/abc"
    assert parse_cgroup("0::/\n") is None
    assert parse_cgroup("1:name=systemd:/x\n") is None
