"""Sysctls of connection tracking, per network namespace: counters, time stamps and events.

Connection tracking runs in a namespace only once a rule there uses it. The enforcer's rules do; a namespace without
them is prepared all the same and stays silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from collector.namespaces import run_in

FOLDER = Path("/proc/sys/net/netfilter")
"""Shows the namespace of the thread that opens it."""

SETTINGS = {"nf_conntrack_acct": 1, "nf_conntrack_timestamp": 1, "nf_conntrack_events": 1}
"""Events must be 1: with the default (2, automatic) a connection that began while nobody listened ends in silence."""


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


def prepare(path: str | None, *, folder: Path = FOLDER) -> Readiness:
    """Set the three settings in the namespace at `path` (None: this thread's own) and read them back.

    Raises:
        NotFound: the namespace is gone.
        NotPermitted: it may not be entered.
    """
    return _prepare(folder) if path is None else run_in(path, lambda: _prepare(folder))


def read(path: str | None, *, folder: Path = FOLDER) -> Readiness:
    """The same without setting anything."""
    return _read(folder, []) if path is None else run_in(path, lambda: _read(folder, []))


def _prepare(folder: Path) -> Readiness:
    problems: list[str] = []
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
