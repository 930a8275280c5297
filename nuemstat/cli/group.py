"""The group of all commands."""

from typing import Any

import click

from nuemstat.errors import suggestion

LOUDNESS = "nuemstat.loudness"
"""Key in the context's `meta`: 1 with -v, -1 with -q."""


def _loudness(short: str, long: str, level: int, text: str) -> click.Option:
    """A flag that is remembered where `nuemstat.cli.output` looks for it, not handed to the command."""

    def remember(context: click.Context, _: click.Parameter, given: bool) -> None:
        if given:
            context.find_root().meta[LOUDNESS] = level

    return click.Option([short, long], is_flag=True, expose_value=False, callback=remember, help=text)


class Commands(click.Group):
    """A group that keeps its order, meets unknown commands with a suggestion, and gives all of them -v and -q."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Register a command, with the options that all of them have."""
        cmd.params += [_loudness("-v", "--verbose", 1, "Say what is being done."),
                       _loudness("-q", "--quiet", -1, "Only results and mistakes.")]  # fmt: skip
        super().add_command(cmd, name)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order of an analysis."""
        return list(self.commands)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The command named first in `args`, or one clear line."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            known = self.list_commands(ctx)
            raise click.UsageError(
                f"no command {args[0]!r}; allowed are {', '.join(known)}{suggestion(args[0], known)}"
            )
        return super().resolve_command(ctx, args)
