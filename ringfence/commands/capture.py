"""`ringfence import`: flows from a capture file."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from collector.pcap import ImportResult, import_capture
from ringfence.commands.settings import configured
from ringfence.model.event import EventAction
from ringfence.service.imports import deliver
from ringfence.service.notes import record


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="Host name that the flows get; default: the file's name.")
@click.option("--data-dir", help="Folder for everything that is kept (general.data_dir).")
@click.pass_context
def import_file(ctx: click.Context, file: Path, name: str | None, data_dir: str | None) -> None:
    """Turn the capture FILE (pcap or pcapng, gzip allowed) into flows. Needs neither root nor Docker.

    Works beside a running `ringfence up` on the same data folder, and without one. No retention deletes the flows.
    """
    config = configured(ctx, **{"general.data_dir": data_dir})
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"reading {file.name}", total=None)
        result = import_capture(
            file,
            host=name or file.name,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    record(config, EventAction.IMPORT, file.name, packets=result.packets, flows=result.flows, host=name or file.name)
    stored_now = deliver(config, result.batches)
    _summarize(file, result, stored_now)


def _summarize(file: Path, result: ImportResult, stored_now: bool) -> None:
    click.echo(f"{file.name}: {result.packets:,} packets, {result.flows:,} flows")
    if result.unreadable:
        click.echo(f"  {result.unreadable:,} packets could not be read and are counted as a gap")
    for problem in result.problems:
        click.echo(f"  {problem}")
    if not stored_now:
        click.echo("  the running Ringfence takes them over in a moment")
