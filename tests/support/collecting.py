"""A collector in a process of its own, inside a namespace that a test made: the machine's own is never touched.

    with Collecting(fabric.namespace("host"), folder, endpoints=(f"h1={host.url}",)) as collecting:
        wait_until("100 flows", lambda: len(collecting.rows()) == 100)

What it spools stays in the spool, so that it can be read, killed and started again on the same folder.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from collector.host import Collector
from collector.spool import Spool
from ringfence.clock import utc_now
from ringfence.config import Capture, Config, Docker, General
from ringfence.model.gap import Gap
from tests.support.tracked import rule
from tests.support.wait import wait_until

STATUS = "status.json"
HOST = "kernel"


class Collecting:
    """Starts with the context; `kill` ends it without a word, `start` begins again on the same folder."""

    def __init__(self, netns: Path, folder: Path, *, endpoints: Sequence[str] = (), dump_seconds: float = 2.0) -> None:
        self._netns, self.folder = netns, folder
        self._settings = {"endpoints": list(endpoints), "dump_seconds": dump_seconds}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        (self.folder / STATUS).unlink(missing_ok=True)
        argv = [sys.executable, "-m", "tests.support.collecting", str(self.folder), json.dumps(self._settings)]
        self._process = subprocess.Popen(
            ["nsenter", f"--net={self._netns}", "--", *argv],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.DEVNULL,
        )
        wait_until("the collector runs", lambda: self.status().get("lag_seconds") is not None, seconds=20)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(20)
            self._process = None

    def status(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.folder / STATUS).read_text())
        except (OSError, ValueError):
            return {}
        return found

    def rows(self) -> dict[str, dict[str, Any]]:
        """The latest row of every flow, as a store would hold it. A final row that comes again is a failure."""
        found: dict[str, dict[str, Any]] = {}
        for batch in self._spool().pending():
            for row in batch.flows.to_pylist():
                former = found.get(row["flow_id"])
                assert former is None or former["end_reason"] is None, f"final row written again: {former} {row}"
                found[row["flow_id"]] = row
        return found

    def between(self, source: str | None, destination: str | None, **columns: Any) -> list[dict[str, Any]]:
        """Rows between two workloads by name; None: an end without a name."""
        wanted = {"src_name": source, "dst_name": destination, **columns}
        return [row for row in self.rows().values() if all(row[name] == value for name, value in wanted.items())]

    def gaps(self) -> list[Gap]:
        return [gap for batch in self._spool().pending() for gap in batch.gaps]

    def watched(self, count: int) -> bool:
        """Whether so many namespaces, the host's included, are watched."""
        return bool(self.status().get("namespaces", 0) >= count)

    def _spool(self) -> Spool:
        return Spool(self.folder / "spool", host=HOST, max_bytes=1 << 40, owner=False)


def main(folder: Path, settings: dict[str, Any]) -> None:
    """The process: run until SIGTERM, and say every 0.1 s how it stands."""
    ending: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: ending.append(number))
    config = Config(
        general=General(host=HOST),
        docker=Docker(endpoints=tuple(settings["endpoints"]), relist_seconds=2.0),
        capture=Capture(dump_seconds=settings["dump_seconds"], tick_seconds=0.25, denied_idle_seconds=3.0),
    )
    made = Collector(config, host=HOST, data_dir=folder, clock=utc_now, rule_names=rule)
    made.start()
    while not ending:
        part = folder / f"{STATUS}.part"
        part.write_text(json.dumps(made.status()))
        part.replace(folder / STATUS)
        time.sleep(0.1)
    made.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
