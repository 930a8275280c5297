"""The commands of the command line, in the order of an analysis."""

import click

from nuemstat import __version__
from nuemstat.cli.check import check_command
from nuemstat.cli.compile import compile_command
from nuemstat.cli.coverage import coverage_command
from nuemstat.cli.export import export_command
from nuemstat.cli.fit import fit_command
from nuemstat.cli.group import Commands
from nuemstat.cli.impacts import impacts_command
from nuemstat.cli.inspect import inspect_command
from nuemstat.cli.limit import limit_command
from nuemstat.cli.limits import limits_command
from nuemstat.cli.members import members_command
from nuemstat.cli.models import models_command
from nuemstat.cli.new import new_command
from nuemstat.cli.report import report_command
from nuemstat.cli.scan import scan_command
from nuemstat.cli.significance import significance_command
from nuemstat.cli.validate import validate_command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="nuemstat")
def application() -> None:
    """Limits on neutrino magnetic moments, millicharges and charge radii from real data.

    W is a workspace file if there is one of that name, else a shipped model with variants such as
    lz_sr1:epa,paper; several W are fitted jointly. Couplings are in mu_B, e and cm^2.
    """


for command in (
    models_command,
    new_command,
    compile_command,
    check_command,
    inspect_command,
    fit_command,
    limit_command,
    scan_command,
    significance_command,
    impacts_command,
    coverage_command,
    members_command,
    limits_command,
    export_command,
    validate_command,
    report_command,
):
    application.add_command(command)
