"""A host that answers the doctor from tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from ringfence.doctor.host import Host, Inside, Ran

ALL_COMMANDS = frozenset(
    f"{family}{suffix}"
    for family in ("iptables", "ip6tables")
    for suffix in ("", "-nft", "-legacy", "-nft-save", "-legacy-save")
) | {"ipset", "conntrack", "ss", "tc", "nsenter"}


class AnsweringHost(Host):
    """`files` and `links` by path, `commands` that are installed; `answer` is asked for every command that is run."""

    def __init__(
        self,
        *,
        files: Mapping[str, str] | None = None,
        links: Mapping[str, str] | None = None,
        commands: frozenset[str] = ALL_COMMANDS,
        answer: Callable[[Sequence[str]], Ran] = lambda command: Ran(code=0),
        no_namespace: str = "",
        root: bool = True,
        kernel: str = "6.1.0-1",
    ) -> None:
        self.files, self.links, self.commands = dict(files or {}), dict(links or {}), commands
        self.answer, self.no_namespace = answer, no_namespace
        self._root, self._kernel = root, kernel
        self.inside: list[Sequence[str]] = []
        self.outside: list[Sequence[str]] = []

    @property
    def root(self) -> bool:
        return self._root

    @property
    def kernel(self) -> str:
        return self._kernel

    def read(self, path: str) -> str | None:
        return self.files.get(path)

    def exists(self, path: str) -> bool:
        return path in self.files

    def link(self, path: str) -> str | None:
        return self.links.get(path)

    def find(self, command: str) -> str | None:
        return f"/usr/sbin/{command}" if command in self.commands else None

    def run(self, command: Sequence[str]) -> Ran:
        self.outside.append(command)
        return self.answer(command)

    @contextmanager
    def throwaway_namespace(self) -> Iterator[Inside | str]:
        yield self.no_namespace or self._run_inside

    def _run_inside(self, command: Sequence[str]) -> Ran:
        self.inside.append(command)
        return self.answer(command)
