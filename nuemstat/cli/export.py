"""``nuemstat export``: workspaces for other programs."""

from pathlib import Path

import click

from nuemstat.cli import options
from nuemstat.cli.output import note, open_together

_LINES = 8
"""Notes of one file that are printed; all stand in the file."""


@click.command("export", short_help="Workspaces for other programs.")
@click.argument("workspaces", nargs=-1, required=True, metavar="W...")
@click.option("--format", "kind", required=True, metavar="FORMAT", help="pyhf, hs3, root or hepdata.")
@click.option("-o", "--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder.")
@click.option(
    "--coupling",
    "couplings",
    multiple=True,
    metavar="NAME",
    help="pyhf: one file in this coupling itself. hs3: it floats. root: a Combine datacard in one or two.",
)
@click.option(
    "--dialect", default="implicit", show_default=True, metavar="DIALECT", help="Of HS3: implicit, named or 2026-07."
)
@options.mixed
@options.overlap
@click.option("--force", is_flag=True, help="Replace files that are there already.")
def export_command(
    workspaces: tuple[str, ...],
    kind: str,
    output: Path,
    couplings: tuple[str, ...],
    dialect: str,
    mixed: tuple[str, ...],
    overlap: bool,
    force: bool,
) -> None:
    """Write one workspace, or the joint one of several, for another program."""
    from nuemstat.study import check_format, export
    from nuemstat.workspace.combine import mixture, overlaps

    check_format(kind)
    before = _notes(output)
    workspace = open_together(workspaces, mixed, overlap=overlap)
    export(workspace, kind, output, couplings=couplings, dialect=dialect, force=force)
    note(f"wrote {output}")
    for text in (*mixture(workspace), *overlaps(workspace)):
        note(f"warning: {text}")
    for path, when in _notes(output).items():
        if before.get(path) != when:
            _say(path)


def _notes(folder: Path) -> dict[Path, int]:
    """The files of notes in a folder, with the time of their last change."""
    return {path: path.stat().st_mtime_ns for path in sorted(folder.glob("*.notes.md"))}


def _say(path: Path) -> None:
    """What a form cannot say, from the file of notes beside it."""
    lines = path.read_text(encoding="utf-8").splitlines()
    points = [line[2:] for line in lines if line.startswith("- ")]
    if not points:
        return
    note(f"what {lines[0].removeprefix('# ')} cannot say ({path}):")
    for point in points[:_LINES]:
        note(f"  {point}")
    if len(points) > _LINES:
        note(f"  and {len(points) - _LINES} more points")
