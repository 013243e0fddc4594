"""Every command says what it does and is named in the documents as the code has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from ringfence.cli import main
from tests.support.repository import compare


def walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from walk(found, (*path, name))
    else:
        yield path, command


def test_every_command_is_documented(update_golden: bool) -> None:
    parts = []
    for path, command in walk(main, ("ringfence",)):
        arguments = [str(item.human_readable_name) for item in command.params if isinstance(item, click.Argument)]
        options = [item for item in command.params if isinstance(item, click.Option) and not item.hidden]
        text = " ".join((command.help or "").split())
        part = f"### `{' '.join([*path, *arguments])}`\n\n{text}\n"
        if options:
            part += "\n" + "\n".join(f"- `{', '.join(item.opts)}`: {item.help}" for item in options) + "\n"
        parts.append(part)
    compare(Path("docs/commands.md"), "commands", "\n".join(parts), update=update_golden)


def test_every_part_of_the_program_says_what_it_does() -> None:
    assert [path for path, command in walk(main, ("ringfence",)) if not command.help] == []
