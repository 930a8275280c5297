"""``nuemstat coverage``: how often intervals hold the truth."""

from pathlib import Path

import click

from nuemstat.cli import options
from nuemstat.cli.output import emit, open_together
from nuemstat.cli.toys import throwing, toy_options


@click.command("coverage", short_help="How often intervals hold the truth.")
@options.coupling
@click.option("--true", "true", type=options.number, required=True, metavar="VALUE", help="In mu_B, e, cm^2 or 1.")
@options.level
@click.option("--experiments", type=click.IntRange(min=1), default=500, show_default=True, help="Pseudo-experiments.")
@toy_options
@options.inference
def coverage_command(
    workspaces: tuple[str, ...],
    coupling: str,
    true: float,
    cl: float,
    experiments: int,
    toys: int | None,
    seed: int,
    kind: str,
    workers: int | None,
    scheduler: str | None,
    checkpoint: Path | None,
    free: tuple[str, ...],
    fixed: tuple[tuple[str, float], ...],
    mixed: tuple[str, ...],
    overlap: bool,
    data: str,
    as_json: bool,
    output: Path | None,
) -> None:
    """Coverage of the profile and of the Feldman-Cousins interval, when VALUE is the truth.

    --toys: of each experiment, at most (199 at 90 % without it; 0 leaves Feldman-Cousins out).
    """
    held = options.unique(fixed, "--fix")
    workspace = open_together(workspaces, mixed, overlap=overlap)
    from nuemstat.stats.coverage import coverage
    from nuemstat.stats.execution import Plan

    question = {
        "command": "coverage", "digest": workspace.digest, "coupling": coupling, "true": true, "cl": cl,
        "toys": toys, "seed": seed, "free": free, "fixed": held, "data": data,
    }  # fmt: skip
    with throwing(kind, workers, scheduler, checkpoint, **question) as (executor, path, step):
        plan = Plan(toys=toys, seed=seed, executor=executor, checkpoint=path, progress=step)
        found = coverage(
            workspace, coupling, true, cl=cl, experiments=experiments, data=data, free=free, fixed=held, plan=plan
        )
    emit(found, as_json=as_json, output=output)
