"""The command line: one command, `ringfence`, with a sub-command per thing a person wants done."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from ringfence import __version__
from ringfence.commands.account import audit_group, login_link, token
from ringfence.commands.inspect import config_group, doctor
from ringfence.commands.policy import policy_group
from ringfence.commands.run import agent, beat, clean, server, up, worker
from ringfence.commands.traffic import demo, import_file
from ringfence.errors import RingfenceError

SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where iptables, ipset and dockerd are; root's own PATH lacks them under a plain `su` and in some services."""


class Ringfence(click.Group):
    """Shows every expected error as one sentence with what to do about it, and exits with 1."""

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


for command in (
    up,
    agent,
    server,
    worker,
    beat,
    import_file,
    doctor,
    config_group,
    policy_group,
    audit_group,
    login_link,
    token,
    clean,
    demo,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
