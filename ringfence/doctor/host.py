"""The host as the doctor asks it: files, commands, a throw-away namespace. Tests answer instead of a real one."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

SECONDS = 10.0
SEARCH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command ended. `code` None: it could not be started or did not end in time; `error` says which."""

    code: int | None
    output: str = ""
    error: str = ""

    @property
    def worked(self) -> bool:
        return self.code == 0

    @property
    def words(self) -> str:
        """The last line it complained with."""
        lines = [line.strip() for line in (self.error or self.output).splitlines() if line.strip()]
        return lines[-1][:200] if lines else "no message"


class Inside(Protocol):
    """Runs commands inside the throw-away namespace."""

    def __call__(self, command: Sequence[str]) -> Ran: ...


class Host:
    """The machine this process runs on."""

    @property
    def root(self) -> bool:
        return os.geteuid() == 0

    @property
    def kernel(self) -> str:
        return platform.release()

    def read(self, path: str) -> str | None:
        """A small file's text, stripped; None when it is not there or not ours to read."""
        try:
            return Path(path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None

    def exists(self, path: str) -> bool:
        return Path(path).exists()

    def link(self, path: str) -> str | None:
        """What a symbolic link says; None when it cannot be read."""
        try:
            return str(Path(path).readlink())
        except OSError:
            return None

    def find(self, command: str) -> str | None:
        """The path of a command, searched for where root would find it."""
        return shutil.which(command, path=SEARCH)

    def run(self, command: Sequence[str]) -> Ran:
        """Run a command found by `find`; never raises."""
        path = self.find(command[0])
        if path is None:
            return Ran(code=None, error=f"{command[0]} is not installed")
        try:
            done = subprocess.run(
                [path, *command[1:]],
                capture_output=True,
                timeout=SECONDS,
                check=False,
                stdin=subprocess.DEVNULL,
                env={"PATH": SEARCH, "LC_ALL": "C"},
            )
        except subprocess.TimeoutExpired:
            return Ran(code=None, error=f"{command[0]} did not end within {SECONDS:.0f} s")
        except OSError as error:
            return Ran(code=None, error=f"{command[0]} cannot be started: {error.strerror}")
        return Ran(
            code=done.returncode,
            output=done.stdout.decode(errors="replace"),
            error=done.stderr.decode(errors="replace"),
        )

    @contextmanager
    def throwaway_namespace(self) -> Iterator[Inside | str]:
        """A network namespace of its own that ends with the block; or the sentence why there is none."""
        missing = [name for name in ("unshare", "nsenter", "sleep") if self.find(name) is None]
        if missing:
            yield f"{' and '.join(missing)} not installed"
            return
        # Without root a user namespace may still let us try what the kernel can do.
        options = ["--net"] if self.root else ["--map-root-user", "--net"]
        holder = subprocess.Popen(
            [str(self.find("unshare")), *options, str(self.find("sleep")), "60"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            yield self._inside(holder)
        finally:
            holder.kill()
            holder.communicate()

    def _inside(self, holder: subprocess.Popen[bytes]) -> Inside | str:
        mine = self.link("/proc/self/ns/net")
        for _ in range(200):
            try:
                holder.wait(0.01)
            except subprocess.TimeoutExpired:
                theirs = self.link(f"/proc/{holder.pid}/ns/net")
                if theirs is not None and theirs != mine and self._sleeps(holder.pid):
                    entry = ["nsenter", f"--target={holder.pid}", "--net", *([] if self.root else ["--user"])]
                    return lambda command: self.run([*entry, *command])
                continue
            said = holder.stderr.read().decode(errors="replace") if holder.stderr else ""
            return f"no network namespace can be made here: {said.strip()[:200] or 'no message'}"
        return "no network namespace could be made within 2 s"

    def _sleeps(self, pid: int) -> bool:
        """Whether `unshare` has become `sleep`: only then everything it sets up is set up."""
        return self.read(f"/proc/{pid}/comm") == "sleep"
