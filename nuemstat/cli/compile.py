"""``nuemstat compile``: models to workspaces."""

from functools import partial
from pathlib import Path

import click

from nuemstat.cli.output import note, progress


@click.command("compile", short_help="Models to workspace files.")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), help="Folder for NAME.json.")
@click.option("--couplings", help="Keep only these couplings, separated by commas; the rest is folded in.")
def compile_command(models: tuple[str, ...], output: Path | None, couplings: str | None) -> None:
    """Compile models, shipped or paths of a model.yaml, to workspace files.

    Without -o, one model goes to standard output.
    """
    if output is None and len(models) > 1:
        raise click.UsageError(f"found {len(models)} models and no -o; one model may go to standard output")
    from nuemstat.study import resolve

    names = None if couplings is None else [name.strip() for name in couplings.split(",")]
    workspaces = []
    with progress("compiling") as step:
        for done, model in enumerate(models):
            step(done, len(models), f"compiling {model}")
            workspaces.append(resolve(model, names, progress=partial(step, done, len(models))))
    twice = next((w.name for i, w in enumerate(workspaces) if w.name in [v.name for v in workspaces[:i]]), None)
    if output is not None and twice is not None:
        raise click.UsageError(f"two models are both named {twice!r}; write them to two folders")
    for workspace in workspaces:
        for provenance in workspace.provenance:
            for text in provenance.notes:
                note(f"{workspace.name}: {text}")
        if output is None:
            click.echo(workspace.to_json(), nl=False)
        else:
            workspace.write(output / f"{workspace.name}.json")
            note(f"wrote {output / workspace.name}.json")
