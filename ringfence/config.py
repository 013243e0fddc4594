"""Configuration: one frozen tree. Defaults < file (TOML) < environment (`RINGFENCE_SECTION__KEY`) < flags.

Unknown keys are errors that suggest the right one; every value knows where it came from.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import socket
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from ringfence.errors import ConfigError
from ringfence.model.ruleset import WORKLOAD_SLOT_MASK

DEFAULT_FILE = Path("/etc/ringfence/ringfence.toml")
PREFIX = "RINGFENCE_"
NO_SETTINGS = frozenset({"RINGFENCE_CONFIG", "RINGFENCE_CONFORMANCE_DATA"})
"""Names a configuration file, and names data of the tests; every other variable with the prefix is a setting."""
SERVICE_LINK = re.compile(r"RINGFENCE_(SERVICE_(HOST|PORT)|PORT_\d+_)|RINGFENCE_PORT=(tcp|udp)://")
"""What Kubernetes and Docker links put into the environment for a service that is called ringfence."""
WITHOUT_ROOT = "default without root"


def _setting(
    default: Any,
    doc: str,
    *,
    least: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
    begins: tuple[str, ...] = (),
    mask: int = 0,
) -> Any:
    """A setting with what it may be: a range, words, or, besides its default, what the text may begin with.

    `mask`: one run of bits within these.
    """
    limits = {"least": least, "most": most, "choices": choices, "begins": begins, "mask": mask}
    return field(default=default, metadata={"doc": doc, **limits})


@dataclass(frozen=True, slots=True, kw_only=True)
class General:
    data_dir: Path = _setting(
        Path("/var/lib/ringfence"),
        "Folder for stores, spool, audit log and reports; without root $XDG_STATE_HOME/ringfence, which is "
        "~/.local/state/ringfence where that is not set.",
    )
    host: str = _setting("", "Name of this host in records; empty: the machine's host name.")
    log_level: str = _setting("info", "debug, info, warning or error.", choices=("debug", "info", "warning", "error"))
    log_json: bool = _setting(False, "Write log lines as JSON even on a terminal.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Docker:
    endpoints: tuple[str, ...] = _setting(
        ("unix:///var/run/docker.sock",), "Docker engines on this kernel, `name=url` or `url`; empty: none."
    )
    relist_seconds: float = _setting(10.0, "Seconds between full listings, besides the event stream.", least=0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    enabled: bool = _setting(True, "Read conntrack events; needs root.")
    receive_buffer: int = _setting(32 * 1024 * 1024, "Netlink receive buffer in bytes (forced, read back).", least=1)
    tick_seconds: float = _setting(1.0, "Seconds of events merged into one batch.", least=0.01)
    dump_seconds: float = _setting(10.0, "Seconds between dumps of the connection tables.", least=0.1)
    denied_idle_seconds: float = _setting(
        30.0, "A denied connection attempt ends after this long without a packet.", least=0.1
    )
    most_denied: int = _setting(
        20_000, "Denied attempts followed at once per namespace; packets of further ones are counted in a gap.", least=1
    )
    include_loopback: bool = _setting(False, "Keep flows from a namespace to itself.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spool:
    max_bytes: int = _setting(
        512 * 1024 * 1024, "Flows wait here when the store is away; oldest dropped, counted.", least=1
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforce:
    enabled: bool = _setting(True, "Write rules into the workloads' namespaces; needs root.")
    backend: str = _setting("auto", "iptables backend: auto, nft or legacy.", choices=("auto", "nft", "legacy"))
    mark_mask: int = _setting(
        0x00FFFF00, "Bits of the connection mark that carry the rule number.", mask=0xFFFFFFFF & ~WORKLOAD_SLOT_MASK
    )
    drift_seconds: float = _setting(2.0, "Seconds between checks of the rules in the kernel.", least=0.1)
    protected: str = _setting("", "Selector of workloads that automation never touches.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    flows: str = _setting("duckdb", "duckdb, or the URL of Elasticsearch (https://user:password@host:9200).")
    flows_ca: str = _setting("", "CA certificate file for Elasticsearch.")
    flows_prefix: str = _setting("ringfence", "Prefix of index names in Elasticsearch.")
    state: str = _setting("sqlite", "sqlite, or an SQLAlchemy URL (postgresql+psycopg://...).")
    retention_days: int = _setting(30, "Final flows older than this are deleted, unless imported.", least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    broker: str = _setting("memory", "memory, or a Redis URL (redis://...).", begins=("redis://", "rediss://"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    address: str = _setting("127.0.0.1", "Address to listen on.")
    port: int = _setting(8844, "Port to listen on.", least=0, most=65535)
    public_url: str = _setting("", "URL people use, when a proxy stands in front.")
    trusted_proxies: int = _setting(
        0, "Proxies in front whose X-Forwarded-For and -Proto are believed; each must set both.", least=0, most=10
    )
    session_hours: float = _setting(12.0, "Hours a login lasts.", least=0.01)

    def url(self, port: int | None = None) -> str:
        """Where people reach it; `port`: the one that is really listened on, as `web.port` may be 0."""
        if self.public_url:
            return self.public_url.rstrip("/")
        # Nobody can go to "any address"; who runs the command is on this machine.
        address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.address, self.address)  # noqa: S104
        host = f"[{address}]" if ":" in address else address
        return f"http://{host}:{self.port if port is None else port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole tree; `origins` maps `section.key` to `default`, `file ...`, `environment ...`, `flag` or, for the data
    folder of an ordinary user, `default without root`."""

    general: General = General()
    docker: Docker = Docker()
    capture: Capture = Capture()
    spool: Spool = Spool()
    enforce: Enforce = Enforce()
    store: Store = Store()
    jobs: Jobs = Jobs()
    web: Web = Web()
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return self.general.host or socket.gethostname()


