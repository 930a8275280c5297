"""``nuemstat members``: the data models of the world fit, and the rule of membership applied to each."""

import click

from nuemstat.cli.options import as_json as json_option
from nuemstat.cli.output import note, print_table, progress


@click.command("members", short_help="The data models of the world fit, and the rule they follow.")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@json_option
def members_command(names: tuple[str, ...], as_json: bool) -> int:
    """Apply the rule of membership to the data models NAME, all of them without it.

    A model leaves the default world fit if, with all couplings at the Standard Model, its p-value is below 0.01 or a
    pull of an efficiency or a quenching lies beyond 2.5. Exit 1 if a member of the default fit fails.
    """
    from nuemstat.membership import standings, to_json

    with progress("applying the rule") as step:
        found = standings(names or None, progress=step)
    if as_json:
        click.echo(to_json(found))
    else:
        heads = ("model", "world fit", "p", "largest efficiency or quenching pull", "rule", "reason of its place")
        print_table(heads, [row.cells() for row in found])
    wrong = [row.assessment.model for row in found if not row.agrees]
    for name in wrong:
        note(f"{name} is in the default world fit and fails the rule")
    return 1 if wrong else 0
