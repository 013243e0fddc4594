"""The command line: one command, `ringfence`, with a sub-command per thing a person wants done."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from ringfence import __version__
from ringfence.errors import RingfenceError

COMMANDS = {
    "up": "run:up",
    "agent": "run:agent",
    "server": "run:server",
    "worker": "run:worker",
    "beat": "run:beat",
    "import": "capture:import_file",
    "doctor": "inspect:doctor",
    "config": "inspect:config_group",
    "policy": "policy:policy_group",
    "audit": "audit:audit_group",
    "host": "host:host_group",
    "login-link": "account:login_link",
    "token": "account:token",
    "clean": "run:clean",
    "demo": "demo:demo",
}
"""Name to module and object under `ringfence.commands`: a command loads what it needs, not what another does."""
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where iptables, ipset and dockerd are; root's own PATH lacks them under a plain `su` and in some services."""


class Ringfence(click.Group):
    """Loads a command when it is asked for; shows every expected error as one sentence with what to do about it, and
    exits with 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*COMMANDS, *super().list_commands(ctx)])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _, name = COMMANDS[cmd_name].partition(":")
        found: click.Command = getattr(import_module(f"ringfence.commands.{module}"), name)
        return found

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except RingfenceError as error:
            click.echo(f"ringfence: {error}", err=True)
            for problem in getattr(error, "problems", ()):
                click.echo(f"  {problem}", err=True)
            if error.hint:
                click.echo(f"  {error.hint}", err=True)
            sys.exit(1)


@click.group(cls=Ringfence, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="ringfence")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    envvar="RINGFENCE_CONFIG",
    help="TOML file with settings (RINGFENCE_CONFIG).",
)
@click.option("--set", "assignments", multiple=True, metavar="SECTION.KEY=VALUE", help="Override one setting.")
@click.pass_context
def main(ctx: click.Context, config_file: Path | None, assignments: tuple[str, ...]) -> None:
    """Security, visibility and audit for container networks."""
    os.environ["PATH"] = with_sbin(os.environ.get("PATH", os.defpath))
    flags: dict[str, str] = {}
    for assignment in assignments:
        key, separator, value = assignment.partition("=")
        if not separator:
            raise click.BadParameter(f"{assignment!r} is not SECTION.KEY=VALUE", param_hint="--set")
        flags[key.strip()] = value.strip()
    ctx.obj = {"file": config_file, "flags": flags}


def with_sbin(path: str) -> str:
    """A PATH that has the folders of system programs, after what it had."""
    had = path.split(os.pathsep)
    return os.pathsep.join([*had, *(folder for folder in SBIN if folder not in had)])


if __name__ == "__main__":
    main()
