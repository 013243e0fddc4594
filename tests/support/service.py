"""A real `ringfence up` in a network namespace, as its own process, and its API from the test.

with RunningService(namespace.path, folder, endpoints=[f"h1={host.url}"]) as service:
    service.apply_policy(text)
    rows = service.flows("destination.port: 5432")
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

from ringfence.config import load
from ringfence.store.open import open_state_store
from ringfence.store.state import Role, User
from tests.support.sockets import open_socket
from tests.support.wait import wait_until
from web.api_tokens import create_api_token

PORT = 8844


class NamespaceConnection(http.client.HTTPConnection):
    """HTTP over a socket that belongs to the namespace."""

    def __init__(self, netns: Path | None, address: str, port: int, timeout: float) -> None:
        super().__init__(address, port, timeout=timeout)
        self._netns = netns

    def connect(self) -> None:
        self.sock = open_socket(self._netns, self.host, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect((self.host, self.port))


class RunningService:
    """Starts on enter, stops with SIGTERM on exit; `kill` and `start` in between for crash tests.

    `settings` are `section.key` to value, as `--set` takes them. The user `test` is an administrator with an API token.
    """

    def __init__(
        self,
        netns: Path | None,
        folder: Path,
        *,
        endpoints: Sequence[str] = (),
        settings: Mapping[str, Any] | None = None,
        command: Sequence[str] = ("up",),
    ) -> None:
        self.netns, self.folder, self._command = netns, folder, tuple(command)
        self.settings = {
            "general.data_dir": str(folder / "data"),
            "docker.endpoints": ",".join(endpoints),
            "web.port": str(PORT),
            **{key: str(value) for key, value in (settings or {}).items()},
        }
        self.address, self.port = "127.0.0.1", int(self.settings["web.port"])
        self.output = folder / "service.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._token = ""
        self._logged = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def argv(self, *command: str) -> list[str]:
        """The vector of a `ringfence` command with this service's settings, in its namespace."""
        enter = [] if self.netns is None else ["nsenter", f"--net={self.netns}", "--"]
        pairs = [part for key, value in self.settings.items() for part in ("--set", f"{key}={value}")]
        return [*enter, sys.executable, "-m", "ringfence.cli", *pairs, *command]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run another `ringfence` command to its end."""
        return subprocess.run(self.argv(*command), capture_output=True, text=True, timeout=120, check=False)

    def start(self, *, seconds: float = 60.0) -> None:
        """Start the process and wait until it says that it is ready."""
        self.spawn()
        wait_until(f"ready; its log: {self.output}", self._ready, seconds=seconds, every=0.2)

    def spawn(self) -> None:
        """Start the process and wait for nothing."""
        self._logged = len(self.log())
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                self.argv(*self._command),
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def _ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the service ended with {self.process.returncode}:\n{self.log()[-4000:]}")
        if "Ringfence is up" not in self.log()[self._logged :] and self._command in (("up",), ("server",)):
            return False
        try:
            return self._command == ("agent",) or self.request("GET", "/readyz", signed_in=False)[0] == 200
        except OSError:
            return False

    def log(self) -> str:
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def kill(self) -> None:
        """`kill -9` of the whole process tree."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self, *, seconds: float = 30.0) -> int:
        """SIGTERM; returns the exit status."""
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else 0
        self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the service did not stop within {seconds:g} s:\n{self.log()[-4000:]}") from None

    @property
    def token(self) -> str:
        """An API token of the administrator `test`, written straight into the state store."""
        if not self._token:
            state = open_state_store(load(environment={}, flags=self.settings))
            try:
                user = User(name="test", role=Role.ADMIN, password_hash="!")
                state.users.save(user)
                self._token = create_api_token(state, user, datetime.now(UTC))
            finally:
                state.close()
        return self._token

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        signed_in: bool = True,
    ) -> tuple[int, bytes]:
        """One request; status and body."""
        connection = NamespaceConnection(self.netns, self.address, self.port, timeout=30)
        sent = dict(headers or {})
        if signed_in:
            sent["Authorization"] = f"Bearer {self.token}"
        payload = None
        if body is not None:
            payload = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        try:
            connection.request(method, path, body=payload, headers=sent)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def api(self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None) -> Any:
        """An API call that must succeed; its JSON."""
        status, text = self.request(method, f"/api/v1{path}", body, headers=headers)
        assert status < 300, f"{method} {path}: {status} {text.decode(errors='replace')[:2000]}"
        return json.loads(text) if text else None

    def flows(self, query: str = "", *, minutes: int = 60) -> list[dict[str, Any]]:
        """Every flow of the last `minutes` that the filter matches, over all pages."""
        now = datetime.now(UTC)
        window = {
            "from": (now - timedelta(minutes=minutes)).isoformat(),
            "to": (now + timedelta(minutes=1)).isoformat(),
        }
        rows: list[dict[str, Any]] = []
        cursor = ""
        while True:
            parameters = window | {"q": query, "limit": "500"} | ({"cursor": cursor} if cursor else {})
            page = self.api("GET", f"/flows?{urlencode(parameters, quote_via=quote)}")
            rows += page["flows"]
            cursor = page.get("cursor") or ""
            if not cursor:
                return rows

    def apply_policy(self, text: str, *, reason: str = "test") -> int:
        """Apply a policy; its revision."""
        return int(self.api("POST", "/policies", {"text": text, "reason": reason})["revision"])

    def enforce(self, text: str, *workloads: str, seconds: float = 20.0) -> int:
        """Apply a policy and wait until it is in force on these workloads (ids); its revision."""
        revision = self.apply_policy(text)
        wait_until(f"revision {revision} is in force", lambda: self.settled(revision), seconds=seconds, every=0.2)
        states = {item["workload"]: item["state"] for item in self.api("GET", "/health")["enforcements"]}
        assert {states.get(item) for item in workloads} <= {"in force"}, states
        return revision

    def settled(self, revision: int) -> bool:
        """Whether every workload on every host has the rules of this revision."""
        hosts = self.api("GET", "/health")["hosts"]
        return bool(hosts) and all(host["facts"].get("enforced_revision") == revision for host in hosts)
