"""``nuemstat inspect``: what a workspace holds."""

import json
from typing import Any

import click

from nuemstat.cli.options import as_json as json_option
from nuemstat.cli.output import print_table


@click.command("inspect", short_help="What a workspace holds.")
@click.argument("workspace", metavar="W")
@json_option
def inspect_command(workspace: str, as_json: bool) -> None:
    """Show channels, samples, parameters and provenance of a workspace."""
    from nuemstat.study import resolve

    content = _content(resolve(workspace))
    if as_json:
        click.echo(json.dumps(content, indent=1))
        return
    click.echo(f"{content['name']}  {content['digest']}")
    channels = [
        (c["name"], c["experiment"], c["statistic"], c["axes"], f"{c['observed']:.6g}", str(c["samples"]))
        for c in content["channels"]
    ]
    print_table(("channel", "experiment", "statistic", "axes", "observed", "samples"), channels, title="\nChannels")
    yields = [(c["name"], name, f"{n:.4g}") for c in content["channels"] for name, n in c["expected"].items()]
    print_table(("channel", "process", "expected"), yields, title="\nExpected counts at the defaults")
    couplings = [(p["name"], f"{p['default']:.4g}", p["unit"]) for p in content["couplings"]]
    print_table(("coupling", "default", "unit"), couplings, title="\nCouplings")
    if content["folded"]:
        print_table(("folded", "value"), [(f["name"], f"{f['value']:g}") for f in content["folded"]])
    for choice, value in content["choices"].items():
        click.echo(f"\nof exclusive descriptions, {choice}: {value}")
    nuisances = [
        (p["name"], p["quantity"], f"{p['centre']:.4g}", f"{p['sigma']:.3g}", p["unit"], p["group"], p["source"])
        for p in content["nuisances"]
    ]
    columns = ("nuisance", "quantity", "centre", "sigma", "unit", "group", "source")
    print_table(columns, nuisances, title="\nConstrained parameters")
    free = [(p["name"], p["quantity"], f"{p['default']:.4g}", p["unit"]) for p in content["free"]]
    print_table(("free", "quantity", "default", "unit"), free, title="\nFree parameters")
    for p in content["provenance"]:
        variants = ", ".join(f"{group}={option}" for group, option in p["variants"].items()) or "no variants"
        click.echo(f"\nfrom {p['model']} ({variants}), nuemstat {p['version']}")
        for text in p["notes"]:
            click.echo(f"  {text}")


def _content(workspace: Any) -> dict[str, Any]:
    from nuemstat.study import nominal_yields

    expected = nominal_yields(workspace)
    parameters = {kind: [p for p in workspace.parameters if p.kind == kind] for kind in ("constrained", "free")}
    couplings = [workspace.parameter(name) for name in workspace.couplings]
    return {
        "schema": "nuemstat/inspect/1",
        "name": workspace.name,
        "digest": workspace.digest,
        "datasets": list(workspace.datasets),
        "channels": [
            {
                "name": channel.name,
                "experiment": channel.experiment,
                "statistic": channel.statistic,
                "axes": " x ".join(
                    f"{axis.name} [{axis.unit}] {size}" for axis, size in zip(channel.axes, channel.shape, strict=True)
                ),
                "observed": sum(channel.observed),
                "samples": len(channel.samples),
                "expected": expected[channel.name],
            }
            for channel in workspace.channels
        ],
        "couplings": [{"name": c.name, "default": c.default * c.scale, "unit": c.unit} for c in couplings],
        "folded": [folded.model_dump() for folded in workspace.folded],
        "choices": dict(workspace.choices),
        "nuisances": [p.model_dump(mode="json") for p in parameters["constrained"]],
        "free": [p.model_dump(mode="json") | {"default": p.default * p.scale} for p in parameters["free"]],
        "provenance": [p.model_dump(mode="json") for p in workspace.provenance],
    }