SECTIONS: dict[str, Any] = {
    name: hint for name, hint in get_type_hints(Config).items() if dataclasses.is_dataclass(hint)
}


def settings() -> dict[str, dataclasses.Field[Any]]:
    """Every `section.key` with its field: default, type and doc text."""
    return {f"{name}.{item.name}": item for name, cls in SECTIONS.items() for item in dataclasses.fields(cls)}


def load(
    *,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    root: bool | None = None,
) -> Config:
    """Read the layers and check them; all problems are reported in one error. `root` None: as the process is.

    Raises:
        ConfigError: an unknown key, an impossible value or an unreadable file.
    """
    environment = os.environ if environment is None else environment
    problems: list[str] = []
    values: dict[str, tuple[Any, str]] = {}
    if not (os.geteuid() == 0 if root is None else root):
        values["general.data_dir"] = (_own_folder(environment), WITHOUT_ROOT)
    for key, value, origin in [
        *_from_file(file, problems),
        *_from_environment(environment),
        *((key, value, "flag") for key, value in (flags or {}).items() if value is not None),
    ]:
        _take(values, problems, key, value, origin)
    if problems:
        raise ConfigError("; ".join(problems), hint="`ringfence config show` lists every key")
    sections = {
        name: cls(**{key.split(".")[1]: value for key, (value, _) in values.items() if key.split(".")[0] == name})
        for name, cls in SECTIONS.items()
    }
    config = Config(**sections, origins={key: values[key][1] if key in values else "default" for key in settings()})
    names = [name for name, _ in docker_endpoints(config)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(
            f"docker.endpoints: two engines are called {', '.join(twice)}",
            hint="their containers could not be told apart: give each a name, as in name=unix:///path",
        )
    return config


def docker_endpoints(config: Config) -> tuple[tuple[str, str], ...]:
    """Name and URL of every engine; one that is written without a name is called as the host."""
    return tuple(parse_endpoint(text, config.host) for text in config.docker.endpoints)


def parse_endpoint(text: str, default_name: str) -> tuple[str, str]:
    """Name and URL of a `docker.endpoints` entry: `name=url` or `url`."""
    name, separator, url = text.partition("=")
    return (name.strip(), url.strip()) if separator and "://" not in name else (default_name, text.strip())


def _own_folder(environment: Mapping[str, str]) -> Path:
    """Where an ordinary user keeps what must outlive a restart, by the XDG base directory specification."""
    state = environment.get("XDG_STATE_HOME", "")
    if Path(state).is_absolute():
        return Path(state) / "ringfence"
    home = environment.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 -- Path.expanduser raises without a home
    return Path(home) / ".local" / "state" / "ringfence"


def _from_file(file: Path | None, problems: list[str]) -> list[tuple[str, Any, str]]:
    path = file or DEFAULT_FILE
    if not path.exists():
        if file is not None:
            problems.append(f"the file {path} does not exist")
        return []
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        problems.append(f"the file {path} cannot be read: {reason}")
        return []
    rows: list[tuple[str, Any, str]] = []
    for section, entries in tree.items():
        if isinstance(entries, dict):
            rows += [(f"{section}.{key}", value, f"file {path}") for key, value in entries.items()]
        else:
            rows.append((section, entries, f"file {path}"))
    return rows


def _from_environment(environment: Mapping[str, str]) -> list[tuple[str, Any, str]]:
    return [
        (name.removeprefix(PREFIX).lower().replace("__", "."), value, f"environment {name}")
        for name, value in sorted(environment.items())
        if name.startswith(PREFIX) and name not in NO_SETTINGS and not SERVICE_LINK.match(f"{name}={value}")
    ]


def _take(values: dict[str, tuple[Any, str]], problems: list[str], key: str, value: Any, origin: str) -> None:
    known = settings()
    if key not in known:
        close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        problems.append(
            f"unknown setting {key} ({origin})" + (f": did you mean {_spelled(close[0], origin)}?" if close else "")
        )
        return
    try:
        parsed = _parse(value, known[key].default)
        _check(parsed, known[key])
        values[key] = (parsed, origin)
    except ValueError as error:
        problems.append(f"{key} ({origin}): {error}")


def _spelled(key: str, origin: str) -> str:
    """A key as it is written where the wrong one stood."""
    return variable(key) if origin.startswith("environment ") else key


def variable(key: str) -> str:
    """The environment variable of `section.key`."""
    return PREFIX + key.upper().replace(".", "__")


def _parse(value: Any, default: Any) -> Any:
    """Turn file, environment and flag values into the type of the default."""
    if isinstance(default, bool):
        return _parse_bool(value)
    if isinstance(default, tuple):
        return _parse_list(value)
    if isinstance(default, str | Path):
        if not isinstance(value, str | Path):
            raise ValueError(f"{value!r} is not a text")
        return str(value) if isinstance(default, str) else Path(value)
    return _parse_number(value, type(default))


def _parse_list(value: Any) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError(f"{value!r} is not a list of texts")
    return tuple(item.strip() for item in items if item.strip())


def _parse_number(value: Any, kind: type[int] | type[float]) -> int | float:
    """A bool is no number here, although Python says so; 1.9 is no whole number."""
    try:
        if isinstance(value, bool) or (kind is int and isinstance(value, float)):
            raise ValueError
        return int(value, 0) if kind is int and isinstance(value, str) else kind(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{value!r} is not a {'whole number' if kind is int else 'number'}") from None


def _check(value: Any, setting: dataclasses.Field[Any]) -> None:
    """Raise ValueError for a value of the right type that cannot be."""
    least, most = setting.metadata["least"], setting.metadata["most"]
    choices, begins = setting.metadata["choices"], setting.metadata["begins"]
    if choices and value not in choices:
        raise ValueError(f"{value!r} is none of {', '.join(choices)}")
    mask = setting.metadata["mask"]
    if mask and (value <= 0 or value & ~mask or value + (value & -value) & value):
        raise ValueError(f"must be one run of bits within {mask:#010x}, not {value:#x}")
    if begins and value != setting.default and not value.startswith(begins):
        raise ValueError(f"neither {setting.default} nor a URL that begins with {' or '.join(begins)}")
    # Written so that a NaN is out of every range.
    if least is not None and not value >= least:
        raise ValueError(f"must be at least {least:g}, not {value}")
    if most is not None and not value <= most:
        raise ValueError(f"must be at most {most:g}, not {value}")


def _parse_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off"}:
        return False
    raise ValueError(f"{value!r} is neither true nor false")
