"""``nuemstat report``: the results as one page."""

import os
import shutil
from pathlib import Path
from typing import Any

import click

from nuemstat.cli.options import level
from nuemstat.cli.options import mixed as mixed_option
from nuemstat.cli.options import overlap as overlap_option
from nuemstat.cli.output import note, progress

_ENTRIES = ("limits.json", "joint.json", "workspaces", "profiles")
"""What a report takes over from a folder of results."""


@click.command("report", short_help="The results as a page with pictures.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder for index.html and pictures/."
)
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    help="Use these results of `nuemstat limits`; computed anew without it.",
)
@click.option("--model", "models", multiple=True, metavar="M", help="Only these; all without it.")
@click.option("--coupling", "couplings", multiple=True, metavar="C", help="Only these; all couplings without it.")
@click.option(
    "--validation",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Comparison written by `nuemstat validate --json`.",
)
@click.option("--validate", is_flag=True, help="Compute the comparison with published numbers.")
@click.option("--shares", is_flag=True, help="Take new joint limits apart as `nuemstat limits` does; minutes.")
@click.option("--choices", is_flag=True, help="Compare new joint limits for every choice; a minute.")
@mixed_option
@overlap_option
@click.option("--no-contours", is_flag=True, help="Leave out regions of two couplings and impacts.")
@click.option("--joint-contours", is_flag=True, help="Regions of the joint fit too; minutes with many experiments.")
@click.option("--processes", type=click.IntRange(min=1), default=lambda: min(2, os.cpu_count() or 1),
              show_default="2", help="Worker processes.")  # fmt: skip
@level
def report_command(
    output: Path,
    results: Path | None,
    models: tuple[str, ...],
    couplings: tuple[str, ...],
    validation: Path | None,
    validate: bool,
    shares: bool,
    choices: bool,
    mixed: tuple[str, ...],
    overlap: bool,
    no_contours: bool,
    joint_contours: bool,
    processes: int,
    cl: float,
) -> None:
    """One self-contained page: limits, profiles, history, spectra, pulls, validation, provenance.

    The folder also holds every picture as SVG and PNG with its data as CSV, and the results themselves.
    """
    if validate and validation is not None:
        raise click.UsageError("--validation and --validate: one of the two")
    if shares and results is not None:
        raise click.UsageError("--shares belongs to limits that are computed anew; --results has them or not")
    if (choices or mixed or overlap) and results is not None:
        name = "--choices" if choices else "--mixed" if mixed else "--overlap"
        raise click.UsageError(f"{name} belongs to limits that are computed anew; --results has its own")
    given = click.get_current_context().get_parameter_source("cl")
    if results is not None and given is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("--cl belongs to limits that are computed anew; --results has its own level")
    from nuemstat.folder import whole_folder
    from nuemstat.main_job import run
    from nuemstat.report.build import build, read_validation
    from nuemstat.stats.execution import open_executor

    rows: list[Any] = [] if validation is None else read_validation(validation)
    kind = "local" if processes == 1 else "processes"
    with whole_folder(output) as folder, open_executor(kind, workers=processes) as executor:
        if results is None:
            with progress("limits") as step:
                run(models or None, couplings or None, folder, level=cl, apart=shares, mixed=mixed, overlap=overlap,
                    choices=choices, progress=step, executor=executor)  # fmt: skip
        else:
            _take_over(results, folder)
        if validate:
            rows = _validated(models)
        # Models may be paths; once computed, the folder holds just what was asked for.
        asked = models if results is not None else ()
        with progress("report") as step:
            build(folder, source=results, models=asked, couplings=couplings, validation=rows, contours=not no_contours,
                  joint_contours=joint_contours, progress=step, executor=executor)  # fmt: skip
    note(f"wrote {output / 'index.html'}")


def _take_over(results: Path, folder: Path) -> None:
    for name in _ENTRIES:
        source = results / name
        if source.is_dir():
            shutil.copytree(source, folder / name, dirs_exist_ok=True)
        elif source.is_file():
            shutil.copy(source, folder / name)


def _validated(models: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows of the comparison, for the asked models that have published numbers, or for all."""
    from dataclasses import asdict

    from nuemstat.validate import run, shipped

    names = [name for name in shipped() if not models or name in {m.partition(":")[0] for m in models}]
    with progress("validating") as step:
        return [asdict(row) for row in run(names, progress=step)]
