"""The whole chain: compile, combine, fit, limit, compare, draw, publish."""

from pathlib import Path

import nuemstat as nu

OUTPUT = Path("example_output")
COUPLING = "millicharge_ee"


def main() -> None:
    """All steps, in the order of an analysis."""
    # Models become workspaces: everything a likelihood needs, and nothing of how it was computed.
    dresden = nu.compile(nu.load_model("dresden2"), couplings=[COUPLING])
    conus = nu.compile(nu.load_model("conus_plus"), couplings=[COUPLING])
    for workspace in (dresden, conus):
        workspace.write(OUTPUT / f"{workspace.name}.json")
        print(workspace)

    # A joint fit is a longer list; nuisances of one name are one.
    joint = nu.combine([dresden, conus], name="reactors")

    # Best fit with pulls, at the Standard Model and with the coupling free.
    print(nu.fit(joint))
    best = nu.fit(joint, free=[COUPLING])
    print(f"best {COUPLING}: {best.couplings[COUPLING].value:.3g} e")

    # All intervals at 90 %, each alone and together, and how far the data are from one value.
    for workspace in (dresden, conus, joint):
        found = nu.limit(workspace, COUPLING, cl=0.90)
        print(workspace.name, found.intervals, found.unit)
    print(nu.significance(joint, COUPLING, 2e-12))

    # For others: pyhf reads this.
    nu.export(joint, "pyhf", OUTPUT / "pyhf")


if __name__ == "__main__":
    main()
