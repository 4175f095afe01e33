"""Writes the pages of this folder that say what the code says: `make docs`.

`tests/test_surface.py` fails where a page is behind the code.
"""

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup

from cli.main import app
from graph.settings import Settings

if TYPE_CHECKING:
    from typer._click import Command

HERE = Path(__file__).resolve().parent
WIDTH = 100

ENVIRONMENT_HEAD = """\
# Every setting of Quipu, with its default. Written by `make docs` from graph/settings.py.
# Copy this file to .env and take the mark off the lines to change; docker-compose.yml reads .env, too.
# Secrets have no default; in containers they come from files (`make secrets`).
"""

COMMANDS_HEAD = """\
# The command line

Written by `make docs` from the program's own help.

Results go to standard output, progress and errors to standard error; `--json` makes the result one JSON
document. The exit status is 0, 1 for a job that failed, 2 for wrong usage or input, 130 when interrupted.
"""

SETTINGS_HEAD = """\
# Settings

Written by `make docs` from `graph/settings.py`.

Each is an environment variable; a file `.env` in the working directory is read too, and the environment
goes before it. A command's own option goes before both. A wrong value stops the program at its start.

| Variable | Default | Meaning |
|---|---|---|
"""


def commands() -> Iterator[tuple[str, str, bool]]:
    """Every command with its help, and whether it is a group: (`quipu graph status`, text, False)."""
    yield from _walk(typer.main.get_command(app), "quipu", None)


def _walk(command: "Command", name: str, parent: typer.Context | None) -> Iterator[tuple[str, str, bool]]:
    context = typer.Context(command, info_name=name, parent=parent, terminal_width=WIDTH)
    yield context.command_path, command.get_help(context), isinstance(command, TyperGroup)
    if isinstance(command, TyperGroup):
        for part in command.list_commands(context):
            if inner := command.get_command(context, part):
                yield from _walk(inner, part, context)


def commands_page() -> str:
    """The text of commands.md."""
    sections = (f"\n## {path}\n\n```text\n{text.strip()}\n```\n" for path, text, _ in commands())
    return COMMANDS_HEAD + "".join(sections)


def settings_page() -> str:
    """The text of settings.md."""
    prefix = Settings.model_config["env_prefix"]
    rows = (
        f"| `{prefix}{name.upper()}` | `{field.default}` | {field.description} |\n"
        for name, field in Settings.model_fields.items()
    )
    return SETTINGS_HEAD + "".join(rows)


def environment_file() -> str:
    """The text of .env.example: each setting as a comment, so that a plain copy changes nothing."""
    prefix = Settings.model_config["env_prefix"]
    text = ENVIRONMENT_HEAD
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else field.default
        value = str(default).lower() if isinstance(default, bool) else f"{default}"
        quoted = f"'{value}'" if {" ", "#", "*"} & set(value) else value
        meaning = textwrap.fill(field.description or "", WIDTH, initial_indent="# ", subsequent_indent="# ")
        text += f"\n{meaning}\n#{prefix}{name.upper()}={quoted}\n"
    return text


PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands_page,
    "settings.md": settings_page,
    "../.env.example": environment_file,
}
"""The files that are written from the code, from this folder, and what writes them."""


if __name__ == "__main__":
    for page, text in PAGES.items():
        (HERE / page).write_text(text())
        sys.stdout.write(f"wrote {(HERE / page).resolve().relative_to(HERE.parent)}\n")
