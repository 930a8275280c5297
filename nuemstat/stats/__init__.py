"""Likelihood, fits and intervals of workspaces; knows nothing of neutrinos."""
