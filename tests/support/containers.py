"""A container of the lab: its process, namespace, addresses, and commands inside it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.lab import LabHost


@dataclass(frozen=True, slots=True)
class Container:
    """Properties are read from the engine each time: a restart gives another pid and namespace."""

    host: LabHost
    id: str

    @property
    def attributes(self) -> dict[str, Any]:
        """What `docker inspect` shows."""
        found: dict[str, Any] = self.host.client.api.inspect_container(self.id)
        return found

    @property
    def name(self) -> str:
        return str(self.attributes["Name"]).lstrip("/")

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.attributes["Config"]["Labels"])

    @property
    def pid(self) -> int:
        """Process id on this machine; 0 when it does not run."""
        return int(self.attributes["State"]["Pid"])

    @property
    def netns_path(self) -> Path:
        return Path(f"/proc/{self.pid}/ns/net")

    @property
    def netns(self) -> int:
        """Inode number of the network namespace."""
        return self.netns_path.stat().st_ino

    @property
    def addresses(self) -> dict[str, tuple[str, ...]]:
        """Addresses per network, IPv4 first."""
        networks = self.attributes["NetworkSettings"]["Networks"]
        return {
            name: tuple(entry[key] for key in ("IPAddress", "GlobalIPv6Address") if entry[key])
            for name, entry in networks.items()
        }

    def address(self, version: int = 4, network: str = "") -> str:
        """One address of the family, on this network or on any."""
        for name, addresses in self.addresses.items():
            for address in addresses:
                if ip_address(address).version == version and network in {"", name}:
                    return address
        raise LookupError(f"{self.name} has no IPv{version} address on {network or 'any network'}")

    def exec(self, *argv: str, check: bool = True) -> str:
        """Run in the container (its cgroup, its mounts) and return what it printed; a failure raises."""
        code, output = self.exec_status(*argv)
        if check and code:
            raise AssertionError(f"{' '.join(argv)} in {self.name} ended with {code}: {output.strip()}")
        return output

    def exec_status(self, *argv: str) -> tuple[int, str]:
        """Exit status and what was printed."""
        api = self.host.client.api
        handle = api.exec_create(self.id, list(argv))["Id"]
        output: bytes = api.exec_start(handle)
        return int(api.exec_inspect(handle)["ExitCode"]), output.decode(errors="replace")

    def start_inside(self, *argv: str) -> None:
        """Start a command in the container and do not wait for it."""
        api = self.host.client.api
        api.exec_start(api.exec_create(self.id, list(argv))["Id"], detach=True)

    def nsenter(self, *argv: str) -> list[str]:
        """The vector that runs a program of this machine in the container's network namespace only."""
        return ["nsenter", f"--net={self.netns_path}", "--", *argv]

    def stop(self) -> None:
        self.host.client.api.stop(self.id, timeout=0)

    def start(self) -> None:
        self.host.client.api.start(self.id)

    def restart(self) -> None:
        self.host.client.api.restart(self.id, timeout=0)

    def pause(self) -> None:
        self.host.client.api.pause(self.id)

    def unpause(self) -> None:
        self.host.client.api.unpause(self.id)

    def connect(self, network: str) -> None:
        self.host.client.networks.get(network).connect(self.id)

    def disconnect(self, network: str) -> None:
        self.host.client.networks.get(network).disconnect(self.id, force=True)

    def remove(self) -> None:
        self.host.client.api.remove_container(self.id, force=True, v=True)
