"""`ringfence up`, `agent`, `server`, `worker`, `beat` and `clean`: the processes, and undoing them."""

from __future__ import annotations

import contextlib
import os
import warnings

import click
from celery.platforms import SecurityWarning

from collector import sysctl
from enforcer.clean import clean_everywhere
from enforcer.netns import everywhere
from ringfence.clock import utc_now
from ringfence.commands.settings import configured
from ringfence.config import Config
from ringfence.errors import ConfigError
from ringfence.jobs import MEMORY, create_celery
from ringfence.lock import HostLock
from ringfence.store.state import State
from ringfence.wiring import AGENT, SERVER, UP, Roles, build, build_jobs
from web.bootstrap import create_bootstrap_link


@click.command()
@click.option("--address", help="Address to listen on (web.address).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on (web.port).")
@click.option("--data-dir", help="Folder for everything that is kept (general.data_dir).")
@click.pass_context
def up(ctx: click.Context, address: str | None, port: int | None, data_dir: str | None) -> None:
    """Run everything on this host: see, decide, enforce, account, show."""
    config = configured(ctx, **{"web.address": address, "web.port": port, "general.data_dir": data_dir})
    if config.jobs.broker != MEMORY:
        # Its jobs are the workers' then, and these cannot open what one process owns.
        _require_fleet(config)
    _run(config, UP)


@click.command()
@click.option("--data-dir", help="Folder for the spool and the audit log (general.data_dir).")
@click.pass_context
def agent(ctx: click.Context, data_dir: str | None) -> None:
    """Run only the collector and the enforcer of this host; needs the stores of a fleet."""
    config = configured(ctx, **{"general.data_dir": data_dir})
    _require_fleet(config)
    _run(config, AGENT)


@click.command()
@click.option("--address", help="Address to listen on (web.address).")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on (web.port).")
@click.option("--data-dir", help="Folder for reports and the audit log (general.data_dir).")
@click.pass_context
def server(ctx: click.Context, address: str | None, port: int | None, data_dir: str | None) -> None:
    """Run only the API and the dashboard; needs the stores of a fleet, and Redis as jobs.broker."""
    config = configured(ctx, **{"web.address": address, "web.port": port, "general.data_dir": data_dir})
    _require_fleet(config)
    _require_broker(config)
    _run(config, SERVER)


@click.command()
@click.pass_context
def worker(ctx: click.Context) -> None:
    """Run a Celery worker: reports and retention. Needs the stores of a fleet, and Redis as jobs.broker."""
    config = configured(ctx)
    _require_broker(config)
    _require_fleet(config)
    # Celery warns of root because of pickle; our messages are JSON only.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    app, close = build_jobs(config)
    try:
        app.worker_main(["--quiet", "worker", "--loglevel=WARNING", "--pool=solo", "--without-mingle"])
    finally:
        close()


@click.command()
@click.pass_context
def beat(ctx: click.Context) -> None:
    """Run the Celery scheduler: once in a fleet. Needs Redis as jobs.broker."""
    config = configured(ctx)
    _require_broker(config)
    create_celery(config.jobs.broker).start(["--quiet", "beat", "--loglevel=WARNING"])


@click.command()
@click.pass_context
def clean(ctx: click.Context) -> None:
    """Remove our rules and sets from every namespace of this host, and put connection tracking's settings back.

    Stop `ringfence up` first.
    """
    config = configured(ctx)
    if os.geteuid() != 0:
        raise ConfigError("removing rules needs root")
    with HostLock():
        cleaned = clean_everywhere(config.enforce)
        living = everywhere()
        restored = sysctl.restore({inode: netns.path for inode, netns in living.items()})
        sysctl.forget(living)
    click.echo(f"removed our rules from {_namespaces(cleaned)}, put the settings back in {_namespaces(restored)}")


def _namespaces(count: int) -> str:
    return f"{count} namespace{'s' if count != 1 else ''}"


def _run(config: Config, roles: Roles) -> None:
    instance = build(config, roles)
    instance.lifecycle.start()
    try:
        # Words that nobody can read any more are no reason to stop what was just started.
        with contextlib.suppress(OSError):
            if instance.url is not None:
                _greet(instance.url(), instance.state)
            for line in instance.limits():
                click.echo(f"  limit: {line}")
        instance.lifecycle.wait()
    finally:
        instance.lifecycle.stop()


def _greet(url: str, state: State) -> None:
    """Say where it is; the one-time link only as long as nobody has an account."""
    click.echo(f"Ringfence is up at {url}")
    if not state.users.list():
        click.echo(f"  first login, valid once and for 24 hours: {create_bootstrap_link(state, url, utc_now)}")


def _require_fleet(config: Config) -> None:
    embedded = [key for key, value in (("flows", "duckdb"), ("state", "sqlite")) if getattr(config.store, key) == value]
    if embedded:
        names = " and ".join(f"store.{key}" for key in embedded)
        raise ConfigError(
            f"{names} {'are' if len(embedded) > 1 else 'is'} embedded: only `ringfence up` can use that",
            hint="set store.flows to an Elasticsearch URL and store.state to a PostgreSQL URL",
        )


def _require_broker(config: Config) -> None:
    if config.jobs.broker == MEMORY:
        raise ConfigError(
            "jobs.broker is in memory: only `ringfence up` runs its own worker", hint="set it to redis://..."
        )
