"""`ringfence login-link` and `token`: access for people and programs."""

from __future__ import annotations

from datetime import timedelta

import click

from ringfence.clock import utc_now
from ringfence.commands.settings import configured
from ringfence.errors import ConfigError, NotFound
from ringfence.model.event import EventAction
from ringfence.service.notes import record
from ringfence.store.open import open_state_store
from ringfence.store.state import Role
from web.api_tokens import create_api_token
from web.bootstrap import Invitation, create_bootstrap_link


@click.command("login-link")
@click.pass_context
def login_link(ctx: click.Context) -> None:
    """Print a new one-time login link, for when the first one was lost."""
    config = configured(ctx)
    if not config.web.port and not config.web.public_url:
        raise ConfigError(
            "web.port is 0: only the running service knows the port", hint="add --set web.port=PORT, as it greeted with"
        )
    state = open_state_store(config)
    try:
        record(config, EventAction.USER_INVITED, "login link", role=Role.ADMIN, recovery=True)
        click.echo(create_bootstrap_link(state, config.web.url(), utc_now, Invitation(role=Role.ADMIN, recovery=True)))
    finally:
        state.close()


@click.command("token")
@click.argument("user")
@click.option("--days", type=click.IntRange(1, 365), default=30, show_default=True, help="Days until it expires.")
@click.pass_context
def token(ctx: click.Context, user: str, days: int) -> None:
    """Print a new API token for USER; it has that user's role. It is shown once and kept only as a hash."""
    config = configured(ctx)
    state = open_state_store(config)
    try:
        found = state.users.get(user)
        if found is None:
            raise NotFound(f"no user {user!r}", hint="log in with the one-time link to create the first one")
        now, lifetime = utc_now(), timedelta(days=days)
        record(config, EventAction.API_TOKEN_CREATED, user, role=found.role, expires=now + lifetime)
        click.echo(create_api_token(state, found, now, lifetime, name="made on the host"))
    finally:
        state.close()
