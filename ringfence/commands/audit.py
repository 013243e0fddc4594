"""`ringfence audit`: evidence."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from audit.log import verify
from ringfence.commands.settings import configured


@click.group("audit")
def audit_group() -> None:
    """The audit log."""


@audit_group.command("verify")
@click.option("--folder", type=click.Path(path_type=Path), help="Log folder; default: that of the configuration.")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="A checkpoint kept elsewhere, to find a rollback.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@click.pass_context
def audit_verify(ctx: click.Context, folder: Path | None, checkpoint: Path | None, as_json: bool) -> None:
    """Read the whole log and check every hash. Exits with 1 if anything was changed."""
    found = verify(folder or configured(ctx).general.data_dir / "audit", checkpoint)
    if as_json:
        click.echo(json.dumps({"ok": found.ok, "records": found.records, "problem": found.problem}, indent=2))
    elif found.ok:
        click.echo(f"intact: {found.records} records")
    else:
        click.echo(f"NOT intact: {found.problem}")
    sys.exit(0 if found.ok else 1)
