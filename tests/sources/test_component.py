import pytest

from nuemstat.errors import ModelError
from nuemstat.sources.component import with_number
from nuemstat.sources.pion_decay import PionDecaySource
from nuemstat.sources.solar import SolarSource

PIONS = PionDecaySource(neutrinos_per_proton=0.09, protons_on_target=1e22, distance=2000.0)


def test_with_number_sets_a_field_or_an_entry_and_leaves_the_source() -> None:
    assert with_number(PIONS, "distance", 1.0).distance == 1.0
    assert PIONS.distance == 2000.0
    assert with_number(SolarSource(scale={"pp": 1.1}), "scale.b8", 0.9).scale == {"pp": 1.1, "b8": 0.9}


@pytest.mark.parametrize("name", ["nothing", "scale.pp", "distance.x", "fluence"])
def test_unknown_numbers_are_refused(name: str) -> None:
    with pytest.raises(ModelError, match="fields are neutrinos_per_proton"):
        with_number(PIONS, name, 1.0)


def test_entries_are_checked_by_the_source() -> None:
    with pytest.raises(ModelError, match="allowed are pp, pep"):
        with_number(SolarSource(), "scale.be8", 1.0)
    with pytest.raises(ModelError, match="no number 'scale'"):
        with_number(SolarSource(), "scale", 1.0)
