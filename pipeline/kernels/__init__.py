"""Lattice kernels: raw tensors in and out, no imports from the project."""
