"""Variants of the update, and what bounds them: a CUDA library of its own, built by nvcc."""
