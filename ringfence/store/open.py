"""Opens the stores that the configuration names."""

from __future__ import annotations

from pathlib import Path

from ringfence.config import Config
from ringfence.errors import ConfigError, StoreUnavailable
from ringfence.model.ruleset import last_rule_of
from ringfence.store.database.opening import open_state
from ringfence.store.duckdb import DuckDBFlowStore
from ringfence.store.elastic import ElasticFlowStore
from ringfence.store.flows import FlowStore
from ringfence.store.state import State

FLOW_FILE = "flows.duckdb"
STATE_FILE = "state.db"


def open_flow_store(config: Config) -> FlowStore:
    """DuckDB in `general.data_dir`, or the Elasticsearch that `store.flows` names.

    Raises:
        ConfigError: `store.flows` is neither.
        StoreLocked: another process owns the data folder.
        StoreUnavailable: the folder cannot be used, or the server refuses.
    """
    target = config.store.flows
    if target == "duckdb":
        return DuckDBFlowStore(private_folder(config.general.data_dir) / FLOW_FILE)
    if target.startswith(("http://", "https://")):
        return ElasticFlowStore(target, ca=config.store.flows_ca, prefix=config.store.flows_prefix)
    raise ConfigError("store.flows is neither duckdb nor an http(s) URL", hint="RINGFENCE_STORE__FLOWS sets it")


def open_state_store(config: Config) -> State:
    """SQLite in `general.data_dir`, or the database that `store.state` names.

    Raises:
        ConfigError: `store.state` names another kind of database.
        StoreUnavailable: the folder cannot be used, or the server does not answer.
    """
    target = config.store.state
    place = private_folder(config.general.data_dir) / STATE_FILE if target == "sqlite" else target
    return open_state(place, last_rule=last_rule_of(config.enforce.mark_mask))


def private_folder(path: Path) -> Path:
    """Make the folder for its owner alone (0700), as what it holds tells who talks to whom.

    Raises:
        StoreUnavailable: it cannot be made, or is no folder.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.chmod(0o700)
    except OSError as error:
        raise StoreUnavailable(
            f"the data folder {path} cannot be used: {error.strerror}", hint="general.data_dir chooses another"
        ) from error
    return path
