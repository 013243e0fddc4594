"""Static: workloads listed in a file, for machines without Docker: network namespaces and named networks outside.

The file is a list of objects: `id`, `name`, optional `labels`, `kind`, `netns_path`, and `networks`, either a mapping
of name to `{addresses}` or a list of `{network, addresses}`. An entry without `netns_path` is outside: its addresses
may be networks (`203.0.113.0/24`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from collector.inventory import Inventory, Listing
from ringfence.clock import Clock, utc_now
from ringfence.model.policy import Network
from ringfence.model.workload import Attachment, NetworkKind, Workload, WorkloadKind

SOURCE = "file"
MAX_BYTES = 16 * 1024 * 1024


class WorkloadFile:
    """Keeps the file's part of the inventory. `problem` is what is wrong with the file, empty when nothing is."""

    def __init__(self, path: Path, inventory: Inventory, *, host: str, clock: Clock = utc_now) -> None:
        self._path, self._inventory, self._host, self._clock = path, inventory, host, clock
        self._entries: list[dict[str, Any]] = []
        self._read: tuple[int, int] | None = None
        self.problem = ""

    def poll(self) -> bool:
        """Look at the file and at its namespaces again; True when the inventory changed. A bad file changes nothing."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            self._entries, self._read, self.problem = [], None, ""
            return self._inventory.replace(SOURCE, Listing())
        except OSError as error:
            self.problem = f"{self._path} cannot be read: {error.strerror}"
            return False
        if self._read != (stat.st_mtime_ns, stat.st_size):
            try:
                self._entries = parse_entries(self._path.read_bytes()[: MAX_BYTES + 1])
                self.problem = ""
            except (OSError, ValueError) as error:
                self.problem = f"{self._path} is not a list of workloads: {error}"
            self._read = (stat.st_mtime_ns, stat.st_size)
        return self._inventory.replace(SOURCE, self._listing())

    def _listing(self) -> Listing:
        workloads, external = [], []
        for entry in self._entries:
            if entry["netns_path"]:
                try:
                    stat = Path(entry["netns_path"]).stat()
                except OSError:
                    continue  # not made yet, or gone
                # The kernel stamps a namespace's file when it is made, and nothing changes it afterwards.
                started = min(datetime.fromtimestamp(stat.st_mtime, UTC), self._clock())
                workloads.append(self._workload(entry, started, stat.st_ino))
            else:
                # What one host names is its own: another's file may use the same id for other networks.
                named = {**entry, "id": f"{entry['id']}@{self._host}"}
                workload = self._workload(named, datetime.fromtimestamp(0, UTC), None)
                external += [(network, workload) for _, networks in entry["networks"] for network in networks]
        return Listing(workloads=tuple(workloads), external=tuple(external))

    def _workload(self, entry: Mapping[str, Any], started: datetime, netns: int | None) -> Workload:
        attachments = tuple(
            Attachment(
                network=name,
                kind=NetworkKind.OTHER,
                addresses=tuple(item.network_address for item in networks if item.prefixlen == item.max_prefixlen),
                networks=tuple(item for item in networks if item.prefixlen < item.max_prefixlen),
                since=started,
            )
            for name, networks in entry["networks"]
        )
        return Workload(
            id=entry["id"],
            name=entry["name"],
            kind=WorkloadKind(entry["kind"]),
            host=self._host,
            labels={"name": entry["name"], "host": self._host, **entry["labels"]},
            netns=netns,
            netns_path=entry["netns_path"] if netns is not None else None,
            attachments=attachments,
            started=started,
        )


def parse_entries(raw: bytes) -> list[dict[str, Any]]:
    """The entries with every field present, `networks` as (name, networks) pairs.

    Raises:
        ValueError: what is wrong, with the number of the entry.
    """
    if len(raw) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES} bytes")
    document = json.loads(raw)
    if not isinstance(document, list):
        raise ValueError("the document is no list")
    result: list[dict[str, Any]] = []
    for number, item in enumerate(document, start=1):
        try:
            result.append(_parse_entry(item))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            word = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise ValueError(f"entry {number}: {word}") from error
    if len({item["id"] for item in result}) != len(result):
        raise ValueError("two entries have the same id")
    return result


def _parse_entry(item: Mapping[str, Any]) -> dict[str, Any]:
    path = item.get("netns_path") or ""
    return {
        "id": str(item["id"]),
        "name": str(item["name"]),
        "kind": WorkloadKind(item.get("kind") or (WorkloadKind.CONTAINER if path else WorkloadKind.EXTERNAL)),
        "labels": {str(key): str(value) for key, value in (item.get("labels") or {}).items()},
        "netns_path": str(path),
        "networks": list(_parse_networks(item.get("networks") or (), outside=not path)),
    }


def _parse_networks(given: Any, *, outside: bool) -> Iterator[tuple[str, tuple[Network, ...]]]:
    pairs = given.items() if isinstance(given, Mapping) else ((entry["network"], entry) for entry in given)
    for name, entry in pairs:
        # An address inside a namespace may be written with its prefix length; outside, that means the whole network.
        texts = [str(item) if outside else str(item).partition("/")[0] for item in entry["addresses"]]
        yield str(name), tuple(ip_network(text) if outside else ip_network(ip_address(text)) for text in texts)
