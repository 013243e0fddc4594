"""Acceptance: from a fresh copy, one command reaches a login page, and the one-time link makes the first account."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from tests.support.lab import LabHost
from tests.support.repository import ROOT, files
from tests.support.service import NamespaceConnection
from tests.support.wait import wait_until

pytestmark = [pytest.mark.root, pytest.mark.docker, pytest.mark.timeout(420)]

PHRASE = "a long enough phrase"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What a clone has: the project's files, as they are now."""
    folder = tmp_path / "copy"
    for name in files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


def link_packages(folder: Path) -> None:
    """Put the pinned distributions of the test run's environment into the copy's: the recipe finds them unpacked.

    `make test` has installed them under the same pins and hashes; whatever is missing the recipe installs itself.
    """
    library = Path(sysconfig.get_path("purelib"))
    target = folder / ".venv" / library.relative_to(sys.prefix)
    for name in re.findall(
        r"^([a-z0-9_.-]+)==", (folder / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE
    ):
        for file in metadata.distribution(name).files or ():
            source = Path(str(file.locate()))
            if source.is_relative_to(library) and ".." not in file.parts and source.exists():
                place = target / file
                place.parent.mkdir(parents=True, exist_ok=True)
                try:
                    place.hardlink_to(source)
                except OSError:  # another file system
                    shutil.copy2(source, place)


def make(folder: Path, target: str) -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", target, f"PYTHON={base_python()}"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def environment(**added: str) -> dict[str, str]:
    """Ours without what belongs to the test run's own virtual environment."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RINGFENCE_", "VIRTUAL_ENV", "PYTHON"))
    }
    return {**kept, "PIP_NO_COMPILE": "1", "PYTHONUNBUFFERED": "1", **added}


class MakeUp:
    """`make up` in a Docker host's namespace, with data of its own."""

    def __init__(self, copy: Path, host: LabHost, data: Path) -> None:
        self.netns, self._log = host.namespace.path, copy.parent / "make.log"
        settings = {"RINGFENCE_GENERAL__DATA_DIR": str(data), "RINGFENCE_DOCKER__ENDPOINTS": f"h1={host.url}"}
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    "nsenter",
                    f"--net={self.netns}",
                    "--",
                    "make",
                    "--no-print-directory",
                    "up",
                    f"PYTHON={base_python()}",
                ],
                cwd=copy,
                env=environment(**settings),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def link(self) -> str:
        """The one-time link once it is printed."""
        assert self.process.poll() is None, self.log()[-3000:]
        found = re.search(r"first login.*?(http://\S+/login/\S+)\s", self.log())
        return found[1] if found else ""

    def request(
        self, method: str, url: str, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers and text."""
        parts = urlsplit(url)
        connection = NamespaceConnection(self.netns, parts.hostname or "", parts.port or 0, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, parts.path or "/", body=body, headers=dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read().decode()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@contextlib.contextmanager
def make_up(copy: Path, host: LabHost, data: Path) -> Iterator[MakeUp]:
    running = MakeUp(copy, host, data)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            os.killpg(running.process.pid, 9)
            running.process.wait(10)


def base_python() -> str:
    """The interpreter that our own virtual environment was made with."""
    return str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")


def test_a_fresh_copy_comes_up_with_a_link_that_makes_the_first_account(
    copy: Path, lab_host: LabHost, tmp_path: Path
) -> None:
    make(copy, ".venv/bin/python")
    link_packages(copy)
    make(copy, ".venv/.runtime")  # where there is a network; `up` finds it done
    with make_up(copy, lab_host, tmp_path / "data") as running:
        link = wait_until("the link is printed", running.link, seconds=60, every=0.2)
        address = link.partition("/login/")[0]
        assert f"Ringfence is up at {address}" in running.log()
        assert running.request("GET", f"{address}/login")[0] == 200
        cookie = sign_in_with(running, link)
        status, _, page = running.request("GET", f"{address}/", headers={"cookie": cookie})
        assert (status, "Overview" in page) == (200, True)
        assert running.request("GET", link)[0] == 404
        running.stop()
        assert "Traceback" not in running.log(), running.log()
    assert left_running(copy) == []


def sign_in_with(running: MakeUp, link: str) -> str:
    """Open the link and choose a name and a password; the cookie of the session."""
    status, headers, page = running.request("GET", link)
    assert status == 200
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token
    cookie = headers["set-cookie"].partition(";")[0]
    body = urlencode({"csrf_token": token[1], "name": "ada", "password": PHRASE, "again": PHRASE})
    status, headers, page = running.request("POST", link, body, {**FORM, "cookie": cookie})
    assert status == 303, page[:2000]
    return headers["set-cookie"].partition(";")[0]


def left_running(copy: Path) -> list[str]:
    """Processes of the copy's virtual environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = entry.read_bytes()
            if str(copy).encode() in words:
                found.append(words.decode(errors="replace"))
    return found
