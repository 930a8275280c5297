"""The vocabulary of released templates in model files: a signal's own, and alternatives of any process."""

from typing import Literal

from nuemstat.model.schema_follows import Follows
from nuemstat.strict import Strict


class Released(Strict):
    """The expectation of a signal without new physics, as its experiment released it, one number per bin.

    use : `counts`: it is what the signal gives at the standard couplings, and new physics changes it by the ratio of
    our own counts; `shares`: our own counts, spread over those axes that neither the response nor the arrival times
    predict as the table says, in each bin of the first axis. follows : of the counts, when the experiment grows.
    """

    table: str
    column: str
    use: Literal["counts", "shares"]
    source: str
    follows: Follows | None = None


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
