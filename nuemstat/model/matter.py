"""What a reader of a result must know of charges in matter: the medium, and how much comes from the lowest recoils."""

from collections.abc import Iterator

import numpy as np

from nuemstat import units
from nuemstat.model.schema import ModelDocument, Target
from nuemstat.model.templates import Bench, charge_counts
from nuemstat.physics.electron import CLAIMED, LOWEST
from nuemstat.physics.media import density_remark


def medium_words(target: Target) -> str:
    """The formula and the medium in words."""
    found = target.medium
    density = f"{found.density / (units.gram / units.cm**3):g} g/cm^3"
    said = "" if target.density else " (default)"
    low = f"{LOWEST / units.eV:g} eV"
    matter = f"{found.phase} {found.name}" if found.phase else found.name
    return f"dielectric formula, {matter} of {density}{said}, nothing below {low}"


def density_warning(document: ModelDocument) -> tuple[str, ...]:
    """A line where the density of a medium that charges see is far from that of its phase, else nothing."""
    if not any(signal.in_matter for signal in document.signals.values()):
        return ()
    target = document.target
    density = target.density.number if target.density else None
    remark = density_remark(target.formula, target.phase, density)
    return (f"{document.name}: {remark}",) if remark else ()


def low_shares(document: ModelDocument, bench: Bench) -> Iterator[str]:
    """A line for each signal and channel: the part of the charge signal that true recoils below 100 eV make."""
    for process, signal in document.signals.items():
        for channel in signal.channels if signal.in_matter else ():
            edges, counts = charge_counts(document, bench, signal, channel)
            total = float(np.sum(counts))
            share = float(np.sum(counts[edges[1:] <= CLAIMED * (1 + 1e-9)])) / total if total else 0.0
            yield (
                f"charges in {channel}: {share:.2g} of {process} from true recoils between {LOWEST / units.eV:g} and "
                f"{CLAIMED / units.eV:g} eV"
            )
