"""What released expectations without flavour conversion are held against: our own, for the same neutrinos."""

from nuemstat.errors import ModelError
from nuemstat.model.schema import ModelDocument, Signal
from nuemstat.model.schema_source import Solar, SolarFlux, SolarScale
from nuemstat.model.templates import Bench, Templates, signal_templates
from nuemstat.sources.solar import UNCONVERTED


def reference_templates(document: ModelDocument, bench: Bench) -> Templates:
    """Our own counts for the neutrinos that a released expectation stands for, of the signals that have one.

    The branch of the signal at the flux of the release, all of it nu_e, behind the response of the model: released over
    own counts is then what detector and selection make of a bin, whatever arrives.

    Raises
    ------
    ModelError : the source is not the Sun.
    """
    found: Templates = {}
    for process, signal in document.signals.items():
        if signal.released is not None and signal.released.use == "reference":
            changed = {"source": _unconverted(document, signal), "signals": {process: signal}}
            found |= signal_templates(document.model_copy(update=changed), bench)
    return found


def _unconverted(document: ModelDocument, signal: Signal) -> Solar:
    source = document.source
    if not isinstance(source, Solar) or signal.released is None or signal.branches is None:
        raise ModelError(f"{document.name}: released: use 'reference' is allowed for a source of type 'solar' only")
    flux = SolarFlux.model_validate({signal.branches[0]: signal.released.flux})
    return source.model_copy(update={"oscillation": UNCONVERTED, "survival": None, "flux": flux, "scale": SolarScale()})
