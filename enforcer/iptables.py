"""The command-line tools of netfilter: which binaries, and how one is run inside a namespace."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from enforcer.names import Family
from enforcer.netns import Netns, opened
from ringfence.errors import EnforcementFailed

TIMEOUT_SECONDS = 20.0
"""Longer than the five seconds that restore waits for the xtables lock."""
NO_PROGRAM = 127
"""What nsenter and env end with when they do not find the program that they are to run."""
SEARCH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"))
"""Services often run with a PATH without sbin."""


class NotInstalled(EnforcementFailed):
    """There is no such program: nothing can have been made with it."""


class Runner(Protocol):
    """Runs a command, in a namespace if one is given, with `text` as its input; returns what it printed."""

    def __call__(self, argv: Sequence[str], *, netns: Netns | None = None, text: str = "") -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """The binaries of one backend."""

    legacy: bool
    suffix: str = ""
    """`-nft` or `-legacy` when a backend was asked for by name or the families are not the same, else empty."""

    def save(self, family: Family) -> str:
        return f"{_program(family)}{self.suffix}-save"

    def restore(self, family: Family) -> str:
        return f"{_program(family)}{self.suffix}-restore"


def _program(family: Family) -> str:
    return "iptables" if family is Family.IPV4 else "ip6tables"


def choose_commands(backend: str, runner: Runner) -> Commands:
    """`auto` takes what `iptables` is on this host, `nft` and `legacy` ask for that backend's own binaries.

    Where `ip6tables` is another (each is an alternative of its own), both families get the backend of `iptables`.

    Raises:
        EnforcementFailed: it is not installed, or the setting is none of the three.
    """
    if backend not in {"auto", "nft", "legacy"}:
        raise EnforcementFailed(f"enforce.backend is {backend!r}: it can be auto, nft or legacy")
    suffix = "" if backend == "auto" else f"-{backend}"
    legacy = _is_legacy(runner([f"iptables{suffix}", "-V"]))
    if not suffix:
        with suppress(EnforcementFailed):
            if _is_legacy(runner(["ip6tables", "-V"])) is not legacy:
                suffix = "-legacy" if legacy else "-nft"
    return Commands(legacy=legacy, suffix=suffix)


def _is_legacy(version: str) -> bool:
    return "nf_tables" not in version


def other_commands(commands: Commands, runner: Runner) -> Commands | None:
    """The binaries of the backend that is not in use; None when they are not installed."""
    suffix = "-nft" if commands.legacy else "-legacy"
    try:
        runner([f"iptables{suffix}", "-V"])
    except EnforcementFailed:
        return None
    return Commands(legacy=not commands.legacy, suffix=suffix)


def run(argv: Sequence[str], *, netns: Netns | None = None, text: str = "") -> str:
    """Run a command to its end.

    The input lies complete in memory before the command starts: when this process is killed the command still reads
    all of it.

    Raises:
        EnforcementFailed: it is not installed, took too long or failed; the message holds what it said.
    """
    descriptor = os.memfd_create("ringfence-input")
    try:
        _write_all(descriptor, text.encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
        if netns is None:
            return _run(list(argv), descriptor, ())
        with opened(netns) as namespace:
            vector = ["nsenter", f"--net=/proc/self/fd/{namespace}", "--", *argv]
            return _run(vector, descriptor, (namespace,))
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _run(argv: list[str], stdin: int, keep: tuple[int, ...]) -> str:
    name = argv[argv.index("--") + 1] if "--" in argv[:3] else argv[0]
    environment = {**os.environ, "PATH": SEARCH, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            argv,
            stdin=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_SECONDS,
            check=False,
            pass_fds=keep,
            env=environment,
        )
    except FileNotFoundError as error:
        raise _not_installed(name) from error
    except subprocess.TimeoutExpired as error:
        raise EnforcementFailed(f"{name} did not end within {TIMEOUT_SECONDS:.0f} seconds") from error
    if done.returncode == NO_PROGRAM and name != argv[0]:
        raise _not_installed(name)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[:400]
        raise EnforcementFailed(f"{name} failed with status {done.returncode}: {said}")
    return done.stdout


def _not_installed(name: str) -> NotInstalled:
    return NotInstalled(f"{name} is not installed", hint=f"install the package of {name}")
