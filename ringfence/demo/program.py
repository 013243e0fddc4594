"""`ringfence up` for the demo, in the background, with a configuration and data of its own.

It is found again by the path of its configuration file in its command line.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from audit.log import AuditLog
from ringfence.clock import Clock
from ringfence.config import PREFIX, load
from ringfence.demo.engine import processes_of
from ringfence.errors import RingfenceError
from ringfence.model.event import AuditEvent, EventAction
from ringfence.store.open import open_state_store

CONFIG, LOG = "ringfence.toml", "ringfence.log"
START_SECONDS, STOP_SECONDS, POLL_SECONDS = 45.0, 20.0, 0.2
AUTHOR, REASON = "demo", "the demo's policy"


def free_port(wanted: int) -> int:
    """The wanted port of 127.0.0.1, or the next free one."""
    for port in range(wanted, wanted + 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise RingfenceError(f"no port from {wanted} to {wanted + 49} is free")


def configuration(folder: Path, *, endpoint: str, port: int) -> str:
    """TOML: everything kept in the demo's folder; `endpoint` empty means no Docker engine."""
    endpoints = json.dumps([f"demo={endpoint}"] if endpoint else [])
    return (
        f"[general]\ndata_dir = {json.dumps(str(folder / 'data'))}\n\n"
        f"[docker]\nendpoints = {endpoints}\n\n"
        f"[web]\nport = {port}\n"
    )


def prepare(folder: Path, *, endpoint: str, port: int, policy: str, clock: Clock) -> None:
    """Write the configuration and put the policy in force, recorded in the audit log as any other change."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / CONFIG
    file.write_text(configuration(folder, endpoint=endpoint, port=port), encoding="utf-8")
    config = load(file=file, environment={})
    state = open_state_store(config)
    try:
        with AuditLog(config.general.data_dir / "audit", clock) as log:
            detail = {"reason": REASON, "text": policy}
            log.append(
                AuditEvent(at=clock(), actor=AUTHOR, action=EventAction.POLICY_APPLIED, target="policy", detail=detail)
            )
        state.policies.apply(text=policy, author=AUTHOR, reason=REASON, at=clock())
    finally:
        state.close()


def start(folder: Path, *, wait: Callable[[float], None] = time.sleep) -> str:
    """Start in the background and wait for the login link, which is returned.

    Raises:
        RingfenceError: it ended or gave no link in time; the hint holds the end of its log.
    """
    log = folder / LOG
    argv = [sys.executable, "-m", "ringfence.cli", "--config", str(folder / CONFIG), "up"]
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    pid = os.posix_spawn(sys.executable, argv, environment(os.environ), file_actions=actions, setsid=True)
    for _ in range(int(START_SECONDS / POLL_SECONDS)):
        if link := login_link(log.read_text(encoding="utf-8", errors="replace")):
            return link
        if os.waitpid(pid, os.WNOHANG)[0]:
            break
        wait(POLL_SECONDS)
    tail = log.read_text(encoding="utf-8", errors="replace")[-1500:]
    raise RingfenceError("ringfence up did not start", hint=tail)


def environment(ours: Mapping[str, str]) -> dict[str, str]:
    """What the child gets of our environment: no setting, as that would win over the demo's file."""
    return {name: value for name, value in ours.items() if not name.startswith(PREFIX)} | {"PYTHONUNBUFFERED": "1"}


def login_link(log: str) -> str:
    """The one-time link in what `ringfence up` printed; empty when it is not there yet."""
    found = re.search(r"first login.*?(https?://\S+)\s", log)
    return found[1] if found else ""


def running(folder: Path) -> tuple[int, ...]:
    """Processes that run on the demo's configuration."""
    return tuple(pid for pid in processes_of(folder / CONFIG) if pid != os.getpid())


def stop(folder: Path, *, wait: Callable[[float], None] = time.sleep) -> None:
    """End it: asked first, then by force."""
    for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 2.0)):
        for pid in running(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        for _ in range(int(seconds / POLL_SECONDS)):
            for pid in running(folder):
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            if not running(folder):
                return
            wait(POLL_SECONDS)
