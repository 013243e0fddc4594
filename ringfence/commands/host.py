"""`ringfence host`: the hosts that report."""

from __future__ import annotations

import click

from audit.report.completeness import HEARTBEAT
from ringfence.clock import utc_now
from ringfence.commands.settings import configured
from ringfence.errors import Conflict, NotFound
from ringfence.model.event import EventAction
from ringfence.service.notes import record
from ringfence.store.open import open_state_store


@click.group("host")
def host_group() -> None:
    """The hosts that report."""


@host_group.command("retire")
@click.argument("name")
@click.option("--reason", required=True, help="Why; it stands in the audit log and in reports.")
@click.pass_context
def retire(ctx: click.Context, name: str, reason: str) -> None:
    """Take the host NAME out of service: from now on nobody waits for its word.

    When it reports again, it is back in service.
    """
    config = configured(ctx)
    state = open_state_store(config)
    try:
        hosts = {item.host: item for item in state.hosts.list()}
        if name not in hosts:
            known = ", ".join(hosts) or "none"
            raise NotFound(f"no host {name!r} has ever reported", hint=f"hosts that have: {known}")
        now, heard = utc_now(), hosts[name].at
        if now - heard < HEARTBEAT:
            seconds = HEARTBEAT.total_seconds()
            raise Conflict(
                f"host {name!r} still reports: it would be back in service at once",
                hint=f"stop Ringfence on it, and wait for {seconds:g} seconds",
            )
        record(config, EventAction.HOST_RETIRED, name, reason=reason, last_heard=heard)
        state.hosts.retire(name, at=now, reason=reason)
        click.echo(f"{name} is out of service")
    finally:
        state.close()
