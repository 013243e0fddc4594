"""A Docker engine of our own inside a named network namespace: its bridges and rules never meet the machine's.

Everything is derived from the namespace's name and one folder, so another process can stop what this one started.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import DockerException

from ringfence.demo import netns
from ringfence.errors import RingfenceError

START_SECONDS = 40.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.1
PING_SECONDS = 5.0
CGROUPS = Path("/sys/fs/cgroup")


class EngineFailed(RingfenceError):
    """dockerd did not start; the hint holds the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """dockerd in the namespace `netns_name` with all its files in `folder` (a short path: sockets allow 107 bytes)."""

    netns_name: str
    folder: Path
    storage_driver: str = "overlay2"

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    @property
    def log(self) -> Path:
        return self.folder / "dockerd.log"

    @property
    def pid(self) -> int | None:
        """The running daemon's, None when it does not run."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.folder / "docker.pid").read_text(encoding="ascii"))
            if pid in processes_of(self.folder):
                return pid
        return None

    def argv(self, storage_driver: str) -> list[str]:
        folder = self.folder
        return netns.inside(
            self.netns_name,
            [
                *("dockerd", "--data-root", f"{folder}/data", "--exec-root", f"{folder}/run"),
                *("--pidfile", f"{folder}/docker.pid", "-H", self.url, "--log-level", "warn"),
                *("--storage-driver", storage_driver),
            ],
        )

    def start(self, *, wait: Callable[[float], None] = time.sleep) -> float:
        """Start and wait until it answers; returns the seconds that took.

        Where the file system cannot carry overlay2, vfs takes its place.

        Raises:
            EngineFailed: it ended or did not answer in time; nothing is left running.
        """
        began = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        for driver in dict.fromkeys((self.storage_driver, "vfs")):
            pid = self._spawn(driver)
            if self._answers(pid, wait):
                return time.monotonic() - began
            self.kill()
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-1500:]
        raise EngineFailed("the Docker engine did not start", hint=tail)

    def _spawn(self, driver: str) -> int:
        """A process of its own session: it outlives the one that started it."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(self.log), flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        argv = self.argv(driver)
        return os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions, setsid=True)

    def _answers(self, pid: int, wait: Callable[[float], None]) -> bool:
        for _ in range(int(START_SECONDS / POLL_SECONDS)):
            if _reap(pid):
                return False
            if answers(self.url):
                return True
            wait(POLL_SECONDS)
        return False

    def stop(self, *, wait: Callable[[float], None] = time.sleep) -> None:
        """Remove the containers, end dockerd and containerd, and delete every file; stopping twice is no error."""
        pid, ids = self.pid, container_ids(self.folder)
        if pid is not None:
            with contextlib.suppress(DockerException, OSError):
                remove_containers(self.url)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            for _ in range(int(STOP_SECONDS / POLL_SECONDS)):
                _reap(pid)
                if not list(processes_of(self.folder)):
                    break
                wait(POLL_SECONDS)
        self.kill()
        unmount_below(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        remove_empty_cgroups(ids)

    def kill(self) -> None:
        """End dockerd, containerd, the shims and what runs in containers at once."""
        kill_all(self.folder)


def _reap(pid: int) -> bool:
    """Collect a child that has ended, so that it does not stay a zombie; True when it has. Others are left alone."""
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return False


def answers(url: str) -> bool:
    """Does a Docker engine answer at this `unix://` address?"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(PING_SECONDS)
        try:
            client.connect(url.removeprefix("unix://"))
            client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in client.recv(64)
        except OSError:
            return False


def remove_containers(url: str) -> None:
    """Remove all containers of an engine that is ours alone."""
    client = docker.DockerClient(base_url=url, timeout=30)
    try:
        for container in client.containers.list(all=True, ignore_removed=True):
            with contextlib.suppress(DockerException):
                container.remove(force=True, v=True)
    finally:
        client.close()


def processes_of(folder: Path) -> Iterator[int]:
    """Processes whose command line names a path in this folder."""
    wanted = str(folder).encode()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if wanted in entry.read_bytes():
                yield int(entry.parent.name)


def container_ids(folder: Path) -> tuple[str, ...]:
    """Ids of the containers that the engine in this folder has, running or not."""
    return tuple(item.name for item in (folder / "data/containers").glob("*"))


def contained(ids: Iterable[str]) -> Iterator[int]:
    """Processes in the control groups of these containers: they outlive a killed engine and do not name its folder."""
    wanted = [f"/docker/{item}".encode() for item in ids]
    for entry in Path("/proc").glob("[0-9]*/cgroup") if wanted else ():
        with contextlib.suppress(OSError):
            groups = entry.read_bytes()
            if any(item in groups for item in wanted):
                yield int(entry.parent.name)


def kill_all(folder: Path) -> None:
    """End at once what runs in the engine's containers and what names its folder."""
    ids = container_ids(folder)
    for pid in (*processes_of(folder), *contained(ids)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _reap(pid)


def unmount_below(folder: Path) -> None:
    """Detach every mount under the folder, deepest first."""
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    points = {line.split()[1] for line in lines}
    for point in sorted((item for item in points if item.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "-l", point], check=False, capture_output=True)


def remove_empty_cgroups(ids: Iterable[str] = ()) -> None:
    """Docker leaves control groups behind: those of killed containers and their parent. One in use stays."""
    for parent in (*CGROUPS.glob("docker"), *CGROUPS.glob("*/docker")):
        for item in (*(parent / item for item in ids), *parent.glob("buildkit"), parent):
            with contextlib.suppress(OSError):
                item.rmdir()
