"""Pictures of molecules; NumPy, numba and RDKit, no torch."""
