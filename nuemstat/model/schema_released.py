"""The vocabulary of released templates in model files: a signal's own, and alternatives of any process."""

from typing import Literal

from pydantic import model_validator

from nuemstat.model.fields import TotalFlux
from nuemstat.model.schema_follows import Follows
from nuemstat.strict import Name, Strict


class Released(Strict):
    """The expectation of a signal without new physics, as its experiment released it, one number per bin.

    use : `counts`: it is what the signal gives at the standard couplings, and new physics changes it by the ratio of
    our own counts; `shares`: our own counts, spread over those axes that neither the response nor the arrival times
    predict as the table says, in each bin of the first axis; `reference`: it is what one branch of the Sun would give
    without flavour conversion at `flux`, and flux, conversion and new physics change it by the ratio of our own counts.
    table : one for all channels, or one for each; follows : of the counts, when the experiment grows.
    """

    table: str | dict[Name, str]
    column: str
    use: Literal["counts", "shares", "reference"]
    flux: TotalFlux | None = None
    source: str
    follows: Follows | None = None

    @model_validator(mode="after")
    def _flux_of_a_reference(self) -> "Released":
        if (self.use == "reference") != (self.flux is not None):
            raise ValueError("flux is required for use 'reference' and not allowed for 'counts' and 'shares'")
        return self

    def table_of(self, channel: str) -> str:
        """The table of a channel."""
        return self.table if isinstance(self.table, str) else self.table[channel]


class Alternatives(Strict):
    """Released alternatives of a template, at one sigma; only their shape is used.

    nominal, plus, minus : columns of the table; without minus the change is mirrored.
    Every sample of the processes changes by the ratio of plus (minus) to nominal in its bins.
    """

    table: str
    nominal: str
    plus: str
    minus: str | None = None
    source: str
