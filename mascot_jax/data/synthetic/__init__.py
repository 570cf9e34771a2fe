"""Synthetic ratings with a known floor."""
