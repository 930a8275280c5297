"""Where the neutrinos come from: fluxes by flavour, with their named systematic variations."""
