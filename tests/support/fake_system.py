"""A made-up kernel for the collector: namespaces by path, sockets that give what they were told to."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from collector.columns import CONNTRACK, DENIED
from collector.kernel import System
from collector.sysctl import Readiness
from ringfence.errors import NotFound
from ringfence.model.workload import Address

READY = Readiness(accounting=True, timestamps=True, events=True)
SILENT = Readiness(
    accounting=False,
    timestamps=True,
    events=False,
    problems=("nf_conntrack_events could not be set to 1: Read-only file system",),
)


class FakeNamespaces:
    """`paths` maps a path to the inode behind it; the nsid is the inode."""

    def __init__(self, paths: dict[str, int]) -> None:
        self.paths, self.pinned, self.closed = paths, set[int](), False

    def watch(self, path: str) -> int:
        if path not in self.paths:
            raise NotFound(f"the network namespace at {path} is gone")
        self.pinned.add(self.paths[path])
        return self.paths[path]

    def forget(self, inode: int) -> None:
        self.pinned.discard(inode)

    def path_of(self, inode: int) -> str | None:
        return f"/pinned/{inode}" if inode in self.pinned else None

    def nsid_of(self, inode: int) -> int | None:
        return inode if inode in self.pinned else None

    def inodes_of(self, nsids: NDArray[Any]) -> NDArray[np.uint64]:
        return np.array([inode if inode in self.pinned else 0 for inode in nsids.tolist()], np.uint64)

    def expire(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class FakeSource:
    """A socket: `read` gives what was put into `waiting`, `figure` is what it lost."""

    receive_buffer = 1
    unreadable = 0

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._empty = np.zeros(0, dtype)
        self.waiting: deque[NDArray[Any]] = deque()
        self.figure, self.reads = 0, 0
        self.broken: Exception | None = None
        self._pause = threading.Event()

    def read(self, timeout: float) -> NDArray[Any]:
        self.reads += 1
        if self.waiting:
            return self.waiting.popleft()
        self._pause.wait(min(timeout, 0.01))
        return self._empty

    def close(self) -> None:
        pass


class FakeListener(FakeSource):
    def lost(self) -> int:
        if self.broken is not None:
            raise self.broken
        return self.figure


class FakeDenied(FakeSource):
    def __init__(self, dtype: np.dtype[Any]) -> None:
        super().__init__(dtype)
        self.watched = set[int]()

    def watch(self, inode: int, path: str) -> None:
        self.watched.add(inode)

    def forget(self, inode: int) -> None:
        self.watched.discard(inode)

    def lost(self) -> dict[int, int]:
        return {}


class FakeReader:
    interrupted = False

    def __init__(self, world: FakeSystem, inode: int) -> None:
        self._world, self._inode, self.closed = world, inode, False

    def dump(self) -> NDArray[Any]:
        if self._inode in self._world.unreadable:
            raise OSError("no answer")
        return np.concatenate([np.zeros(0, CONNTRACK), *self._world.tables.get(self._inode, ())])

    def close(self) -> None:
        self.closed = True


class FakeSystem:
    """What stands in for each thing that `System` opens, to be looked at and changed by a test."""

    def __init__(self, **paths: int) -> None:
        self.namespaces = FakeNamespaces({f"/{name}": inode for name, inode in paths.items()})
        self.listener, self.denied = FakeListener(CONNTRACK), FakeDenied(DENIED)
        self.tables: dict[int, list[NDArray[Any]]] = {}
        self.unreadable = set[int]()
        self.readers: dict[int, FakeReader] = {}
        self.readiness: dict[int, Readiness | Exception] = {}
        self.unopenable: dict[int, Exception] = {}
        self.restored: dict[int, str] = {}
        self.now = 0.0

    def system(self) -> System:
        return System(
            namespaces=lambda: cast(Any, self.namespaces),
            listener=lambda size: cast(Any, self.listener),
            denied=lambda: cast(Any, self.denied),
            reader=lambda path, nsid: cast(Any, self._reader(path)),
            prepare=self._prepare,
            restore=self._restore,
            addresses=self._addresses,
            monotonic=lambda: self.now,
        )

    def _reader(self, path: str) -> FakeReader:
        inode = _inode(path)
        if inode in self.unopenable:
            raise self.unopenable[inode]
        self.readers[inode] = FakeReader(self, inode)
        return self.readers[inode]

    def _prepare(self, path: str) -> Readiness:
        found = self.readiness.get(_inode(path), READY)
        if isinstance(found, Exception):
            raise found
        return found

    def _restore(self, namespaces: Mapping[int, str]) -> int:
        self.restored |= namespaces
        return len(namespaces)

    def _addresses(self, path: str) -> frozenset[Address]:
        return frozenset()


def _inode(path: str) -> int:
    return int(path.rsplit("/", 1)[1])
