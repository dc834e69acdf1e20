"""The `livetags` command; each subcommand lives in `streams.commands` and is imported when it is called."""

from __future__ import annotations

import importlib
from typing import Final

import click

COMMANDS: Final = (
    "check",
    "data",
    "demo",
    "explain",
    "feed",
    "freshness",
    "models",
    "replay",
    "state",
    "topics",
    "trainer",
    "worker",
)


class _Lazy(click.Group):
    """A group whose commands are imported on demand: `check` need not load Faust."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"streams.commands.{cmd_name}"), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"streams.commands.{cmd_name} holds no command")
        return command


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="livetags")
def main() -> None:
    """Live customer tags from event streams."""


if __name__ == "__main__":
    main()
