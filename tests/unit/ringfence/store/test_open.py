from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ringfence.config import Config, load
from ringfence.errors import ConfigError, RingfenceError, StoreLocked, StoreUnavailable
from ringfence.model.verdict import Direction, RuleRef
from ringfence.store.duckdb import DuckDBFlowStore
from ringfence.store.open import open_flow_store, open_state_store, private_folder


def config(folder: Path, **settings: str) -> Config:
    return load(environment={}, flags={"general.data_dir": folder} | {f"store.{k}": v for k, v in settings.items()})


def test_the_defaults_are_files_in_a_private_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "data"
    flows, state = open_flow_store(config(folder)), open_state_store(config(folder))
    assert isinstance(flows, DuckDBFlowStore)
    assert state.policies.current().revision == 0
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in folder.iterdir()} >= {"flows.duckdb", "state.db"}
    assert (folder / "state.db").stat().st_mode & 0o777 == 0o600
    with pytest.raises(StoreLocked):
        open_flow_store(config(folder))
    flows.close()
    state.close()


def test_a_folder_that_was_open_to_others_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    assert private_folder(folder).stat().st_mode & 0o777 == 0o700


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StoreUnavailable, match="data folder"):
        open_state_store(config(tmp_path / "data"))


@pytest.mark.parametrize("target", ["elastic", "ftp://x", "mongodb://x"])
def test_another_flow_store_is_refused(tmp_path: Path, target: str) -> None:
    with pytest.raises(ConfigError, match=r"store\.flows"):
        open_flow_store(config(tmp_path, flows=target))


@pytest.mark.parametrize("target", ["mysql://x/y", "://"])
def test_another_state_store_is_refused(tmp_path: Path, target: str) -> None:
    with pytest.raises(ConfigError, match=r"store\.state"):
        open_state_store(config(tmp_path, state=target))


def test_a_mark_of_few_bits_leaves_few_rule_numbers(tmp_path: Path) -> None:
    narrow = load(environment={}, flags={"general.data_dir": tmp_path, "enforce.mark_mask": 0x1F00})
    rules = [(RuleRef(tier="t", policy="p", direction=Direction.INGRESS, index=n), str(n)) for n in range(17)]
    state = open_state_store(narrow)
    state.rule_numbers.check(rules[:16], at=datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(RingfenceError, match="16 of 16 are free"):
        state.rule_numbers.check(rules, at=datetime(2026, 1, 1, tzinfo=UTC))
    state.close()
