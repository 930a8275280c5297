"""``nuemstat export``: workspaces for other programs."""

from pathlib import Path

import click

from nuemstat.cli.output import note, open_together


@click.command("export", short_help="Workspaces for other programs.")
@click.argument("workspaces", nargs=-1, required=True, metavar="W...")
@click.option("--format", "kind", required=True, metavar="FORMAT", help="pyhf (hs3, root and hepdata come later).")
@click.option("-o", "--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder.")
def export_command(workspaces: tuple[str, ...], kind: str, output: Path) -> None:
    """Write one workspace, or the joint one of several, for another program."""
    from nuemstat.study import check_format, export

    check_format(kind)
    export(open_together(workspaces), kind, output)
    note(f"wrote {output}")
