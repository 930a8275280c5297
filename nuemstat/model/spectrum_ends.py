"""How much of each signal comes from above the last tabulated point of a source's spectrum, and what its end loses."""

from collections.abc import Iterable
from typing import Final

import numpy as np

from nuemstat import units
from nuemstat.errors import ModelError
from nuemstat.model.expansion import Version
from nuemstat.model.scales import scaled
from nuemstat.model.schema import ModelDocument
from nuemstat.model.templates import Bench, Templates, flux_components, signal_templates
from nuemstat.physics.couplings import default_value, scheme
from nuemstat.sources.component import FluxComponent, Part
from nuemstat.vocabulary import COUPLINGS
from nuemstat.workspace.spectrum_end import SpectrumEnd

MOST_LOST: Final = 0.01
"""Above this lost fraction the workspace warns."""
NOTHING_KNOWN: Final = 0.5
"""Above this lost fraction the flux does not describe the signal, and the model is refused."""


def spectrum_ends(version: Version) -> tuple[SpectrumEnd, ...] | None:
    """The two fractions of each signal and channel, couplings at their Standard Model values.

    None for sources whose spectra reach their physical ends. More than 1 % lost is told to the bench as a warning.

    Raises
    ------
    ModelError : more of a signal is lost above the end of the spectrum than the spectrum gives.
    """
    components = flux_components(version.document, version.bench)
    known = [component for component in components if component.continued.maximum or component.beyond.maximum]
    if not known:
        return None
    continued, beyond = (_counts(version, components, part) for part in ("continued", "beyond"))
    last = min(c.continued.energies[0] if c.continued.maximum else c.flux.maximum for c in known)
    end = max(component.flux.maximum for component in known)
    found: list[SpectrumEnd] = []
    for key, total in _totals(version.document, version.templates).items():
        above, lost = continued.get(key, 0.0), beyond.get(key, 0.0)
        entry = SpectrumEnd(
            channel=key[0],
            process=key[1],
            last_point=round(float(last) / units.MeV, 6),
            end=round(end / units.MeV, 6),
            continued=_digits(above / total),
            lost=_digits(lost / (total + lost)),
        )
        _judge(version.document, version.bench, entry)
        found.append(entry)
    return tuple(found)


def _judge(document: ModelDocument, bench: Bench, entry: SpectrumEnd) -> None:
    where = f"channels.{entry.channel}: {entry.lost:.2g} of {entry.process} would come from neutrinos above"
    text = f"{where} {entry.end:g} MeV, where the spectrum of the source ends"
    if entry.lost > NOTHING_KNOWN:
        raise ModelError(f"{document.name}: {text}; at most {NOTHING_KNOWN:g} is allowed, beyond 0.01 it warns")
    if entry.lost > MOST_LOST:
        bench.warnings[f"spectrum end {entry.channel} {entry.process}"] = text


def _digits(number: float) -> float:
    """To three digits: both are estimates of how far the numbers of the model can be trusted."""
    return float(f"{number:.3g}")


def _counts(version: Version, components: Iterable[FluxComponent], part: Part) -> dict[tuple[str, str], float]:
    """Counts from one part of the flux alone, nothing where no component has it."""
    if not any(component.part(part).maximum for component in components):
        return {}
    templates = signal_templates(version.document, version.bench.of(part))
    return _totals(version.document, scaled(templates, version.scales))


def _totals(document: ModelDocument, templates: Templates) -> dict[tuple[str, str], float]:
    """Counts of the signals over all bins of each channel."""
    couplings = scheme(document.conventions.couplings)
    defaults = {name: default_value(name, couplings) for name in COUPLINGS}
    return {
        key: float(np.sum(poly.evaluate(defaults))) for key, poly in templates.items() if key[1] in document.signals
    }
