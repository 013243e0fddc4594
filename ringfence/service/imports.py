"""Imported flows on their way to the store: a folder per import, complete once it has its final name.

Whoever owns the data folder ships them: the running service, or the importing command when nobody runs.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

from collector.spool import Spool
from ringfence.clock import utc_now
from ringfence.config import Config
from ringfence.errors import StoreLocked, StoreUnavailable
from ringfence.model.flow import FlowBatch
from ringfence.service.feed import Feed
from ringfence.service.lock import DataLock
from ringfence.service.policy import PolicyInForce
from ringfence.service.shipping import Shipping
from ringfence.store.open import open_flow_store, open_state_store, private_folder

FOLDER = "imports"
UNFINISHED = ".part"


class Imports:
    """The complete imports of a data folder as one queue, in the order of their names."""

    def __init__(self, folder: Path, *, host: str, max_bytes: int) -> None:
        self._folder, self._host, self._max_bytes = folder, host, max_bytes
        self._spool: Spool | None = None
        self._current: Path | None = None

    def peek(self) -> FlowBatch | None:
        """The oldest batch, None when nothing waits."""
        while True:
            if self._spool is None and not self._open_next():
                return None
            batch = self._spool.peek() if self._spool else None
            if batch is not None:
                return batch
            self._finish()

    def ack(self, batch_id: str) -> None:
        if self._spool is not None:
            self._spool.ack(batch_id)

    def _open_next(self) -> bool:
        complete = sorted(item for item in self._folder.glob("*") if item.suffix != UNFINISHED and item.is_dir())
        if not complete:
            return False
        self._current = complete[0]
        self._spool = Spool(self._current, host=self._host, max_bytes=self._max_bytes)
        return True

    def _finish(self) -> None:
        if self._current is not None:
            shutil.rmtree(self._current, ignore_errors=True)
        self._spool = self._current = None


def imports_of(config: Config) -> Imports:
    """The imports of the configured data folder."""
    return Imports(private_folder(config.general.data_dir) / FOLDER, host=config.host, max_bytes=config.spool.max_bytes)


def deliver(config: Config, batches: Sequence[FlowBatch]) -> bool:
    """Store the batches, judged by the policy in force; False when a running service will do that.

    Raises:
        StoreUnavailable: they wait in the data folder.
    """
    queue = imports_of(config)
    name = f"{utc_now():%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:8]}"
    folder = private_folder(config.general.data_dir) / FOLDER
    spool = Spool(folder / f"{name}{UNFINISHED}", host=config.host, max_bytes=config.spool.max_bytes)
    for batch in batches:
        spool.put(batch)
    if len(spool) < len(batches):
        shutil.rmtree(folder / f"{name}{UNFINISHED}", ignore_errors=True)
        raise StoreUnavailable(
            f"the import needs more room than {config.general.data_dir} has; nothing was imported",
            hint="free space, or raise spool.max_bytes",
        )
    (folder / f"{name}{UNFINISHED}").rename(folder / name)
    try:
        lock = DataLock(config.general.data_dir)
    except StoreLocked:
        return False
    try:
        _ship(config, queue)
    finally:
        lock.release()
    return True


def _ship(config: Config, queue: Imports) -> None:
    state, flows = open_state_store(config), open_flow_store(config)
    try:
        shipping = Shipping(
            sources=(queue,),
            policy=PolicyInForce(state.policies),
            flows=flows,
            findings=state.findings,
            respond=lambda table: None,
            account=lambda event: None,
            feed=Feed(),
            clock=utc_now,
        )
        while shipping.step():
            pass
        if shipping.store_away:
            raise StoreUnavailable(
                "the flow store does not answer: the import waits in the data folder",
                hint="the next `ringfence up` or `ringfence import` takes it over",
            )
    finally:
        flows.close()
        state.close()
