"""Imports: shipped at once when nobody runs, left complete for a running service otherwise."""

from datetime import timedelta
from pathlib import Path

import pytest

from ringfence.config import Config, load
from ringfence.errors import StoreUnavailable
from ringfence.model.flow import FlowBatch
from ringfence.service.imports import deliver, imports_of
from ringfence.service.lock import DataLock
from ringfence.store.flows import FlowQuery
from ringfence.store.open import open_flow_store
from tests.support.estate import NOW, flow_row, flow_table


def _config(folder: Path) -> Config:
    return load(environment={}, flags={"general.data_dir": folder / "data", "general.host": "h1"})


def _batches() -> list[FlowBatch]:
    return [
        FlowBatch(id=f"{number:032x}", host="capture", flows=flow_table(flow_row(number, origin="pcap")))
        for number in range(3)
    ]


def test_an_import_is_in_the_store_when_nobody_else_runs(tmp_path: Path) -> None:
    config = _config(tmp_path)
    assert deliver(config, _batches())
    store = open_flow_store(config)
    page = store.search(FlowQuery(start=NOW - timedelta(hours=1), end=NOW + timedelta(hours=1)))
    store.close()
    assert page.total == 3
    assert list((tmp_path / "data" / "imports").iterdir()) == []


def test_an_import_beside_a_running_service_waits_for_it_complete(tmp_path: Path) -> None:
    config = _config(tmp_path)
    DataLock(config.general.data_dir)
    assert not deliver(config, _batches())
    queue = imports_of(config)
    seen = []
    while (batch := queue.peek()) is not None:
        seen.append(batch.id)
        queue.ack(batch.id)
    assert seen == [f"{number:032x}" for number in range(3)]
    assert list((tmp_path / "data" / "imports").iterdir()) == []


def test_a_half_written_import_is_not_touched(tmp_path: Path) -> None:
    config = _config(tmp_path)
    (config.general.data_dir / "imports" / "x.part").mkdir(parents=True)
    assert imports_of(config).peek() is None
    assert (config.general.data_dir / "imports" / "x.part").is_dir()


def test_an_import_that_finds_no_room_is_refused_whole(tmp_path: Path) -> None:
    config = load(environment={}, flags={"general.data_dir": tmp_path / "data", "spool.max_bytes": 10})
    with pytest.raises(StoreUnavailable, match="nothing was imported"):
        deliver(config, _batches())
    assert list((tmp_path / "data" / "imports").iterdir()) == []
