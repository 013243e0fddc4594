"""`ringfence demo up` and `ringfence demo down`: the shop, Ringfence beside it, and the way back to nothing."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from collector import sysctl
from enforcer.clean import clean, clean_cgroups
from enforcer.kernel import SystemKernel
from enforcer.netns import Netns, everywhere
from ringfence.clock import Clock, utc_now
from ringfence.config import Enforce
from ringfence.demo import containers, namespaces, netns, program
from ringfence.demo.engine import Engine, answers
from ringfence.demo.shop import POLICY
from ringfence.errors import Conflict, NotPermitted, RingfenceError
from ringfence.lock import OWN_NAMESPACE, RUN, HostLock

FOLDER = Path("/var/lib/ringfence-demo")
NAMESPACE = "rf-demo"
DEFAULT_SOCKET = "unix:///var/run/docker.sock"
PORT = 8844
CALM_SECONDS = 15.0
STAGE = "stage"

Say = Callable[[str], None]


class Stage(StrEnum):
    """Where the shop stands."""

    EXISTING_ENGINE = "the Docker engine of this machine"
    OWN_ENGINE = "a Docker engine of the demo's own, in a network namespace"
    NAMESPACES = "plain network namespaces, as there is no Docker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The demo's files and names, and the socket of an engine that may already run (`unix://...`).

    `stage` None: `choose` decides.
    """

    folder: Path = FOLDER
    namespace: str = NAMESPACE
    socket: str = DEFAULT_SOCKET
    port: int = PORT
    stage: Stage | None = None

    @property
    def engine(self) -> Engine:
        return Engine(netns_name=self.namespace, folder=self.folder / "engine")

    def url(self, stage: Stage) -> str:
        """The engine's address; empty without one."""
        return {Stage.EXISTING_ENGINE: self.socket, Stage.OWN_ENGINE: self.engine.url}.get(stage, "")


def choose(place: Place, *, find: Callable[[str], str | None] = shutil.which) -> Stage:
    """An engine that answers is used; else one of our own is started; else namespaces must do."""
    if answers(place.socket):
        return Stage.EXISTING_ENGINE
    if find("dockerd") and find("containerd"):
        return Stage.OWN_ENGINE
    return Stage.NAMESPACES


def build_shop(place: Place, stage: Stage) -> None:
    """Start the workloads and their traffic there, without Ringfence."""
    place.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (place.folder / STAGE).write_text(stage.name, encoding="ascii")
    if stage is Stage.NAMESPACES:
        namespaces.place(place.folder / "shop", place.folder / "data")
        return
    if stage is Stage.OWN_ENGINE:
        netns.add(place.namespace)
        place.engine.start()
    containers.place(place.url(stage))


def compromise(place: Place, stage: Stage) -> None:
    """The coupon service begins to scan the database and the cache."""
    if stage is Stage.NAMESPACES:
        namespaces.compromise(place.folder / "shop")
    else:
        containers.compromise(place.url(stage))


def up(
    place: Place | None = None, *, say: Say, clock: Clock = utc_now, wait: Callable[[float], None] = time.sleep
) -> str:
    """From nothing to a living dashboard; returns the one-time login link.

    Raises:
        NotPermitted: not root.
        Conflict: the demo runs already, or another Ringfence runs on this host.
        RingfenceError: the engine or Ringfence did not start.
    """
    place = place or Place()
    _require_root()
    if program.running(place.folder):
        raise Conflict("the demo is up already", hint="`ringfence demo down` removes it")
    HostLock().release()  # found out before anything is made, not by the `ringfence up` that comes last
    began = time.monotonic()
    down(place, say=lambda _: None)
    stage = place.stage or choose(place)
    build_shop(place, stage)
    say(f"The shop is open on {stage.value} ({time.monotonic() - began:.0f} s).")
    port = program.free_port(place.port)
    program.prepare(place.folder, endpoint=place.url(stage), port=port, policy=POLICY, clock=clock)
    link = program.start(place.folder)
    say(f"Ringfence watches it ({time.monotonic() - began:.0f} s). Log in once with this link:")
    say(f"  {link}")
    say(f"In {CALM_SECONDS:.0f} seconds the coupon service will be taken over and scan the others.")
    wait(CALM_SECONDS)
    compromise(place, stage)
    say("Now it scans: see Findings, Quarantine and the audit log.")
    say("`make demo-down` or `ringfence demo down` removes every trace.")
    return link


def down(place: Place | None = None, *, say: Say) -> None:
    """Remove processes, containers, networks, images, namespaces, rules, settings and files; nothing there is no error.

    Raises:
        NotPermitted: not root.
        RingfenceError: the Docker engine is away or refused; the rest stays, for the next attempt.
    """
    place = place or Place()
    _require_root()
    stage_file = place.folder / STAGE
    stage = stage_file.read_text(encoding="ascii").strip() if stage_file.exists() else ""
    program.stop(place.folder)
    there, borrowed = answers(place.socket), stage == Stage.EXISTING_ENGINE.name
    if borrowed and not there:
        hint = "its containers would come back with it: start Docker, then `ringfence demo down` again"
        raise RingfenceError(f"the shop is on the Docker engine at {place.socket}, which does not answer", hint=hint)
    if stage:
        _undo_rules_and_settings(containers.namespaces(place.socket) if borrowed else [], say)
    if there:
        containers.remove(place.socket)
    place.engine.stop()
    netns.delete(place.namespace)
    namespaces.remove()
    _forget_settings()
    shutil.rmtree(place.folder, ignore_errors=True)
    say("The demo is gone.")


def _undo_rules_and_settings(others: Iterable[Path], say: Say) -> None:
    """Ringfence has been in the machine's own namespace and in those of the engine's other containers as well."""
    found = (path for path in (OWN_NAMESPACE, *others) if path.exists())
    spaces = {path.stat().st_ino: str(path) for path in found}
    try:
        lock = HostLock()
    except Conflict as error:
        say(f"Rules and settings outside the shop stay: {error}.")
        return
    with lock:
        clean_cgroups()
        clean(SystemKernel(Enforce()), [Netns(inode=inode, path=path) for inode, path in spaces.items()])
        try:
            sysctl.restore(spaces)
        except RingfenceError as error:
            # Settings harm nobody, and the shop must go.
            say(f"{error}.")


def _forget_settings() -> None:
    """What is remembered of namespaces that are gone; another Ringfence that runs here forgets it itself."""
    with suppress(Conflict), HostLock():
        sysctl.forget(everywhere())
    with suppress(OSError):  # not empty: something else is remembered until the next boot
        RUN.rmdir()


def _require_root() -> None:
    if os.geteuid() != 0:
        raise NotPermitted(
            "the demo needs root: it makes network namespaces and reads the kernel", hint="sudo make demo"
        )
