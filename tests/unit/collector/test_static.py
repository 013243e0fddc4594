"""A file of workloads, for machines without Docker."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from collector.inventory import Inventory
from collector.static import WorkloadFile, parse_entries
from tests.support.tracked import START


def write(path: Path, document: object) -> None:
    path.write_text(json.dumps(document))


@pytest.fixture
def inventory() -> Inventory:
    return Inventory(clock=lambda: START)


def test_a_namespace_that_exists_is_a_workload_and_ends_with_it(tmp_path: Path, inventory: Inventory) -> None:
    namespace = tmp_path / "ns"
    entry = {"id": "a", "name": "api", "labels": {"role": "api"}, "netns_path": str(namespace)}
    write(tmp_path / "w.json", [{**entry, "networks": {"shop": {"addresses": ["10.0.0.2", "fd00::2"]}}}])
    source = WorkloadFile(tmp_path / "w.json", inventory, host="h")
    source.poll()
    assert (inventory.workloads(), source.problem) == ((), "")
    namespace.touch()
    os.utime(namespace, (1000, 1000))
    assert source.poll()
    (found,) = inventory.workloads()
    assert (found.name, found.labels["role"], found.netns) == ("api", "api", namespace.stat().st_ino)
    assert [str(item) for item in found.addresses] == ["10.0.0.2", "fd00::2"]
    assert not source.poll()
    namespace.unlink()
    source.poll()
    assert inventory.workloads() == ()


def test_networks_may_be_a_list_and_outside_ones_are_named(tmp_path: Path, inventory: Inventory) -> None:
    write(
        tmp_path / "w.json",
        [{"id": "p", "name": "partner", "networks": [{"network": "x", "addresses": ["203.0.113.0/24"]}]}],
    )
    WorkloadFile(tmp_path / "w.json", inventory, host="h").poll()
    ((network, partner),) = inventory.snapshot().external
    assert (str(network), partner.name, partner.kind) == ("203.0.113.0/24", "partner", "external")
    assert partner.networks == (network,)
    assert (inventory.snapshot().workloads, inventory.snapshot().known) == ((), (partner,))


def test_each_host_names_its_own_networks_outside(tmp_path: Path) -> None:
    found = {}
    for host, network in (("h1", "203.0.113.0/24"), ("h2", "198.51.100.0/24")):
        inventory = Inventory(clock=lambda: START)
        entry = {"id": "p", "name": "partner", "networks": {"x": {"addresses": [network]}}}
        write(tmp_path / f"{host}.json", [entry])
        WorkloadFile(tmp_path / f"{host}.json", inventory, host=host).poll()
        (partner,) = inventory.snapshot().known
        found[partner.id] = (partner.name, partner.host, [str(item) for item in partner.networks])
    assert found == {"p@h1": ("partner", "h1", ["203.0.113.0/24"]), "p@h2": ("partner", "h2", ["198.51.100.0/24"])}


def test_a_bad_file_changes_nothing_and_is_said(tmp_path: Path, inventory: Inventory) -> None:
    (tmp_path / "ns").touch()
    write(tmp_path / "w.json", [{"id": "a", "name": "api", "netns_path": str(tmp_path / "ns")}])
    source = WorkloadFile(tmp_path / "w.json", inventory, host="h")
    source.poll()
    (tmp_path / "w.json").write_text("{ not json")
    source.poll()
    assert len(inventory.workloads()) == 1
    assert "not a list of workloads" in source.problem
    (tmp_path / "w.json").unlink()
    source.poll()
    assert (inventory.workloads(), source.problem) == ((), "")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "no list"),
        ([{"name": "x"}], "entry 1: 'id' is missing"),
        ([{"id": "a", "name": "x"}, 5], "entry 2"),
        ([{"id": "a", "name": "x", "networks": {"n": {"addresses": ["nonsense"]}}}], "entry 1"),
        ([{"id": "a", "name": "x", "kind": "toaster"}], "toaster"),
        ([{"id": "a", "name": "x"}, {"id": "a", "name": "y"}], "same id"),
    ],
)
def test_what_is_wrong_is_said(document: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_entries(json.dumps(document).encode())
