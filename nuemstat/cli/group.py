"""The group of all commands."""

from typing import Any

import click

from nuemstat.errors import suggestion


class Commands(click.Group):
    """A group that keeps its order and meets unknown commands with a suggestion."""

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
