"""`ringfence policy check`: the same check as in the dashboard, for editors and pipelines."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from policy_engine.parse import parse_policy
from ringfence.errors import ConfigError, PolicyInvalid


@click.group("policy")
def policy_group() -> None:
    """Policy files."""


@policy_group.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def check(file: Path, as_json: bool) -> None:
    """Check FILE and its assertions without applying it. Exits with 1 and lists every problem if there is one."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{file} cannot be read: {reason}") from error
    try:
        policies = parse_policy(text)
    except PolicyInvalid as error:
        if as_json:
            rows = [{"line": item.line, "path": item.path, "message": item.message} for item in error.problems]
            click.echo(json.dumps({"valid": False, "problems": rows}, indent=2))
            sys.exit(1)
        raise
    count = sum(len(tier.policies) for tier in policies.tiers)
    if as_json:
        click.echo(json.dumps({"valid": True, "policies": count}, indent=2))
    else:
        click.echo(f"{file}: valid, {count} policies in {len(policies.tiers)} tiers")
