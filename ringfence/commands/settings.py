"""What every sub-command starts with: the configuration and the log."""

from __future__ import annotations

from typing import Any

import click

from ringfence import log
from ringfence.config import Config, load


def configured(ctx: click.Context, **flags: Any) -> Config:
    """Load the configuration with the global and the command's own flags, and set up logging.

    Raises:
        ConfigError: with every problem at once.
    """
    given = ctx.find_root().obj or {"file": None, "flags": {}}
    config = load(file=given["file"], flags=given["flags"] | {key: value for key, value in flags.items() if value})
    log.configure(level=config.general.log_level, as_json=True if config.general.log_json else None)
    return config
