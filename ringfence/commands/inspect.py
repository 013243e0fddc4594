"""`ringfence config show` and `ringfence doctor`: what is set, and what works on this host."""

from __future__ import annotations

import dataclasses
import json
import re
import sys

import click
from rich.console import Console
from rich.table import Table

from ringfence.commands.settings import configured
from ringfence.config import Config, settings
from ringfence.doctor import examine, render

SECRET_PARAMETER = re.compile(r"([?&][^=&#]*(?:password|passwd|secret|token)[^=&#]*=)[^&#]*", re.IGNORECASE)
"""As in `?user=rf&password=...`, which libpq, and so SQLAlchemy, takes as well."""


@click.group("config")
def config_group() -> None:
    """Settings and where each came from."""


@config_group.command("show")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@click.pass_context
def show(ctx: click.Context, as_json: bool) -> None:
    """Print every setting, its value and its origin. Passwords in URLs are hidden."""
    config = configured(ctx)
    rows = [(key, shown(config, key), config.origins[key], item.metadata["doc"]) for key, item in settings().items()]
    if as_json:
        click.echo(json.dumps({key: {"value": value, "origin": origin} for key, value, origin, _ in rows}, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for title in ("setting", "value", "from", "what it is"):
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def shown(config: Config, key: str) -> str:
    """One value as text, with any password in a URL replaced by stars."""
    section, name = key.split(".")
    value = getattr(getattr(config, section), name)
    return ", ".join(hide_password(str(item)) for item in (value if isinstance(value, tuple) else (value,)))


def hide_password(text: str) -> str:
    """`scheme://user:secret@host` becomes `scheme://user:***@host`, and a password in the query likewise."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    rest = SECRET_PARAMETER.sub(r"\1***", rest)
    if "@" in rest:
        credentials, _, host = rest.rpartition("@")
        rest = f"{credentials.partition(':')[0]}:***@{host}"
    return f"{scheme}://{rest}"


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Say what works on this host and what does not, and what to do. Exits with 1 if something fails."""
    checks = examine(configured(ctx))
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(check) for check in checks], indent=2))
    else:
        render(checks, Console())
    sys.exit(1 if any(check.state == "fail" for check in checks) else 0)
