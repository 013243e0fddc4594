"""Sysctls of connection tracking, per network namespace: counters, time stamps and events.

Connection tracking runs in a namespace only once a rule there uses it. The enforcer's rules do; a namespace without
them is prepared all the same and stays silent.

What the settings were before stands in a file per namespace, so that `ringfence clean` can put it back.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path

from collector.namespaces import run_in
from ringfence.errors import NotFound, RingfenceError
from ringfence.lock import RUN

FOLDER = Path("/proc/sys/net/netfilter")
"""Shows the namespace of the thread that opens it."""

SETTINGS = {"nf_conntrack_acct": 1, "nf_conntrack_timestamp": 1, "nf_conntrack_events": 1}
"""Events must be 1: with the default (2, automatic) a connection that began while nobody listened ends in silence."""

MEMORY = RUN / "sysctl"
"""A file per namespace, named by its inode. It ends with the boot, as the settings and the namespaces do."""
OWN_NAMESPACE = Path("/proc/thread-self/ns/net")


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """What the kernel says after the attempt. `problems`: a sentence for each setting that could not be made."""

    accounting: bool
    timestamps: bool
    events: bool
    problems: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        return self.accounting and self.timestamps and self.events


def prepare(path: str | None, *, folder: Path = FOLDER, memory: Path = MEMORY) -> Readiness:
    """Set the three settings in the namespace at `path` (None: this thread's own) and read them back.

    What they were is remembered until `restore`.

    Raises:
        NotFound: the namespace is gone.
        NotPermitted: it may not be entered.
    """
    return _prepare(folder, memory) if path is None else run_in(path, lambda: _prepare(folder, memory))


def restore(namespaces: Mapping[int, str], *, folder: Path = FOLDER, memory: Path = MEMORY) -> int:
    """Put back what `prepare` found in these namespaces (inode to a path); returns in how many something was put back.

    Raises:
        RingfenceError: something could not be put back, after all the rest was; it stays remembered.
    """
    restored = 0
    problems: list[str] = []
    for inode, path in namespaces.items():
        try:
            if (memory / str(inode)).exists():
                restored += run_in(path, lambda: _restore(folder, memory))
        except NotFound:
            continue
        except (OSError, RingfenceError) as error:
            problems.append(f"namespace {inode}: {error}")
    if problems:
        raise RingfenceError(f"settings of connection tracking are not as they were: {'; '.join(problems)}")
    return restored


def forget(living: Container[int], *, memory: Path = MEMORY) -> None:
    """Drop what is remembered of namespaces (inodes) that have ended, whose numbers others may get."""
    for file in memory.glob("[0-9]*"):
        if int(file.name) not in living:
            file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        memory.rmdir()


def read(path: str | None, *, folder: Path = FOLDER) -> Readiness:
    """The same without setting anything."""
    return _read(folder, []) if path is None else run_in(path, lambda: _read(folder, []))


def _prepare(folder: Path, memory: Path) -> Readiness:
    problems: list[str] = []
    try:
        _remember(folder, _memory_of_this(memory))
    except OSError as error:
        problems.append(f"the former settings could not be kept: {error.strerror}")
    for name, value in SETTINGS.items():
        try:
            (folder / name).write_text(f"{value}\n", encoding="ascii")
        except OSError as error:
            problems.append(f"{name} could not be set to {value}: {error.strerror}")
    return _read(folder, problems)


def _read(folder: Path, problems: list[str]) -> Readiness:
    values: dict[str, bool] = {}
    for name, value in SETTINGS.items():
        try:
            text = (folder / name).read_text(encoding="ascii").strip()
        except OSError as error:
            text = ""
            problems.append(f"{name} could not be read: {error.strerror}")
        values[name] = text == str(value)
    return Readiness(
        accounting=values["nf_conntrack_acct"],
        timestamps=values["nf_conntrack_timestamp"],
        events=values["nf_conntrack_events"],
        problems=tuple(problems),
    )


def _memory_of_this(memory: Path) -> Path:
    return memory / str(OWN_NAMESPACE.stat().st_ino)


def _remember(folder: Path, file: Path) -> None:
    """Keep each value that is about to change; one that is ours already says nothing about what was there before."""
    former = _remembered(file)
    for name, value in SETTINGS.items():
        with contextlib.suppress(OSError):
            text = (folder / name).read_text(encoding="ascii").strip()
            if text != str(value):
                former[name] = text
    if former != _remembered(file):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.write_text(json.dumps(former), encoding="ascii")


def _remembered(file: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(file.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return {}
    return found


def _restore(folder: Path, memory: Path) -> bool:
    file = _memory_of_this(memory)
    former = _remembered(file)
    problems: list[str] = []
    for name in SETTINGS.keys() & former.keys():
        try:
            (folder / name).write_text(f"{former[name]}\n", encoding="ascii")
        except OSError as error:
            problems.append(f"{name} could not be set to {former[name]}: {error.strerror}")
    if problems:
        raise RingfenceError("; ".join(problems))
    file.unlink(missing_ok=True)
    return bool(former)
