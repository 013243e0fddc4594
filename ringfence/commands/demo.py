"""`ringfence demo`: a living example."""

from __future__ import annotations

import click

from ringfence.demo import show


@click.group("demo")
def demo() -> None:
    """A shop of real containers with traffic, a violation and a quarantine."""


@demo.command("up")
def demo_up() -> None:
    """Start the demo; prints where it is and a one-time login link."""
    show.up(say=click.echo)


@demo.command("down")
def demo_down() -> None:
    """Remove every trace of the demo."""
    show.down(say=click.echo)
