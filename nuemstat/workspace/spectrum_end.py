"""How far the spectrum behind a signal is known, as a workspace keeps it."""

from nuemstat.strict import Name, Strict


class SpectrumEnd(Strict):
    """How far the spectrum of a source is known, for one signal in one channel at the Standard Model couplings.

    last_point, end : last tabulated point of the spectrum and end of the flux, which goes on above it [MeV];
    continued : fraction of the counts from neutrinos above the last point; lost : fraction that would come from above
    the end, where the flux is zero, by an exponential through its last points.
    """

    channel: Name
    process: Name
    last_point: float
    end: float
    continued: float
    lost: float
