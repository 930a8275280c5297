"""``nuemstat compile``: models to workspaces."""

import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nuemstat.cli import options
from nuemstat.cli.completion import complete_workspaces
from nuemstat.cli.output import note, progress

if TYPE_CHECKING:
    from nuemstat.explain import Explanation
    from nuemstat.workspace.document import Workspace


@click.command("compile", short_help="Models to workspace files.")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...", shell_complete=complete_workspaces)
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), help="Folder for NAME.json.")
@click.option("--couplings", help="Keep only these couplings, separated by commas; the rest is folded in.")
@click.option("--explain", is_flag=True, help="Show yields, systematics, accuracy, memory and time instead.")
@options.as_json
def compile_command(
    models: tuple[str, ...], output: Path | None, couplings: str | None, explain: bool, as_json: bool
) -> None:
    """Compile models, shipped or paths of a model.yaml, to workspace files.

    Without -o, one model goes to standard output. With --explain, what each workspace is made of goes there.
    """
    if output is None and len(models) > 1 and not explain:
        raise click.UsageError(f"found {len(models)} models and no -o; one model may go to standard output")
    if as_json and (not explain or len(models) > 1):
        raise click.UsageError("--json belongs to --explain of one model; a workspace is JSON as it is")
    from nuemstat.study import resolve
    from nuemstat.writing import check_former

    names = None if couplings is None else [name.strip() for name in couplings.split(",")]
    workspaces: list[Workspace] = []
    explanations: list[Explanation] = []
    with progress("compiling") as step:
        for done, model in enumerate(models):
            step(done, len(models), f"compiling {model}")
            start = time.perf_counter()
            workspaces.append(resolve(model, names, progress=partial(step, done, len(models))))
            if explain:
                explanations.append(_explained(workspaces[-1], time.perf_counter() - start))
    twice = next((w.name for i, w in enumerate(workspaces) if w.name in [v.name for v in workspaces[:i]]), None)
    if output is not None and twice is not None:
        raise click.UsageError(f"two models are both named {twice!r}; write them to two folders")
    if output is not None:
        for workspace in workspaces:
            path = output / f"{workspace.name}.json"
            check_former(path, r'\{\s*"schema": "nuemstat/workspace/', "nuemstat's workspaces")
    if explanations:
        click.echo("\n\n".join(item.to_json() if as_json else str(item) for item in explanations))
    for workspace in workspaces:
        _write(workspace, output, quiet=explain)


def _explained(workspace: "Workspace", seconds: float) -> "Explanation":
    from nuemstat.explain import explain

    return explain(workspace, seconds=seconds, peak_megabytes=_peak_megabytes())


def _write(workspace: "Workspace", output: Path | None, *, quiet: bool) -> None:
    if not quiet:
        for provenance in workspace.provenance:
            for text in provenance.notes:
                note(f"{workspace.name}: {text}")
    if output is not None:
        workspace.write(output / f"{workspace.name}.json")
        note(f"wrote {output / workspace.name}.json")
    elif not quiet:
        click.echo(workspace.to_json(), nl=False)


def _peak_megabytes() -> float | None:
    """Most memory this process ever held; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)
