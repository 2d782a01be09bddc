"""Molecules, conformers, priors and splits; RDKit, no torch."""
